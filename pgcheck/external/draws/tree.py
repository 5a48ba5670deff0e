"""All runs of a piece of code: one for each way in which its random draws can come out, depth first.

A run is repeated from its start with the answers so far, then goes on with the first possible answer of each new
draw. The next run has the next answer of the last draw that has one. The runs are the leaves of a tree; their
probabilities sum to 1.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.external.draws.answers import Answers, Draw
from pgcheck.external.draws.endings import ChangedError

MOST_PICKS = 10_000  # after which they begin anew


@dataclass(frozen=True)
class Branch:
    """A part of the tree: runs that begin alike. By default it is all of them.

    Attributes:
      told: what the first of them is told.
      fixed: how many answers of these all of them share.
      last: the last answer to the draw after those which belongs to the branch; None where all do.
    """

    told: tuple[Draw, ...] = ()
    fixed: int = 0
    last: int | None = None

    def after(self, draws: Sequence[Draw]) -> tuple[Draw, ...] | None:
        """Returns what the run is told that follows one with these draws; None after the last of the branch."""
        for place in reversed(range(self.fixed, len(draws))):
            following = draws[place].following()
            is_beyond = following is None or (place == self.fixed and self.last is not None and following > self.last)
            if not is_beyond:
                assert following is not None
                return (*draws[:place], Draw(draws[place].probs, following))
        return None


class Tree:
    """Which draws have been answered how: what the next run of a branch is told.

    Args:
      branch: whose runs are made.
      order: gives the order of what is shuffled; without it, each order is one of the answers.

    Attributes:
      done: whether there is no other run.
    """

    def __init__(self, branch: Branch | None = None, order: Callable[[int], list[int]] | None = None) -> None:
        self.done = False
        self._branch = branch or Branch()
        self._told = self._branch.told
        self._order = order

    def answers(self) -> Answers:
        """Returns the answers of the next run."""
        return Answers(self._told, order=self._order)

    def completed(self, answers: Answers) -> float:
        """Takes over what a run has drawn, and returns its probability.

        Raises:
          ChangedError: it drew less than it was told; the same answers led elsewhere before.
        """
        check_told(self._told, answers)
        told = self._branch.after(answers.draws)
        self._told, self.done = told or (), told is None
        return answers.probability


def check_told(told: Sequence[Draw], answers: Answers) -> None:
    """Raises ChangedError where a run drew less than it was told."""
    if len(answers.draws) < len(told):
        raise ChangedError(
            f"when all draws came out the same again, only {len(answers.draws)} of {len(told)} were made: "
            "does the agent remember earlier runs?"
        )


@dataclass(frozen=True)
class Count:
    """How many runs there are, estimated from a few that were drawn at random.

    Attributes:
      mean: the estimate; it is unbiased, whatever the tree looks like.
      error: its standard error; 0 where all tries agree.
      tries: from how many runs.
    """

    mean: float
    error: float
    tries: int


def count_of(widths: list[float]) -> Count:
    """Returns the estimated number of leaves of a tree, by Knuth's method.

    Source: Knuth (1975), Estimating the efficiency of backtrack programs, https://doi.org/10.2307/2005469.

    Args:
      widths: of each run whose answers were drawn with equal probabilities, the product of the numbers of answers.
    """
    mean = math.fsum(widths) / len(widths)
    spread = math.fsum((width - mean) ** 2 for width in widths) / max(len(widths) - 1, 1)
    return Count(mean, math.sqrt(spread / len(widths)), len(widths))


def equally(rng: np.random.Generator) -> Callable[[tuple[float, ...]], int]:
    """Returns what picks each possible answer of a draw with equal probability, however likely it is."""
    numbers = itertools.cycle(rng.integers(2**62, size=MOST_PICKS).tolist())  # in a run no generator may draw

    def pick(probs: tuple[float, ...]) -> int:
        possible = [k for k, prob in enumerate(probs) if prob > 0]
        return int(possible[next(numbers) % len(possible)])

    return pick


def width_of(answers: Answers) -> float:
    """Returns the product of the numbers of possible answers of a run's draws."""
    return math.prod(float(draw.width) for draw in answers.draws)


def as_they_are(n: int) -> list[int]:
    """Returns n things in the order in which they are."""
    return list(range(n))


def other_orders(rng: np.random.Generator) -> Callable[[int], list[int]]:
    """Returns what gives orders drawn at random; of two things, mostly the one in which they are not."""
    numbers = itertools.cycle(rng.integers(2**62, size=MOST_PICKS).tolist())  # in a run no generator may draw

    def order(n: int) -> list[int]:
        keys = [next(numbers) for _ in range(n)]
        drawn = sorted(range(n), key=keys.__getitem__)
        is_kept = drawn == as_they_are(n) and next(numbers) % 4
        return drawn[::-1] if is_kept else drawn

    return order
