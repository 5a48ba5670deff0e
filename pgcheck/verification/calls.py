"""The one place where verification calls an estimator: for each episode, or for whole batches that are rescaled."""

from collections.abc import Callable

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.estimators.base import Estimator, Gradients, gradients
from pgcheck.estimators.contract import Contract
from pgcheck.external.estimator import External
from pgcheck.trajectories.batch import Batch


def each_episode(estimator: Estimator, batch: Batch, contract: Contract) -> Gradients:
    """Returns the gradient of each episode `[N, *theta.shape]`: rows, or those of batches of one."""
    if contract.rows:
        return gradients(estimator, batch)
    alone = estimator.of_batches(batch, np.arange(len(batch))[:, None])
    return Gradients(alone, per_episode=True, single=contract.single)


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
