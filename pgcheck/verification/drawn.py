"""Episodes that are drawn, one by one or in batches of B.

They come in blocks of 4,096. A block is a function of the problem, the seed and its number alone, so that the same
episodes can be drawn again, by whoever has the number.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.estimators.mistakes.weights import Candidate
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.independent import Rollouts
from pgcheck.trajectories.sampling import streams
from pgcheck.verification.batch_sums import BATCHES
from pgcheck.verification.sequential import FIRST_LOOK
from pgcheck.verification.setting import Setting

BLOCK = FIRST_LOOK  # batches
FEW = 256  # batches on which it is found out what they are compared with
MOST_STEPS = 2**20  # of episodes that are drawn together; their arrays take some tens of megabytes
MOST_NUMBERS = 2**20  # in the scores of all their steps, for which an estimator may ask


@dataclass(frozen=True, eq=False)
class Draw:
    """Batches that are drawn, one after the other.

    Attributes:
      batch: their episodes `[m B]`.
      index: the numbers of the episodes of each batch `[m, B]`.
    """

    batch: Batch
    index: Ints

    def by_length(self) -> "Iterator[tuple[Ints, Draw]]":
        """Yields batches of one episode that are about equally long, so with little padding, after their numbers."""
        lengths = self.batch.lengths[self.index[:, 0]]
        kinds = np.ceil(np.log2(np.maximum(lengths, 1)))
        for kind in np.unique(kinds):
            numbers = np.flatnonzero(kinds == kind)
            episodes, longest = self.index[numbers, 0], int(lengths[numbers].max())
            of = self.batch
            part = Batch(of.mdp, of.policy, of.starts[episodes], of.outcomes[:longest, episodes], of.behavior)
            yield numbers, Draw(part, np.arange(len(episodes))[:, None])

    @property
    def size(self) -> int:
        """B."""
        return int(self.index.shape[1])

    def mean(self, candidate: Candidate) -> Floats:
        """Returns what a known estimator makes of each batch `[m, d]`: the mean of its episodes' estimates."""
        return self.sums(candidate, np.arange(len(self.index)), len(self.index)) / self.size

    def sums(self, candidate: Candidate, group: Ints, groups: int) -> Floats:
        """Returns the sum of its estimates over the episodes of each group of batches `[groups, d]`.

        Args:
          candidate: the known estimator.
          group: of each batch, by number `[m]`.
          groups: how many there are.
        """
        batch, of_episode = self.batch, np.repeat(group, self.size)
        mdp = batch.mdp
        if not candidate.weighs_own_steps:
            each, sums = batch.flattened(candidate.each(batch)), np.zeros((groups, len(batch.policy.theta)))
            np.add.at(sums, of_episode, each)
            return sums
        width = mdp.num_states * mdp.num_actions
        t, row = np.nonzero(batch.outcomes != mdp.padding)
        pair = mdp.state * mdp.num_actions + mdp.action
        place = of_episode[row] * width + pair[batch.outcomes[t, row]]
        tables = np.bincount(place, weights=candidate.weights(batch)[row, t], minlength=groups * width)
        return batch.policy.pullback(tables.reshape(groups, mdp.num_states, mdp.num_actions).astype(np.float64))


class Drawn:
    """Draws the episodes of blocks.

    Args:
      setting: the model, who draws the episodes, and whether those of a batch share s_0.
      size: B.
      rng: the source of all blocks; it is advanced once.

    Attributes:
      setting, size: as they were given.
    """

    def __init__(self, setting: Setting, size: int, rng: np.random.Generator) -> None:
        self.setting, self.size = setting, size
        self._streams = streams(rng)
        numbers = len(setting.policy.theta)
        self._few = min(FEW, max(1, MOST_STEPS // (setting.mdp.horizon * size)))
        few = self.few().batch
        longest, mean = max(1, len(few.outcomes)), max(1.0, float(few.lengths.mean()))
        steps = mean if size == 1 else longest  # single episodes are sorted by length
        at_once = min(MOST_STEPS / (longest * size), MOST_NUMBERS / (steps * size * numbers), BLOCK)
        self._together = BATCHES * 2 ** max(0, int(np.log2(at_once / BATCHES)))

    @cached_property
    def _rollouts(self) -> Rollouts:
        return Rollouts(self.setting.mdp, self.setting.policy, self.setting.behavior)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_rollouts"}

    def block(self, number: int) -> Iterator[Draw]:
        """Yields the 4,096 batches of a block, some at a time: 64 m of them."""
        rng = self._streams(number)
        for _ in range(BLOCK // self._together):
            yield self._of(self._together, rng)

    def few(self) -> Draw:
        """Returns some batches that are in no block."""
        return self._of(self._few, self._streams(0, 0))

    def other_rng(self) -> np.random.Generator:
        """Returns the source of other draws, which are independent of these."""
        return self._streams(0, 1)

    def _of(self, batches: int, rng: np.random.Generator) -> Draw:
        n = batches * self.size
        batch = self._rollouts.draw(n, rng, together=self.size if self.setting.same_start else 1)
        return Draw(batch, np.arange(n).reshape(batches, self.size))
