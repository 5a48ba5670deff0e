"""Estimates of the gradient from N rollouts, with any estimators: one walk through the rollouts, one tally each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, brief_fields
from pgcheck.displayed import Displayed
from pgcheck.errors import UsageError
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.catalogue import chosen
from pgcheck.estimators.tallies import BatchTally, Summed, SumTally, tally, tally_parts
from pgcheck.model.endless import cut
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.dealing import RolledOut, number_of_parts, sampled_sums
from pgcheck.trajectories.sampling import Sampler
from pgcheck.workers.executor import HERE, Executor

MAX_TOGETHER = 100_000  # rollouts that an estimator of whole batches gets

Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class SampledGradient(Displayed):
    """An estimate of ∇J from N rollouts.

    Attributes:
      n: the number of rollouts N.
      estimate: ĝ_N `[d]`, in reward per unit θ, ordered as `parameters`.
      mean_return: of the rollouts; an estimate of J, if the policy drew them.
      parameters: the names of each component: (observation, action), or one name.
    """

    n: int
    estimate: Floats
    mean_return: float
    parameters: tuple[tuple[str, ...], ...]

    __repr__ = brief_fields


def sample_gradient(
    mdp: MDP,
    policy: Policy,
    n: int,
    rng: np.random.Generator,
    *,
    estimator: Estimator | str = "reinforce",
    behavior: Policy | None = None,
    progress: Progress | None = None,
    executor: Executor = HERE,
) -> SampledGradient:
    """Returns an estimate of ∇J from n independent rollouts.

    By default it is REINFORCE,

      ĝ_N = (1/N) Σ_i R(τ_i) Σ_t ∇log π_θ(a_t|s_t) = Σ_τ (n(τ)/N) R(τ) Σ_t ∇log π_θ(a_t|s_t)

    The second form is how it is computed: n(τ), how often τ was drawn, is multinomial, and is drawn by
    splitting N down the tree, so the cost follows the distinct trajectories and not N.
    See Williams (1992), https://doi.org/10.1007/BF00992696

    Args:
      mdp: where the rollouts take place; each has at most `mdp.horizon` steps.
      policy: draws the actions, and is differentiated.
      n: the number of rollouts, 1 to 10^15.
      rng: the source of randomness; it is advanced.
      estimator: an estimator, or the name of a built-in one.
      behavior: draws the actions instead, for off-policy estimators.
      progress: called with the fraction done, 0 to 1, from time to time.
      executor: does the parts that many rollouts are cut into.

    Raises:
      UsageError: n is out of range, or no estimator has that name, or an off-policy one lacks a behavior.
      TooLargeError: single rollouts are too long to remember, or values too many for an estimator's critic.
    """
    return sample_gradients(
        mdp, policy, n, rng, [chosen(estimator)], behavior=behavior, progress=progress, executor=executor
    )[0]


def sample_gradients(
    mdp: MDP,
    policy: Policy,
    n: int,
    rng: np.random.Generator,
    estimators: Sequence[Estimator],
    *,
    behavior: Policy | None = None,
    tallies: Sequence[Summed] = (),
    progress: Progress | None = None,
    executor: Executor = HERE,
) -> list[SampledGradient]:
    """Returns the estimates of several estimators from the same n rollouts; arguments as in `sample_gradient`.

    Args:
      tallies: what else is to be made of the rollouts.

    Raises:
      UsageError: also where off-policy estimators stand beside others.
    """
    mdp = cut(mdp, policy)
    actor = drawn_by(mdp, policy, behavior, estimators)
    together = [estimator.name for estimator in estimators if estimator.aggregation == "batch"]
    if together and n > MAX_TOGETHER:
        raise UsageError(
            f"{together[0]} returns one gradient for the whole batch, which holds all rollouts: "
            f"at most {MAX_TOGETHER:,}, not {n:,}"
        )
    paths = bool(tallies) or any(estimator.needs_paths for estimator in estimators)
    sampler = Sampler(mdp, actor, n, rng, paths=paths, target=policy)
    if not paths:
        # R is summed on the way back up the tree, so that no trajectory has to be remembered.
        estimate, value = sampled_sums(sampler, RolledOut(mdp, actor, policy, n), executor, progress)
        return [SampledGradient(n, estimate, value, policy.parameters) for _ in estimators]
    distinct = bool(tallies) or any(estimator.aggregation == "distinct" for estimator in estimators)
    if together or number_of_parts(n) == 1:
        own: list[BatchTally | SumTally] = [
            BatchTally(estimator, mdp, policy) if estimator.aggregation == "batch" else SumTally(estimator, policy)
            for estimator in estimators
        ]
        value = tally(sampler, policy, [*own, *tallies], distinct=distinct, progress=progress)
        return [SampledGradient(n, each.estimate(), value / n, policy.parameters) for each in own]
    sums = [SumTally(estimator, policy) for estimator in estimators]
    value = tally_parts(sampler, policy, [*sums, *tallies], executor, distinct=distinct, progress=progress)
    return [SampledGradient(n, each.estimate(), value / n, policy.parameters) for each in sums]


def drawn_by(mdp: MDP, policy: Policy, behavior: Policy | None, estimators: Sequence[Estimator]) -> Policy:
    """Returns the policy that draws the rollouts for these estimators.

    Raises:
      UsageError: they need different ones, or a behavior that is missing.
    """
    off = [estimator.name for estimator in estimators if estimator.off_policy]
    if not off:
        return policy
    if behavior is None:
        raise UsageError(
            f"{mdp.name} has no behavior: {off[0]} needs a second policy, which draws the rollouts.\n"
            "  Add `behavior: {softmax: {}}` to the model (preferences left out are 0)."
        )
    if len(off) < len(estimators):
        raise UsageError(f"{off[0]} needs rollouts of its own, drawn by the behavior")
    return behavior
