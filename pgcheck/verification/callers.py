"""The one place where verification calls an estimator: per episode, for whole batches, or rescaled."""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.estimators.base import Caller, Estimate, Gradients
from pgcheck.estimators.catalogue import NAMES, estimator
from pgcheck.estimators.contract import Contract
from pgcheck.external.calling import LocalCaller
from pgcheck.trajectories.batch import Batch


def caller_of(estimate: Estimate | Caller | str) -> Caller:
    """Returns what calls an estimator: a caller as it is, a function or a built-in estimator in this process.

    Raises:
      UsageError: no built-in estimator has this name.
    """
    if isinstance(estimate, str):
        return LocalCaller(estimator(estimate), estimate)
    if hasattr(estimate, "whole") and hasattr(estimate, "groups"):
        return cast(Caller, estimate)
    return LocalCaller(estimate, getattr(estimate, "__name__", "the estimator"))


def is_off_policy(caller: Caller) -> bool:
    """Whether this is a built-in estimator for episodes that another policy drew."""
    return caller.name in NAMES and estimator(caller.name).off_policy


def each_episode(caller: Caller, batch: Batch, contract: Contract) -> Gradients:
    """Returns the gradient of each episode `[N, *theta.shape]`: rows, or those of batches of one."""
    if contract.rows:
        return caller.whole(batch)
    return caller.groups(batch, np.arange(len(batch))[:, None])


class Rescaled:
    """A caller that multiplies the gradient of each batch by a length of the batch."""

    def __init__(self, caller: Caller, length: Callable[[Ints], Floats]) -> None:
        """`length` maps the lengths of the episodes of M batches `[M, B]` to a factor for each batch `[M]`."""
        self.name = caller.name
        self._caller = caller
        self._length = length

    def whole(self, batch: Batch) -> Gradients:
        return self._caller.whole(batch)

    def groups(self, batch: Batch, index: Ints) -> Gradients:
        answer = self._caller.groups(batch, index)
        factor = self._length(batch.lengths[index]).reshape(-1, *(1 for _ in answer.values.shape[1:]))
        return replace(answer, values=answer.values * factor)
