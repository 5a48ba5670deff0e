"""A time limit on calls that wait for another process, kept by a thread that sleeps until the limit is near."""

import math
import threading
import time
from collections.abc import Callable
from types import TracebackType


class Watchdog:
    """Calls `on_timeout`, once, when a `with` block of this object lasts longer than `seconds`.

    `on_timeout` runs in a thread of the watchdog; it must end whatever the block waits for. Entering the block takes
    a microsecond, because the thread is not woken: deadlines only move to later times, so the thread sleeps until
    the deadline that it knows and then looks for a later one.

    Attributes:
      timed_out: whether a block has lasted too long.
      more: seconds, at least 0, that the blocks to come may last besides.
    """

    def __init__(self, seconds: float, on_timeout: Callable[[], None]) -> None:
        self.timed_out = False
        self.more = 0.0
        self._seconds = seconds
        self._on_timeout = on_timeout
        self._deadline = math.inf
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pgcheck watchdog", daemon=True)
        self._thread.start()

    def __enter__(self) -> None:
        self._deadline = time.monotonic() + self._seconds + self.more

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadline = math.inf

    def stop(self) -> None:
        """Ends the thread; `on_timeout` is not called afterwards."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        pause = self._seconds
        while not self._stopped.wait(pause):
            left = self._deadline - time.monotonic()
            if left <= 0:
                self.timed_out = True
                self._on_timeout()
                return
            pause = min(left, self._seconds)
