"""YAML text as nodes that know their place: raw text, line and column. The only module that imports yaml.

YAML's own types are not used: `no`, `1_2` and `1e-3` stay text, and the reader of the model file decides.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import yaml
from yaml import AliasEvent, CollectionEndEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

from pgcheck.formats.problems import LINE_ENDS, Problems, line_spans, visible

MAX_NESTING = 32
TOO_DEEP = f"nested deeper than {MAX_NESTING}; a model file needs 5"
MAX_NODES = 10_000_000  # enough for a million rows of six columns, or for as many outcomes with their keys

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_DIRECTIVE = re.compile(f"(?<![^{LINE_ENDS}])%(?!YAML)[A-Za-z]{{1,40}}")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_QUOTES = frozenset("'\"|>")
MAX_SHARED_WORDS = 100_000
_NODES_TO_JUDGE = 1000  # after so many nodes it is clear whether the text can become a model file
_MAX_KEYS = 50  # of the top level: a model file has 11


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
    """Keys and values in turn; a key may occur twice."""

    items: "list[Node]"
    line: int
    column: int

    @property
    def entries(self) -> "Iterable[tuple[Node, Node]]":
        """Each key with its value, in order; a last key without a value, where reading stopped, is left out."""
        return zip(self.items[::2], self.items[1::2], strict=False)


Node = Scalar | Sequence | Mapping


def parse(text: str, file: str) -> Node:
    """Returns the one document in `text` as nodes.

    Raises:
      ModelError: it is not YAML, holds control characters, or uses what a model file must not: anchors,
        aliases, tags, a second document, nesting deeper than 32, too many values.
    """
    problems = Problems(file, text)
    forbidden = _UNPRINTABLE.search(text)
    if forbidden:
        fix = "save the file as UTF-8" if forbidden[0] == "\0" else "remove it"
        kind = "control" if unicodedata.category(forbidden[0]) == "Cc" else "forbidden"
        problems.add_at(forbidden.start(), f"{kind} character U+{ord(forbidden[0]):04X}; {fix}")
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
    """The nodes of the one document; None where reading had to stop: the reason is then among the problems."""
    root: Node | None = None
    open_: list[Sequence | Mapping] = []
    words: dict[str, str] = {}
    nodes = line = 0
    last: yaml.Event | None = None
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            last = event
            mark = event.start_mark
            assert mark is not None
            # Equal words share one object, and so do the line numbers of one row, to save memory.
            line = line if mark.line + 1 == line else mark.line + 1
            node: Node
            if isinstance(event, ScalarEvent):
                word = words.setdefault(event.value, event.value) if len(words) < MAX_SHARED_WORDS else event.value
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
            if nodes == _NODES_TO_JUDGE and isinstance(root, Sequence | Mapping) and _is_no_model(root):
                return root  # the reader reports it now, not after millions of nodes more
            depth = len(open_)
            # Most nodes need no check, and the call would cost as much as the rest of the loop.
            if not 0 < depth < MAX_NESTING or nodes > MAX_NODES:
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


def _is_no_model(root: Sequence | Mapping) -> bool:
    """Whether this cannot become a model file, whatever follows."""
    return isinstance(root, Sequence) or len(root.items) > 2 * _MAX_KEYS


def _excess(node: Node, nodes: int, depth: int, root: Node | None) -> str | None:
    """The limit that this node exceeds at this depth, as a message; None if there is none."""
    if nodes > MAX_NODES:
        return f"more than {MAX_NODES:,} values; the limit of a model file"
    if depth == MAX_NESTING and not isinstance(node, Scalar):
        return TOO_DEEP
    return "a second document; a model file holds one" if root is not None and not depth else None


def _forbidden(event: yaml.NodeEvent) -> str:
    """Why a model file must not hold this event's node, as a message."""
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
    """Line, column and message of a bracket that is nested too deep, if that is what stopped yaml.

    While a bracket may begin a key, yaml reads ahead in its line, so that yaml's own limit on depth can come before
    MAX_NESTING. That limit and its message differ between versions of yaml: the brackets are counted here instead.

    Args:
      text, error: the whole text, and yaml's error.
      last: the last event that yaml yielded.
      depth: the number of collections that were open after that event.
    """
    mark = error.problem_mark
    if mark is None:
        return None
    end = last.end_mark if last is not None else None
    begin = end.column if end is not None and end.line == mark.line else 0
    start, _ = line_spans(text, {mark.line + 1}).get(mark.line + 1, (0, 0))
    for column, char in enumerate(text[start + begin : start + mark.column], begin + 1):
        if char in "[{":
            if depth == MAX_NESTING:
                return mark.line + 1, column, TOO_DEEP
            depth += 1
        elif char in "]}":
            depth -= 1
    return None


def _explain(text: str, error: yaml.MarkedYAMLError) -> tuple[int, int, str]:
    """Line, column and message of a mistake: the parser's finding, and how to fix it."""
    mark, start = error.problem_mark, error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    begin, end = line_spans(text, {line}).get(line, (0, 0))
    if tab := re.match(" *\t", text[begin:end]):
        return line, tab.end(), "not YAML: a tab in the indentation; use spaces"
    problem, context = error.problem or "a mistake", error.context or ""
    if start and ("expected ':'" in problem or not text[begin + column - 1 :].strip()):
        line, column = start.line + 1, start.column + 1  # the bracket or quote that is still open at the end
    elif start and start.line + 1 != line:
        context += f" that begins in line {start.line + 1}"
    finding = f"{context}{', ' if context else ''}{problem}"
    for word, plain in _PLAIN_WORDS.items():
        finding = finding.replace(word, plain)
    fix = next((fix for sign, fix in _FIXES.items() if sign in problem), "check the brackets and the indentation")
    return line, column, f"not YAML: {finding}; {fix}"


_PLAIN_WORDS = {
    "flow sequence": "list", "flow mapping": "mapping", "block sequence": "list", "block mapping": "mapping",
    "simple key": "key", "quoted scalar": "quoted text", "block scalar": "text", "plain scalar": "text",
    "flow node": "value", "block node": "value",
}  # fmt: skip

# Keys are words that occur in the errors of both parsers of yaml.
_FIXES = {
    "mapping values": "check the indentation, or quote text that holds a colon",
    "',' or": "close the bracket, or add the missing comma",
    "cannot start any token": "quote text that begins with a special character",
    "end of stream": "close the quote",
    "expected ':'": "add the colon, with a space after it",
    "escape": "write the character itself",
}
