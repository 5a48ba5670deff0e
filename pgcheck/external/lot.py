"""What some runs of an agent have shown together, and the branches of the tree that the others are in."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.external.draws.tree import Branch
from pgcheck.external.run import Outcome
from pgcheck.external.sample import told


@dataclass(eq=False)
class Lot:
    """What some runs have shown together.

    Attributes:
      mean: Σ P ĝ `[d]`; runs whose gradient is not finite, or which computed none, count as 0.
      runs: how many.
      mass: the sum of their probabilities.
      square: Σ P ‖ĝ‖².
      not_finite, without: the probability of runs whose gradient is not finite, and of those that computed none.
      clipped: the probability of runs in which a gradient was clipped.
      probs: the probability of each run.
      episodes: those of each run, as numbers that `pgcheck.external.episodes.decoded` reads.
      done: whether these are all runs that were asked for, and not only as many as may be made.
      shuffled: whether something was shuffled in one of them, whose order made no difference.
      anew: whether no runs count, because orders turned out to matter: they have to be drawn, from the beginning.
    """

    mean: Floats
    runs: int = 0
    mass: float = 0.0
    square: float = 0.0
    not_finite: float = 0.0
    without: float = 0.0
    clipped: float = 0.0
    probs: list[float] = field(default_factory=list)
    episodes: list[int] = field(default_factory=list)
    done: bool = False
    shuffled: bool = False
    anew: bool = False

    def add(self, outcome: Outcome, prob: float) -> None:
        """Takes in one run."""
        self.runs, self.mass = self.runs + 1, self.mass + prob
        self.probs.append(prob)
        self.clipped += prob * bool(outcome.watch.clips)
        self.shuffled = self.shuffled or outcome.answers.shuffles > 0
        answers, gradient = outcome.answers, outcome.gradient
        self.episodes += told(answers)
        if gradient is None:
            self.without += prob
        elif not np.all(np.isfinite(gradient)):
            self.not_finite += prob
        else:
            self.mean += prob * gradient
            self.square += prob * float(gradient @ gradient)

    @classmethod
    def of(cls, lots: "Sequence[Lot]") -> "Lot":
        """Returns what several lots show together, at least one."""
        mass, square, not_finite, without, clipped = (
            _sum([getattr(lot, name) for lot in lots])
            for name in ("mass", "square", "not_finite", "without", "clipped")
        )
        return cls(
            np.array([_sum(column) for column in np.array([lot.mean for lot in lots]).T]),
            sum(lot.runs for lot in lots), mass, square, not_finite, without, clipped,
            [prob for lot in lots for prob in lot.probs], [number for lot in lots for number in lot.episodes],
            all(lot.done for lot in lots), any(lot.shuffled for lot in lots), any(lot.anew for lot in lots),
        )  # fmt: skip

    @property
    def arrays(self) -> tuple[np.ndarray[Any, Any], ...]:
        """All of it, as arrays that `of_arrays` reads."""
        numbers = [self.mass, self.square, self.not_finite, self.without, self.clipped]
        flags = [self.runs, self.done, self.shuffled, self.anew]
        return (
            self.mean, np.array(numbers), np.array(flags, dtype=np.int64), np.array(self.probs, dtype=np.float64),
            np.array(self.episodes, dtype=np.int64),
        )  # fmt: skip

    @classmethod
    def of_arrays(cls, arrays: tuple[np.ndarray[Any, Any], ...]) -> "Lot":
        """Returns the lot of such arrays."""
        mean, numbers, flags, probs, episodes = arrays
        mass, square, not_finite, without, clipped = numbers.tolist()
        runs, done, shuffled, anew = flags.tolist()
        return cls(
            mean, runs, mass, square, not_finite, without, clipped, probs.tolist(), episodes.tolist(), bool(done),
            bool(shuffled), bool(anew),
        )  # fmt: skip


@dataclass(frozen=True)
class Before:
    """What is known before the runs of a branch.

    Attributes:
      drawn: whether orders of what is shuffled are drawn like all else, because they matter.
      greatest: number in a gradient.
      shuffled: how many runs were repeated with other orders.
      heaviest: P ‖ĝ‖ of the run that adds most, of which it is known that its gradient comes out again.
    """

    drawn: bool = False
    greatest: float = 0.0
    shuffled: int = 0
    heaviest: float = 0.0


@dataclass(frozen=True, eq=False)
class Cut:
    """The runs that show where the tree of all runs is cut, and what is left of it.

    Attributes:
      lot: these runs.
      branches: in which the others are, in their order.
      before: what these runs have shown for the others.
    """

    lot: Lot
    branches: tuple[Branch, ...]
    before: Before


def _sum(numbers: Sequence[float] | Floats) -> float:
    try:
        return math.fsum(numbers)
    except OverflowError:
        return math.inf
