"""The transitions of an explicit model of PRISM, x.tra.

The first line counts states, choices (MDP, POMDP), transitions, and observations (POMDP). Each other line is a
transition: `state next-state probability [label]` in a DTMC, `state choice next-state probability [label]` in an MDP;
in a POMDP the number of what is seen in the next state stands before the label, and `- - state - observation` is a
first state. Lines that begin with # are comments; the first may name the type: `# Transitions (MDP)`.
"""

import re
from array import array
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.formats.assembling import LOOSE_SLACK
from pgcheck.formats.explicit.lines import INDEX, WORD, Lines, is_comment
from pgcheck.formats.explicit.prism_header import read_header
from pgcheck.formats.reader import quoted

_INITIAL = re.compile(rf"[ \t]*-[ \t]+-[ \t]+{INDEX}[ \t]+-[ \t]+{INDEX}[ \t]*")


@dataclass(frozen=True, eq=False)
class Transitions:
    """The transitions of a model with S states, as in `explicit.Explicit`.

    Attributes:
      num_states: S.
      type: DTMC, MDP or POMDP.
      state, choice, next_state, prob: of each transition `[K]`.
      name: the number of its label among `names`, -1 without one `[K]`.
      names: the labels of choices.
      initial: the first states, where the file says them.
      observation: what is seen in each state `[S]`, in a POMDP.
    """

    num_states: int
    type: str
    state: Ints
    choice: Ints
    next_state: Ints
    prob: Floats
    name: Ints
    names: tuple[str, ...]
    initial: Ints
    observation: Ints | None


def read_transitions(lines: Lines) -> Transitions:
    """Returns the transitions of a file.

    Raises:
      ModelError: the file is at fault, or holds another type of model.
    """
    return _Reader(lines).transitions()


