"""What an estimator makes of episodes that are drawn: one gradient for each episode, or for each batch of B.

They come in blocks of 4,096. A block is a function of the problem, the seed and its number alone, so that the same
episodes can be drawn again, by whoever has the number.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.contract import Contract
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.independent import Rollouts
from pgcheck.trajectories.sampling import streams
from pgcheck.verification.batch_sums import BATCHES
from pgcheck.verification.calls import EachEpisode
from pgcheck.verification.known import Known, best_known, parts_of
from pgcheck.verification.sequential import FIRST_LOOK
from pgcheck.verification.setting import Setting

BLOCK = FIRST_LOOK  # gradients
ROUNDING, ROUNDING_IN_SINGLE = 1e-9, 1e-4  # of the greatest number: errors that are none
FEW = 256  # gradients on which it is found out what they are compared with
MOST_STEPS = 2**20  # of episodes that are drawn together; their arrays take some tens of megabytes
MOST_NUMBERS = 2**22  # in the gradients of these


class Outputs(Protocol):
    """Independent gradients, all with the same law."""

    def block(self, number: int) -> Iterator[tuple[Floats, Floats]]:
        """Yields errors and gradients, 4,096 of a block, some at a time `[64 m, d]`.

        An error is a gradient less one that has the expectation which is due: the expectation of the error is the
        bias.
        """


@dataclass(frozen=True, eq=False)
class Draw:
    """Batches that are drawn, one after the other.

    Attributes:
      batch: their episodes `[m B]`.
      index: the numbers of the episodes of each batch `[m, B]`.
    """

    batch: Batch
    index: Ints

    def means(self, each: Floats) -> Floats:
        """Returns the mean over each batch `[m, d]` of one row for each episode `[m B, d]`."""
        return each if self.index.shape[1] == 1 else each[self.index].mean(axis=1)


class Drawn:
    """Draws the episodes of blocks.

    Args:
      setting: the model, who draws the episodes, and whether those of a batch share s_0.
      size: B.
      rng: the source of all blocks; it is advanced once.

    Attributes:
      setting, size: as they were given.
      episodes, steps: how many were drawn.
    """

    def __init__(self, setting: Setting, size: int, rng: np.random.Generator) -> None:
        self.setting, self.size = setting, size
        self.episodes = self.steps = 0
        self._rollouts = Rollouts(setting.mdp, setting.policy, setting.behavior)
        self._streams = streams(rng)
        numbers = max(1, MOST_NUMBERS // max(1, len(setting.policy.theta)) // BATCHES)
        steps = max(1, MOST_STEPS // (setting.mdp.horizon * size) // BATCHES)
        self._together = BATCHES * 2 ** int(np.log2(min(numbers, steps, BLOCK // BATCHES)))

    def block(self, number: int) -> Iterator[Draw]:
        """Yields the 4,096 batches of a block, some at a time: 64 m of them."""
        rng = self._streams(number)
        for _ in range(BLOCK // self._together):
            draw = self._of(self._together, rng)
            self.episodes, self.steps = self.episodes + len(draw.batch), self.steps + int(draw.batch.lengths.sum())
            yield draw

    def few(self) -> Draw:
        """Returns some batches that are in no block."""
        return self._of(min(FEW, self._together), self._streams(0, 0))

    def _of(self, batches: int, rng: np.random.Generator) -> Draw:
        n = batches * self.size
        batch = self._rollouts.draw(n, rng, together=self.size if self.setting.same_start else 1)
        return Draw(batch, np.arange(n).reshape(batches, self.size))


class OfEstimator:
    """The gradients (`Outputs`) of an estimator, less those of a known one on the same episodes.

    Where the two are alike, the differences have far less variance than the gradients.

    Args:
      estimator, contract: what is called; for each episode, where `size` is None.
      setting: the model.
      size: B of whole batches.
      gradient: ∇J `[d]`.
      rng: draws the episodes.
      expected: gives one gradient for each episode `[N, d]`, the mean of which is due in each batch; None is a
        combination of known estimators whose expectation is ∇J.

    Attributes:
      drawn: draws the episodes.
      gradient: as it was given.
      size: B; 1 where each episode has its own gradient.

    Raises (from `block`):
      EstimatorError: the estimator cannot be called, or returns no gradient.
      CoupledRowsError: rows depend on the batch around them.
    """

    def __init__(
        self,
        estimator: Estimator,
        contract: Contract,
        setting: Setting,
        size: int | None,
        gradient: Floats,
        rng: np.random.Generator,
        expected: Callable[[Batch], Floats] | None = None,
    ) -> None:
        self._estimator, self._expected = estimator, expected
        self._each = EachEpisode(estimator, setting, contract) if size is None else None
        self.drawn, self.gradient = Drawn(setting, size or 1, rng), gradient
        self.size, self._single = self.drawn.size, contract.single
        self._greatest = 0.0  # number in a gradient so far

    @property
    def single(self) -> bool:
        """Whether numbers came in single precision."""
        return self._single if self._each is None else self._each.single

    def block(self, number: int) -> Iterator[tuple[Floats, Floats]]:
        """Yields errors and gradients, 4,096 of a block, some at a time `[64 m, d]`."""
        expected = self._expected = self._expected or self._best()
        for draw in self.drawn.block(number):
            gradients = self._gradients(draw)
            errors = gradients - draw.means(expected(draw.batch))
            self._greatest = max(self._greatest, float(np.abs(gradients).max(initial=0.0)))
            slack = (ROUNDING_IN_SINGLE if self.single else ROUNDING) * self._greatest
            errors[np.abs(errors).max(axis=1, initial=0.0) <= slack] = 0.0
            yield errors, gradients

    def _gradients(self, draw: Draw) -> Floats:
        """Those of drawn batches `[m, d]`."""
        if self._each is None:
            return draw.batch.flattened(self._estimator.of_batches(draw.batch, draw.index))
        return draw.batch.flattened(self._each(draw.batch)).astype(np.float64, copy=False)

    def _best(self) -> Known:
        draw, parts = self.drawn.few(), parts_of(self.drawn.setting)
        return best_known(self.gradient, parts, draw.batch, draw.means, self._gradients(draw))


def blocks_of(look: int) -> range:
    """Returns the numbers of the blocks that look 1, 2, … adds to those before it."""
    return range(0 if look == 1 else 2 ** (look - 2), 2 ** (look - 1))
