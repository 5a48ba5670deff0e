"""YAML text as nodes that know their place: raw text, line and column. The only door to yaml.

YAML's own idea of types is not used: `no`, `1_2` and `1e-3` stay text, and the model file's reader decides.
"""

import codecs
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from pgcheck.errors import ModelError

MAX_DEPTH = 32
MAX_NODES = 12_000_000
MAX_PROBLEMS = 20
WIDTH = 96  # of a quoted line

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Scalar:
    """One word, as written; line and column count from 1."""

    text: str
    line: int
    column: int
    quoted: bool = False


@dataclass(slots=True)
class Sequence:
    """A list."""

    items: "list[Node]"
    line: int
    column: int


@dataclass(slots=True)
class Mapping:
    """Keys and values, in order; a key may stand twice."""

    entries: "list[tuple[Node, Node]]"
    line: int
    column: int


Node = Scalar | Sequence | Mapping


class Problems:
    """The errors found in one file; the first 20 are shown with their lines."""

    def __init__(self, file: str, text: str = "") -> None:
        self.file = file
        self._lines = text
        self._shown: list[str] = []
        self._count = 0

    def add(self, line: int, column: int, what: str) -> None:
        """Notes an error at a place; line and column count from 1."""
        self._count += 1
        if self._count <= MAX_PROBLEMS:
            self._shown.append(f"{self.file}:{line}:{column}: error: {what}" + self._quote(line, column))

    def check(self) -> None:
        """Raises ModelError if there are errors."""
        if self._count:
            more = self._count - len(self._shown)
            raise ModelError("\n".join(self._shown) + (f"\n... and {more:,} more errors" if more else ""))

    def _quote(self, line: int, column: int) -> str:
        """The offending line with a caret below the place, cropped around it."""
        lines = _LINE_END.split(self._lines, maxsplit=line)
        if line > len(lines) or not lines[line - 1].strip():
            return ""
        whole = visible(lines[line - 1])
        lo = max(0, min(column - WIDTH // 2, len(whole) - WIDTH))
        cropped = ("..." if lo else "") + whole[lo : lo + WIDTH] + ("..." if lo + WIDTH < len(whole) else "")
        before = cropped[: column - 1 - lo + (3 if lo else 0)]
        return f"\n{line:5} | {cropped}\n      | {' ' * _columns(before)}^"


def visible(text: str) -> str:
    """Returns text in which nothing moves the cursor or hides: control characters become U+FFFD, tabs spaces."""
    return "".join(" " if c == "\t" else c if is_visible(c) else "\N{REPLACEMENT CHARACTER}" for c in text)


def is_visible(char: str) -> bool:
    """Returns whether a character may stand in a name: no control, no line end, nothing that turns text around."""
    if char.isascii():
        return char.isprintable()
    return unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") and char not in _BIDI


_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def decode(data: bytes, file: str) -> str:
    """Returns the text of a file in UTF-8, or in UTF-16 with a byte order mark.

    Raises:
      ModelError: it is in neither, or holds control characters.
    """
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if utf16 else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "replace")
        line, column = _place(before, len(before))
        problems = Problems(file)
        named = "UTF-16" if utf16 else "UTF-8"
        problems.add(line, column, f"byte 0x{data[error.start]:02x} is not {named}; save the file as UTF-8")
        problems.check()
    unprintable = _UNPRINTABLE.search(text)
    if unprintable:
        problems = Problems(file, text)
        problems.add(*_place(text, unprintable.start()), f"control character U+{ord(unprintable[0]):04X}; remove it")
        problems.check()
    return text


def parse(text: str, file: str) -> Node:
    """Returns the one document in `text` as nodes.

    Raises:
      ModelError: it is not YAML, or uses what a model file must not: anchors, aliases, tags, a second
        document, nesting deeper than 32, too many values.
    """
    problems = Problems(file, text)
    try:
        root = _build(yaml.parse(text, Loader=_LOADER), problems)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problems.add(line, column, _explain(text, line, error))
    except yaml.YAMLError as error:
        problems.add(1, 1, f"not YAML: {error}")
    problems.check()
    if root is None:
        problems.add(1, 1, "the file is empty; expected horizon, states, actions, start and transitions")
    problems.check()
    assert root is not None
    return root


def _build(events: Iterator[yaml.Event], problems: Problems) -> Node | None:
    root: Node | None = None
    open_: list[Sequence | Mapping] = []
    key: list[Node | None] = []  # of each open collection: the key that waits for its value
    nodes = 0
    for event in events:
        kind = type(event)
        if kind is yaml.SequenceEndEvent or kind is yaml.MappingEndEvent:
            open_.pop()
            key.pop()
            continue
        if not isinstance(event, yaml.NodeEvent):
            continue
        mark = event.start_mark
        assert mark is not None
        line, column = mark.line + 1, mark.column + 1
        nodes += 1
        fault = _forbidden(event)
        if not fault and nodes > MAX_NODES:
            fault = f"more than {MAX_NODES:,} values; the limit of a model file"
        if not fault and not open_ and root is not None:
            fault = "a second document; a model file holds one"
        if not fault and len(open_) == MAX_DEPTH and kind is not yaml.ScalarEvent:
            fault = f"nested deeper than {MAX_DEPTH}; a model file needs 5"
        if fault:
            problems.add(line, column, fault)
            return None
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = Scalar(event.value, line, column, bool(event.style))
        elif kind is yaml.SequenceStartEvent:
            node = Sequence([], line, column)
        else:
            node = Mapping([], line, column)
        parent = open_[-1] if open_ else None
        if parent is None:
            root = node
        elif isinstance(parent, Sequence):
            parent.items.append(node)
        elif (waiting := key[-1]) is None:
            key[-1] = node
        else:
            parent.entries.append((waiting, node))
            key[-1] = None
        if not isinstance(node, Scalar):
            open_.append(node)
            key.append(None)
    return root


def _forbidden(event: yaml.NodeEvent) -> str | None:
    """What a model file must not use, of what YAML offers a node."""
    if isinstance(event, yaml.AliasEvent):
        return f"alias *{event.anchor}; write the value out"
    if event.anchor is not None:
        return f"anchor &{event.anchor}; write the value out where it is needed"
    tag = getattr(event, "tag", None)
    return None if tag is None else f"tag {tag}; write the plain value"


def _explain(text: str, line: int, error: yaml.MarkedYAMLError) -> str:
    lines = _LINE_END.split(text, maxsplit=line)
    here = lines[line - 1] if line <= len(lines) else ""
    if "\t" in here[: len(here) - len(here.lstrip())]:
        return "not YAML: a tab in the indentation; use spaces"
    context = f" {error.context}" if error.context else ""
    return f"not YAML:{context}{',' if context else ''} {error.problem}; check the brackets, colons and indentation"


def _place(text: str, at: int) -> tuple[int, int]:
    """Line and column, from 1, of a position in text."""
    ends = [m.end() for m in _LINE_END.finditer(text, 0, at)]
    return len(ends) + 1, at - (ends[-1] if ends else 0) + 1


def _columns(text: str) -> int:
    """How many terminal columns a text takes."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
