"""The states, choices and transitions of an explicit model of Storm, x.drn: what stands below `@model`.

A state is `state 3 {5} [1, 0] goal "in danger"`: its number, what is seen (POMDP), its rewards and its labels. Its
choices follow, as `action go [0, 2]`, and the transitions of each, as `7 : 0.25`.
"""

import re
from array import array
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.formats.assembling import LOOSE_SLACK
from pgcheck.formats.explicit.lines import INDEX, Lines
from pgcheck.formats.explicit.storm_header import Header
from pgcheck.formats.reader import quoted
from pgcheck.formats.transitions import MAX_SIZE, SIZE

UNLABELLED = "__NOLABEL__"

_TRANSITION = re.compile(rf"[ \t]*{INDEX}[ \t]*:[ \t]*([^ \t]+)[ \t]*")
_REWARDS = r"(?:[ \t]*\[([^\]]*)\])?"
_ACTION = re.compile(rf"[ \t]*action[ \t]+([^ \t\[]+){_REWARDS}[ \t]*")
_STATE = re.compile(rf"[ \t]*state[ \t]+{INDEX}(?=[ \t]|$)(?:[ \t]*\{{{INDEX}\}})?{_REWARDS}(.*)")
_LABEL = re.compile(r'"([^"]+)"|([^ \t"]+)')


@dataclass(frozen=True, eq=False)
class States:
    """What stands below `@model`, as in `explicit.Explicit`.

    Attributes:
      state, choice, next_state, prob, name: of each transition `[K]`.
      names: the labels of choices.
      state_rewards, rewards: of each state and of each transition, in each reward structure `[S, R]` and `[K, R]`.
      labels: the states that have each label.
      observation: what is seen in each state `[S]`; None unless it is a POMDP.
    """

    state: Ints
    choice: Ints
    next_state: Ints
    prob: Floats
    name: Ints
    names: tuple[str, ...]
    state_rewards: Floats
    rewards: Floats
    labels: dict[str, Ints]
    observation: Ints | None


def read_states(lines: Lines, header: Header) -> States:
    """Returns the states of a file.

    Raises:
      ModelError: the file is at fault.
    """
    return _Reader(lines, header).states()