class _Reader:
    """Reads line by line; a line that is no transition is looked at word by word."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.at, self.sizes, self.form = read_header(lines)
        self.state, self.choice, self.next_state = array("q"), array("q"), array("q")
        self.prob, self.seen, self.name, self.line = array("d"), array("q"), array("q"), array("q")
        self.names: dict[str, int] = {}
        self.initial: list[tuple[int, int, int]] = []  # state, observation, line

    def transitions(self) -> Transitions:
        """All of the file, checked."""
        self._read()
        problems = self.lines.problems
        state, choice, next_state, name, line, seen = (
            np.array(column, dtype=np.int64)
            for column in (self.state, self.choice, self.next_state, self.name, self.line, self.seen)
        )
        prob = np.array(self.prob)
        self._check_sizes(state, choice, next_state, prob, line)
        problems.check()
        self.lines.expect_sums(state, choice, prob, line, "" if self.form.type == "DTMC" else "choice")
        if self.form.type == "DTMC":
            name[:] = -1  # labels of transitions are no choices
        else:
            self._check_labels(state, choice, name, line)
        observation = self._observation(next_state, seen, line) if self.form.type == "POMDP" else None
        problems.check()
        first = sorted({first for first, _, _ in self.initial})
        return Transitions(
            self.sizes[0], self.form.type, state, choice, next_state, prob, name, tuple(self.names),
            np.array(first, dtype=np.int64), observation,
        )  # fmt: skip

    def _read(self) -> None:
        """Reads the transitions into columns."""
        lines, fullmatch = self.lines, self.form.pattern.fullmatch
        numbers: dict[str, float] = {}
        for at, text in enumerate(lines.texts[self.at :], self.at + 1):
            match = fullmatch(text)
            if match is None:
                self._other(at, text)
                if lines.is_hopeless:
                    return
                continue
            state, choice, next_state, value, seen, label = match.groups()
            prob = numbers.get(value)
            if prob is None:
                prob = lines.number(value)
                if prob is None:
                    self._no_probability(at, value)
                    if lines.is_hopeless:
                        return
                    continue
                numbers[value] = prob
            if label is None:
                name = -1
            elif label in self.names:
                name = self.names[label]
            else:
                lines.is_name(label, at, len(self.form.words), "label")
                name = self.names[label] = len(self.names)
            self.state.append(int(state))
            self.choice.append(int(choice or 0))
            self.next_state.append(int(next_state))
            self.prob.append(prob)
            self.seen.append(int(seen or 0))
            self.name.append(name)
            self.line.append(at)

    def _other(self, at: int, text: str) -> None:
        """Reads a line that is no transition: nothing, a comment, a first state, or a fault."""
        if is_comment(text):
            return
        words = WORD.findall(text)
        initial = _INITIAL.fullmatch(text)
        if initial and self.form.type == "POMDP":
            self.initial.append((int(initial[1]), int(initial[2]), at))
            return
        expected = self.form.words
        for place, (word, what) in enumerate(zip(words, expected, strict=False)):
            if what == "a probability":
                if self.lines.number(word) is None:
                    self._no_probability(at, word, place)
                    return
            elif not re.fullmatch("[0-9]{1,9}", word):
                if ":" in word:
                    self.lines.fail(at, place, "probability:state, as -exportrows writes it; export without it")
                else:
                    self.lines.fail(at, place, f"found {quoted(word)}; expected the number of {what}")
                return
        if len(words) < len(expected):
            self.lines.fail(at, len(words), f"the line ends; expected {expected[len(words)]}")
        else:
            self.lines.fail(at, len(expected) + 1, f"found {quoted(words[-1])}; expected the end of the line")

    def _no_probability(self, at: int, word: str, place: int | None = None) -> None:
        """Notes a word that is no number."""
        interval = "an interval, " if word.startswith("[") else ""
        place = self.form.place if place is None else place
        self.lines.fail(at, place, f"found {interval}{quoted(word)}; expected a probability, like 0.5 or 1/3")

    def _check_sizes(self, state: Ints, choice: Ints, next_state: Ints, prob: Floats, line: Ints) -> None:
        """Notes numbers that are out of range, and sizes that the file does not keep."""
        lines, size = self.lines, self.sizes
        place = self.form.place
        lines.expect_states(state, line, 0, size[0])
        lines.expect_states(next_state, line, place - 1, size[0])
        rates = "; a CTMC, which has rates, is not read" if self.form.type == "DTMC" else ""
        wrong = ~((prob >= 0) & (prob <= 1 + LOOSE_SLACK))
        lines.fail_all(wrong, line, place, f"probability {{}}; expected 0 to 1{rates}", prob)
        if lines.problems.count:
            return
        if place == 3:
            lines.fail_all(
                choice >= size[1],
                line,
                1,
                f"no choice {{}}; expected less than the {size[1]:,} of all states",
                choice,
            )
            choices = len(np.unique(state * (int(choice.max(initial=0)) + 1) + choice))
            if choices != size[1]:
                lines.fail(self.at, 1, f"{size[1]:,} choices; the file has {choices:,}")
        count = size[1] if place == 2 else size[2]
        if len(state) != count:
            lines.fail(self.at, place - 1, f"{count:,} transitions; the file has {len(state):,}")

    def _check_labels(self, state: Ints, choice: Ints, name: Ints, line: Ints) -> None:
        """Notes transitions whose label is not that of their choice."""
        if not len(state):
            return
        pair = state * (int(choice.max()) + 1) + choice
        _, first, which = np.unique(pair, return_index=True, return_inverse=True)
        names = [*self.names, "none"]
        mine = name[first][which.ravel()]
        for row in self.lines.shown(name != mine, line):
            own, other = quoted(names[name[row]]), quoted(names[mine[row]])
            message = f"label {own}; choice {choice[row]} of state {state[row]} has {other}"
            self.lines.fail(int(line[row]), len(self.form.words), message)

    def _observation(self, next_state: Ints, seen: Ints, line: Ints) -> Ints:
        """What is seen in each state `[S]`; notes states that are seen in two ways, or in none."""
        first = np.array(self.initial, dtype=np.int64).reshape(-1, 3)
        self.lines.expect_states(first[:, 0], first[:, 2], 2, self.sizes[0])
        if self.lines.problems.count:
            return seen
        state, seen = np.r_[first[:, 0], next_state], np.r_[first[:, 1], seen]
        line = np.r_[first[:, 2], line]
        observation = np.full(self.sizes[0], -1)
        observation[state[::-1]] = seen[::-1]  # the first line of each state counts
        wrong = seen != observation[state]
        self.lines.fail_all(wrong, line, 4, "observation {}; another line has another for this state", seen)
        unseen = np.flatnonzero(observation < 0)
        if len(unseen):
            states = f"state {unseen[0]}" + (f" and {len(unseen) - 1:,} others" if len(unseen) > 1 else "")
            hint = f"add `- - {unseen[0]} - observation`"
            self.lines.fail(self.at, 0, f"no line says what is seen in {states}; {hint}")
        return observation
