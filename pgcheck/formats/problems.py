"""The errors of one file, each with FILE:LINE:COL and its quoted line: for every format that is text."""

import re
import unicodedata

from pgcheck.arrays import Ints
from pgcheck.errors import ModelError

MAX_SHOWN = 20  # errors that one message shows; the rest are counted
QUOTE_WIDTH = 96  # characters of a quoted line

# What moves the cursor, ends a line, reverses the direction of text or shows nothing: not for names and messages.
HIDDEN = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
LINE_ENDS = "\n\r\x85\u2028\u2029"

_HIDDEN = re.compile(f"[{HIDDEN}\ud800-\udfff]")
_LINE_END = re.compile(f"\r\n|[{LINE_ENDS}]")


class Problems:
    """The errors found in one file; the first 20 are shown with their lines, the rest are counted."""

    def __init__(self, file: str, text: str = "") -> None:
        self.file = visible(file)
        self._text = text
        self._errors: list[tuple[int, int, str]] = []
        self._more = 0

    @property
    def count(self) -> int:
        """The number of errors."""
        return len(self._errors) + self._more

    @property
    def full(self) -> bool:
        """Whether further errors are only counted, so that no message needs to be written for them."""
        return len(self._errors) == MAX_SHOWN

    def shows(self, line: int, column: int) -> bool:
        """Whether an error at this place would be shown, so that its message is worth writing."""
        return not self.full or (line, column) < max(self._errors, key=_place)[:2]

    def add(self, line: int, column: int, message: str) -> None:
        """Notes an error at a place; line and column count from 1, and 0 is a file without lines."""
        self._errors.append((line, column, message))
        if (
            len(self._errors) > MAX_SHOWN
        ):  # those that stand first in the file are kept; of one place, the first noted
            self._errors.sort(key=_place)
            self._errors.pop()
            self._more += 1

    def first(self, places: Ints) -> list[int]:
        """Returns the first of these places of faults, as many as can be shown; the rest are counted."""
        self._more += len(places[MAX_SHOWN:])
        return [int(place) for place in places[:MAX_SHOWN]]

    def add_at(self, position: int, message: str) -> None:
        """Notes an error at a position in the text."""
        ends = {end: self._text.count(end, 0, position) for end in (*LINE_ENDS, "\r\n")}
        begin = max(self._text.rfind(end, 0, position) for end in LINE_ENDS) + 1
        self.add(1 + sum(ends[end] for end in LINE_ENDS) - ends["\r\n"], position - begin + 1, message)

    def check(self) -> None:
        """Raises ModelError if there are errors, in the order of their places."""
        if not self._errors:
            return
        errors = sorted(self._errors, key=_place)
        spans = line_spans(self._text, {line for line, _, _ in errors})
        shown = [
            f"{self.file}:{line}:{column}: error: {message}{self._quote(line, column, *spans.get(line, (0, 0)))}"
            if line
            else f"{self.file}: error: {message}"
            for line, column, message in errors
        ]
        if self._more:
            shown.append(f"... and {self._more:,} more error{'s' if self._more > 1 else ''}")
        raise ModelError("\n".join(shown))

    def _quote(self, line: int, column: int, begin: int, end: int) -> str:
        """The offending line with a caret below the place, cropped around it."""
        lo = max(begin, min(begin + column - QUOTE_WIDTH // 2, end - QUOTE_WIDTH))
        hi = min(lo + QUOTE_WIDTH, end)
        if not self._text[lo:hi].strip():
            return ""
        before = ("..." if lo > begin else "") + visible(self._text[lo : max(lo, begin + column - 1)])
        cropped = ("..." if lo > begin else "") + visible(self._text[lo:hi]) + ("..." if hi < end else "")
        return f"\n{line:5} | {cropped}\n      | {' ' * _columns(before)}^"


def fault(source: str, message: str) -> ModelError:
    """Returns the error of a source without lines."""
    return ModelError(f"{visible(source)}: error: {message}")


def _place(error: tuple[int, int, str]) -> tuple[int, int]:
    return error[:2]


def visible(text: str) -> str:
    """Returns text in which nothing moves the cursor or hides: control characters become U+FFFD, tabs spaces."""
    return _HIDDEN.sub("\N{REPLACEMENT CHARACTER}", text.replace("\t", " "))


def hidden(text: str) -> str | None:
    """Returns the first character that no name may hold: a control, a line end, or one that reverses text."""
    match = _HIDDEN.search(text)
    return match[0] if match else None


def line_spans(text: str, lines: set[int]) -> dict[int, tuple[int, int]]:
    """Returns where each of these lines, counted from 1, begins and ends in the text."""
    spans: dict[int, tuple[int, int]] = {}
    line, begin = 1, 0
    for end in _LINE_END.finditer(text):
        if line in lines:
            spans[line] = begin, end.start()
            if len(spans) == len(lines):
                return spans
        line, begin = line + 1, end.end()
    return spans | {line: (begin, len(text))}


def _columns(text: str) -> int:
    """The number of terminal columns that a text takes."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
