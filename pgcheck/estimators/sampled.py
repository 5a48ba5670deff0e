"""Estimates of the gradient from N rollouts, with any estimator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import UsageError
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.catalogue import estimator as built_in
from pgcheck.estimators.catalogue import reinforce as plain
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.paths import measured, padded, sampled_paths
from pgcheck.trajectories.sampling import Sampler

MAX_TOGETHER = 100_000  # rollouts that an estimator of whole batches gets

Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class SampledGradient:
    """An estimate of ∇J from N rollouts.

    Attributes:
      n: the number of rollouts N.
      estimate: ĝ_N `[d]`, in reward per unit θ, ordered as `parameters`.
      value: the mean return of the rollouts; an estimate of J, if the policy drew them.
      parameters: the (observation, action) of each component, by name.
    """

    n: int
    estimate: Floats
    value: float
    parameters: tuple[tuple[str, str], ...]


def sample_gradient(
    mdp: MDP,
    policy: Policy,
    n: int,
    rng: np.random.Generator,
    *,
    estimator: Estimator | str = "reinforce",
    behavior: Policy | None = None,
    progress: Progress | None = None,
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
      estimator: a built-in estimator or its name.
      behavior: draws the actions instead, for off-policy estimators.
      progress: called with the fraction done, 0 to 1, from time to time.

    Raises:
      UsageError: n is out of range, or no estimator has that name, or an off-policy one lacks a behavior.
      TooLargeError: single rollouts are too long to remember, or values too many for an estimator's critic.
    """
    found = built_in(estimator) if isinstance(estimator, str) else estimator
    return sample_gradients(mdp, policy, n, rng, [found], behavior=behavior, progress=progress)[0]


def sample_gradients(
    mdp: MDP,
    policy: Policy,
    n: int,
    rng: np.random.Generator,
    estimators: Sequence[Estimator],
    *,
    behavior: Policy | None = None,
    progress: Progress | None = None,
) -> list[SampledGradient]:
    """Returns the estimates of several estimators from the same n rollouts; arguments as in `sample_gradient`.

    Raises:
      UsageError: also where off-policy estimators stand beside others.
    """
    actor = drawn_by(mdp, policy, behavior, estimators)
    if n > MAX_TOGETHER and (whole := [some.name for some in estimators if some.whole is not None]):
        raise UsageError(
            f"{whole[0]} makes one gradient of all rollouts and gets them at once: "
            f"at most {MAX_TOGETHER:,}, not {n:,}"
        )
    if all(some.weights is plain and some.is_mean for some in estimators):
        # It needs no trajectories: returns are gathered on the way back up the tree.
        sampler = Sampler(mdp, actor, n, rng)
        for _ in sampler.walk():
            if progress is not None:
                progress(sampler.fraction())
        estimate, value = sampler.result()
        return [SampledGradient(n, estimate, value, policy.parameters)] * len(estimators)
    sampler = Sampler(mdp, actor, n, rng, paths=True)
    sums, shares = np.zeros((len(estimators), len(policy.theta))), np.zeros(len(estimators))
    together: list[tuple[Ints, Floats]] = []
    value = 0.0
    paths = sampled_paths(sampler, distinct=any(some.once for some in estimators))
    for batch, counts, returned in measured(mdp, policy, paths, actor):
        value += float(counts @ returned)
        if any(some.whole is not None for some in estimators):
            together.append((np.vstack([batch.starts, batch.outcomes]), counts))
        for k, some in enumerate(estimators):
            if some.whole is None:
                share = some.shares(batch, counts)
                shares[k] += share.sum()
                sums[k] += some.total(batch, share)
        if progress is not None:
            progress(sampler.fraction())
    estimates = sums / np.where(shares > 0, shares, 1.0)[:, None]
    for k, some in enumerate(estimators):
        if some.whole is not None:
            estimates[k] = some.whole(_rollouts(mdp, policy, together))
    return [SampledGradient(n, estimate, value / n, policy.parameters) for estimate in estimates]


def _rollouts(mdp: MDP, policy: Policy, lots: list[tuple[Ints, Floats]]) -> Batch:
    """All rollouts as one batch, each trajectory as often as it was drawn."""
    steps = padded(mdp, [lot for lot, _ in lots])
    counts = np.concatenate([counts for _, counts in lots]).astype(np.int64)
    return Batch.from_paths(mdp, policy, np.repeat(steps, counts, axis=1))


def drawn_by(mdp: MDP, policy: Policy, behavior: Policy | None, estimators: Sequence[Estimator]) -> Policy:
    """Returns the policy that draws the rollouts for these estimators.

    Raises:
      UsageError: they need different ones, or a behavior that is missing.
    """
    off = [some.name for some in estimators if some.off_policy]
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
