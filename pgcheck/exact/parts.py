"""The parts of an MDP that never meet: no outcome leads from one to another, and no parameter is shared."""

import numpy as np

from pgcheck.arrays import Bools, Ints
from pgcheck.model.mdp import MDP


class Parts:
    """The parts, and the parameters of each.

    Attributes:
      place: of each parameter among those of its part `[d]`.
      width: the most parameters of a part.
    """

    def __init__(self, mdp: MDP, state: Ints, param: Ints, size: int) -> None:
        """Args are the problem, the state and the parameter of each pair `[P]`, and d."""
        first = np.zeros(size, dtype=np.int64)  # a state that has the parameter
        first[param] = state
        going = ~mdp.ends
        self._part = _joined(
            mdp.num_states, np.r_[mdp.state[going], state], np.r_[mdp.next_state[going], first[param]]
        )
        part = self._part[first]
        self._params = np.argsort(part, kind="stable")
        self._counts = np.bincount(part, minlength=int(self._part.max()) + 1)
        self._offset = np.cumsum(self._counts) - self._counts
        self.place = np.empty(size, dtype=np.int64)
        self.place[self._params] = np.arange(size) - np.repeat(self._offset, self._counts)
        self.width = int(self._counts.max())

    def numbers(self, states: Ints) -> tuple[Bools, Ints]:
        """Returns which places of these states' vectors are taken, and the parameter in each `[n, w]`."""
        part, places = self._part[states][:, None], np.arange(self.width)
        own = places < self._counts[part]
        return own, self._params[np.where(own, self._offset[part] + places, 0)]


def _joined(size: int, source: Ints, target: Ints) -> Ints:
    """The number of the part of each of `size` states, where links join the parts of their ends `[K]`."""
    least = np.arange(size)
    while True:
        joined = least.copy()
        np.minimum.at(joined, source, least[target])
        np.minimum.at(joined, target, least[source])
        joined = joined[joined]
        if np.array_equal(joined, least):
            return np.unique(least, return_inverse=True)[1].ravel()
        least = joined
