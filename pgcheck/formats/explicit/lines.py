"""The lines of a text file in which each line stands for itself, and the faults in them, at their words."""

import re

import numpy as np

from pgcheck.arrays import Bools, Floats, Ints
from pgcheck.formats.assembling import LOOSE_SLACK
from pgcheck.formats.problems import LINE_ENDS, Problems, hidden
from pgcheck.formats.reader import MAX_NAME, number, quoted
from pgcheck.formats.transitions import MAX_SIZE, SIZE, sum_text

INDEX = r"([0-9]{1,9})"  # the number of a state or of a choice, as the readers' patterns take it
MAX_STATES = 1_000_000
MAX_FAULTS = 1000  # lines; a file of another kind may have millions

WORD = re.compile(r"[^ \t]+")

_LINE_END = re.compile(f"\r\n|[{LINE_ENDS}]")
_COMMENT = re.compile(r"[ \t]*(#.*)?", re.DOTALL)


def is_comment(text: str) -> bool:
    """Whether a line of PRISM is empty or a comment."""
    return _COMMENT.fullmatch(text) is not None


class Lines:
    """The lines of a file, with its problems; lines and words are counted from 1 and 0.

    A number is written as `3`, `0.5`, `1e-3` or `1/3`. Texts are read once: few of them differ.
    """

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.problems = Problems(file, text)
        odd = any(end in text for end in LINE_ENDS if end != "\n")
        self.texts = _LINE_END.split(text) if odd else text.split("\n")
        self._numbers: dict[str, float | None] = {}

    @property
    def is_hopeless(self) -> bool:
        """Whether so many lines are at fault that reading on is of no use."""
        return self.problems.count >= MAX_FAULTS

    def first(self) -> int:
        """Returns the first line that is neither empty nor a comment, else the last."""
        return next((at for at, text in enumerate(self.texts, 1) if not is_comment(text)), len(self.texts))

    def number(self, text: str) -> float | None:
        """Returns the number that a text stands for; None for any other text."""
        if text not in self._numbers:
            self._numbers[text] = number(text)
        return self._numbers[text]

    def fail(self, line: int, word: int, message: str) -> None:
        """Notes an error at a word of a line; the line's end, where it has not so many words."""
        column = 1
        if self.problems.shows(line, 1):
            text = self.texts[line - 1]
            places = [match.start() for match in WORD.finditer(text)]
            column += places[word] if word < len(places) else len(text.rstrip(" \t"))
        self.problems.add(line, column, message)

    def fail_all(self, wrong: Bools, line: Ints, word: int, message: str, values: Ints | Floats) -> None:
        """Notes the rows `[K]` that are wrong, each in its line; `{}` in the message is its value."""
        for row in self.shown(wrong, line):
            self.fail(int(line[row]), word, message.format(f"{values[row]:.12g}"))

    def shown(self, wrong: Bools, line: Ints) -> list[int]:
        """Returns the rows `[K]` that are wrong, of those that stand first in the file; the rest are counted."""
        rows = np.flatnonzero(wrong)
        return self.problems.first(rows[np.argsort(line[rows], kind="stable")])

    def is_name(self, text: str, line: int, word: int, noun: str) -> bool:
        """Whether a text can be a name; notes it if not."""
        if char := hidden(text):
            self.fail(line, word, f"{noun} {quoted(text)} holds the hidden character U+{ord(char):04X}; remove it")
        elif not text or len(text) > MAX_NAME:
            self.fail(line, word, f"{noun} of {len(text):,} characters; expected 1 to {MAX_NAME:,}")
        else:
            return True
        return False

    def expect_states(self, states: Ints, line: Ints, word: int, num_states: int) -> None:
        """Notes numbers `[K]` that are no states."""
        self.fail_all(states >= num_states, line, word, f"no state {{}}; expected 0 to {num_states - 1}", states)

    def expect_rewards(self, rewards: Floats, line: Ints, word: int) -> None:
        """Notes rewards `[K]` that are out of range."""
        wrong = ~(np.abs(rewards) <= MAX_SIZE)
        self.fail_all(wrong, line, word, f"reward {{}} is out of range; expected {SIZE}", rewards)

    def expect_sums(self, state: Ints, choice: Ints, prob: Floats, line: Ints, what: str) -> None:
        """Notes choices whose probabilities do not sum to 1, in the line of their first transition.

        Args:
          state, choice, prob, line: of the transitions `[K]`, in any order.
          what: the message names `state 3, choice 0` where this is `choice`, else only the state.
        """
        if not len(state):
            return
        pair = state * (int(choice.max()) + 1) + choice
        _, first, which = np.unique(pair, return_index=True, return_inverse=True)
        total = np.bincount(which.ravel(), weights=prob)
        for row in self.shown(np.abs(total - 1) > LOOSE_SLACK, line[first]):
            k = first[row]
            at = f"state {state[k]}, choice {choice[k]}" if what == "choice" else f"state {state[k]}"
            self.fail(int(line[k]), 0, f"{at}: {sum_text(float(total[row]))}")
