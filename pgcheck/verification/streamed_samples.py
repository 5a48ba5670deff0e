"""The verdict on gradients that a program printed of rollouts that `pgcheck trajectories --n` drew.

There is one look, at all that was drawn. It may spend what the rule's look at so many rollouts may spend, so that
those who come back with twice as many, and again, are never more often wrong than they agreed to.

A gradient is compared with others on the same rollouts, whose expectation is ∇J. Which of a few others are nearest
is seen only at the end; so there are sums for each, and each may spend its part of α: whichever is chosen, the
verdict is wrong no more often than all of them together.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import UsageError
from pgcheck.trajectories.listing import stream_of
from pgcheck.verification.batch_sums import Sums
from pgcheck.verification.exhaustive import Expectation
from pgcheck.verification.known import Known, parts_of
from pgcheck.verification.limits import Limit, Skipped
from pgcheck.verification.outputs import ROUNDING, ROUNDING_IN_SINGLE
from pgcheck.verification.partition import MOST, Partition
from pgcheck.verification.sampled_finding import SampledFinding, gradient_of
from pgcheck.verification.sampling import Sampling
from pgcheck.verification.sequential import FIRST_LOOK, looked_at
from pgcheck.verification.setting import Setting
from pgcheck.verification.streamed_reading import (
    Listed,
    answered,
    drawn_listed,
    example_of,
    in_order,
    lines_of,
)

# Coefficients of the parts of `Known`: nothing; rewards to go; the whole return; rewards to go less V(s_t).
COMPARED = ((0.0, 0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0), (1.0, 1.0, 0.0, 0.0), (1.0, 0.0, 0.0, -1.0))

Progress = Callable[[float], None]  # is called with the fraction done


@dataclass(frozen=True)
class Draws:
    """What `trajectories` was told to draw.

    Attributes:
      n: how many rollouts, or batches.
      seed: of the random numbers.
      size: B; None where each rollout has a gradient.
    """

    n: int
    seed: int = 0
    size: int | None = None

    def stream(self, which: int) -> np.random.Generator:
        """Returns what draws the rollouts (0), or deals them out to batches (1)."""
        return stream_of(np.random.default_rng(self.seed), self.n, which)


@dataclass(eq=False)
class _Compared:
    """Gradients beside known ones on the same rollouts."""

    known: Known
    sums: Sums = field(init=False)

    def __post_init__(self) -> None:
        self.sums = Sums.empty(len(self.known.gradient))

    def add(self, listed: Listed, gradients: Floats, counts: Floats, slack: float) -> None:
        """Adds gradients `[m, d]` that came so often in each batch `[K, m]`."""
        assert listed.batch is not None
        expected = self.known(listed.batch)
        if listed.members is not None:
            expected = expected[listed.members].mean(axis=1)
        errors = gradients - expected
        errors[np.abs(errors).max(axis=1, initial=0.0) <= slack] = 0.0
        self.sums.add_counted(errors, gradients, counts)


def too_few(draws: Draws, setting: Setting) -> Skipped | None:
    """Returns why so few rollouts are not looked at; None where they are enough.

    Raises:
      UsageError: there are too many.
    """
    if draws.n > MOST:
        raise UsageError(f"--n {draws.n:,}: gradients of at most {MOST:,} rollouts are read")
    if draws.n >= FIRST_LOOK:
        return None
    noun = "rollouts" if draws.size is None else "batches"
    return Skipped(setting.mdp.name, f"{draws.n:,} {noun} are too few", limit=Limit("--n", FIRST_LOOK, None))


def sampled_lines(
    stream: BinaryIO, setting: Setting, draws: Draws, sampling: Sampling, progress: Progress | None = None
) -> SampledFinding:
    """Returns what the gradients on a stream show of the program that printed them.

    Args:
      stream: a gradient on each line, of each distinct rollout or batch once.
      setting: the model, as it was listed.
      draws: what was drawn; at least 4,096 rollouts.
      sampling: how certain a verdict is.
      progress: called with the fraction done.

    Raises:
      EstimatorError: a line is no gradient, or there are too few or too many.
      TooLargeError: there are too many episodes, or they are too long to remember.
      PrecisionError: ∇J has lost too many digits.
    """
    gradient = gradient_of(setting, sampling.tolerance / 10)
    lines, partition = lines_of(stream, setting), Partition(draws.n, draws.stream(1))
    compared = [_Compared(known) for known in _known(setting, gradient)]
    greatest, steps, done = 0.0, 0.0, 0.0
    drawn = drawn_listed(setting, draws.size, draws.n, draws.stream(0))
    for listed, values in answered(lines, drawn, setting, draws.size):
        gradients = in_order(values, setting)
        greatest = max(greatest, float(np.abs(gradients).max(initial=0.0)))
        slack = (ROUNDING_IN_SINGLE if lines.is_imprecise else ROUNDING) * greatest
        counts = partition.dealt(listed.measure.astype(np.int64)).astype(np.float64)
        for way in compared:
            way.add(listed, gradients, counts, slack)
        steps += float(listed.measure @ _lengths(listed))
        done += float(listed.measure.sum())
        if progress is not None:
            progress(done / draws.n)
    nearest = min(compared, key=lambda way: way.sums.errors.squares).sums
    look = looked_at(
        nearest, gradient, 1 + int(math.log2(draws.n / FIRST_LOOK)), alpha=(1 - sampling.confidence) / len(compared),
        tolerance=sampling.tolerance, up_to_scale=sampling.up_to_scale,
    )  # fmt: skip
    mean, size = gradient + nearest.mean, draws.size or 1  # what is due, and the error
    spread = max(0.0, nearest.gradients.squares / nearest.rollouts - float(mean @ mean))
    example = example_of(setting)
    expectation = Expectation(size, example.shaped(mean), size * spread, lines.is_imprecise)
    return SampledFinding(
        setting, expectation, example.shaped(gradient), None, None, None, look, sampling.confidence,
        example.shaped(nearest.std_error), "the program answered rollouts that were drawn", steps / draws.n,
    )  # fmt: skip


def _known(setting: Setting, gradient: Floats) -> Iterator[Known]:
    """What the gradients are compared with."""
    parts = parts_of(setting)
    for coefficients in COMPARED:
        if not any(coefficients[len(parts) :]):
            yield Known(gradient, parts, coefficients[: len(parts)])


def _lengths(listed: Listed) -> Floats:
    """The mean length of the episodes that each line is about `[m]`."""
    assert listed.batch is not None
    lengths = listed.batch.lengths.astype(np.float64)
    return lengths if listed.members is None else lengths[listed.members].mean(axis=1)
