"""The text of a .POMDP file: its places, its words and its numbers.

Words are parted by whitespace, by `:` and by `*`; from `#` on the rest of a line is a comment. A section begins with
its word and a colon, so that a state may be called T as well. Regular expressions read long runs of numbers at once,
and none of them ever goes back in the text.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.formats.problems import LINE_ENDS, Problems
from pgcheck.formats.reader import number, quoted

SECTIONS = "discount, values, states, actions, observations, start, T, O or R with a colon"
SKIP = r"(?:\s++|#[^\n\r]*+)*+"
WORD = r"[^\s:#*]++"
HEADER = (
    rf"(?:(discount|values|states|actions|observations|T|O|R){SKIP}:"
    rf"|(start)(?:{SKIP}(?<=[\s])(include|exclude))?+{SKIP}:)"
)
UNSIGNED = r"(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][-+]?+[0-9]++)?+"
END = r"(?=[\s#]|\Z)"

_SKIP, _WORD = re.compile(SKIP), re.compile(rf"{WORD}|[:*]")
_HEADER, _NEXT_HEADER = re.compile(HEADER), re.compile(rf"[\n\r][ \t]*+(?={HEADER})")
_NAME = re.compile(rf"{SKIP}(?!{HEADER})({WORD})")
_ONE = re.compile(rf"{SKIP}([-+]?+{UNSIGNED}){END}")
_MANY = re.compile(rf"(?:[-+]?+{UNSIGNED}(?:[ \t\r\n\f\v]++|(?=#)|\Z))*+")
_SIGNED = re.compile(rf"([-+]){SKIP}({UNSIGNED}){END}")
_LINE_END = re.compile(f"\r\n|[{LINE_ENDS}]")


@dataclass(frozen=True)
class Header:
    """The beginning of a section: its word, what stands beside it (`include` or `exclude`), and where it begins."""

    word: str
    mode: str
    begin: int


class Numbers:
    """Numbers in a row, and where each of them stands."""

    def __init__(self) -> None:
        self._blocks: list[Floats] = []
        self._spans: list[
            tuple[int, int, int]
        ] = []  # the number of the first value, and where its block begins, ends
        self.count = 0

    @property
    def values(self) -> Floats:
        """All of them."""
        return self._blocks[0] if len(self._blocks) == 1 else np.concatenate([np.zeros(0), *self._blocks])

    def append(self, values: Floats, begin: int, end: int) -> None:
        """Adds the numbers of one stretch of text."""
        self._blocks.append(values)
        self._spans.append((self.count, begin, end))
        self.count += len(values)

    def place(self, index: int, text: str) -> int:
        """Returns where a number begins in the text."""
        first, begin, end = self._spans[bisect_right(self._spans, (index, len(text), 0)) - 1]
        for word in re.finditer(r"\S+", text[begin:end]):
            if first == index:
                return begin + word.start()
            first += 1
        return begin


class Text:
    """A text that is read from its beginning to its end; `at` is the place that is reached."""

    def __init__(self, file: str, text: str) -> None:
        self.text = text
        self.problems = Problems(file, text)
        self.at = 0
        self._lines: list[int] | None = None

    def fail(self, position: int, message: str) -> None:
        """Notes an error at a position in the text."""
        if self._lines is None:
            self._lines = [0, *(end.end() for end in _LINE_END.finditer(self.text))]
        line = bisect_right(self._lines, position)
        self.problems.add(line, position - self._lines[line - 1] + 1, message)

    def skip(self) -> int:
        """Returns the place of the next word, to which it goes."""
        match = _SKIP.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return self.at

    @property
    def ended(self) -> bool:
        """Whether no word is left."""
        return self.skip() == len(self.text)

    def header(self) -> Header | None:
        """Goes behind the header that stands here and returns it; None where there is none."""
        begin = self.skip()
        match = _HEADER.match(self.text, begin)
        if match is None:
            return None
        self.at = match.end()
        return Header(match[1] or match[2], match[3] or "", begin)

    def to_next_section(self) -> None:
        """Goes to the next line that begins with a header."""
        match = _NEXT_HEADER.search(self.text, self.at)
        self.at = match.end() if match else len(self.text)

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Goes behind a pattern that stands here and returns its match."""
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at
        return match

    def here(self) -> str:
        """Returns the next word, for a message."""
        match = _WORD.match(self.text, self.skip())
        return quoted(match[0]) if match else "the end of the file"

    def names(self) -> list[tuple[str, int]]:
        """Returns the words up to the next header, or to a colon or an asterisk, with their places."""
        words = []
        while match := _NAME.match(self.text, self.at):
            words.append((match[match.lastindex or 0], match.start(match.lastindex or 0)))
            self.at = match.end()
        return words

    def one(self) -> float | None:
        """Returns the number that stands here; None where there is none."""
        match = _ONE.match(self.text, self.at)
        if match is None:
            return None
        value = number(match[1])
        if value is not None:
            self.at = match.end()
        return value

    def numbers(self) -> Numbers:
        """Returns the numbers up to the first word that is none."""
        numbers = Numbers()
        while True:
            begin = self.skip()
            run = _MANY.match(self.text, begin)
            if run is not None and run[0]:
                self.at = run.end()
                values = _exactly(run[0]) if "e" in run[0] or "E" in run[0] else np.fromstring(run[0], sep=" ")
                numbers.append(values, begin, self.at)
            elif signed := _SIGNED.match(self.text, begin):
                self.at = signed.end()
                numbers.append(_exactly(signed[1] + signed[2]), begin, self.at)
            else:
                return numbers


def _exactly(text: str) -> Floats:
    """The numbers of a text; NaN where a float cannot hold one."""
    values = (number(word) for word in text.split())
    return np.array([np.nan if value is None else value for value in values])
