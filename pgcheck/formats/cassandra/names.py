"""The preamble of a .POMDP file: names of states, actions and observations, the discount, and the start."""

import difflib
import itertools
import math
import re
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.formats.assembling import LOOSE_SLACK
from pgcheck.formats.cassandra.tables import ANY
from pgcheck.formats.cassandra.text import Text
from pgcheck.formats.problems import hidden
from pgcheck.formats.reader import MAX_NAME, MAX_NAMES, number, quoted
from pgcheck.formats.transitions import sum_text

PROBABILITY = "a probability, 0 to 1"


@dataclass(frozen=True)
class Names:
    """Names of states, actions or observations.

    Attributes:
      noun: `state`, `action` or `observation`.
      names: in order.
      index: the number of each name, and of each number.
      places: where each name stands in the text, or one place for all of them.
    """

    noun: str
    names: tuple[str, ...]
    index: dict[str, int]
    places: list[int]

    def __len__(self) -> int:
        return len(self.names)

    def find(self, text: Text, word: str, place: int) -> int | None:
        """Returns the number of a word, `ANY` for `*`; None where there is none, which is noted."""
        if word == "*":
            return ANY
        known = self.index.get(word)
        if known is None and re.fullmatch("0[0-9]{1,9}", word):
            known = self.index.get(str(int(word)))
        if known is None:
            text.fail(place, f"unknown {self.noun} {quoted(word)}{self._meant(text, word)}")
        return known

    def _meant(self, text: Text, word: str) -> str:
        """The end of a message about an unknown name."""
        last = len(self) - 1
        if text.problems.full:
            return ""
        if word.isdigit() or self.names[-1] == str(last):
            return f"; expected 0 to {last}"
        near = difflib.get_close_matches(word[:60], [n[:60] for n in itertools.islice(self.names, 250)], 1, 0.6)
        return (
            f"; did you mean {quoted(near[0])}?" if near else f"; expected a name of the {self.noun}s, or 0 to {last}"
        )


def read_names(text: Text, noun: str) -> Names | None:
    """Returns the names that stand here, or as many numbers as a count says; None where they are at fault."""
    begin = text.skip()
    words = text.names()
    expected = f"{noun}s by name, or how many there are (1 to {MAX_NAMES:,})"
    if not words or not _at_end(text):
        text.fail(text.at if words else begin, f"{noun}s: found {text.here()}; expected {expected}")
        return None
    if len(words) == 1 and number(words[0][0]) is not None:
        word = words[0][0]
        if not re.fullmatch("[0-9]{1,9}", word) or not 1 <= int(word) <= MAX_NAMES:
            text.fail(begin, f"{noun}s: {quoted(word)}; expected {expected}")
            return None
        names = tuple(map(str, range(int(word))))
        return Names(noun, names, {name: i for i, name in enumerate(names)}, [begin])
    if len(words) > MAX_NAMES:
        text.fail(begin, f"{len(words):,} {noun}s; expected at most {MAX_NAMES:,}")
        return None
    index: dict[str, int] = {}
    before = text.problems.count
    for i, (word, place) in enumerate(words):
        if index.setdefault(word, i) != i:
            text.fail(place, f"{noun} {quoted(word)} appears twice; keep one")
        elif len(word) > MAX_NAME or (char := hidden(word)):
            fault = (
                f"over {MAX_NAME:,} characters" if len(word) > MAX_NAME else f"the character U+{ord(char or ''):04X}"
            )
            text.fail(place, f"{noun} {quoted(word)} has {fault}; expected another name")
        elif number(word) is not None and word != str(i):
            text.fail(place, f"{noun} {quoted(word)} is a number, and not its own, {i}; expected a name")
    if text.problems.count > before:
        return None
    for i in range(len(words)):
        index.setdefault(str(i), i)
    return Names(noun, tuple(word for word, _ in words), index, [place for _, place in words])


def read_discount(text: Text) -> float | None:
    """Returns the discount that stands here; None where it is at fault."""
    begin = text.skip()
    value = text.one()
    if value is None or not 0 <= value <= 1 or not _at_end(text):
        at = begin if value is None or not 0 <= value <= 1 else text.skip()
        text.at = at
        text.fail(at, f"discount: found {text.here()}; expected one number, 0 to 1")
        return None
    return value


def read_values(text: Text) -> str | None:
    """Returns `reward` or `cost`, which stands here; None where neither does."""
    begin = text.skip()
    words = text.names()
    if len(words) != 1 or words[0][0].lower() not in ("reward", "rewards", "cost", "costs") or not _at_end(text):
        text.at = begin
        text.fail(begin, f"values: found {text.here()}; expected reward or cost")
        return None
    return words[0][0].lower().removesuffix("s")


def read_start(text: Text, mode: str, states: Names) -> Floats | None:
    """Returns the probability of each state to be the first `[S]`; None where what stands here is at fault.

    Args:
      mode: `include`, `exclude` or nothing.
    """
    begin = text.skip()
    size, before = len(states), text.problems.count
    if not mode:
        numbers = text.numbers()
        if numbers.count and _at_end(text):
            word = text.text[begin : text.at].split()[0]
            if numbers.count == 1 and re.fullmatch("[0-9]{1,9}", word) and (size > 1 or int(word) == 0):
                state = states.find(text, word, begin)
                return None if state is None else _uniform({state}, size)
            values = numbers.values
            for i in np.flatnonzero(~((values >= 0) & (values <= 1 + LOOSE_SLACK))).tolist():
                text.fail(numbers.place(i, text.text), f"start: expected {PROBABILITY}")
            total = math.fsum(values.tolist()) if text.problems.count == before else 1.0
            if numbers.count != size:
                text.fail(
                    begin,
                    f"start: {numbers.count:,} numbers; expected {size:,}, one a state, or a state, or uniform",
                )
            elif abs(total - 1) > LOOSE_SLACK:
                text.fail(begin, f"start: {sum_text(total)}")
            return values if text.problems.count == before else None
        text.at = begin
    words = [(word, place) for word, place in text.names()]
    if not words and text.text.startswith("*", begin):
        words = [("*", begin)]
        text.at = begin + 1
    if not words or not _at_end(text):
        text.fail(text.at if words else begin, f"start: found {text.here()}; expected states, or uniform")
        return None
    if [word for word, _ in words] == ["uniform"] and not mode:
        return np.full(size, 1 / size)
    listed = {states.find(text, word, place) for word, place in words}
    if text.problems.count > before:
        return None
    every = set(range(size))
    chosen = every if ANY in listed else {state for state in listed if state is not None}
    chosen = every - chosen if mode == "exclude" else chosen
    if not chosen:
        text.fail(begin, "start exclude: no state is left; expected at least one")
        return None
    return _uniform(chosen, size)


def _uniform(chosen: set[int], size: int) -> Floats:
    start = np.zeros(size)
    start[sorted(chosen)] = 1 / len(chosen)
    return start


def _at_end(text: Text) -> bool:
    """Whether nothing is left here of a section."""
    at = text.at
    ended = text.ended or text.header() is not None
    text.at = at
    return ended
