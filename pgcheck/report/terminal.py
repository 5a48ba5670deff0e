"""Terminals: how wide they are, whether they show colour, and words wrapped to fit."""

import contextlib
import os
import sys
import textwrap
from typing import TextIO

DEFAULT_WIDTH = 80
MOST_WRAPPED = 10_000  # characters of a line that is wrapped: what is longer is no prose
HANGING = 2  # columns by which the second line of a sentence is indented
MIN_QUOTE = 20  # columns below which nothing is cropped or wrapped further
ELLIPSIS = "..."
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
    """Returns text whose lines are wrapped at spaces; code stays as it is, and quoted lines of files are cropped.

    A quoted line is one with a line below it that holds nothing but a caret.
    """
    shown: list[str] = []
    lines = text.split("\n")
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if _is_caret(line) and number > 0:
            continue  # it was shown with the line above it
        shown += _quote(line, following, width) if _is_caret(following) else [_wrapped_line(line, width)]
    return "\n".join(shown)


def _is_caret(line: str) -> bool:
    return line.strip(" |") == "^"


def _quote(line: str, caret: str, width: int) -> list[str]:
    """A quoted line and the caret below it, cropped around the caret."""
    margin = caret.find("|") + 2
    place = caret.index("^") - margin
    room = max(width - margin, MIN_QUOTE)
    text = line[margin:]
    if len(text) <= room or not text.isascii():  # wide characters: their columns are not counted here
        return [line, caret]
    lo = max(0, min(place - room // 2, len(text) - room))
    cropped = text[lo : lo + room]
    if lo > 0:
        cropped = ELLIPSIS + cropped[len(ELLIPSIS) :]
    if lo + room < len(text):
        cropped = cropped[: -len(ELLIPSIS)] + ELLIPSIS
    return [line[:margin] + cropped, caret[:margin] + " " * (place - lo) + "^"]


def _wrapped_line(line: str, width: int) -> str:
    indent = len(line) - len(line.lstrip(" "))
    if len(line) <= width or len(line) > MOST_WRAPPED or indent >= PREFORMATTED:
        return line
    return textwrap.fill(
        line, max(width, MIN_QUOTE), subsequent_indent=" " * (indent + HANGING),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
