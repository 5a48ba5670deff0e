"""The law of a draw by listing all answers, and how far samples are from a law."""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from pgcheck.external.draws.answers import Answers, Draw, answered_by


def law(draw: Callable[[], Any], *, most: int = 20_000) -> dict[Hashable, float]:
    """Returns the probability of each outcome, over all ways in which the draws within can be answered."""
    told: list[Draw] = []
    found: Counter[Hashable] = Counter()
    for _ in range(most):
        answers = Answers(told)
        with answered_by(answers):
            outcome = key(draw())
        found[outcome] += answers.probability  # type: ignore[assignment]
        told = answers.draws
        while told and told[-1].following() is None:
            told.pop()
        if not told:
            return dict(found)
        told[-1].answer = told[-1].following()  # type: ignore[assignment]
    raise AssertionError(f"more than {most} runs")


def key(outcome: Any) -> Hashable:
    """Returns an outcome as something that can be counted: by its numbers alone."""
    if isinstance(outcome, str | bytes | int | float):
        return outcome
    return str(np.asarray(outcome).tolist())


def distance(samples: Sequence[Any], expected: dict[Hashable, float]) -> float:
    """Returns by how many standard deviations the chi-square statistic of the samples is too large."""
    counts = Counter(key(sample) for sample in samples)
    if any(expected.get(outcome, 0.0) <= 0 for outcome in counts):
        return math.inf
    n, cells = len(samples), [outcome for outcome, prob in expected.items() if prob > 0]
    statistic = sum((counts[cell] - n * expected[cell]) ** 2 / (n * expected[cell]) for cell in cells)
    freedom = len(cells) - 1
    return (statistic - freedom) / math.sqrt(2 * freedom) if freedom else 0.0


def tilted(expected: dict[Hashable, float]) -> dict[Hashable, float]:
    """Returns a wrong law of the same outcomes: half of the likeliest one's probability goes to the others."""
    likeliest = max(expected, key=lambda outcome: expected[outcome])
    moved = expected[likeliest] / 2
    others = len([prob for prob in expected.values() if prob > 0]) - 1
    return {
        outcome: prob - moved if outcome == likeliest else prob + moved / others * (prob > 0)
        for outcome, prob in expected.items()
    }


def same_kind(made: Any, real: Any) -> bool:
    """Whether two results have the same type, shape and dtype."""
    return (
        type(made) is type(real)
        and getattr(made, "dtype", None) == getattr(real, "dtype", None)
        and np.shape(made) == np.shape(real)
    )
