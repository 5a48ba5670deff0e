"""The one place where verification calls an estimator: for each episode, or for whole batches that are rescaled."""

from collections.abc import Callable

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.estimators.base import Estimator, Gradients, gradients
from pgcheck.estimators.contract import Contract, rows_change
from pgcheck.external.estimator import External
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.draws import by_start
from pgcheck.verification.setting import Setting

BLOCKS_CHECKED = 20  # the first, in whose batches some rows are compared with batches of one


def each_episode(estimator: Estimator, batch: Batch, contract: Contract) -> Gradients:
    """Returns the gradient of each episode `[N, *theta.shape]`: rows, or those of batches of one."""
    if contract.rows:
        return gradients(estimator, batch)
    alone = estimator.of_batches(batch, np.arange(len(batch))[:, None])
    return Gradients(alone, per_episode=True, single=contract.single)


class CoupledRowsError(Exception):
    """A row turned out to depend on the batch around it."""


class EachEpisode:
    """Calls an estimator for the gradient of each episode, in batches that it is made for.

    Args:
      estimator, setting, contract: what is called, and on what.
      checked: whether some rows of each batch are compared with what batches of one give.

    Attributes:
      single: whether numbers came in single precision so far.
      shape: of the last gradients.
    """

    def __init__(self, estimator: Estimator, setting: Setting, contract: Contract, *, checked: bool) -> None:
        self._estimator, self._setting, self._contract = estimator, setting, contract
        self._checked = checked
        self.single, self.shape = contract.single, (0,)

    def __call__(self, batch: Batch) -> Floats:
        """Returns the gradients of the episodes `[N, *theta.shape]`.

        Raises:
          CoupledRowsError: they depend on the batch.
        """
        if not self._setting.same_start or not self._contract.rows:
            return self._of_batch(batch)
        order = list(by_start(batch))
        rows = np.concatenate([self._of_batch(batch.part(numbers)) for numbers in order])
        return rows[np.argsort(np.concatenate(order))]

    def _of_batch(self, batch: Batch) -> Floats:
        answer = each_episode(self._estimator, batch, self._contract)
        if self._contract.rows and self._checked:
            checked = np.unique(np.linspace(0, len(batch) - 1, 3).astype(np.int64))
            if rows_change(self._estimator, batch, answer, checked):
                raise CoupledRowsError
        self.single, self.shape = self.single or answer.single, answer.values.shape[1:]
        return answer.values


class Viewed(External):
    """An estimator that sees altered episodes, and whose gradients are multiplied by a length."""

    def __init__(
        self,
        estimator: Estimator,
        contract: Contract,
        altered: Callable[[Batch], Batch],
        length: Callable[[Ints], Floats] | None,
    ) -> None:
        """`length` maps the lengths of the episodes of M batches `[M, B]` to a factor for each batch `[M]`.

        Where batches of one episode tell everything, each episode's gradient has its own factor.
        """
        super().__init__(estimator.name)
        self._estimator, self._kind = estimator, contract
        self._altered, self._length = altered, length

    def __call__(self, batch: Batch, /) -> Floats:
        """Returns the rows of the batch, or its gradient, rescaled."""
        if not self._kind.rows:
            (gradient,) = self.of_batches(batch, np.arange(len(batch))[None])
            return np.asarray(gradient)
        rows = self._estimator(self._altered(batch))
        lengths = batch.lengths[:, None] if self._kind.by_episode else batch.lengths[None]
        return self._rescaled(rows, lengths)

    def of_batches(self, batch: Batch, index: Ints) -> Floats:
        """Returns the gradients of M batches, rescaled."""
        if self._kind.by_episode and self._length is not None and index.shape[1] > 1:
            alone = self.of_batches(batch, index.reshape(-1, 1))
            return np.asarray(alone.reshape(*index.shape, *alone.shape[1:]).mean(axis=1))
        return self._rescaled(self._estimator.of_batches(self._altered(batch), index), batch.lengths[index])

    def _rescaled(self, gradients: Floats, lengths: Ints) -> Floats:
        if self._length is None:
            return gradients
        return np.asarray(gradients * self._length(lengths).reshape(-1, *(1 for _ in gradients.shape[1:])))
