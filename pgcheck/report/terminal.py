"""Terminals: how wide they are, whether they show colour, and words wrapped to fit."""

import contextlib
import os
import sys
import textwrap
from typing import TextIO

DEFAULT_WIDTH = 80
MOST_WRAPPED = 10_000  # characters of a line that is wrapped: what is longer is no prose
HANGING = 2  # columns by which the second line of a sentence is indented
PREFORMATTED = 4  # columns of indentation from which a line is code, and stays as it is


def terminal_width() -> int:
    """Returns the number of columns of the terminal; 80 where there is none."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            width = os.get_terminal_size(stream.fileno()).columns
            if width > 0:
                return width
    return DEFAULT_WIDTH


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads this stream."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return stream is not None and stream.isatty()
    return False


def is_coloured(on_terminal: bool) -> bool:
    """Whether colour is shown: on a terminal or where FORCE_COLOR asks for it, unless NO_COLOR forbids it."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "") not in ("", "0"):
        return True
    return on_terminal and os.environ.get("TERM") != "dumb"


def wrapped(text: str, width: int) -> str:
    """Returns text whose lines are wrapped at spaces; code and quoted lines of files stay as they are."""
    lines = text.split("\n")
    pairs = zip(lines, [*lines[1:], ""], strict=True)
    return "\n".join(_wrapped_line(line, width, following) for line, following in pairs)


def _wrapped_line(line: str, width: int, following: str) -> str:
    indent = len(line) - len(line.lstrip(" "))
    is_quote = "^" in (line.strip(" |"), following.strip(" |"))  # a caret stands below a quoted line
    if len(line) <= width or len(line) > MOST_WRAPPED or is_quote or indent >= PREFORMATTED:
        return line
    return textwrap.fill(
        line, max(width, 20), subsequent_indent=" " * (indent + HANGING),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