class _Reader:
    """Reads line by line, and keeps the state and the choice to which the next line belongs."""

    def __init__(self, lines: Lines, header: Header) -> None:
        self.lines = lines
        self.header = header
        self.numbers = dict(header.placeholders)
        self.state, self.choice, self.next_state = array("q"), array("q"), array("q")
        self.prob, self.name, self.paid, self.line = array("d"), array("q"), array("q"), array("q")
        self.names: dict[str, int] = {}
        self.labels: dict[str, list[int]] = {}
        self.rewards: dict[str, int] = {"": 0}  # the number of each text of rewards
        self.values: list[tuple[float, ...]] = [()]
        self.state_paid, self.seen = array("q"), array("q")  # of each state
        self.in_state = self.in_choice = -1
        self.of_choice = -1, 0  # its label and its rewards
        self.empty = 0  # the line of a choice that has no transitions so far
        self.choices = 0

    def states(self) -> States:
        """All of the file, checked."""
        self._read()
        lines, header = self.lines, self.header
        state, choice, next_state, name, paid, line = (
            np.array(column, dtype=np.int64)
            for column in (self.state, self.choice, self.next_state, self.name, self.paid, self.line)
        )
        prob = np.array(self.prob)
        lines.expect_states(next_state, line, 0, header.num_states)
        wrong = ~((prob >= 0) & (prob <= 1 + LOOSE_SLACK))
        lines.fail_all(wrong, line, 2, "probability {}; expected 0 to 1", prob)
        lines.problems.check()
        if self.in_state + 1 != header.num_states:
            lines.fail(header.states_at, 0, f"{header.num_states:,} states; the file has {self.in_state + 1:,}")
        if header.num_choices is not None and self.choices != header.num_choices:
            lines.fail(header.choices_at, 0, f"{header.num_choices:,} choices; the file has {self.choices:,}")
        lines.expect_sums(state, choice, prob, line, "" if header.type == "DTMC" else "choice")
        lines.problems.check()
        values = np.zeros((len(self.values), max([len(list(filter(None, header.rewards))), *map(len, self.values)])))
        for row, numbers in enumerate(self.values):
            values[row, : len(numbers)] = numbers
        texts = tuple(self.names)
        own = np.array([int(text) if text.isdecimal() and str(int(text)) == text else -1 for text in texts] or [-1])
        if header.type == "DTMC" or (own[name] == choice).all():
            name[:] = -1  # a number is no label
        labels = {label: np.array(states, dtype=np.int64) for label, states in self.labels.items()}
        seen = np.array(self.seen, dtype=np.int64) if header.type == "POMDP" else None
        paid_in = np.array(self.state_paid, dtype=np.int64)
        return States(state, choice, next_state, prob, name, texts, values[paid_in], values[paid], labels, seen)

    def _read(self) -> None:
        """Reads the transitions into columns, and states and choices as they come."""
        fullmatch, numbers = _TRANSITION.fullmatch, self.numbers
        for at, text in enumerate(self.lines.texts[self.header.end :], self.header.end + 1):
            match = fullmatch(text)
            if match is None:
                self._other(at, text)
                if self.lines.is_hopeless:
                    return
                continue
            value = numbers.get(match[2])
            if value is None:
                value = self.lines.number(match[2])
                if value is None:
                    self._no_number(at, match[2])
                    if self.lines.is_hopeless:
                        return
                    continue
                numbers[match[2]] = value
            if self.in_choice < 0:
                if self.in_state < 0:
                    self.lines.fail(at, 0, "a transition; expected `state 0` before it")
                    continue
                self._begin_choice(at, -1, 0)
            self.empty = 0
            self.state.append(self.in_state)
            self.choice.append(self.in_choice)
            self.next_state.append(int(match[1]))
            self.prob.append(value)
            self.name.append(self.of_choice[0])
            self.paid.append(self.of_choice[1])
            self.line.append(at)
        self._end_choice()

    def _other(self, at: int, text: str) -> None:
        """Reads a line that is no transition."""
        bare = text.strip(" \t")
        if not bare or bare.startswith("//"):
            return
        word = bare.split(" ", 1)[0]
        if match := _STATE.fullmatch(text):
            self._begin_state(at, match)
        elif (match := _ACTION.fullmatch(text)) and self.in_state >= 0:
            label = match[1]
            if label != UNLABELLED and label not in self.names:
                self.lines.is_name(label, at, 1, "label")
                self.names[label] = len(self.names)
            self._begin_choice(at, self.names.get(label, -1), self._rewards(at, match[2]))
        elif word == "state":
            self.lines.fail(
                at, 0, f"found {quoted(bare)}; expected a state, its rewards and labels: `state 3 [0] goal`"
            )
        elif word == "action":
            before = "" if self.in_state >= 0 else ", below a state"
            self.lines.fail(
                at, 0, f"found {quoted(bare)}; expected a choice and its rewards: `action go [0]`{before}"
            )
        elif ":" in bare and "[" in bare:
            self._no_number(at, bare.partition(":")[2].strip(" \t"))
        else:
            self.lines.fail(at, 0, f"found {quoted(bare)}; expected `state 3`, `action go` or a transition `7 : 0.5`")

    def _begin_state(self, at: int, match: re.Match[str]) -> None:
        """Reads the line of a state."""
        self._end_choice()
        self.in_state, self.in_choice = self.in_state + 1, -1
        state = self.in_state
        if int(match[1]) != state:
            self.lines.fail(at, 1, f"state {match[1]}; expected state {state}, the next in order")
            self.in_state = min(int(match[1]), self.header.num_states)
        is_pomdp = self.header.type == "POMDP"
        if (match[2] is None) == is_pomdp:
            expected = "what is seen, like {5}," if is_pomdp else f"none in a model of type {self.header.type}"
            self.lines.fail(at, 2, f"state {match[1]}: expected {expected} after the number")
        self.seen.append(int(match[2] or 0))
        self.state_paid.append(self._rewards(at, match[3]))
        for label in _LABEL.finditer(match[4]):
            text = label[1] or label[2]
            if text.startswith(("[", "{")):
                self.lines.fail(at, 2, f"found {quoted(text)} among the labels; expected it right after the number")
                return
            self.labels.setdefault(text, []).append(state)

    def _begin_choice(self, at: int, name: int, rewards: int) -> None:
        """Begins the next choice of the state."""
        self._end_choice()
        self.in_choice += 1
        self.choices += 1
        self.of_choice, self.empty = (name, rewards), at

    def _end_choice(self) -> None:
        """Notes a choice that has no transitions."""
        if self.empty:
            self.lines.fail(self.empty, 0, "a choice without transitions; expected lines like `7 : 0.5` below it")
        self.empty = 0

    def _rewards(self, at: int, text: str | None) -> int:
        """The number of a list of rewards."""
        if text is None or text in self.rewards:
            return self.rewards[text or ""]
        values = []
        for word in text.split(","):
            bare = word.strip(" \t")
            value = self.header.placeholders.get(bare, self.lines.number(bare))
            if value is None or abs(value) > MAX_SIZE:
                self.lines.fail(at, 2, f"found {quoted(bare)}; expected a reward, {SIZE}")
                value = 0.0
            values.append(value)
        self.rewards[text] = len(self.values)
        self.values.append(tuple(values))
        return self.rewards[text]

    def _no_number(self, at: int, text: str) -> None:
        """Notes a probability that is no number."""
        self.empty = 0
        what = "an interval, " if text.startswith("[") else "an unknown placeholder, " if text.startswith("$") else ""
        self.lines.fail(at, 2, f"found {what}{quoted(text)}; expected a probability, like 0.5 or 1/3")
