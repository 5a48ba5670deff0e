"""Nodes → names and numbers; what is wrong is noted with its place, and reading goes on."""

import difflib
import itertools
import math
import re
from collections.abc import Iterable

from pgcheck.nodes import Mapping, Node, Problems, Scalar, Sequence, is_visible, parse, visible

MAX_NAMES = 1_000_000

_REAL = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_FRACTION = re.compile(r"([-+]?\d{1,400})/(\d{1,400})", re.ASCII)


class Reader:
    """Reads nodes into values; after a fault it goes on, so that one run shows every error."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.problems = Problems(file, text)
        self.root = parse(text, file)
        self.numbers: dict[str, float] = {}

    def fail(self, node: Node, where: str, what: str) -> None:
        self.problems.add(node.line, node.column, f"{visible(where)}: {what}" if where else what)

    def entries(self, node: Node, where: str, what: str) -> dict[str, tuple[Scalar, Node]]:
        """The keys and values of a mapping; `what` says what is expected of it."""
        if not isinstance(node, Mapping):
            self.fail(node, where, f"found {kind_of(node)}; expected {what}")
            return {}
        entries: dict[str, tuple[Scalar, Node]] = {}
        for key, value in node.entries:
            if not isinstance(key, Scalar):
                self.fail(key, where, f"found {kind_of(key)} as a key; expected a name")
            elif key.text == "<<" and not key.quoted:
                self.fail(key, where, "merge key <<; write the entries out")
            elif key.text in entries:
                first = entries[key.text][0].line
                self.fail(key, where, f"key {quoted(key.text)} stands twice, first in line {first}; keep one")
            else:
                entries[key.text] = key, value
        return entries

    def known(self, entries: Iterable[tuple[Scalar, Node]], names: Iterable[str], where: str) -> None:
        """Notes the keys that are none of `names`."""
        names = tuple(names)
        for key, _ in entries:
            if key.text not in names:
                self.fail(key, where, f"unknown key {quoted(key.text)}{meant(key.text, names)}")

    def name(self, node: Node, where: str, what: str) -> str | None:
        """A name that is being given."""
        if not isinstance(node, Scalar):
            self.fail(node, where, f"found {kind_of(node)}; expected {what}")
        elif not node.text:
            self.fail(node, where, f"found nothing; expected {what}")
        elif not all(map(is_visible, node.text)):
            self.fail(node, where, f"{quoted(node.text)} holds a control character; expected {what}")
        else:
            return node.text
        return None

    def index(self, node: Node, where: str, names: dict[str, int], what: str) -> int | None:
        """The number of a name that must be one of `names`."""
        if isinstance(node, Scalar):
            known = names.get(node.text)
            if known is not None:
                return known
            if node.text:
                self.fail(node, where, f"unknown {what} {quoted(node.text)}{meant(node.text, names)}")
                return None
        self.fail(node, where, f"found {kind_of(node)}; expected the name of {_a(what)}")
        return None

    def real(self, node: Node, where: str, lo: float, hi: float, what: str) -> float | None:
        """A number from lo to hi; `what` says what is expected."""
        value = self.numbers.get(node.text) if isinstance(node, Scalar) else None
        if value is None:
            value = number(node.text) if isinstance(node, Scalar) else None
            if value is None:
                hint = _number_hint(node.text) if isinstance(node, Scalar) else ""
                self.fail(node, where, f"found {kind_of(node)}; expected {what}{hint}")
                return None
            assert isinstance(node, Scalar)
            self.numbers[node.text] = value
        if not lo <= value <= hi:
            assert isinstance(node, Scalar)
            self.fail(node, where, f"{quoted(node.text)} is out of range; expected {what}")
            return None
        return value

    def whole(self, node: Node, where: str, hi: int, what: str) -> int | None:
        """A whole number from 1 to hi."""
        value = self.real(node, where, 1, hi, what)
        if value is not None and value != int(value):
            assert isinstance(node, Scalar)
            self.fail(node, where, f"{quoted(node.text)} is not whole; expected {what}")
            return None
        return None if value is None else int(value)

    def truth(self, node: Node, where: str) -> bool | None:
        if isinstance(node, Scalar) and not node.quoted and node.text.lower() in ("true", "false"):
            return node.text.lower() == "true"
        self.fail(node, where, f"found {kind_of(node)}; expected true or false")
        return None

    def names(self, node: Node, where: str, what: str) -> dict[str, int]:
        """Names from a list, or 0..n-1 from a number n."""
        expected = f"a list of names, or their number (1 to {MAX_NAMES:,})"
        if isinstance(node, Scalar):
            n = self.whole(node, where, MAX_NAMES, expected)
            return {str(i): i for i in range(n or 0)}
        if not isinstance(node, Sequence) or not 1 <= len(node.items) <= MAX_NAMES:
            self.fail(node, where, f"found {kind_of(node)}; expected {expected}")
            return {}
        names: dict[str, int] = {}
        for item in node.items:
            name = self.name(item, where, f"the name of {_a(what)}")
            if name is not None and name in names:
                self.fail(item, where, f"{what} {quoted(name)} stands twice; keep one")
            elif name is not None:
                names[name] = len(names)
        return names

    def listed(self, node: Node, where: str, names: dict[str, int], what: str) -> list[int]:
        """A list of names that must be known, each once."""
        if not isinstance(node, Sequence):
            self.fail(node, where, f"found {kind_of(node)}; expected a list of {what}s, like [{next(iter(names))}]")
            return []
        listed: list[int] = []
        seen: set[int] = set()
        for item in node.items:
            index = self.index(item, where, names, what)
            if index in seen:
                self.fail(item, where, f"{what} {kind_of(item)} stands twice; keep one")
            elif index is not None:
                seen.add(index)
                listed.append(index)
        return listed


def number(text: str) -> float | None:
    """Returns the number that `3`, `-.5`, `1e-3` or `1/3` stands for; None for any other text.

    Also None where a number is too large for a float, or is not 0 but would become 0.
    """
    fraction = _FRACTION.fullmatch(text)
    if fraction:
        numerator, denominator = int(fraction[1]), int(fraction[2])
        try:
            value = numerator / denominator
        except (ZeroDivisionError, OverflowError):
            return None
        return None if numerator and not value else value
    if not _REAL.fullmatch(text):
        return None
    value = float(text)
    vanished = value == 0 and re.search("[1-9]", re.split("[eE]", text)[0])
    return None if vanished or math.isinf(value) else value


def quoted(text: str) -> str:
    """Returns a user's text for a message, cropped."""
    return "'" + visible(text if len(text) <= 60 else text[:57] + "...") + "'"


