"""The two readings of "the mean over N sampled trajectories", of which one is the gradient.

    ∇J = Σ_τ P(τ) R(τ) Ψ(τ)  ≈  Σ_τ (n(τ)/N) R(τ) Ψ(τ),   Ψ(τ) = Σ_t ∇log π_θ(a_t|s_t)

n(τ), how often τ was drawn, stands in for N P(τ). Read as a mean over the distinct trajectories, each
weighted alike, the same words give (1/D) Σ_τ R(τ) Ψ(τ), which does not converge to ∇J.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Bools, Floats, Ints
from pgcheck.estimators.on_policy import REINFORCE
from pgcheck.estimators.sampled import Progress, SampledGradient, sample_gradients
from pgcheck.estimators.wrong import UNIFORM_TRAJECTORIES
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.likely import Trajectory
from pgcheck.workers.executor import HERE, Arrays, Executor


@dataclass(frozen=True, eq=False)
class Readings:
    """N rollouts read in both ways.

    Attributes:
      sampled: the right reading, each trajectory weighted by n(τ)/N: what `sample_gradient` returns.
      unweighted: the wrong one, each distinct trajectory weighted alike `[d]`.
      distinct: D, how many distinct trajectories were drawn.
      counts: n(τ) of the trajectories asked for `[K]`.
    """

    sampled: SampledGradient
    unweighted: Floats
    distinct: int
    counts: Ints


def two_readings(
    mdp: MDP,
    policy: Policy,
    n: int,
    rng: np.random.Generator,
    trajectories: Sequence[Trajectory],
    *,
    progress: Progress | None = None,
    executor: Executor = HERE,
) -> Readings:
    """Returns both readings of the rollouts that `sample_gradient` draws from the same `rng`.

    Args:
      mdp, policy: the problem, and where to differentiate.
      n: the number of rollouts.
      rng: the source of randomness; it is advanced.
      trajectories: those whose counts are wanted, K of them.
      progress: called with the fraction done, 0 to 1, from time to time.
      executor: does the parts that many rollouts are cut into.

    Raises:
      UsageError: n is out of range.
      TooLargeError: single rollouts are too long to remember.
    """
    counting = _CountTally(mdp, trajectories)
    both = [REINFORCE, UNIFORM_TRAJECTORIES]
    right, wrong = sample_gradients(
        mdp, policy, n, rng, both, tallies=[counting], progress=progress, executor=executor
    )
    return Readings(right, wrong.estimate, counting.distinct, counting.counts)


class _CountTally:
    """How often each of some trajectories was drawn, and how many distinct ones were."""

    def __init__(self, mdp: MDP, trajectories: Sequence[Trajectory]) -> None:
        self.counts = np.zeros(len(trajectories), dtype=np.int64)
        self.distinct = 0
        self._mdp = mdp
        self._trajectories = trajectories

    def add(self, batch: Batch, counts: Floats) -> None:
        self.distinct += len(counts)
        paths = np.vstack([batch.starts, batch.outcomes])
        for k, trajectory in enumerate(self._trajectories):
            self.counts[k] += int(counts[self._same(paths, trajectory.path)].sum())

    def empty(self) -> "_CountTally":
        return _CountTally(self._mdp, self._trajectories)

    def sums(self) -> Arrays:
        return self.counts, np.array(self.distinct)

    def add_sums(self, sums: Arrays) -> None:
        self.counts += sums[0]
        self.distinct += int(sums[1])

    def _same(self, paths: Ints, path: Ints) -> Bools:
        """Which of these paths `[1 + T, N]` is this path."""
        if len(path) > len(paths):
            return np.zeros(paths.shape[1], dtype=np.bool_)
        first, rest = paths[: len(path)], paths[len(path) :]
        same = np.all(first == path[:, None], axis=0) & np.all(rest == self._mdp.padding, axis=0)
        return np.asarray(same, dtype=np.bool_)
