"""Two readings of "the mean over the sampled trajectories", and which of them is the gradient.

    ∇J = Σ_τ P(τ) R(τ) Ψ(τ)  ≈  Σ_τ (n(τ)/N) R(τ) Ψ(τ),   Ψ(τ) = Σ_t ∇log π_θ(a_t|s_t)

n(τ), how often τ was drawn, stands in for N P(τ). Read as a mean over the distinct trajectories, each
counted alike, the same words give (1/D) Σ_τ R(τ) Ψ(τ), which does not converge to ∇J.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.exact import Progress
from pgcheck.mdp import MDP, Floats, Ints
from pgcheck.policy import Policy
from pgcheck.sampling import SampledGradient, Sampler
from pgcheck.trajectories import Trajectory, sampled_paths


@dataclass(frozen=True, eq=False)
class Readings:
    """N rollouts read in both ways.

    Attributes:
      sampled: the right reading, each trajectory weighted by n(τ)/N.
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
    through = np.zeros(len(mdp.prob))
    distinct = 0
    for paths, count, returns in sampled_paths(sampler):
        distinct += len(paths)
        outcome = paths[:, 1:]
        rows, _ = np.nonzero(outcome >= 0)
        through += np.bincount(outcome[outcome >= 0], weights=returns[rows], minlength=len(through))
        for k, trajectory in enumerate(asked):
            counts[k] += int(count[_same(paths, trajectory.path)].sum())
        if progress is not None:
            progress(sampler.fraction())
    weights = np.zeros((mdp.num_states, mdp.num_actions))
    np.add.at(weights, (mdp.state, mdp.action), through / distinct)
    return Readings(sampler.result(), policy.pullback(weights), distinct, counts)


def _same(paths: Ints, path: Ints) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Which rows are this path."""
    if len(path) > paths.shape[1]:
        return np.zeros(len(paths), dtype=np.bool_)
    return np.asarray(
        np.all(paths[:, : len(path)] == path, axis=1) & np.all(paths[:, len(path) :] < 0, axis=1), dtype=np.bool_
    )
