"""Naming a mistake by drawn gradients: known mistakes on the same episodes, compared with standard errors.

Two comparisons exclude a known mistake C times a factor f. One is of ĝ − f C itself, which is 0 on every episode if ĝ
is that. The other has less noise elsewhere: the errors of ĝ, less f (C − REINFORCE) and (f − 1) ∇J, whose expectation
is the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, norm_of
from pgcheck.estimators.mistakes import REFERENCE, Candidate
from pgcheck.verification.batch_sums import BATCHES
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.matching import CANDIDATES, Match, diagnoses_of
from pgcheck.verification.outputs import ROUNDING, ROUNDING_IN_SINGLE
from pgcheck.verification.sampled_evidence import Sampled
from pgcheck.verification.scales import Scale, free_scale, known_scales
from pgcheck.verification.sequential import FIRST_LOOK, p_of_mean

MOST_BLOCKS = 8  # of 4,096 gradients, on which mistakes are compared
EXCLUDED = 1e-3  # the probability that chance excludes the mistake that is there, whatever the number of others


@dataclass(frozen=True, eq=False)
class Fit:
    """A known mistake that the drawn gradients do not exclude.

    Attributes:
      match: the mistake, or the gradient, and a factor.
      diagnoses: its names.
      is_equal: whether the gradients are its, on every batch that was drawn.
    """

    match: Match
    diagnoses: tuple[Diagnosis, ...]
    is_equal: bool

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of its names."""
        return tuple(dict.fromkeys(it.id for it in self.diagnoses))


@dataclass(frozen=True, eq=False)
class SampledDiagnosis:
    """What drawn gradients say of known mistakes.

    Attributes:
      fits: those that they do not exclude; one is singled out.
      excluded: how many others they exclude.
    """

    fits: tuple[Fit, ...]
    excluded: int

    @property
    def only(self) -> Fit | None:
        """The one that is singled out; None where there is none, or several."""
        return self.fits[0] if len({fit.ids for fit in self.fits}) == 1 else None


def diagnose_sampled(sampled: Sequence[Sampled]) -> SampledDiagnosis:
    """Returns which known mistakes, times which factors, the estimator may have made; those of the fewest words."""
    findings = [it.finding for it in sampled]
    off_policy = any(finding.setting.off_policy for finding in findings)
    candidates = (REFERENCE,) if off_policy else (REFERENCE, *CANDIDATES)
    seen = [_Seen(it, candidates) for it in sampled]
    scales = known_scales(findings)
    excluded = 0
    for matches in _stages(candidates, scales, seen):
        fits = [fit for match in matches if (fit := _fit(match, seen, len(matches))) is not None]
        excluded += len(matches) - len(fits)
        if equal := [fit for fit in fits if fit.is_equal]:
            return SampledDiagnosis(tuple(equal), excluded + len(fits) - len(equal))
        if fits:
            return SampledDiagnosis(tuple(fits), excluded)
    return SampledDiagnosis((), excluded)


def _stages(
    candidates: Sequence[Candidate], scales: Sequence[Scale], seen: "Sequence[_Seen]"
) -> Iterator[list[Match]]:
    """Mistakes as they are and the gradient times a factor with a meaning; the gradient times any; both together."""
    yield [
        *(Match(candidate, None) for candidate in candidates[1:]), *(Match(REFERENCE, scale) for scale in scales)
    ]  # fmt: skip
    factor = sum(it.factor for it in seen) / len(seen)
    yield [Match(REFERENCE, free_scale(factor, "scale/factor"))] if factor else []
    yield [Match(candidate, scale) for candidate in candidates[1:] for scale in scales]


def _fit(match: Match, seen: "Sequence[_Seen]", tried: int) -> Fit | None:
    """The match with its names; None where it is excluded."""
    factors = [1.0] * len(seen)
    if match.scale is not None:
        factors = [match.scale.factor(it.sampled.finding.circumstances) for it in seen]
    is_equal = all(it.is_equal(match.candidate, c) for it, c in zip(seen, factors, strict=True))
    if not is_equal:
        level = EXCLUDED / (2 * tried * len(seen))
        if any(it.p_value(match.candidate, c) <= level for it, c in zip(seen, factors, strict=True)):
            return None
    return Fit(match, tuple(diagnoses_of(match)), is_equal)


class _Seen:
    """The means over each batch of rollouts, of what was drawn again and of known estimators on the same episodes."""

    def __init__(self, sampled: Sampled, candidates: Sequence[Candidate]) -> None:
        self.sampled, self._gradient = sampled, sampled.outputs.gradient
        outputs = sampled.outputs
        d = len(self._gradient)
        self._of: dict[Candidate, Floats] = {it: np.zeros((BATCHES, d)) for it in candidates}
        self._errors, self._means = np.zeros((BATCHES, d)), np.zeros((BATCHES, d))
        blocks = min(MOST_BLOCKS, sampled.finding.look.rollouts // FIRST_LOOK)
        for number in range(blocks):
            for draw, (errors, gradients) in zip(outputs.drawn.block(number), outputs.block(number), strict=True):
                self._errors += _by_batch(errors)
                self._means += _by_batch(gradients)
                for candidate, total in self._of.items():
                    total += draw.sums(candidate, np.arange(len(draw.index)) % BATCHES, BATCHES) / draw.size
        per_batch = blocks * FIRST_LOOK / BATCHES
        for array in (self._errors, self._means, *self._of.values()):
            array /= per_batch
        self._slack = (ROUNDING_IN_SINGLE if outputs.single else ROUNDING) * float(np.abs(self._means).max(initial=0))

    @property
    def factor(self) -> float:
        """The factor with which the gradient is nearest; 0 where it is 0."""
        size = norm_of(self._gradient)
        return 0.0 if size == 0 else 1 + float(self._errors.mean(axis=0) @ self._gradient) / size**2

    def is_equal(self, candidate: Candidate, factor: float) -> bool:
        """Whether the gradients are the candidate's times the factor, in every batch."""
        off = np.abs(self._means - factor * self._of[candidate])
        return bool(np.any(self._means)) and float(off.max(initial=0.0)) <= self._slack

    def p_value(self, candidate: Candidate, factor: float) -> float:
        """Returns the probability that chance makes the difference to the candidate times the factor as great."""
        of = self._of[candidate]
        less_noise = self._errors - factor * (of - self._of[REFERENCE]) - (factor - 1) * self._gradient
        return min(p_of_mean(self._means - factor * of), p_of_mean(less_noise))


def _by_batch(rows: Floats) -> Floats:
    """The sum over those that stand in one batch `[K, d]`, of rows in turn `[K m, d]`."""
    return np.asarray(rows.reshape(-1, BATCHES, rows.shape[1]).sum(axis=0))
