"""Draws from a finite set by its number of members, and where the user's code made them."""

import math
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

from pgcheck.external.draws.answers import asked
from pgcheck.external.draws.drawn import DrawnAnswers
from pgcheck.external.draws.tracing import is_of_library

MOST = 100_000  # members of a set that are listed one by one; a seed has 4 billion


def one_of(n: int, name: str) -> int:
    """Returns one of the numbers 0 to n - 1, which are equally likely.

    Args:
      n: how many there are.
      name: of the function that draws, for the message.

    Raises:
      UnanswerableError: there are more than can be listed.
    """
    answers = asked()
    if n > MOST and answers.noise is None:
        answers.refuse(
            f"{place()}: {name} draws one of {n:,} numbers; at most {MOST:,} can be listed: is it a seed? Fix it"
        )
    return answers.uniform(n)


def shuffle_by_swaps(x: Any) -> None:
    """Orders x anew, in place, one swap after the other: also where that goes wrong, as in views of a tensor."""
    order, present = asked().permutation(len(x)), list(range(len(x)))
    for last in reversed(range(1, len(x))):
        other = present.index(order[last])
        present[last], present[other] = present[other], present[last]
        x[last], x[other] = x[other], x[last]


def without_replacement(weights: Sequence[float], size: int) -> list[int]:
    """Returns `size` of the numbers in the order in which they are drawn, by the weights of those left."""
    left = [float(weight) for weight in weights]
    drawn = []
    for _ in range(size):
        drawn.append(asked().choose(left))
        left[drawn[-1]] = 0.0
    return drawn


def binomial(n: int, p: float, name: str) -> int:
    """Returns the number of successes in n independent tries.

    Raises:
      UnanswerableError: n is larger than can be listed.
    """
    answers = asked()
    if isinstance(answers, DrawnAnswers):
        return answers.by(lambda rng: int(rng.binomial(n, p)))
    if n > 1000:
        answers.refuse(f"{place()}: {name} counts the successes of {n:,} tries; at most 1,000 can be listed")
    return answers.choose([math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)])


def multinomial_counts(n: int, probs: Sequence[float], name: str) -> list[int]:
    """Returns how often each of the numbers comes in n draws: one count after the other, given those before.

    Args:
      n: how many draws.
      probs: of each number; the last one is what is missing to 1.
      name: of the function that draws, for the message.
    """
    counts, rest = [], 1.0
    for prob in probs[:-1]:
        share = max(float(prob) / rest, 0.0) if rest > 0 else 0.0
        share = 1.0 if share > 1 - 1e-12 else share  # what is left by rounding is no outcome
        counts.append(binomial(n, share, name))
        n, rest = n - counts[-1], rest - float(prob)
    return [*counts, n]


def place() -> str:
    """Returns FILE:LINE of the innermost call outside of Python's library, installed packages and pgcheck."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not is_of_library(frame):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return "a library"
