"""The verdict on gradients that a program printed of rollouts that `pgcheck trajectories --n` drew.

There is one look, at all that was drawn. It may spend what the rule's look at so many rollouts may spend, so that
those who come back with twice as many, and again, are never more often wrong than they agreed to.

A gradient is compared with others on the same rollouts, whose expectation is ∇J. Which of a few others are nearest
is seen only at the end; so there are sums for each, and each may spend its part of α: whichever is chosen, the
verdict is wrong no more often than all of them together.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import UsageError
from pgcheck.trajectories.listing import stream_of
from pgcheck.verification.batch_sums import BATCHES, Sums, errors_of
from pgcheck.verification.drawn import Draw
from pgcheck.verification.exhaustive import Expectation
from pgcheck.verification.known import Known, parts_of
from pgcheck.verification.limits import Limit, Skipped
from pgcheck.verification.matching import CANDIDATES, Match
from pgcheck.verification.partition import MOST, Partition
from pgcheck.verification.sampled_diagnosis import Means, candidates_of
from pgcheck.verification.sampled_finding import SampledFinding, gradient_of
from pgcheck.verification.sampling import Sampling
from pgcheck.verification.sequential import FIRST_LOOK, Look, looked_at
from pgcheck.verification.setting import Setting
from pgcheck.verification.streamed_reading import (
    Listed,
    answered,
    drawn_listed,
    example_of,
    in_order,
    in_parts,
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


@dataclass(frozen=True, eq=False)
class Allowed:
    """A known mistake that is allowed, and that explains all of the bias.

    Attributes:
      match: the mistake.
      bound: the relative bias that it leaves is below it.
    """

    match: Match
    bound: float


@dataclass(frozen=True, eq=False)
class Read:
    """What the gradients on a stream show.

    Attributes:
      finding: their mean beside ∇J.
      gradients, errors: their means over each batch of rollouts, and those of what they differ by from known ones
        whose expectation is ∇J `[K, d]`.
      allowed: what explains the bias, if that is allowed; None where nothing does.
    """

    finding: SampledFinding
    gradients: Floats
    errors: Floats
    allowed: Allowed | None


class _Compared:
    """Gradients less others on the same rollouts."""

    def __init__(self, expected: Callable[[Draw], Floats], size: int, match: Match | None = None) -> None:
        self.sums, self.match = Sums.empty(size), match
        self._expected = expected

    def add(self, draw: Draw, gradients: Floats, counts: Floats, *, single: bool) -> None:
        """Adds gradients `[m, d]` that came so often in each batch `[K, m]`."""
        self.sums.add_counted(errors_of(gradients, self._expected(draw), single=single), gradients, counts)


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
    stream: BinaryIO,
    setting: Setting,
    draws: Draws,
    sampling: Sampling,
    allow: Sequence[str] = (),
    progress: Progress | None = None,
) -> Read:
    """Returns what the gradients on a stream show of the program that printed them.

    Args:
      stream: a gradient on each line, of each distinct rollout or batch once.
      setting: the model, as it was listed.
      draws: what was drawn; at least 4,096 rollouts.
      sampling: how certain a verdict is.
      allow: ids of deviations that are intended.
      progress: called with the fraction done.

    Raises:
      EstimatorError: a line is no gradient, or there are too few or too many.
      TooLargeError: there are too many episodes, or they are too long to remember.
      PrecisionError: ∇J has lost too many digits.
    """
    gradient = gradient_of(setting, sampling.tolerance / 10)
    lines, partition = lines_of(stream, setting), Partition(draws.n, draws.stream(1))
    right, meant = _right(setting, gradient), _meant(setting, len(gradient), allow)
    steps = done = 0.0
    for listed, values in answered(lines, _parts(setting, draws), setting, draws.size):
        gradients, draw = in_order(values, setting), listed.draw()
        counts = partition.dealt(listed.measure.astype(np.int64)).astype(np.float64)
        for way in (*right, *meant):
            way.add(draw, gradients, counts, single=lines.is_imprecise)
        steps += float(listed.measure @ draw.batch.lengths[draw.index].mean(axis=1))
        done += float(listed.measure.sum())
        if progress is not None:
            progress(done / draws.n)

    def look_at(way: _Compared, *, up_to_scale: bool) -> Look:
        number, alpha = 1 + int(math.log2(draws.n / FIRST_LOOK)), (1 - sampling.confidence) / len((*right, *meant))
        return looked_at(
            way.sums,
            gradient,
            number,
            alpha=alpha,
            tolerance=sampling.tolerance,
            up_to_scale=up_to_scale,
            single=lines.is_imprecise,
            is_due_right=way.match is None,
        )

    nearest = min(right, key=lambda way: way.sums.errors.squares)
    finding = _finding(
        setting, draws.size or 1, nearest.sums, look_at(nearest, up_to_scale=sampling.up_to_scale), gradient,
        confidence=sampling.confidence, single=lines.is_imprecise, mean_length=steps / draws.n,
    )  # fmt: skip
    looks = [(way.match, look_at(way, up_to_scale=False)) for way in meant]
    passed = [Allowed(match, look.bound) for match, look in looks if match is not None and look.decision == "pass"]
    allowed = min(passed, key=lambda it: it.bound, default=None)
    return Read(finding, right[0].sums.means + gradient, nearest.sums.means, allowed)


def means_of(read: Read, draws: Draws) -> Means:
    """Returns the means over each batch, of what was read and of known estimators on the same rollouts."""
    finding = read.finding
    of = {candidate: np.zeros(read.gradients.shape) for candidate in candidates_of([finding])}
    partition = Partition(draws.n, draws.stream(1))
    for listed in _parts(finding.setting, draws):
        draw, counts = listed.draw(), partition.dealt(listed.measure.astype(np.int64))
        for candidate, total in of.items():
            total += counts @ draw.mean(candidate)
    for total in of.values():
        total /= draws.n // BATCHES
    gradient = example_of(finding.setting).flattened(finding.gradient)
    return Means(finding, gradient, read.errors, read.gradients, of)


def _parts(setting: Setting, draws: Draws) -> Iterator[Listed]:
    """What was drawn, in parts: the same every time."""
    return in_parts(drawn_listed(setting, draws.size, draws.n, draws.stream(0)), setting)


def _right(setting: Setting, gradient: Floats) -> list[_Compared]:
    """Gradients compared with known ones whose expectation is ∇J; first with ∇J itself."""
    parts = parts_of(setting)
    return [
        _Compared(Known(gradient, parts, coefficients[: len(parts)]), len(gradient))
        for coefficients in COMPARED
        if not any(coefficients[len(parts) :])
    ]


def _meant(setting: Setting, size: int, allow: Sequence[str]) -> list[_Compared]:
    """Gradients compared with known mistakes that are allowed; none where another policy drew the episodes."""
    if setting.off_policy:
        if allow:
            raise UsageError(
                "--allow is not for drawn episodes of another policy; without --n, all of them are listed"
            )
        return []
    mistakes = [mistake for mistake in CANDIDATES if set(mistake.ids) <= set(allow)]
    return [_Compared(partial(Draw.mean, candidate=it), size, Match(it, None)) for it in mistakes]


def _finding(
    setting: Setting, size: int, sums: Sums, look: Look, gradient: Floats,
    *, confidence: float, single: bool, mean_length: float,
) -> SampledFinding:  # fmt: skip
    """The mean of gradients beside ∇J."""
    mean, example = gradient + sums.mean, example_of(setting)  # what is due, and the error
    spread = max(0.0, sums.gradients.squares / sums.rollouts - float(mean @ mean))
    expectation = Expectation(size, example.shaped(mean), size * spread, single)
    return SampledFinding(
        setting, expectation, example.shaped(gradient), None, None, None, look, confidence,
        example.shaped(sums.std_error), "`trajectories` drew what was answered", mean_length,
    )  # fmt: skip
