"""An estimator that runs in a process of its own; sent to another process, it runs in a process of that one."""

import time
from collections.abc import Callable

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.estimators.base import Gradients
from pgcheck.estimators.contract import Contract
from pgcheck.external import contents, requests
from pgcheck.external.estimator import External
from pgcheck.external.policies import sendable
from pgcheck.external.process import Child
from pgcheck.external.travelling import KeptChild, Place, kept_child
from pgcheck.trajectories.batch import Batch

LOT_SECONDS = 0.5  # that a request for many small batches should take
LOT_GROWTH = 4  # times as many small batches as in the request before, at most


class Process(External):
    """Calls the estimator that a child process has loaded; errors are those of `Child`."""

    def __init__(self, child: Child | KeptChild) -> None:
        super().__init__(child.name)
        self._child = child
        self._model: requests.Model | None = None
        self._lot_size = 1  # small batches that the next request asks for
        self._batch_size = 0  # of these

    def __reduce__(self) -> "tuple[Callable[..., Process], tuple[object, ...]]":
        """It travels as the place of the function."""
        return arrived, (Place(self.name, self._child.timeout, self._child.directory), self._contract)

    def __call__(self, batch: Batch, /) -> Floats:
        """Returns the gradients of a batch: one for each episode, or one for all."""
        self._send_model(batch)
        shape = batch.theta.shape
        answer = self._call(batch, None, {True: (len(batch), *shape), False: (1, *shape)})
        gradients = answer.values if answer.per_episode else answer.values[0]
        return gradients.astype(np.float32) if answer.single else gradients

    def of_batches(self, batch: Batch, index: Ints) -> Floats:
        """Returns the gradients of M batches of B episodes, whose numbers in `batch` are `index` `[M, B]`.

        A request asks for as many small batches as take about half a second, so that a slow estimator does not run
        into the timeout, and progress is seen. Another model or batch size begins with one small batch.
        """
        self._send_model(batch)
        if index.shape[1] != self._batch_size:
            self._batch_size, self._lot_size = index.shape[1], 1
        gradients: list[Floats] = []
        done = 0
        while done < len(index) or not gradients:
            lot = index[done : done + self._lot_size]
            since = time.monotonic()
            part, numbers = _needed(batch, lot)
            gradients.append(self._call(part, numbers, {False: (len(lot), *batch.theta.shape)}).values)
            seconds = max(time.monotonic() - since, 1e-6) / max(len(lot), 1)
            affordable = int(min(LOT_SECONDS, self._child.timeout / 4) / seconds)
            self._lot_size = max(1, min(LOT_GROWTH * self._lot_size, affordable))
            done += len(lot)
        return np.concatenate(gradients)

    def _send_model(self, batch: Batch) -> None:
        """Sends the model and the policies of `batch`, unless the child has them."""
        is_there = self._model is not None and self._model.is_of(batch)
        if isinstance(self._child, KeptChild):
            is_there = is_there and self._child.holder is self
        if not is_there:
            model = requests.Model(batch.mdp, batch.policy, batch.behavior)
            policy = sendable(batch.policy)
            behavior = policy if batch.behavior is batch.policy else batch.behavior and sendable(batch.behavior)
            self._child.ask(requests.Model(batch.mdp, policy, behavior), contents.nothing)
            self._model, self._lot_size = model, 1
            if isinstance(self._child, KeptChild):
                self._child.holder = self

    def _call(self, batch: Batch, index: Ints | None, shapes: contents.GradientShapes) -> Gradients:
        alterations = {name: getattr(batch, name) for name in batch.alterations}
        call = requests.Call(batch.starts, batch.outcomes, alterations, index)
        return self._child.ask(call, contents.gradients_of(shapes))


def arrived(place: Place, contract: Contract | None) -> Process:
    """Returns the estimator that was sent to this process, with what was learnt of it."""
    estimator = Process(kept_child(place))
    estimator._contract = contract
    return estimator


def _needed(batch: Batch, index: Ints) -> tuple[Batch, Ints]:
    """The episodes that small batches need, and their numbers among these; all, where most are needed."""
    needed, numbers = np.unique(index, return_inverse=True)
    if 2 * len(needed) > len(batch):
        return batch, index
    return batch.part(needed), numbers.reshape(index.shape)
