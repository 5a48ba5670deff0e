"""Finding the line of the user's code that made a draw which cannot be answered."""

import linecache
import os
import random
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

PACKAGE = str(Path(__file__).resolve().parents[2])
PLACES = {PACKAGE, *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))} - {None}
LIBRARIES = ("<frozen", "<string", "<__array", *(f"{place}{os.sep}" for place in PLACES))
PYTHON = tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib"))
INSTALLED = tuple(f"{sysconfig.get_path(name)}{os.sep}" for name in ("purelib", "platlib"))  # may lie within PYTHON
DRAWING = random.__file__  # the only module of Python's own that draws


@dataclass(frozen=True)
class Place:
    """A line of the user's code that draws.

    Attributes:
      file, line: where it is.
      function: the user's function that it is in.
      by: the function of a library that it draws by; nothing where it draws itself.
    """

    file: str
    line: int
    function: str
    by: str = ""

    def __str__(self) -> str:
        code = linecache.getline(self.file, self.line).strip()
        by = f", by {self.by}" if self.by else ""
        return f"{self.file}:{self.line}: in {self.function}: {code or 'a draw'}{by}"


def place_of_draw(run: Callable[[], object], has_drawn: Callable[[], bool]) -> Place | None:
    """Runs some code line by line, and returns where it is when a generator has drawn for the first time.

    Args:
      run: the code; what it raises is passed over.
      has_drawn: whether a generator has drawn.

    Returns None where none draws this time.
    """
    found: list[Place] = []
    last: list[Place] = []

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        if event == "call" and _is_of_python(frame):
            return None  # torch seeds with records of the whole stack: thousands of lines, none of which draws
        if not found and event in ("line", "return") and not _is_own(frame):
            if last and has_drawn():
                found.append(last[0])
            running = frame.f_back if event == "return" else frame  # what goes on after this event
            last[:] = [] if running is None else [_place(running)]
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


def is_of_library(frame: FrameType) -> bool:
    """Whether a frame is of Python itself, of an installed package, or of pgcheck."""
    return frame.f_code.co_filename.startswith(LIBRARIES)


def _is_own(frame: FrameType) -> bool:
    """Whether a frame is of pgcheck: what it does with generators is no draw."""
    return frame.f_code.co_filename.startswith(f"{PACKAGE}{os.sep}")


def _is_of_python(frame: FrameType) -> bool:
    """Whether a frame is of Python itself, and not of `random`."""
    file = frame.f_code.co_filename
    return file.startswith(PYTHON) and not file.startswith(INSTALLED) and file != DRAWING


def _place(running: FrameType) -> Place:
    """The place in the user's code from which a frame was reached."""
    frame, by = running, ""
    if is_of_library(running) and not _is_own(running):
        by = f"{running.f_globals.get('__name__', '')}.{running.f_code.co_qualname}"
    while is_of_library(frame) and frame.f_back is not None:
        frame = frame.f_back
    return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, by)
