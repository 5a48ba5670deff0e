"""The steps of all runs of an agent in the order in which each environment made them.

Most mistakes are weights that depend on an episode alone; what goes beyond one is seen here: returns that run on into
the next episode of a buffer, and advantages that are standardised over a run.
"""

from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Bools, Floats, Ints
from pgcheck.verification.recorded import Recorded


@dataclass(frozen=True, eq=False)
class Streams:
    """The steps of Q environments, at most L each; the environments of all runs are told apart.

    Attributes:
      mask: False beyond the last step of an environment `[Q, L]`.
      run, episode: of each step: its run, and the number of its episode among all that were recorded `[Q, L]`.
      place: which of the distinct episodes it is of, and at which step `[2, Q, L]`.
      ends: whether it is the last step of its episode `[Q, L]`.
    """

    mask: Bools
    run: Ints
    episode: Ints
    place: Ints
    ends: Bools

    @classmethod
    def of(cls, recorded: Recorded) -> "Streams":
        """Returns the steps of records."""
        lengths = recorded.lengths
        key = recorded.run * (int(recorded.environment.max(initial=0)) + 1) + recorded.environment
        order = np.argsort(key, kind="stable")
        episode = np.repeat(order, lengths[order])
        first = np.cumsum(lengths[order]) - lengths[order]
        time = np.arange(len(episode)) - np.repeat(first, lengths[order])
        _, row, sizes = np.unique(key[episode], return_inverse=True, return_counts=True)
        column = np.arange(len(episode)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        shape = (len(sizes), int(sizes.max(initial=0)))

        def laid_out(values: Ints) -> Ints:
            table = np.zeros(shape, dtype=np.int64)
            table[row, column] = values
            return table

        mask = laid_out(np.ones_like(episode)) > 0
        place = np.stack([laid_out(recorded.number[episode]), laid_out(time)])
        ends = laid_out((time == lengths[episode] - 1).astype(np.int64)) > 0
        return cls(mask, laid_out(recorded.run[episode]), laid_out(episode), place, ends)

    def looked_up(self, values: Floats) -> Floats:
        """Returns numbers of the distinct episodes `[n, T]` for each step `[Q, L]`; 0 beyond."""
        return np.where(self.mask, values[self.place[0], self.place[1]], 0.0)

    def onward(self, x: Floats, factor: float) -> Floats:
        """Returns Σ_{k≥t} factor^{k−t} x_k over the rest of the environment, across the ends of episodes `[Q, L]`."""
        out = x.copy()
        for t in range(out.shape[1] - 2, -1, -1):
            out[:, t] += factor * out[:, t + 1]
        return out

    def centred(self, x: Floats, group: Ints) -> Floats:
        """Returns numbers less the mean of their group `[Q, L]`; `group` `[Q, L]` is a run or an episode."""
        flat, values = group[self.mask], x[self.mask]
        count = np.maximum(np.bincount(flat), 1)
        centred = np.zeros_like(x)
        centred[self.mask] = values - (np.bincount(flat, values) / count)[flat]
        return centred

    def standardised(self, x: Floats, group: Ints, *, fewer: int, slack: float = 1e-8) -> Floats:
        """Returns numbers less the mean of their group, over its standard deviation `[Q, L]`.

        Args:
          x: the numbers `[Q, L]`.
          group: which numbers belong together `[Q, L]`.
          fewer: 1 where the squares are divided by one less than their number, as torch does, else 0.
          slack: what is added to the deviation.
        """
        centred = self.centred(x, group)
        flat = group[self.mask]
        count = np.bincount(flat) - fewer
        square = np.bincount(flat, centred[self.mask] ** 2)
        deviation = np.sqrt(square / np.maximum(count, 1))
        centred[self.mask] /= (deviation + slack)[flat]
        return centred
