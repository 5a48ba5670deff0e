"""What a result looks like in every form, before it is printed in one of them."""

import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

Record = dict[str, Any]
MOST_COLUMNS = 79  # of a sentence

Tone = Literal["plain", "good", "bad", "unsure", "dim"]  # how words look where colour is shown


@dataclass(frozen=True)
class Column:
    """A column of a table for people; `width` is fixed where rows come one by one."""

    title: str
    right: bool = True
    width: int | None = None


@dataclass(frozen=True)
class Grid:
    """A table for people; rows beyond the first 2,000 are left to the other forms. Cells may be `Toned`."""

    columns: tuple[Column, ...]
    rows: Iterable[tuple[str, ...]]


@dataclass(frozen=True)
class Span:
    """Words in one tone."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Styled:
    """A line for people of which some words stand out, like a verdict; without colour it is its text."""

    spans: tuple[Span, ...]


class Toned(str):
    """Text of which some parts stand out; a plain string for all that shows no colour.

    Attributes:
      spans: its parts.
    """

    spans: tuple[Span, ...]

    def __new__(cls, *parts: Span | str) -> "Toned":
        spans = tuple(part if isinstance(part, Span) else Span(part) for part in parts)
        toned = super().__new__(cls, "".join(span.text for span in spans))
        toned.spans = spans
        return toned

    def broken_as(self, text: str) -> "Toned":
        """Returns the same words, broken into lines as in `text`; where it has other words, they are plain."""
        if text == self:
            return self
        if "".join(text.split()) != "".join(self.split()):
            return Toned(text)
        words = iter([(character, span.tone) for span in self.spans for character in span.text if character.strip()])
        parts: list[Span] = []
        for piece in re.findall(r"\s+|\S", text):
            parts.append(Span(piece) if piece.isspace() else Span(*next(words)))
        return Toned(*(Span("".join(s.text for s in run), tone) for tone, run in groupby(parts, lambda s: s.tone)))


@dataclass(frozen=True)
class Filled:
    """A sentence for people that is broken at spaces, at 79 columns or at the width of a narrower terminal."""

    text: str
    indent: str = ""  # of the lines after the first

    def lines(self, width: int) -> str:
        """Returns the sentence in lines of at most so many columns, and at most 79; `Toned` if the text is."""
        text = textwrap.fill(self.text, min(width, MOST_COLUMNS), subsequent_indent=self.indent)
        return self.text.broken_as(text) if isinstance(self.text, Toned) else text


Block = str | Styled | Filled | Grid


@dataclass(frozen=True)
class View:
    """One result in every form that it can be printed in.

    Attributes:
      record: makes the JSON object.
      rows: the lines of JSON lines and CSV, all with the same keys; to be gone through once.
      blocks: paragraphs, lines and tables for people.
    """

    record: Callable[[], Record]
    rows: Iterable[Record]
    blocks: Sequence[Block]
