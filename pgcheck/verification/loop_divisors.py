"""What the sum over the steps of a run may be divided by, and which of its episodes count."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.mistakes.weights import public_id
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.recorded import Recorded


@dataclass(frozen=True, eq=False)
class Divisor:
    """A divisor of the sum over a run.

    Attributes:
      share: from the records to what each episode is multiplied by `[E]`.
      cause: what is wrong with it; None for the number of episodes, which is right.
      only_ended: whether episodes that were under way at the end are left out.
    """

    share: Callable[[Recorded], Floats]
    cause: str | None = None
    only_ended: bool = False

    def factor(self, records: Sequence[Recorded]) -> float | None:
        """Returns by what it differs from a mean over all episodes, where that is the same always; else None."""
        if self is WHOLE:
            return 1.0
        ratios = np.concatenate([self.share(it) * it.episodes[it.run] for it in records])
        return float(ratios[0]) if len(ratios) and np.ptp(ratios) <= 1e-9 * abs(ratios[0]) else None

    def diagnoses(self, records: Sequence[Recorded], *, bootstrapped: bool) -> tuple[Diagnosis, ...]:
        """Returns what is wrong with it, and with the episodes that the runs hold.

        Args:
          records: what was recorded on each model.
          bootstrapped: whether a critic's value stands for the rewards after the end of the buffer.
        """
        names: list[Diagnosis] = []
        if self is WHOLE:
            return ()
        cuts = any(not np.all(it.ended[it.number]) for it in records)
        if cuts and self.only_ended:
            names.append(_named("cut-episodes-dropped/under-way"))
        elif cuts:
            names.append(_named("window/value" if bootstrapped else "window/missing"))
        elif self.cause is None and any(np.ptp(it.episodes) > 0 for it in records):
            names.append(_named("window/number"))
        steps = np.unique(np.concatenate([it.steps for it in records]))
        cause = self.cause
        if cause == "scale/batch-sum" and any(np.ptp(it.episodes) > 0 for it in records):
            cause = "scale/run-sum"
        if cause == "scale/buffer-steps":
            if all(np.all(it.episodes == 1) for it in records):
                return (*names, _named("length-normalised/length"))
            if len(steps) == 1:
                return (*names, Diagnosis("scale", cause, (("steps", int(steps[0])),)))
            cause = "length-normalised/batch-steps"
        return (*names, *([] if cause is None else [_named(cause)]))


def _named(cause: str) -> Diagnosis:
    return Diagnosis(public_id(cause), cause)


def _each(values: Floats, recorded: Recorded) -> Floats:
    """1 over a number of each run, for each of its episodes `[E]`; 0 where the number is 0."""
    return np.where(values > 0, 1 / np.where(values > 0, values, 1.0), 0.0)[recorded.run]


def _ended(recorded: Recorded) -> Floats:
    return recorded.ended[recorded.number].astype(np.float64)


def _number_ended(recorded: Recorded) -> Floats:
    return np.bincount(recorded.run, _ended(recorded), len(recorded.probs)).astype(np.float64)


def _steps_ended(recorded: Recorded) -> Floats:
    return np.bincount(recorded.run, _ended(recorded) * recorded.lengths, len(recorded.probs)).astype(np.float64)


def _longest(recorded: Recorded) -> Floats:
    longest = np.zeros(len(recorded.probs))
    np.maximum.at(longest, recorded.run, recorded.lengths)
    return longest


def _environments(recorded: Recorded) -> Floats:
    count = np.zeros(len(recorded.probs))
    np.maximum.at(count, recorded.run, recorded.environment + 1.0)
    return count


# The first that fits is named.
DIVISORS: tuple[Divisor, ...] = (
    Divisor(lambda it: _each(it.episodes, it)),
    Divisor(lambda it: np.ones(len(it.run)), "scale/batch-sum"),
    Divisor(lambda it: _each(it.steps, it), "scale/buffer-steps"),
    Divisor(lambda it: _each(it.episodes, it) / it.batch.horizon, "length-normalised/horizon"),
    Divisor(lambda it: _each(it.episodes * _longest(it), it), "length-normalised/batch-padding"),
    Divisor(lambda it: _each(_environments(it), it), "scale/environments"),
    Divisor(lambda it: np.full(len(it.run), 1 / it.steps.max(initial=1.0)), "scale/buffer-size"),
    Divisor(lambda it: _ended(it) * _each(_number_ended(it), it), only_ended=True),
    Divisor(_ended, "scale/batch-sum", only_ended=True),
    Divisor(lambda it: _ended(it) * _each(_steps_ended(it), it), "length-normalised/batch-steps", only_ended=True),
)


# The expectation over all episodes of the model. Where runs hold different numbers of them a loop may still have it:
# those that a run holds are exchangeable.
WHOLE = Divisor(lambda it: np.ones(len(it.run)))


def usable(records: Sequence[Recorded]) -> list[Divisor]:
    """Returns the divisors that differ from those before them on these records."""
    kept: list[tuple[Divisor, list[Floats]]] = []
    for divisor in DIVISORS:
        shares = [divisor.share(it) for it in records]
        same = (all(np.allclose(a, b, rtol=1e-12) for a, b in zip(shares, own, strict=True)) for _, own in kept)
        if not any(same):
            kept.append((divisor, shares))
    return [divisor for divisor, _ in kept]


def of_fixed_number(records: Sequence[Recorded]) -> bool:
    """Whether all runs hold the same number of episodes, none of which is cut."""
    return all(np.ptp(it.episodes) == 0 and bool(np.all(it.ended[it.number])) for it in records)
