"""The exact expectation of an estimator: the sum over all episodes, each weighted by its probability."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.paths import enumerated_paths, measured


@dataclass(frozen=True, eq=False)
class EpisodeSums:
    """Sums over all episodes.

    Attributes:
      mean: Σ P(τ) ĝ(τ) `[d]`.
      second: Σ P(τ) ĝ(τ) ĝ(τ)ᵀ, its diagonal `[d]` or all of it `[d, d]`.
    """

    mean: Floats
    second: Floats

    @property
    def trace(self) -> float:
        """tr Cov ĝ, of sums whose `second` is a diagonal."""
        return max(float(self.second.sum()) - float(np.sum(self.mean**2)), 0.0)


def over_episodes(
    each: Callable[[Batch], Floats],
    mdp: MDP,
    policy: Policy,
    actor: Policy,
    *,
    full: bool = False,
    progress: Callable[[float], None] | None = None,
) -> EpisodeSums:
    """Returns Σ_τ P(τ) ĝ(τ) and Σ_τ P(τ) ĝ(τ) ĝ(τ)ᵀ, block by block.

    Args:
      each: gives ĝ of each episode of a batch `[N, d]`, for any d.
      mdp, policy: the problem, and the point θ at which the gradient is taken.
      actor: draws the actions; P is the probability under this policy.
      full: whether the whole second moment is wanted, or its diagonal.
      progress: called with the probability of the episodes that are done.
    """
    mean, second, done = np.zeros(()), np.zeros(()), 0.0
    for batch, prob, _ in measured(mdp, policy, enumerated_paths(mdp, actor), actor):
        gradients = each(batch)
        mean = mean + prob @ gradients
        second = second + (gradients.T @ (prob[:, None] * gradients) if full else prob @ gradients**2)
        done += float(prob.sum())
        if progress is not None:
            progress(done)
    return EpisodeSums(mean, second)
