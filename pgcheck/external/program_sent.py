"""A program in any language that can be sent to other processes: each of them starts it once, when it is needed."""

import atexit
import contextlib
import threading
from collections.abc import Callable, Iterator

from pgcheck.arrays import Floats, Ints
from pgcheck.estimators.contract import Contract
from pgcheck.external.program import Program
from pgcheck.external.program_answers import Reader
from pgcheck.trajectories.batch import Batch


class SendableProgram(Program):
    """A program (`Program`) that travels as its command, with what was learnt of it."""

    def __reduce__(self) -> "tuple[Callable[..., Program], tuple[object, ...]]":
        learnt = self._contract, self._takes_headers, self._is_in_order, self._reader
        return arrived, (self.name, self._timeout, self._directory, learnt)


class Arrived(SendableProgram):
    """A program that was sent to this process: it is started at the first call, and ends with this process.

    There is one for each command, which all that is sent shares; threads take turns.
    """

    def __init__(self, spec: str, timeout: float, directory: str | None) -> None:
        super().__init__(spec, timeout=timeout, directory=directory, heard=False)
        self._lock = threading.RLock()

    def __call__(self, batch: Batch, /) -> Floats:
        """Returns the gradients of a batch: one for each episode, or one for all."""
        with self._lock, self._forgiving():
            return super().__call__(batch)

    def of_batches(self, batch: Batch, index: Ints) -> Floats:
        """Returns the gradients of M batches of B episodes, whose numbers in `batch` are `index` `[M, B]`."""
        with self._lock, self._forgiving():
            return super().of_batches(batch, index)

    def knows(self, learnt: tuple[Contract | None, bool | None, bool, Reader]) -> "Arrived":
        """Returns itself, after it was told what was learnt before."""
        self._contract, self._takes_headers, self._is_in_order, self._reader = learnt
        return self

    def close(self) -> None:
        """Ends the program; the next call starts it again."""
        with self._lock:
            self._end(at_once=True)

    @contextlib.contextmanager
    def _forgiving(self) -> Iterator[None]:
        """A fault is raised once: the call after it may be for another part, and starts the program again."""
        try:
            yield
        finally:
            self._fault = None


_ARRIVED: dict[tuple[str, float, str | None], Arrived] = {}


def arrived(
    spec: str, timeout: float, directory: str | None, learnt: tuple[Contract | None, bool | None, bool, Reader]
) -> Arrived:
    """Returns what stands for a program that was sent to this process."""
    key = spec, timeout, directory
    if key not in _ARRIVED:
        _ARRIVED[key] = Arrived(spec, timeout, directory)
        atexit.register(_ARRIVED[key].close)
    return _ARRIVED[key].knows(learnt)
