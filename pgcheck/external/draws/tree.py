"""All runs of a piece of code: one for each way in which its random draws can come out, depth first.

A run is repeated from its start with the answers so far, then goes on with the first possible answer of each new
draw. The next run has the next answer of the last draw that has one. The runs are the leaves of a tree; their
probabilities sum to 1.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pgcheck.external.draws.answers import Answers, Draw
from pgcheck.external.draws.endings import ChangedError

MOST_PICKS = 10_000  # after which they begin anew


class Tree:
    """Which draws have been answered how: what the next run is told.

    Args:
      order: gives the order of what is shuffled; without it, each order is one of the answers.

    Attributes:
      runs: how many have been completed.
      mass: the sum of their probabilities.
      done: whether there is no other run.
    """

    def __init__(self, order: Callable[[int], list[int]] | None = None) -> None:
        self.runs = 0
        self.mass = 0.0
        self.done = False
        self._told: list[Draw] = []
        self._order = order

    def answers(self) -> Answers:
        """Returns the answers of the next run."""
        return Answers(self._told, order=self._order)

    def completed(self, answers: Answers) -> float:
        """Takes over what a run has drawn, and returns its probability.

        Raises:
          ChangedError: it drew less than it was told; the same answers led elsewhere before.
        """
        draws = [*answers.draws]
        if len(draws) < len(self._told):
            raise ChangedError(
                f"when all draws came out the same again, only {len(draws)} of {len(self._told)} were made: "
                "does the agent remember earlier runs?"
            )
        probability = answers.probability
        self.runs += 1
        self.mass += probability
        while draws and draws[-1].following() is None:
            draws.pop()
        if draws:
            following = draws[-1].following()
            assert following is not None
            draws[-1] = Draw(draws[-1].probs, following)
        self._told, self.done = draws, not draws
        return probability


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
