"""What is to be said of a known mistake: the form of each explanation."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pgcheck.estimators.mistakes.ids import TITLES

Mark = Literal[" ", "-", "+"]
Side = Literal["-", "+"]
CONTEXT = 4  # lines before and after those that differ


@dataclass(frozen=True)
class Case:
    """On what an estimator is checked: arguments of `verify`.

    Attributes:
      models: names of bundled models; none is the battery.
      horizon, gamma, entropy: in place of the models' own.
      off_policy: whether the behavior draws the episodes.
      up_to_scale: whether one positive factor is accepted.
    """

    models: tuple[str, ...] = ()
    horizon: int | None = None
    gamma: float | None = None
    entropy: float | None = None
    off_policy: bool = False
    up_to_scale: bool = False

    def measuring(self, mistake: str) -> str:
        """Returns the command line that measures a mistake there."""
        numbers = {"horizon": self.horizon, "gamma": self.gamma, "entropy": self.entropy}
        options = [f"--{name} {number:g}" for name, number in numbers.items() if number is not None]
        return " ".join(["pgcheck explain", mistake, *self.models, *options])

    def checking(self, place: str) -> str:
        """Returns the command line that checks the estimator at this place there."""
        command = self.measuring(place).replace("explain", "verify", 1)
        return command + " --off-policy" * self.off_policy + " --up-to-scale" * self.up_to_scale


@dataclass(frozen=True)
class Harmless:
    """When a mistake does no harm.

    Attributes:
      when: a sentence.
      case: where the wrong function has no bias for that reason, or with `up_to_scale`, another length than the
        gradient at most; None where no single check shows it.
      here_only: whether `verify` fails there all the same, because it also tries what the model does not have.
    """

    when: str
    case: Case | None = None
    here_only: bool = False


@dataclass(frozen=True)
class Thread:
    """Where a mistake was discussed in public.

    Attributes:
      title: of the issue, pull request or paper.
      place: the repository and the number, or authors and year.
      url: its address.
      said: what was said there, in a sentence.
    """

    title: str
    place: str
    url: str
    said: str


@dataclass(frozen=True)
class Code:
    """A wrong function and the right one, both named `gradient`, as one text.

    Attributes:
      text: Python, each line after two columns: `- ` before a wrong line, `+ ` before a right one, else spaces.
    """

    text: str

    @property
    def wrong(self) -> str:
        """The source of the wrong function, complete."""
        return self._side("-")

    @property
    def right(self) -> str:
        """The source of the right function, complete."""
        return self._side("+")

    @property
    def lines(self) -> tuple[tuple[Mark, str], ...]:
        """Each line with its mark."""
        return tuple(self._lines())

    @property
    def excerpt(self) -> tuple[tuple[Mark, str], ...]:
        """The lines that differ and a few around them, without the imports; `...` where others are left out."""
        lines = self.lines
        differ = [at for at, (mark, _) in enumerate(lines) if mark != " "]
        first = next(at for at, (_, line) in enumerate(lines) if line.startswith(("def ", "@agent")))
        begin, end = max(first, differ[0] - CONTEXT), min(len(lines), differ[-1] + CONTEXT + 1)
        part = list(lines[begin:end])
        if begin > first:
            part.insert(0, (" ", "..."))
        if end < len(lines):
            part.append((" ", "..."))
        return tuple(part)

    def differing(self, side: Side) -> tuple[int, ...]:
        """Returns which lines of one of the two sources are not in the other, counted from 1."""
        kept = [mark for mark, _ in self._lines() if mark in (" ", side)]
        return tuple(at for at, mark in enumerate(kept, 1) if mark == side)

    def _side(self, side: Side) -> str:
        return "".join(f"{line}\n" for mark, line in self._lines() if mark in (" ", side))

    def _lines(self) -> Iterator[tuple[Mark, str]]:
        for line in self.text.strip("\n").splitlines():
            mark: Mark = "-" if line.startswith("-") else "+" if line.startswith("+") else " "
            yield mark, line[2:]


@dataclass(frozen=True)
class Explanation:
    """A known mistake, explained.

    Attributes:
      id: its public name.
      what: what the mistake is.
      formula: what E[ĝ] − ∇J is, in lines, of the wrong function in `code`.
      why: what the formula says.
      code: a function that makes the mistake, and the same without it.
      case: on what it is measured.
      needs: modules beside NumPy without which it cannot be measured.
      harmless: when it does no harm; none where no such case is listed.
      threads: where it was discussed in public; none where no thread is known.
      see: ids of mistakes that are near.
    """

    id: str
    what: str
    formula: tuple[str, ...]
    why: str
    code: Code
    case: Case = Case()
    needs: tuple[str, ...] = ()
    harmless: tuple[Harmless, ...] = ()
    threads: tuple[Thread, ...] = ()
    see: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """A line that says what it is."""
        return TITLES[self.id]

    @property
    def is_loop(self) -> bool:
        """Whether the code is a training loop, which samples for itself, and no function of batches."""
        return "gymnasium" in self.needs


# The symbols of the formulas.
NOTATION = (
    "ψ_t = ∇log π(a_t|s_t); G_t = Σ_{k≥t} γ^{k−t} r_k; R = Σ_t γ^t r_t; L is the length of the episode, B the size "
    "of the batch; ∇J = E[Σ_t γ^t G_t ψ_t]."
)
