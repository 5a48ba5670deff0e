"""Where in a TOML file each key and each value stands: what the standard library's reader does not say.

The text has been read by `tomllib`, so it is TOML: this needs to tell apart what stands where, and nothing else.
"""

import re
import tomllib
from dataclasses import dataclass

Path = tuple[str | int, ...]  # keys, and indices in arrays

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
# The end of a string of several lines may have up to two quotes of its own before the three.
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})' + r"|'''.*?'''(?:'{0,2})" + r'|"(?:\\.|[^"\\])*"' + r"|'[^']*'", re.DOTALL
)
_BARE_KEY = re.compile(r"[^\s.=\]\"']+")
_SCALAR = re.compile(r"[^,\]}#\r\n]+")  # numbers, words and dates; a date may hold a space


@dataclass(frozen=True)
class Place:
    """Positions in the text, from 0.

    Attributes:
      key: of the key; of an element of an array, of the element; of a table, of the bracket of its header.
      value, end: where its value begins and ends; of a table with a header, the header.
    """

    key: int
    value: int
    end: int


def places_in(text: str) -> dict[Path, Place]:
    """Returns the place of every key, element and table of a TOML text, by its path from the top.

    A table that has several headers, or none, has the place where it comes first.
    """
    scan = _Scan(text)
    scan.document()
    return scan.places


class _Scan:
    """Goes through a text once."""

    def __init__(self, text: str) -> None:
        self.places: dict[Path, Place] = {}
        self._text = text
        self._at = 0
        self._tables: dict[Path, int] = {}  # how many tables each array of tables has so far

    def document(self) -> None:
        """Notes all that there is."""
        table: Path = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._sees("["):
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self) -> Path:
        """Reads `[a.b]` or `[[a.b]]`, and returns the path of the table that it begins."""
        begin = self._at
        brackets = "[[" if self._sees("[[") else "["
        self._at += len(brackets)
        parts = self._keys()
        self._at += len(brackets)
        place = Place(begin, begin, self._at)
        path: Path = ()
        for number, (part, _) in enumerate(parts, 1):
            path = (*path, part)
            self.places.setdefault(path, place)
            is_new = number == len(parts) and brackets == "[["
            if is_new or path in self._tables:
                self._tables[path] = self._tables.get(path, 0) + is_new
                path = (*path, self._tables[path] - 1)
                self.places.setdefault(path, place)
        return path

    def _pair(self, table: Path) -> None:
        """Reads `a.b = value`."""
        parts = self._keys()
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        value = self._at
        path = table
        for part, _ in parts:
            path = (*path, part)
        self._value(path)
        for number, (_, begin) in enumerate(parts, 1):
            self.places.setdefault(path[: len(table) + number], Place(begin, value, self._at))

    def _keys(self) -> list[tuple[str, int]]:
        """Reads `a."b".c` and the blanks around it; returns its keys, each with its position."""
        keys: list[tuple[str, int]] = []
        while True:
            self._skip(_SPACE)
            begin = self._at
            if self._sees('"') or self._sees("'"):
                self._skip(_STRING)
                key = str(tomllib.loads(f"key = {self._text[begin : self._at]}")["key"])
            else:
                self._skip(_BARE_KEY)
                key = self._text[begin : self._at]
            keys.append((key, begin))
            self._skip(_SPACE)
            if not self._sees("."):
                return keys
            self._at += 1

    def _value(self, path: Path) -> None:
        """Reads a value, and notes what is in it."""
        if self._sees("["):
            self._array(path)
        elif self._sees("{"):
            self._inline_table(path)
        elif self._sees('"') or self._sees("'"):
            self._skip(_STRING)
        else:
            begin = self._at
            self._skip(_SCALAR)
            self._at = begin + len(self._text[begin : self._at].rstrip(" \t"))

    def _array(self, path: Path) -> None:
        self._at += 1
        self._skip(_BLANK)
        index = 0
        while not self._sees("]"):
            begin = self._at
            self._value((*path, index))
            self.places[(*path, index)] = Place(begin, begin, self._at)
            index += 1
            self._separator()
        self._at += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        self._skip(_BLANK)
        while not self._sees("}"):
            self._pair(path)
            self._separator()
        self._at += 1

    def _separator(self) -> None:
        """Reads the comma after an element, if there is one, and the blanks around it."""
        self._skip(_BLANK)
        if self._sees(","):
            self._at += 1
            self._skip(_BLANK)

    def _sees(self, mark: str) -> bool:
        return self._text.startswith(mark, self._at)

    def _skip(self, pattern: "re.Pattern[str]") -> None:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise AssertionError(f"no TOML at position {self._at}")
        self._at = match.end()
