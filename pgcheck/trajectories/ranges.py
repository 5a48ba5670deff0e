"""All trajectories of a model in ranges of their numbers, so that each range can be made by itself.

Trajectories are numbered in the order of the tree. To make one range the tree is walked from the beginning, which
takes a ten-millionth of a second for a trajectory: far less than whatever is done with it.
"""

from collections.abc import Iterator

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.counting import count_trajectories
from pgcheck.trajectories.paths import Paths, enumerated_paths, measured

RANGES = 64  # at least, where there are so many trajectories
FEWEST, MOST = 2**10, 2**16  # trajectories in a range
MOST_STEPS = 2**22  # in a range, about


class Ranges:
    """All trajectories of a model. How they are divided follows from their number and the horizon.

    Args:
      mdp, policy: what the batches are of.
      actor: draws the actions.

    Raises:
      TooLargeError: there is no horizon, or too many trajectories to count.
    """

    def __init__(self, mdp: MDP, policy: Policy, actor: Policy) -> None:
        self._mdp, self._policy, self._actor = mdp, policy, actor
        self._count = count_trajectories(mdp)
        most = int(np.clip(MOST_STEPS // (1 + mdp.horizon), FEWEST, MOST))
        self._size = int(np.clip(-(-self._count // RANGES), FEWEST, most))
        self._lots: Iterator[Paths] | None = None
        self._lot: Paths | None = None  # that is in hand
        self._first = 0  # the number of its first trajectory

    def __len__(self) -> int:
        """How many ranges there are; the last may be empty, where the actor never takes some actions."""
        return -(-self._count // self._size)

    def batches(self, number: int) -> Iterator[tuple[Batch, Floats]]:
        """Yields the trajectories of a range in batches of about one length each, with their probabilities `[N]`.

        Ranges that are asked for in their order are made in one walk.
        """
        paths = self._between(number * self._size, (number + 1) * self._size)
        for batch, prob, _ in measured(self._mdp, self._policy, paths, self._actor):
            yield batch, prob

    def _between(self, begin: int, end: int) -> Iterator[Paths]:
        """The trajectories with these numbers."""
        if self._lots is None or begin < self._first:
            self._lots, self._lot, self._first = enumerated_paths(self._mdp, self._actor), None, 0
        while self._first < end:
            if self._lot is None:
                self._lot = next(self._lots, None)
            if self._lot is None:
                return
            beyond = self._first + len(self._lot.measure)
            columns = slice(max(begin - self._first, 0), end - self._first)
            if beyond > begin:
                steps, measure, returns = self._lot
                yield Paths(steps[:, columns], measure[columns], returns[columns])
            if beyond > end:
                return
            self._first, self._lot = beyond, None
