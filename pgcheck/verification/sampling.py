"""Looks at more and more drawn gradients, until they decide or the most that may be drawn is reached."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from pgcheck.arrays import Floats
from pgcheck.errors import UsageError
from pgcheck.verification.batch_sums import Sums
from pgcheck.verification.outputs import Outputs, blocks_of
from pgcheck.verification.sequential import FIRST_LOOK, Look, looked_at, rollouts_at

CONFIDENCE = 0.999
TOLERANCE = 0.05  # relative bias that passes
SECONDS = 60.0  # about as long as gradients are drawn, unless it is said how many
MOST_LOOKS = 38  # 5e14 rollouts: counts stay exact

Reach = Callable[[int, float], None]  # is called with the most rollouts, and the seconds that they take
Told = Callable[[str, float], None]  # is called with how far it is, in words, and the fraction done


@dataclass(frozen=True)
class Sampling:
    """How many gradients are drawn, and how certain a verdict is.

    Attributes:
      confidence: 1 − α of all looks at all that is drawn for one verdict.
      tolerance: ρ, the relative bias that passes.
      max_rollouts: the most rollouts, or batches, or runs, for each finding; None is what takes about a minute.
      up_to_scale: whether a positive factor is accepted.
    """

    confidence: float = CONFIDENCE
    tolerance: float = TOLERANCE
    max_rollouts: int | None = None
    up_to_scale: bool = False

    def __post_init__(self) -> None:
        if not 0.5 <= self.confidence < 1 or 1 - self.confidence < 1e-12:
            raise UsageError(f"confidence {self.confidence}; expected at least 0.5, at most 1 - 1e-12")
        if self.max_rollouts is not None and self.max_rollouts < FIRST_LOOK:
            raise UsageError(f"max_rollouts {self.max_rollouts:,}; expected at least {FIRST_LOOK:,}, the first look")

    def shared(self, number: int) -> "Sampling":
        """Returns what each of so many findings may spend, so that all together are as certain."""
        return replace(self, confidence=1 - (1 - self.confidence) / max(1, number))


@dataclass(frozen=True, eq=False)
class Looked:
    """What was drawn, and the last look at it.

    Attributes:
      sums: of the gradients.
      look: what they decide.
    """

    sums: Sums
    look: Look


def looked_until_decided(
    outputs: Outputs,
    gradient: Floats,
    sampling: Sampling,
    *,
    reach: Reach | None = None,
    told: Told | None = None,
) -> Looked:
    """Returns what drawn gradients decide.

    Args:
      outputs: draws the gradients.
      gradient: ∇J `[d]`.
      sampling: how many, and how certain.
      reach: is told once, after the first few, how many there will be at most.
      told: is told how far it is.
    """
    sums, look = Sums.empty(len(gradient)), None
    last = MOST_LOOKS if sampling.max_rollouts is None else _look_within(sampling.max_rollouts)
    began, is_first = time.monotonic(), True
    number = 1
    while number <= last:
        for block in blocks_of(number):
            for errors, gradients in outputs.block(block):
                sums.add(errors, gradients)
                seconds = (time.monotonic() - began) / sums.rollouts
                if is_first:
                    is_first = False
                    if sampling.max_rollouts is None:
                        last = _look_within(min(SECONDS / max(seconds, 1e-12), float(rollouts_at(MOST_LOOKS))))
                    if reach is not None:
                        reach(rollouts_at(last), seconds * rollouts_at(last))
                if told is not None:
                    told(*_progress(sums.rollouts, look, rollouts_at(last), seconds))
        look = looked_at(
            sums, gradient, number,
            alpha=1 - sampling.confidence, tolerance=sampling.tolerance, up_to_scale=sampling.up_to_scale,
        )  # fmt: skip
        if look.decision != "inconclusive":
            break
        number += 1
    assert look is not None
    return Looked(sums, look)


def _look_within(rollouts: float) -> int:
    """The last look at no more than so many rollouts; the first, where that has more."""
    return min(MOST_LOOKS, 1 + max(0, math.floor(math.log2(rollouts / FIRST_LOOK))))


def _progress(done: int, look: Look | None, most: int, seconds: float) -> tuple[str, float]:
    """How far it is: the rollouts, the bound so far, and the time left; and the fraction of what is likely needed."""
    aim = most if look is None or look.needed is None else min(most, max(look.needed, 2 * look.rollouts))
    aim = max(aim, done)
    bound = "" if look is None or not math.isfinite(look.bound) else f", bias below {100 * look.bound:.3g} %"
    left = seconds * (aim - done)
    return f"{done:,} rollouts{bound}, {left:.0f} s left", done / aim
