"""Whether an estimate is further from its expectation than chance allows, as where large batches are mishandled.

The gradients of single trajectories have a mean m, a covariance Σ, and ‖ĝ(τ) − m‖ ≤ M. The mean ĝ_N of N independent
ones is far from m with a probability of at most

    P(‖ĝ_N − m‖ ≥ r) ≤ 2 exp(−N r² / (2 (tr Σ + M r / 3)))

in any number of dimensions: Pinelis (1994), https://doi.org/10.1214/aop/1176988477
"""

import math
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, norm_of
from pgcheck.errors import TooLargeError
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.expectation import over_episodes
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.counting import count_trajectories

ALARM = 1e-6  # a probability that is chance no longer
MAX_ENUMERATED = 20_000  # trajectories on which a user's function is called for this
ROUNDING = 1e-4  # of M: what the order of a sum in single precision explains


@dataclass(frozen=True, eq=False)
class Law:
    """What is known of the mean of N independent gradients.

    Attributes:
      mean: m `[d]`.
      trace: tr Σ.
      greatest: M.
    """

    mean: Floats
    trace: float
    greatest: float

    def tail(self, estimate: Floats, n: int) -> float:
        """Returns a bound on the probability that a mean of n is as far from m as `estimate` `[d]`."""
        r = norm_of(estimate - self.mean) - ROUNDING * self.greatest
        if r <= 0:
            return 1.0
        return min(1.0, 2 * math.exp(-n * r**2 / (2 * (self.trace + self.greatest * r / 3))))


def law_of(mdp: MDP, policy: Policy, estimator: Estimator) -> Law | None:
    """Returns the law of a user's estimator of which batches of a few episodes are a mean.

    None for pgcheck's own estimators, whose moments are known and tested; where batches are no mean; and where there
    are more than 20,000 trajectories.
    """
    if estimator.bias != "unknown" or not estimator.mean_of_few:
        return None
    try:
        if count_trajectories(mdp) > MAX_ENUMERATED:
            return None
    except TooLargeError:
        return None
    greatest = 0.0

    def alone(batch: Batch) -> Floats:
        nonlocal greatest
        gradients = batch.flattened(estimator.of_batches(batch, np.arange(len(batch))[:, None]))
        greatest = max(greatest, float(np.sqrt(np.max(np.sum(gradients**2, axis=1), initial=0.0))))
        return gradients

    sums = over_episodes(alone, mdp, policy, policy)
    return Law(sums.mean, sums.trace, greatest + norm_of(sums.mean))
