"""The sections of a .POMDP file → names, discount, start, and the tables T, O and R as they are written."""

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import TooLargeError
from pgcheck.formats.assembling import LOOSE_SLACK
from pgcheck.formats.cassandra.lines import read_lines
from pgcheck.formats.cassandra.names import PROBABILITY, Names, read_discount, read_names, read_start, read_values
from pgcheck.formats.cassandra.tables import ANY, IDENTITY, RESET, Table
from pgcheck.formats.cassandra.text import SECTIONS, SKIP, WORD, Header, Numbers, Text
from pgcheck.formats.problems import visible
from pgcheck.formats.reader import cropped, number
from pgcheck.formats.transitions import MAX_SIZE, SIZE
from pgcheck.model.mdp import MAX_PAIRS

NOUNS = {"states": "state", "actions": "action", "observations": "observation"}
AXES = {"T": ("action", "state", "state"), "O": ("action", "state", "observation"),
        "R": ("action", "state", "state", "observation")}  # fmt: skip
_INDEX = rf"({WORD}|\*)"
_HEAD = re.compile(rf"{SKIP}{_INDEX}" + rf"(?:{SKIP}:{SKIP}{_INDEX})?+" * 3)
_KEYWORD = re.compile(rf"{SKIP}(uniform|identity|reset)(?![^\s:#*])")


@dataclass
class Sections:
    """What the sections of a file say.

    Attributes:
      text: the file's.
      names: of states, actions and observations, where they are said.
      discount, values, start: None where no section says it; the last of several counts.
      tables: T, O and R.
      places: where each line of the tables begins, in order.
      known: what the words of each index of each table stand for.
    """

    text: Text
    names: dict[str, Names] = field(default_factory=dict)
    discount: float | None = None
    values: str | None = None
    start: Floats | None = None
    tables: dict[str, Table] = field(default_factory=dict)
    places: "array[int]" = field(default_factory=lambda: array("q"))
    known: dict[str, tuple[dict[str, int], ...]] = field(default_factory=dict)


def read_sections(text: Text) -> Sections:
    """Returns all sections of a text.

    Raises:
      ModelError: the text is at fault; the message lists up to 20 errors with their places.
      TooLargeError: more than 20 million pairs of states and actions.
    """
    sections = Sections(text)
    while not text.ended:
        if sections.tables:
            read_lines(text, sections.tables, _known(sections), sections.places)
        header = text.header()
        before = text.problems.count
        if header is None and text.ended:
            break
        if header is None:
            text.fail(text.at, f"found {text.here()}; expected {SECTIONS}")
        elif header.word in AXES:
            _entry(sections, header)
        else:
            _preamble(sections, header)
        if text.problems.count > before:
            text.to_next_section()
    for word in ("states", "actions"):
        if word not in sections.names and not text.problems.count:
            text.fail(0, f"no {word}; expected a line like {word}: a b")
    text.problems.check()
    _set_tables(sections)
    return sections


def _preamble(sections: Sections, header: Header) -> None:
    """Reads a section that is no table."""
    text, word = sections.text, header.word
    if word in NOUNS:
        if NOUNS[word] in {names.noun for names in sections.names.values()}:
            text.fail(header.begin, f"{word} are said twice; keep one")
        elif sections.tables:
            text.fail(header.begin, f"{word} after T, O or R; expected them before")
        elif names := read_names(text, NOUNS[word]):
            sections.names[word] = names
        else:
            text.problems.check()  # without names nothing behind them can be read
    elif word == "discount":
        sections.discount = read_discount(text)
    elif word == "values":
        sections.values = read_values(text)
    elif "states" not in sections.names:
        text.fail(header.begin, "start before states; expected it behind them")
    else:
        sections.start = read_start(text, header.mode, sections.names["states"])


def _set_tables(sections: Sections) -> bool:
    """Makes the tables, once their sizes are known; false where they are not."""
    names = sections.names
    if sections.tables or "states" not in names or "actions" not in names:
        return bool(sections.tables)
    s, a = len(names["states"]), len(names["actions"])
    o = len(names["observations"]) if "observations" in names else 0
    file = sections.text.problems.file
    if a * s > MAX_PAIRS or a * s * s * (o or 1) > 2**62:
        pairs = f"{s:,} states x {a:,} actions" + (f" x {o:,} observations" if o else "")
        raise TooLargeError(f"{file}: {pairs}; the limit is {MAX_PAIRS:,} pairs of states and actions.")
    sections.tables["T"] = Table((a, s, s))
    sections.tables["R"] = Table((a, s, s, o) if o else (a, s, s))
    if o:
        sections.tables["O"] = Table((a, s, o))
    return True


def _known(sections: Sections) -> dict[str, tuple[dict[str, int], ...]]:
    """What the words of each index of each table stand for, where the table has them."""
    if not sections.known:
        of = {names.noun: names.index | {"*": ANY} for names in sections.names.values()}
        for word, table in sections.tables.items():
            sections.known[word] = tuple(of[noun] for noun in AXES[word][: len(table.shape)])
    return sections.known


