"""Nodes → names and numbers. An error is noted with its place, and reading goes on."""

import difflib
import itertools
import math
import re
from collections.abc import Collection, Iterable

from pgcheck.formats.nodes import Mapping, Node, Scalar, Sequence
from pgcheck.formats.problems import Problems, hidden, visible
from pgcheck.formats.rows import parse

MAX_NAMES = 1_000_000
MAX_NAME = 1000  # characters; YAML itself allows a key no more than 1024
MAX_DIGITS = 10_000  # characters of a number

REAL = r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?"
FRACTION = r"[-+]?[0-9]{1,400}/[0-9]{1,400}"
TRUTHS = {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}

_REAL, _FRACTION = re.compile(REAL), re.compile(FRACTION)
_MAX_REMEMBERED = 100_000  # numbers whose texts are read once

Where = tuple[str | int, ...]  # the path to a value: keys, and positions in lists


class Reader:
    """Reads nodes into values; after a fault it goes on, so that one run shows every error."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.problems = Problems(file, text)
        self.root = parse(text, file)
        self._numbers: dict[str, float] = {}

    def fail(self, node: Node, where: Where, message: str) -> None:
        """Notes an error at a node."""
        if not where or not self.problems.shows(node.line, node.column):
            self.problems.add(node.line, node.column, message)
            return
        steps = (f"[{step}]" if isinstance(step, int) else f".{cropped(step)}" for step in where)
        self.problems.add(node.line, node.column, f"{''.join(steps)[1:]}: {message}")

    def entries(self, node: Node, where: Where, expected: str) -> dict[str, tuple[Scalar, Node]]:
        """The keys and values of a mapping; `expected` describes them for messages."""
        if not isinstance(node, Mapping):
            self.fail(node, where, f"found {kind_of(node)}; expected {expected}")
            return {}
        entries: dict[str, tuple[Scalar, Node]] = {}
        for key, value in node.entries:
            if not isinstance(key, Scalar):
                self.fail(key, where, f"found {kind_of(key)} as a key; expected a name")
            elif key.text == "<<" and not key.quoted:
                self.fail(key, where, "merge key <<; write the entries out")
            elif key.text in entries:
                first = entries[key.text][0].line
                self.fail(key, where, f"key {quoted(key.text)} appears twice, first in line {first}; keep one")
            else:
                entries[key.text] = key, value
        return entries

    def known(self, entries: Iterable[tuple[Scalar, Node]], names: Collection[str], where: Where) -> None:
        """Notes the keys that are not among `names`."""
        for key, _ in entries:
            if key.text not in names:
                comma = where and key.text.isdecimal()  # {p: 0,8} has a key 8
                hint = "; write 0.5, not 0,5" if comma else self.meant(key.text, names)
                self.fail(key, where, f"unknown key {quoted(key.text)}{hint}")

    def name(self, node: Node, where: Where, expected: str) -> str | None:
        """A name that this node defines; None if there is a fault."""
        if not isinstance(node, Scalar) or not node.text:
            self.fail(node, where, f"found {kind_of(node)}; expected {expected}")
        elif len(node.text) > MAX_NAME:
            self.fail(node, where, f"a name of {len(node.text):,} characters; expected at most {MAX_NAME:,}")
        elif char := hidden(node.text):
            self.fail(node, where, f"{quoted(node.text)} holds the hidden character U+{ord(char):04X}; remove it")
        else:
            return node.text
        return None

    def index(self, node: Node, where: Where, names: dict[str, int], noun: str) -> int | None:
        """The number of a name that must be one of `names`, each of them a `noun`; None if there is a fault."""
        if isinstance(node, Scalar):
            known = names.get(node.text)
            if known is not None:
                return known
            if node.text:
                self.fail(node, where, f"unknown {noun} {quoted(node.text)}{self.meant(node.text, names)}")
                return None
        self.fail(node, where, f"found {kind_of(node)}; expected the name of {_a(noun)}")
        return None

    def real(
        self, node: Node, where: Where, lo: float, hi: float, expected: str, examples: str = "0.5, 1e-3 or 1/3"
    ) -> float | None:
        """A number from lo to hi; `expected` describes it for messages. None if there is a fault."""
        if not isinstance(node, Scalar):
            self.fail(node, where, f"found {kind_of(node)}; expected {expected}")
            return None
        value = self._numbers.get(node.text)
        if value is None:
            value = number(node.text)
            if value is None:
                hint = _number_hint(node.text, examples)
                self.fail(node, where, f"found {kind_of(node)}; expected {expected}{hint}")
                return None
            if len(self._numbers) < _MAX_REMEMBERED:
                self._numbers[node.text] = value
        if not lo <= value <= hi:
            self.fail(node, where, f"{quoted(node.text)} is out of range; expected {expected}")
            return None
        return value

    def whole(self, node: Node, where: Where, hi: int, expected: str, examples: str) -> int | None:
        """A whole number from 1 to hi; None if there is a fault."""
        value = self.real(node, where, 1, hi, expected, examples)
        if value is not None and value != int(value):
            self.fail(node, where, f"{kind_of(node)} is not whole; expected {expected}")
            return None
        return None if value is None else int(value)

    def truth(self, node: Node, where: Where) -> bool | None:
        """True or false; None if there is a fault."""
        if isinstance(node, Scalar) and node.text in TRUTHS:
            if not node.quoted:
                return TRUTHS[node.text]
            self.fail(node, where, f"found {kind_of(node)} in quotes; expected true or false, without")
        else:
            self.fail(node, where, f"found {kind_of(node)}; expected true or false")
        return None

    def names(self, node: Node, where: Where, noun: str) -> dict[str, int]:
        """Names from a list, or 0..n-1 from a number n, each with its number; empty if there is a fault."""
        expected = f"a list of names, or their number (1 to {MAX_NAMES:,})"
        if isinstance(node, Scalar):
            n = self.whole(node, where, MAX_NAMES, expected, "[a, b] or 2")
            return {str(i): i for i in range(n or 0)}
        if not isinstance(node, Sequence) or not node.items:
            self.fail(node, where, f"found {kind_of(node)}; expected {expected}")
            return {}
        if len(node.items) > MAX_NAMES:
            self.fail(node, where, f"{len(node.items):,} names; expected at most {MAX_NAMES:,}")
            return {}
        names: dict[str, int] = {}
        for item in node.items:
            name = self.name(item, where, f"the name of {_a(noun)}")
            if name is not None and name in names:
                self.fail(item, where, f"{noun} {quoted(name)} appears twice; keep one")
            elif name is not None:
                names[name] = len(names)
        return names if len(names) == len(node.items) else {}

    def listed(self, node: Node, where: Where, names: dict[str, int], noun: str, example: str) -> list[int]:
        """The numbers of a list of names that must be known, each once; without those at fault."""
        if not isinstance(node, Sequence):
            example = node.text if isinstance(node, Scalar) and node.text in names else example
            self.fail(node, where, f"found {kind_of(node)}; expected a list of {noun}s, like [{cropped(example)}]")
            return []
        listed: dict[int, None] = {}
        for item in node.items:
            index = self.index(item, where, names, noun)
            if index in listed:
                self.fail(item, where, f"{noun} {kind_of(item)} appears twice; keep one")
            elif index is not None:
                listed[index] = None
        return list(listed)

    def meant(self, text: str, names: Collection[str]) -> str:
        """The end of a message about an unknown name: the nearest known name, or the first of them."""
        if self.problems.full:
            return ""  # the search takes time, and the message will not be shown
        if text.partition(":")[0] in names:
            return "; a colon needs a space after it"
        if len(names) > 12 and "0" in names and str(len(names) - 1) in names:
            return f"; expected 0 to {len(names) - 1}"
        candidates = [name[:60] for name in itertools.islice(names, 250)]
        near = difflib.get_close_matches(text[:60], candidates, 1, 0.6)
        if near:
            return f"; did you mean {quoted(near[0])}?"
        return f"; expected {'one of ' if len(candidates) > 1 else ''}{enumerated(names)}"


def number(text: str) -> float | None:
    """Returns the number that `3`, `-.5`, `1e-3` or `1/3` stands for; None for any other text.

    Also None where a number is too long, too large for a float, or is not 0 but would become 0.
    """
    if len(text) > MAX_DIGITS:
        return None
    if "/" in text and _FRACTION.fullmatch(text):
        numerator, denominator = map(int, text.split("/"))
        try:
            value = numerator / denominator
        except (ZeroDivisionError, OverflowError):
            return None
        return None if numerator and not value else value + 0.0
    if not _REAL.fullmatch(text):
        return None
    value = float(text)
    vanished = value == 0 and re.search("[1-9]", re.split("[eE]", text)[0])
    return None if vanished or math.isinf(value) else value + 0.0  # -0 is 0


def cropped(text: str) -> str:
    """Returns a user's text for a message, cropped."""
    return visible(text if len(text) <= 60 else text[:57] + "...")


