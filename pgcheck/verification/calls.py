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


class Rescaled(External):
    """An estimator whose gradient of each batch is multiplied by a length of the batch."""

    def __init__(self, estimator: Estimator, length: Callable[[Ints], Floats]) -> None:
        """`length` maps the lengths of the episodes of M batches `[M, B]` to a factor for each batch `[M]`."""
        super().__init__(estimator.name)
        self._estimator = estimator
        self._length = length

    def __call__(self, batch: Batch, /) -> Floats:
        """Returns the gradient of the whole batch, rescaled."""
        (gradient,) = self.of_batches(batch, np.arange(len(batch))[None])
        return np.asarray(gradient)

    def of_batches(self, batch: Batch, index: Ints) -> Floats:
        """Returns the gradients of M batches, rescaled."""
        gradients = self._estimator.of_batches(batch, index)
        factor = self._length(batch.lengths[index]).reshape(-1, *(1 for _ in gradients.shape[1:]))
        return np.asarray(gradients * factor)