def kind_of(node: Node) -> str:
    """Returns what a node is, for a message."""
    if isinstance(node, Scalar):
        return quoted(node.text) if node.text or node.quoted else "nothing"
    many = len(node.items) if isinstance(node, Sequence) else len(node.entries)
    kind = "list" if isinstance(node, Sequence) else "mapping"
    return f"{'a' if many else 'an empty'} {kind}"


def meant(text: str, names: Iterable[str]) -> str:
    """Returns the end of a message about an unknown name: the nearest known one, or some of them."""
    some = list(itertools.islice(names, 2000))
    near = difflib.get_close_matches(text, some, 1, 0.6)
    if near:
        return f"; did you mean {quoted(near[0])}?"
    return f"; expected one of {', '.join(map(visible, some[:12]))}{', ...' if len(some) > 12 else ''}"


def _number_hint(text: str) -> str:
    """What a text that is no number may have been meant for."""
    plain = text.replace("_", "")
    if plain != text and number(plain) is not None:
        return f", without underscores: {plain}"
    if text.lower().lstrip("+-.") in ("nan", "inf", "infinity"):
        return ", finite"
    if _REAL.fullmatch(text) or _FRACTION.fullmatch(text):
        return ", one that a 64-bit float can hold"
    if text.endswith("%") and number(text[:-1]) is not None:
        return f", like {text[:-1]}/100"
    return ", like 3, 0.5, 1e-3 or 1/3"


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
