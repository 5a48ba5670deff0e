"""Two readings of "the mean over the sampled trajectories", and which of them is the gradient.

    ∇J = Σ_τ P(τ) R(τ) Ψ(τ)  ≈  Σ_τ (n(τ)/N) R(τ) Ψ(τ),   Ψ(τ) = Σ_t ∇log π_θ(a_t|s_t)

n(τ), how often τ was drawn, stands in for N P(τ). Read as a mean over the distinct trajectories, each
counted alike, the same words give (1/D) Σ_τ R(τ) Ψ(τ), which does not converge to ∇J.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Bools, Floats, Ints
from pgcheck.estimators.sampled import SampledGradient
from pgcheck.exact.gradient import Progress
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.likely import Trajectory
from pgcheck.trajectories.paths import sampled_paths
from pgcheck.trajectories.sampling import Sampler


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
    asked: Sequence[Trajectory],
    *,
    progress: Progress | None = None,
) -> Readings:
    """Returns both readings of the rollouts that `sample_gradient` draws from the same `rng`.

    Args:
      mdp, policy: the problem, and where to differentiate.
      n: the number of rollouts.
      rng: the source of randomness; it is advanced.
      asked: trajectories whose counts are wanted, K of them.
      progress: called with the fraction done, 0 to 1, from time to time.

    Raises:
      UsageError: n is out of range.
      TooLargeError: single rollouts are too long to remember.
    """
    sampler = Sampler(mdp, policy, n, rng, paths=True)
    counts = np.zeros(len(asked), dtype=np.int64)
    right, wrong = np.zeros((2, mdp.padding + 1))
    distinct, value = 0, 0.0
    for paths, count, returns in sampled_paths(sampler):
        distinct += len(count)
        weights = np.broadcast_to(returns, paths[1:].shape)
        wrong += np.bincount(paths[1:].ravel(), weights=weights.ravel(), minlength=len(wrong))
        right += np.bincount(paths[1:].ravel(), weights=(weights * count).ravel(), minlength=len(right))
        value += float(count @ returns)
        for k, trajectory in enumerate(asked):
            counts[k] += int(count[_same(mdp, paths, trajectory.path)].sum())
        if progress is not None:
            progress(sampler.fraction())

    def gradient(by_outcome: Floats) -> Floats:
        visits = np.zeros((mdp.num_states, mdp.num_actions))
        np.add.at(visits, (mdp.state, mdp.action), by_outcome[: mdp.padding])
        return policy.pullback(visits)

    sampled = SampledGradient(n, gradient(right / n), value / n, policy.parameters)
    return Readings(sampled, gradient(wrong / distinct), distinct, counts)


def _same(mdp: MDP, paths: Ints, path: Ints) -> Bools:
    """Which of these paths is this path."""
    if len(path) > len(paths):
        return np.zeros(paths.shape[1], dtype=np.bool_)
    first, rest = paths[: len(path)], paths[len(path) :]
    return np.asarray(np.all(first == path[:, None], axis=0) & np.all(rest == mdp.padding, axis=0), dtype=np.bool_)
