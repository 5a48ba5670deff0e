"""What an estimator makes of episodes that are drawn: one gradient for each episode, or for each batch of B."""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.contract import Contract
from pgcheck.verification.batch_sums import errors_of
from pgcheck.verification.calls import EachEpisode
from pgcheck.verification.drawn import Draw, Drawn
from pgcheck.verification.known import Known, best_known, parts_of
from pgcheck.verification.setting import Setting


class Outputs(Protocol):
    """Independent gradients, all with the same law.

    Attributes:
      single: whether numbers came in single precision, as far as is known.
    """

    @property
    def single(self) -> bool: ...

    def block(self, number: int) -> Iterator[tuple[Floats, Floats]]:
        """Yields errors and gradients, 4,096 of a block, some at a time `[64 m, d]`.

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

    Attributes:
      drawn: draws the episodes.
      gradient: as it was given.
      size: B; 1 where each episode has its own gradient.
      is_due_right: whether what is due has the expectation ∇J.

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
        expected: Callable[[Draw], Floats] | None = None,
    ) -> None:
        self._estimator, self._expected = estimator, expected
        self.is_due_right = expected is None
        self._each = EachEpisode(estimator, setting, contract) if size is None else None
        self.drawn, self.gradient = Drawn(setting, size or 1, rng), gradient
        self.size, self._single = self.drawn.size, contract.single

    @property
    def is_each(self) -> bool:
        """Whether each episode has its own gradient."""
        return self._each is not None

    @property
    def single(self) -> bool:
        """Whether numbers came in single precision."""
        return self._single if self._each is None else self._each.single

    def block(self, number: int) -> Iterator[tuple[Floats, Floats]]:
        """Yields errors and gradients, 4,096 of a block, some at a time `[64 m, d]`."""
        expected = self._expected = self._expected or self._best()
        for draw in self.drawn.block(number):
            if self._each is None:
                gradients, due = self._gradients(draw), expected(draw)
            else:
                gradients = np.empty((len(draw.index), len(self.gradient)))
                due = np.empty_like(gradients)
                for numbers, part in draw.by_length():
                    gradients[numbers], due[numbers] = self._gradients(part), expected(part)
            yield errors_of(gradients, due, single=self.single), gradients

    def _gradients(self, draw: Draw) -> Floats:
        """Those of drawn batches `[m, d]`."""
        if self._each is None:
            return draw.batch.flattened(self._estimator.of_batches(draw.batch, draw.index))
        return draw.batch.flattened(self._each(draw.batch)).astype(np.float64, copy=False)

    def _best(self) -> Known:
        draw = self.drawn.few()
        return best_known(self.gradient, parts_of(self.drawn.setting), draw, self._gradients(draw))


def blocks_of(look: int) -> range:
    """Returns the numbers of the blocks that look 1, 2, … adds to those before it."""
    return range(0 if look == 1 else 2 ** (look - 2), 2 ** (look - 1))
