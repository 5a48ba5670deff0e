"""What an estimator makes of episodes that are drawn: one gradient for each episode, or for each batch of B."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.contract import Contract
from pgcheck.verification.batch_sums import Sums, errors_of
from pgcheck.verification.calls import BLOCKS_CHECKED, EachEpisode
from pgcheck.verification.drawn import Draw, Drawn
from pgcheck.verification.known import Known, best_known, parts_of
from pgcheck.verification.setting import Setting
from pgcheck.workers.executor import Arrays, Executor


class Outputs(Protocol):
    """Independent gradients, all with the same law.

    Attributes:
      single: whether numbers came in single precision, as far as is known.
    """

    @property
    def single(self) -> bool: ...

    def sums(self, blocks: Sequence[int], executor: Executor) -> Iterator[Sums]:
        """Yields the sums over the gradients of blocks, 4,096 in each, some at a time.

        An error is a gradient less one that has the expectation which is due: the expectation of the error is the
        bias.
        """


class OfEstimator:
    """The gradients (`Outputs`) of an estimator, less those of a known one on the same episodes.

    Where the two are alike, the differences have far less variance than the gradients.

    Args:
      estimator, contract: what is called; for each episode, where `size` is None.
      setting: the model.
      size: B of whole batches.
      gradient: ∇J `[d]`.
      rng: draws the episodes.
      expected: gives what is due in each batch `[m, d]`; None is a combination of known estimators whose expectation
        is ∇J.

    As a `Task` it comes to the sums over a block, by its number.

    Attributes:
      drawn: draws the episodes.
      gradient: as it was given.
      size: B; 1 where each episode has its own gradient.
      is_due_right: whether what is due has the expectation ∇J.
      single: whether numbers came in single precision, in blocks whose sums were asked for.

    Raises (from `block`, `sums`):
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
        expected: Callable[[Draw], Floats] | None = None,
    ) -> None:
        self._estimator, self._expected = estimator, expected
        self.is_due_right = expected is None
        self._contract, self.is_each = contract, size is None
        self.drawn, self.gradient = Drawn(setting, size or 1, rng), gradient
        self.size, self.single = self.drawn.size, contract.single
        self._episodes = self._steps = 0

    @property
    def mean_length(self) -> float:
        """The mean number of steps of the episodes in blocks whose sums were asked for."""
        return self._steps / max(1, self._episodes)

    @property
    def label(self) -> str:
        """What is done."""
        return f"{self._estimator.name} on drawn episodes of {self.drawn.setting.mdp.name}"

    def sums(self, blocks: Sequence[int], executor: Executor) -> Iterator[Sums]:
        """Yields the sums over the gradients of each block."""
        self._expected = self._expected or self._best()  # it goes along
        for *sums, seen in executor.map(self, blocks):
            episodes, steps, single = seen.tolist()
            self._episodes, self._steps = self._episodes + episodes, self._steps + steps
            self.single = self.single or bool(single)
            yield Sums.from_arrays(tuple(sums))

    def __call__(self, number: int, /) -> Arrays:
        """Returns the sums over a block, and how many episodes and steps it has, and whether it is in single."""
        sums, each = Sums.empty(len(self.gradient)), self._of_each(number)
        episodes = steps = 0
        for draw, errors, gradients in self._block(number, each):
            sums.add(errors, gradients)
            episodes, steps = episodes + len(draw.batch), steps + int(draw.batch.lengths.sum())
        return *sums.arrays(), np.array([episodes, steps, self._is_single(each)])

    def block(self, number: int) -> Iterator[tuple[Floats, Floats]]:
        """Yields errors and gradients, 4,096 of a block, some at a time `[64 m, d]`."""
        for _, errors, gradients in self._block(number, self._of_each(number)):
            yield errors, gradients

    def _block(self, number: int, each: EachEpisode | None) -> Iterator[tuple[Draw, Floats, Floats]]:
        expected = self._expected = self._expected or self._best()
        for draw in self.drawn.block(number):
            if each is None:
                gradients, due = self._gradients(draw, each), expected(draw)
            else:
                gradients = np.empty((len(draw.index), len(self.gradient)))
                due = np.empty_like(gradients)
                for numbers, part in draw.by_length():
                    gradients[numbers], due[numbers] = self._gradients(part, each), expected(part)
            yield draw, errors_of(gradients, due, single=self._is_single(each)), gradients

    def _of_each(self, number: int) -> EachEpisode | None:
        """What calls the estimator for the episodes of a block; None where batches are asked for."""
        if not self.is_each:
            return None
        return EachEpisode(self._estimator, self.drawn.setting, self._contract, checked=number < BLOCKS_CHECKED)

    def _is_single(self, each: EachEpisode | None) -> bool:
        return self._contract.single if each is None else each.single

    def _gradients(self, draw: Draw, each: EachEpisode | None) -> Floats:
        """Those of drawn batches `[m, d]`."""
        if each is None:
            return draw.batch.flattened(self._estimator.of_batches(draw.batch, draw.index))
        return draw.batch.flattened(each(draw.batch)).astype(np.float64, copy=False)

    def _best(self) -> Known:
        draw = self.drawn.few()
        return best_known(self.gradient, parts_of(self.drawn.setting), draw, self._gradients(draw, self._of_each(0)))


def blocks_of(look: int) -> range:
    """Returns the numbers of the blocks that look 1, 2, … adds to those before it."""
    return range(0 if look == 1 else 2 ** (look - 2), 2 ** (look - 1))
