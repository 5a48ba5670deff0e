"""Saying at which line a user's code hangs, from a thread beside it."""

import os
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType, TracebackType

from pgcheck.errors import ExitStatus
from pgcheck.external.draws.tracing import is_of_library

SHOWN_FRAMES = 3


class Deadline:
    """Ends this process when a `with` block of this object lasts too long.

    Args:
      seconds: that the block may last.
      tell: is called before, with the user's lines that the block is at; "" where there are none.
    """

    def __init__(self, seconds: float, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._over = threading.Lock()  # held by who comes first: the end of the block, or that of the time
        self._thread = threading.get_ident()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.acquire()
        self._timer.cancel()

    def _end(self) -> None:
        if self._over.acquire(blocking=False):
            try:
                self._tell(lines_of_user(sys._current_frames().get(self._thread)))
            finally:
                os._exit(ExitStatus.FAULT)


def lines_of_user(frame: FrameType | None) -> str:
    """Returns the last lines of the user's code that have led to a frame, as in a traceback."""
    summary = [
        traceback.FrameSummary(it.f_code.co_filename, line, it.f_code.co_name)
        for it, line in traceback.walk_stack(frame)
        if not is_of_library(it)
    ]
    return "".join(traceback.format_list(summary[:SHOWN_FRAMES][::-1]))
