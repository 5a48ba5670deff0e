"""Rollouts that were drawn and counted → K equal batches of them, at random.

N rollouts are independent, and so in any order as likely as in any other. Given how often each trajectory came, every
way to lay them out in a row is equally likely; a random one is again a row of N independent rollouts, as the draw is
independent of what the rollouts are. Cut into K pieces of equal length it is K independent batches. How often a
trajectory is in each of them is multivariate hypergeometric, and what is left of a row that K does not divide is the
last piece, which is not used.
"""

import numpy as np

from pgcheck.arrays import Ints
from pgcheck.verification.batch_sums import BATCHES

MOST = 2**29  # rollouts: NumPy draws hypergeometric numbers of fewer than 10^9
MANY = 1_000  # times that one trajectory came: its rollouts are not laid out one by one


class Partition:
    """Deals rollouts out to K batches of ⌊N/K⌋ places and to one of the N mod K that are left."""

    def __init__(self, n: int, rng: np.random.Generator) -> None:
        self._places = np.append(np.full(BATCHES, n // BATCHES), n % BATCHES)
        self._rng = rng

    def dealt(self, counts: Ints) -> Ints:
        """Returns how often each batch has each of m distinct rollouts `[K, m]`, which came so often in all `[m]`."""
        dealt = np.zeros((BATCHES + 1, len(counts)), dtype=np.int64)
        for column in np.flatnonzero(counts > MANY):
            dealt[:, column] = self._drawn(int(counts[column]))
        few = np.flatnonzero(counts <= MANY)
        rollouts = np.repeat(few, counts[few])
        batches = self._rng.permutation(np.repeat(np.arange(BATCHES + 1), self._drawn(len(rollouts))))
        np.add.at(dealt, (batches, rollouts), 1)
        return dealt[:BATCHES]

    def _drawn(self, number: int) -> Ints:
        """Places for so many rollouts, out of those that are left `[K + 1]`."""
        taken = self._rng.multivariate_hypergeometric(self._places, number)
        self._places -= taken
        return taken