def quoted(text: str) -> str:
    """Returns a user's text for a message, cropped and in quotes."""
    return f"'{cropped(text)}'"


def enumerated(names: Collection[str]) -> str:
    """Returns names for a message, the first twelve of them."""
    return ", ".join(map(cropped, itertools.islice(names, 12))) + (", ..." if len(names) > 12 else "")


def kind_of(node: Node) -> str:
    """Returns a description of a node for a message: its text, a list, a mapping, or nothing."""
    if isinstance(node, Scalar):
        return quoted(node.text) if node.text or node.quoted else "nothing"
    kind = "list" if isinstance(node, Sequence) else "mapping"
    return f"{'a' if node.items else 'an empty'} {kind}"


def _number_hint(text: str, examples: str) -> str:
    """The end of a message about a text that is not a number: what may have been meant, or examples."""
    if len(text) > MAX_DIGITS:
        return f", of at most {MAX_DIGITS:,} characters"
    plain = text.replace("_", "").replace("\N{MINUS SIGN}", "-")
    if plain != text and number(plain) is not None:
        return f", written {cropped(plain)}"
    if text.lower().lstrip("+-.") in ("nan", "inf", "infinity"):
        return ", finite"
    if _FRACTION.fullmatch(text) and not int(text.partition("/")[2]):
        return ", not divided by 0"
    if _REAL.fullmatch(text) or _FRACTION.fullmatch(text):
        return ", one that a 64-bit float can hold"
    if text.endswith("%") and number(text[:-1]) is not None:
        return f", like {text[:-1]}/100"
    if re.fullmatch("0x[0-9a-fA-F]{1,12}", text):
        return f", written {int(text, 16)}"
    return f", like {examples}"


def _a(noun: str) -> str:
    """The noun with its article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
