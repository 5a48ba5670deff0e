"""YAML text as nodes that know their place: raw text, line and column. The only door to yaml.

YAML's own idea of types is not used: `no`, `1_2` and `1e-3` stay text, and the model file's reader decides.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import yaml
from yaml import AliasEvent, CollectionEndEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

from pgcheck.errors import ModelError

MAX_DEPTH = 32
TOO_DEEP = f"nested deeper than {MAX_DEPTH}; a model file needs 5"
MAX_NODES = 10_000_000  # a million rows of six columns, or as many outcomes in words, and some
MAX_PROBLEMS = 20
WIDTH = 96  # of a quoted line

# What moves the cursor, ends a line, turns text around or shows nothing: not for names and messages.
HIDDEN = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"

_HIDDEN = re.compile(f"[{HIDDEN}\ud800-\udfff]")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_LINE_ENDS = "\n\r\x85\u2028\u2029"
_LINE_END = re.compile(f"\r\n|[{_LINE_ENDS}]")
_DIRECTIVE = re.compile(f"(?<![^{_LINE_ENDS}])%(?!YAML)[A-Za-z]{{1,40}}")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_QUOTES = frozenset("'\"|>")
_MAX_SHARED = 100_000
_ENOUGH = 1000


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
    """Keys and values in turn; a key may stand twice."""

    items: "list[Node]"
    line: int
    column: int

    @property
    def entries(self) -> "Iterable[tuple[Node, Node]]":
        """Each key with its value, in order; where reading stopped, the last key has none and is left out."""
        return zip(self.items[::2], self.items[1::2], strict=False)


Node = Scalar | Sequence | Mapping


class Problems:
    """The errors found in one file; the first 20 are shown with their lines, the rest are counted."""

    def __init__(self, file: str, text: str = "") -> None:
        self.file = visible(file)
        self._text = text
        self._found: list[tuple[int, int, str]] = []
        self._more = 0

    @property
    def count(self) -> int:
        """How many errors there are."""
        return len(self._found) + self._more

    @property
    def full(self) -> bool:
        """Whether further errors are only counted, so that nobody needs to find words for them."""
        return len(self._found) == MAX_PROBLEMS

    def add(self, line: int, column: int, what: str) -> None:
        """Notes an error at a place; line and column count from 1."""
        self._found.append((line, column, what))
        if len(self._found) > MAX_PROBLEMS:  # those that stand first in the file are kept
            self._found.remove(max(self._found, key=lambda error: error[:2]))
            self._more += 1

    def add_at(self, position: int, what: str) -> None:
        """Notes an error at a position in the text."""
        ends = {end: self._text.count(end, 0, position) for end in (*_LINE_ENDS, "\r\n")}
        begin = max(self._text.rfind(end, 0, position) for end in _LINE_ENDS) + 1
        self.add(1 + sum(ends[end] for end in _LINE_ENDS) - ends["\r\n"], position - begin + 1, what)

    def check(self) -> None:
        """Raises ModelError if there are errors, in the order of their places."""
        if not self._found:
            return
        found = sorted(self._found, key=lambda error: error[:2])
        spans = _spans(self._text, {line for line, _, _ in found})
        shown = [
            f"{self.file}:{line}:{column}: error: {what}{self._quote(line, column, *spans.get(line, (0, 0)))}"
            for line, column, what in found
        ]
        if self._more:
            shown.append(f"... and {self._more:,} more error{'s' if self._more > 1 else ''}")
        raise ModelError("\n".join(shown))

    def _quote(self, line: int, column: int, begin: int, end: int) -> str:
        """The offending line with a caret below the place, cropped around it."""
        lo = max(begin, min(begin + column - WIDTH // 2, end - WIDTH))
        hi = min(lo + WIDTH, end)
        if not self._text[lo:hi].strip():
            return ""
        before = ("..." if lo > begin else "") + visible(self._text[lo : max(lo, begin + column - 1)])
        cropped = ("..." if lo > begin else "") + visible(self._text[lo:hi]) + ("..." if hi < end else "")
        return f"\n{line:5} | {cropped}\n      | {' ' * _columns(before)}^"


def visible(text: str) -> str:
    """Returns text in which nothing moves the cursor or hides: control characters become U+FFFD, tabs spaces."""
    return _HIDDEN.sub("\N{REPLACEMENT CHARACTER}", text.replace("\t", " "))


def hidden(text: str) -> str | None:
    """Returns the first character that no name may hold: a control, a line end, or one that turns text around."""
    found = _HIDDEN.search(text)
    return found[0] if found else None


def parse(text: str, file: str) -> Node:
    """Returns the one document in `text` as nodes.

    Raises:
      ModelError: it is not YAML, holds control characters, or uses what a model file must not: anchors,
        aliases, tags, a second document, nesting deeper than 32, too many values.
    """
    problems = Problems(file, text)
    forbidden = _UNPRINTABLE.search(text)
    if forbidden:
        mend = "save the file as UTF-8" if forbidden[0] == "\0" else "remove it"
        kind = "control" if unicodedata.category(forbidden[0]) == "Cc" else "forbidden"
        problems.add_at(forbidden.start(), f"{kind} character U+{ord(forbidden[0]):04X}; {mend}")
    elif directive := _DIRECTIVE.search(text):
        # Not only because tags are refused: the time for %TAG grows as the square of their number.
        problems.add_at(directive.start(), f"directive {directive[0]}; remove it, a model file has none but %YAML")
    problems.check()
    root = None
    try:
        root = _build(text, problems)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # yaml in pure Python leaves some to int() and chr()
        problems.add(1, 1, f"not YAML: {error}")
    problems.check()
    if root is None:
        problems.add(1, 1, "the file is empty; expected horizon, states, actions, start and transitions")
    problems.check()
    assert root is not None
    return root


def _build(text: str, problems: Problems) -> Node | None:
    """The nodes of the one document; None where reading had to stop, with the reason among the problems."""
    root: Node | None = None
    open_: list[Sequence | Mapping] = []
    texts: dict[str, str] = {}
    nodes = line = 0
    last: yaml.Event | None = None
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            last = event
            mark = event.start_mark
            assert mark is not None
            # Equal words, and the lines of the words of one row, are one object each: a third of the memory.
            line = line if mark.line + 1 == line else mark.line + 1
            node: Node
            if isinstance(event, ScalarEvent):
                word = texts.setdefault(event.value, event.value) if len(texts) < _MAX_SHARED else event.value
                node = Scalar(word, line, mark.column + 1, event.style in _QUOTES)
            elif isinstance(event, CollectionEndEvent):
                open_.pop()
                continue
            elif isinstance(event, SequenceStartEvent):
                node = Sequence([], line, mark.column + 1)
            elif isinstance(event, MappingStartEvent):
                node = Mapping([], line, mark.column + 1)
            elif isinstance(event, AliasEvent):
                node = Scalar("", line, mark.column + 1)
            else:
                continue
            if event.anchor is not None or event.tag is not None:  # type: ignore[union-attr] # no tag: no alias
                problems.add(node.line, node.column, _forbidden(event))
            nodes += 1
            if nodes == _ENOUGH and isinstance(root, Sequence | Mapping) and _is_hopeless(root):
                return root  # for the reader to say so, rather than after millions more
            depth = len(open_)
            # The call costs as much as the rest of the loop, and most nodes are neither many nor first nor deep.
            if not 0 < depth < MAX_DEPTH or nodes > MAX_NODES:
                fault = _excess(node, nodes, depth, root)
                if fault:
                    problems.add(node.line, node.column, fault)
                    return None
            if depth:
                open_[-1].items.append(node)
            else:
                root = node
            if not isinstance(node, Scalar):
                open_.append(node)
    except yaml.MarkedYAMLError as error:
        problems.add(*(_too_deep(text, error, last, len(open_)) or _explain(text, error)))
        return None
    return root


def _is_hopeless(root: Sequence | Mapping) -> bool:
    """Whether this is no model file, however it goes on."""
    return isinstance(root, Sequence) or len(root.items) > 100


def _excess(node: Node, nodes: int, depth: int, root: Node | None) -> str | None:
    """What is too much, if anything, with this node at this depth."""
    if nodes > MAX_NODES:
        return f"more than {MAX_NODES:,} values; the limit of a model file"
    if depth == MAX_DEPTH and not isinstance(node, Scalar):
        return TOO_DEEP
    return "a second document; a model file holds one" if root is not None and not depth else None


def _forbidden(event: yaml.NodeEvent) -> str:
    """Why a model file must not hold this."""
    anchor = (event.anchor or "")[:40]
    if isinstance(event, AliasEvent):
        return f"alias *{anchor}; write the value out"
    if anchor:
        return f"anchor &{anchor}; write the value out where it is needed"
    tag = getattr(event, "tag", "").replace("tag:yaml.org,2002:", "!!")
    return f"tag {visible(tag[:60])}; write the plain value"


def _too_deep(
    text: str, error: yaml.MarkedYAMLError, last: yaml.Event | None, depth: int
) -> tuple[int, int, str] | None:
    """Where brackets are nested too deep that yaml has read but not handed out.

    While a bracket may begin a key, yaml reads further in its line, so that its own limit on depth can come before
    ours. That limit and its words differ between versions: the brackets are counted here instead.

    Args:
      text, error: what was read, and what yaml says of it.
      last: what yaml handed out last.
      depth: how many collections were open then.
    """
    mark = error.problem_mark
    if mark is None:
        return None
    end = last.end_mark if last is not None else None
    begin = end.column if end is not None and end.line == mark.line else 0
    start, _ = _spans(text, {mark.line + 1}).get(mark.line + 1, (0, 0))
    for column, char in enumerate(text[start + begin : start + mark.column], begin + 1):
        if char in "[{":
            if depth == MAX_DEPTH:
                return mark.line + 1, column, TOO_DEEP
            depth += 1
        elif char in "]}":
            depth -= 1
    return None


def _explain(text: str, error: yaml.MarkedYAMLError) -> tuple[int, int, str]:
    """Where the mistake is, what the parser found and how it may be mended."""
    mark, start = error.problem_mark, error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    begin, end = _spans(text, {line}).get(line, (0, 0))
    if tab := re.match(" *\t", text[begin:end]):
        return line, tab.end(), "not YAML: a tab in the indentation; use spaces"
    problem, context = error.problem or "a mistake", error.context or ""
    if start and ("expected ':'" in problem or not text[begin + column - 1 :].strip()):
        line, column = start.line + 1, start.column + 1  # what the end of the file leaves open
    elif start and start.line + 1 != line:
        context += f" that begins in line {start.line + 1}"
    said = f"{context}{', ' if context else ''}{problem}"
    for word, plain in _WORDS.items():
        said = said.replace(word, plain)
    mend = next((mend for sign, mend in _MENDS.items() if sign in problem), "check the brackets and the indentation")
    return line, column, f"not YAML: {said}; {mend}"


_WORDS = {
    "flow sequence": "list", "flow mapping": "mapping", "block sequence": "list", "block mapping": "mapping",
    "simple key": "key", "quoted scalar": "quoted text", "block scalar": "text", "plain scalar": "text",
    "flow node": "value", "block node": "value",
}  # fmt: skip

# By words that both of yaml's parsers use.
_MENDS = {
    "mapping values": "check the indentation, or quote text that holds a colon",
    "',' or": "close the bracket, or add the missing comma",
    "cannot start any token": "quote text that begins with a special character",
    "end of stream": "close the quote",
    "expected ':'": "add the colon, with a space after it",
    "escape": "write the character itself",
}


def _spans(text: str, lines: set[int]) -> dict[int, tuple[int, int]]:
    """Where each of these lines begins and ends in the text."""
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
    """How many terminal columns a text takes."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
