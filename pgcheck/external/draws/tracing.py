"""Finding the line of the user's code that made a draw which cannot be answered."""

import os
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

PACKAGE = str(Path(__file__).resolve().parents[2])
PLACES = {PACKAGE, *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))} - {None}
LIBRARIES = ("<frozen", "<string", *(f"{place}{os.sep}" for place in PLACES))


@dataclass(frozen=True)
class Place:
    """A line of code.

    Attributes:
      function: the function that it calls, or that it is in.
      file, line: of the user's code, from which it is reached.
    """

    function: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.function}, in {self.file}, line {self.line}"


def place_of_draw(run: Callable[[], object], has_drawn: Callable[[], bool]) -> Place | None:
    """Runs some code line by line, and returns where it is when a generator has drawn for the first time.

    Args:
      run: the code; what it raises is passed over.
      has_drawn: whether a generator has drawn.

    Returns None where none draws this time.
    """
    found: list[Place] = []
    last: list[FrameType] = []

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        if not found and event in ("line", "return"):
            if last and has_drawn():
                found.append(_place(last[0], frame))
            last[:] = [frame]
        return None if found else trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    except BaseException:  # the run has been seen to fail
        pass
    finally:
        sys.settrace(before)
    return found[0] if found else None


def caller() -> Place:
    """Returns the place in the user's code from which the present function is called."""
    frame = sys._getframe(2)
    return _place(frame, frame)


def is_of_library(frame: FrameType) -> bool:
    """Whether a frame is of Python itself, of an installed package, or of pgcheck."""
    return frame.f_code.co_filename.startswith(LIBRARIES)


def _place(drawing: FrameType, now: FrameType) -> Place:
    """The place of a draw that was made in a frame, or between it and the present one."""
    frame: FrameType | None = drawing if _is_running(drawing, now) else now
    name = drawing.f_code.co_qualname if is_of_library(drawing) else "a draw"
    while frame is not None and is_of_library(frame):
        frame = frame.f_back
    frame = frame or drawing
    module = drawing.f_globals.get("__name__", "")
    function = f"{module}.{name}" if name != "a draw" and module else name
    return Place(function, frame.f_code.co_filename, frame.f_lineno)


def _is_running(frame: FrameType, now: FrameType | None) -> bool:
    while now is not None:
        if now is frame:
            return True
        now = now.f_back
    return False
