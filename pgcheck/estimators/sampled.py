"""Estimates of the gradient from N rollouts, with any estimators: one walk through the rollouts, one tally each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pgcheck.arrays import Floats, Ints, brief_fields
from pgcheck.errors import UsageError
from pgcheck.estimators.base import Estimator, gradients
from pgcheck.estimators.catalogue import chosen
from pgcheck.model.endless import cut
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
      mean_return: of the rollouts; an estimate of J, if the policy drew them.
      parameters: the names of each component: (observation, action), or one name.
    """

    n: int
    estimate: Floats
    mean_return: float
    parameters: tuple[tuple[str, ...], ...]

    __repr__ = brief_fields


class Tally(Protocol):
    """Takes in rollouts, some at a time."""

    def add(self, batch: Batch, counts: Floats) -> None:
        """Takes in trajectories and how often each was drawn `[N]`."""


class SumTally:
    """Σ shares · ĝ and Σ shares over the rollouts: the mean, the ratio, or the mean over distinct trajectories."""

    def __init__(self, estimator: Estimator, policy: Policy) -> None:
        self.estimator = estimator
        self.total = np.zeros(len(policy.theta))
        self.shares = 0.0

    def add(self, batch: Batch, counts: Floats) -> None:
        """Takes in trajectories and how often each was drawn `[N]`."""
        shares = self.estimator.shares(batch, counts)
        self.shares += float(shares.sum())
        self.total += self.estimator.weighted_sum(batch, shares)

    def estimate(self) -> Floats:
        """Returns ĝ_N `[d]`."""
        return self.total / (self.shares if self.shares > 0 else 1.0)


class BatchTally:
    """All rollouts, each trajectory as often as it was drawn, for an estimator that makes one gradient of them."""

    def __init__(self, estimator: Estimator, mdp: MDP, policy: Policy) -> None:
        self.estimator = estimator
        self._mdp = mdp
        self._policy = policy
        self._paths: list[Ints] = []

    def add(self, batch: Batch, counts: Floats) -> None:
        """Takes in trajectories and how often each was drawn `[N]`."""
        paths = np.vstack([batch.starts, batch.outcomes])
        self._paths.append(np.repeat(paths, counts.astype(np.int64), axis=1))

    def estimate(self) -> Floats:
        """Returns ĝ_N `[d]`."""
        batch = Batch.from_paths(self._mdp, self._policy, padded(self._mdp, self._paths))
        return batch.flattened(gradients(self.estimator, batch).values.mean(axis=0))


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
      estimator: an estimator, or the name of a built-in one.
      behavior: draws the actions instead, for off-policy estimators.
      progress: called with the fraction done, 0 to 1, from time to time.

    Raises:
      UsageError: n is out of range, or no estimator has that name, or an off-policy one lacks a behavior.
      TooLargeError: single rollouts are too long to remember, or values too many for an estimator's critic.
    """
    return sample_gradients(mdp, policy, n, rng, [chosen(estimator)], behavior=behavior, progress=progress)[0]


def sample_gradients(
    mdp: MDP,
    policy: Policy,
    n: int,
    rng: np.random.Generator,
    estimators: Sequence[Estimator],
    *,
    behavior: Policy | None = None,
    tallies: Sequence[Tally] = (),
    progress: Progress | None = None,
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
        for _ in sampler.walk():
            if progress is not None:
                progress(sampler.fraction())
        estimate, value = sampler.result()
        return [SampledGradient(n, estimate, value, policy.parameters) for _ in estimators]
    own = [
        BatchTally(estimator, mdp, policy) if estimator.aggregation == "batch" else SumTally(estimator, policy)
        for estimator in estimators
    ]
    distinct = bool(tallies) or any(estimator.aggregation == "distinct" for estimator in estimators)
    value = tally(sampler, policy, [*own, *tallies], distinct=distinct, progress=progress)
    return [SampledGradient(n, each.estimate(), value / n, policy.parameters) for each in own]


def tally(
    sampler: Sampler, policy: Policy, tallies: Sequence[Tally], *, distinct: bool, progress: Progress | None = None
) -> float:
    """Walks through a sampler's rollouts, hands them to each tally, and returns the sum of their returns.

    Args:
      sampler: made with `paths=True`.
      policy: the point θ at which the gradient is taken.
      tallies: take in the rollouts.
      distinct: whether each trajectory must come once, with its count.
      progress: called with the fraction done, 0 to 1, from time to time.
    """
    value = 0.0
    paths = sampled_paths(sampler, distinct=distinct)
    for batch, counts, returns in measured(sampler.mdp, policy, paths, sampler.policy):
        value += float(counts @ returns)
        for each in tallies:
            each.add(batch, counts)
        if progress is not None:
            progress(sampler.fraction())
    return value


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
