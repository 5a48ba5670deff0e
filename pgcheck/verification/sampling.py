"""Looks at more and more drawn gradients, until they decide or the most that may be drawn is reached."""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from pgcheck.arrays import Floats
from pgcheck.errors import UsageError
from pgcheck.verification.batch_sums import Sums
from pgcheck.verification.outputs import Outputs, blocks_of
from pgcheck.verification.sequential import FIRST_LOOK, Look, looked_at, rollouts_at
from pgcheck.workers.executor import HERE, Executor

CONFIDENCE = 0.999
TOLERANCE = 0.05  # relative bias that passes
SECONDS = 60.0  # about as long as gradients are drawn, unless it is said how many
SETTLED = 2.0  # seconds after which it is known how long a gradient takes
RESULTS = 16  # by which it is told how long a gradient takes: those of several workers come at once
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
    is_due_right: bool = True,
    reach: Reach | None = None,
    told: Told | None = None,
    executor: Executor = HERE,
) -> Looked:
    """Returns what drawn gradients decide.

    Args:
      outputs: draws the gradients.
      gradient: ∇J `[d]`.
      sampling: how many, and how certain.
      is_due_right: whether what is expected of them has the expectation ∇J.
      reach: is told once, after some seconds at most, how many there will be at most.
      told: is told how far it is.
      executor: who draws the blocks of a look.
    """
    sums, look, clock = Sums.empty(len(gradient)), None, _Clock(reach)
    last = None if sampling.max_rollouts is None else _look_within(sampling.max_rollouts)
    for number in range(1, (last or MOST_LOOKS) + 1):
        for more in outputs.sums(blocks_of(number), executor):
            sums.merge(more)
            most = clock.most(sums.rollouts, last)
            if told is not None:
                told(*_progress(sums.rollouts, look, most))
        look = looked_at(
            sums, gradient, number,
            alpha=1 - sampling.confidence, tolerance=sampling.tolerance, up_to_scale=sampling.up_to_scale,
            single=outputs.single, is_due_right=is_due_right,
        )  # fmt: skip
        is_near = look.needed is not None and look.needed <= rollouts_at(number + 1)  # then it may take twice as long
        if look.decision != "inconclusive" or (last is None and 2 * clock.elapsed > SECONDS * (1 + is_near)):
            break
    assert look is not None
    return Looked(sums, look)


class _Clock:
    """How long gradients take, and how many there will be at most; `reach` is told once.

    Attributes:
      seconds: that one takes, by the last ones.
    """

    def __init__(self, reach: Reach | None) -> None:
        self._reach, self.seconds = reach, 0.0
        self._began = time.monotonic()
        self._results = deque([(self._began, 0)], RESULTS)  # when they came, and how many rollouts there were then

    @property
    def elapsed(self) -> float:
        """The seconds since the beginning."""
        return time.monotonic() - self._began

    def most(self, rollouts: int, last: int | None) -> int:
        """Returns how many there will be at most, once there are so many of them."""
        now = time.monotonic()
        since, before = self._results[0]
        self.seconds = max((now - since) / (rollouts - before), 1e-12)
        self._results.append((now, rollouts))
        left = (SECONDS - self.elapsed) / self.seconds
        most = rollouts_at(last or _look_within(max(left, 0.0) + rollouts))
        if self._reach is not None and (self.elapsed > SETTLED or rollouts >= FIRST_LOOK):
            self._reach(most, self.seconds * most)
            self._reach = None
        return most


def _look_within(rollouts: float) -> int:
    """The last look at no more than so many rollouts; the first, where that has more."""
    return min(MOST_LOOKS, 1 + math.floor(math.log2(max(rollouts / FIRST_LOOK, 1.0))))


def _progress(done: int, look: Look | None, most: int) -> tuple[str, float]:
    """How far it is: the rollouts and the bound so far; and the fraction of what is likely needed."""
    aim = most if look is None or look.needed is None else min(most, max(look.needed, 2 * look.rollouts))
    aim = max(aim, done)
    bound = "" if look is None or not math.isfinite(look.bound) else f", bias below {100 * look.bound:.3g} %"
    return f"{done:,} rollouts{bound}", done / aim