def _entry(sections: Sections, header: Header) -> None:
    """Reads one line of T, O or R: the indices, and then a word, a number, or a row or matrix of them."""
    text, word = sections.text, header.word
    if not _set_tables(sections):
        text.fail(header.begin, f"{word} before states and actions; expected them at the beginning of the file")
        return
    if word not in sections.tables:
        text.fail(header.begin, "O without observations; expected a line like observations: y n before it")
        return
    table = sections.tables[word]
    head = text.match(_HEAD)
    if head is None:
        text.fail(header.begin, f"{word}: found {text.here()}; expected an action, or * for all")
        return
    at = _indices(sections, head, AXES[word])
    if at is None:
        return
    if len(at) > len(table.shape):  # R of a file without observations
        at = at[:-1]
    time = len(sections.places)
    sections.places.append(header.begin)
    is_reward = word == "R"
    if len(at) == len(table.shape):
        begin = text.skip()
        value = text.one()
        if value is not None and (abs(value) <= MAX_SIZE if is_reward else 0 <= value <= 1 + LOOSE_SLACK):
            table.write(at, value, time)
            return
        text.at = begin
    elif keyword := text.match(_KEYWORD):
        value = _of_keyword(keyword[1], word, at, table.shape)
        if value is None:
            text.fail(keyword.start(1), f"{_where(word, head)}: {keyword[1]} is not for this; expected numbers")
        else:
            table.write((*at, *[ANY] * (len(table.shape) - len(at))), value, time)
        return
    elif is_reward and len(at) == 1 and len(table.shape) == 4:
        text.fail(header.begin, f"{_where(word, head)}: no state; expected R: action : state and a matrix")
        return
    numbers = text.numbers()
    if _fits(text, numbers, _where(word, head), table.shape[len(at) :], is_reward):
        table.write(at, numbers.values, time)


def _indices(sections: Sections, head: re.Match[str], axes: Sequence[str]) -> list[int] | None:
    """The indices that a line says, `ANY` for `*`; None where one is at fault."""
    text, at = sections.text, []
    for group, noun in enumerate(axes, 1):
        if (word := head[group]) is None:
            break
        if noun + "s" in sections.names:
            at.append(sections.names[noun + "s"].find(text, word, head.start(group)))
        elif word == "*":
            at.append(ANY)
        else:
            text.fail(head.start(group), "the file has no observations; expected *, or nothing")
            at.append(None)
    if len(axes) < 4 and head[4] is not None:
        hint = "; leave out the colon before it" if number(head[4]) is not None else ""
        text.fail(head.start(4), f"a fourth index, {cropped(head[4])}; expected at most 3{hint}")
        return None
    known = [index for index in at if index is not None]
    return known if len(known) == len(at) else None


def _of_keyword(keyword: str, word: str, at: Sequence[int], shape: tuple[int, ...]) -> float | None:
    """The value of every cell of rows that a keyword stands for; None where it does not stand for any."""
    if word == "R" or len(at) == 3:
        return None
    if keyword == "uniform":
        return 1 / shape[2]
    if keyword == "identity":
        return IDENTITY if len(at) == 1 and shape[1] == shape[2] else None
    return RESET if word == "T" and len(at) == 2 else None


def _fits(text: Text, numbers: Numbers, where: str, shape: tuple[int, ...], is_reward: bool) -> bool:
    """Whether numbers are as many as they have to be, and each in its range; notes where not."""
    before, many = text.problems.count, prod(shape)
    values = numbers.values
    right = np.abs(values) <= MAX_SIZE if is_reward else (values >= 0) & (values <= 1 + LOOSE_SLACK)
    for i in np.flatnonzero(~right).tolist():
        text.fail(numbers.place(i, text.text), f"{where}: expected {SIZE if is_reward else PROBABILITY}")
    if numbers.count < many:
        here = text.skip()
        rows = f", {shape[0]:,} rows of {shape[1]:,}" if len(shape) == 2 else ""
        hint = "; * gives all of them one number" if numbers.count == 1 else ""
        wanted = f"{many:,} numbers{rows}" if many > 1 else "a number"
        found = f"{numbers.count:,} numbers, and then " if numbers.count != 1 else "1 number, and then "
        text.fail(here, f"{where}: found {found if numbers.count else ''}{text.here()}; expected {wanted}{hint}")
    elif numbers.count > many:
        wanted = f"{many:,}" if many > 1 else "one"
        text.fail(numbers.place(many, text.text), f"{where}: {numbers.count:,} numbers; expected {wanted}")
    return text.problems.count == before


def _where(word: str, head: re.Match[str]) -> str:
    """The indices of a line, for a message."""
    return cropped(visible(f"{word}: " + " : ".join(index for index in head.groups() if index is not None)))
