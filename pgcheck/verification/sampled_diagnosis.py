"""Naming a mistake by drawn gradients: known mistakes on the same episodes, compared with standard errors.

Two comparisons exclude a known mistake C times a factor f. One is of ĝ − f C itself, which is 0 on every episode if ĝ
is that. The other has less noise elsewhere: the errors of ĝ, less f (C − REINFORCE) and (f − 1) ∇J, whose expectation
is the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, norm_of
from pgcheck.estimators.mistakes.weights import REFERENCE, Candidate
from pgcheck.verification.batch_sums import BATCHES, ROUNDING, ROUNDING_IN_SINGLE
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.gram import p_of_mean
from pgcheck.verification.matching import CANDIDATES, Match, diagnoses_of
from pgcheck.verification.sampled_evidence import Sampled
from pgcheck.verification.sampled_finding import SampledFinding
from pgcheck.verification.scales import free_scale, known_scales
from pgcheck.verification.sequential import FIRST_LOOK

MOST_BLOCKS = 32  # of 4,096 gradients, on which mistakes are compared
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
    candidates = candidates_of([it.finding for it in sampled])
    return diagnose_means([_means_of(it, candidates) for it in sampled])


def candidates_of(findings: Sequence[SampledFinding]) -> tuple[Candidate, ...]:
    """Returns the gradient and the known mistakes that drawn gradients are compared with."""
    return (REFERENCE,) if any(it.setting.off_policy for it in findings) else (REFERENCE, *CANDIDATES)


def diagnose_means(seen: "Sequence[Means]") -> SampledDiagnosis:
    """Returns the same from the means over each batch of rollouts.

    A mistake and a factor besides, and products of factors, are so many that chance fits some: they have to be equal.
    """
    findings, candidates = [it.finding for it in seen], tuple(seen[0].of)
    single, free = known_scales(findings, products=False), sum(it.factor for it in seen) / len(seen)
    simple = [*(Match(it, None) for it in candidates[1:]), *(Match(REFERENCE, scale) for scale in single)]
    fits = [fit for match in simple if (fit := _fit(match, seen, len(simple))) is not None]
    if free and not any(fit.match.candidate is REFERENCE for fit in fits):
        simple.append(Match(REFERENCE, free_scale(free, "scale/factor")))
        fits += [fit] if (fit := _fit(simple[-1], seen, len(simple))) is not None else []
    excluded = len(simple) - len(fits)
    if equal := _fewest([fit for fit in fits if fit.is_equal]):
        return SampledDiagnosis(equal, len(simple) - len(equal))
    scales = known_scales(findings)
    both = (Match(it, scale) for it in candidates for scale in scales if it is not REFERENCE or scale not in single)
    if equal := _fewest([fit for match in both if (fit := _equal(match, seen)) is not None]):
        return SampledDiagnosis(equal, len(simple))
    return SampledDiagnosis(tuple(fits), excluded)


def _fewest(equal: Sequence[Fit]) -> tuple[Fit, ...]:
    """Those whose names are not another's and more: a further fault is equal too where it does no harm."""
    return tuple(fit for fit in equal if not any(set(other.ids) < set(fit.ids) for other in equal))


def _factors(match: Match, seen: "Sequence[Means]") -> list[float]:
    if match.scale is None:
        return [1.0] * len(seen)
    return [match.scale.factor(it.finding.circumstances) for it in seen]


def _equal(match: Match, seen: "Sequence[Means]") -> Fit | None:
    """The match with its names, where the gradients are its; else None."""
    pairs = zip(seen, _factors(match, seen), strict=True)
    is_equal = all(it.is_equal(match.candidate, c) for it, c in pairs)
    return Fit(match, tuple(diagnoses_of(match)), True) if is_equal else None


def _fit(match: Match, seen: "Sequence[Means]", tried: int) -> Fit | None:
    """The match with its names; None where it is excluded."""
    if (equal := _equal(match, seen)) is not None:
        return equal
    level = EXCLUDED / (2 * tried * len(seen))
    if any(it.p_value(match.candidate, c) <= level for it, c in zip(seen, _factors(match, seen), strict=True)):
        return None
    return Fit(match, tuple(diagnoses_of(match)), False)


@dataclass(frozen=True, eq=False)
class Means:
    """The means over each batch of rollouts, of drawn gradients and of known estimators on the same episodes.

    Attributes:
      finding: what was drawn.
      gradient: ∇J `[d]`.
      errors, gradients: of what was drawn `[K, d]`.
      of: of each known estimator `[K, d]`, the gradient first.
    """

    finding: SampledFinding
    gradient: Floats
    errors: Floats
    gradients: Floats
    of: Mapping[Candidate, Floats]

    @property
    def factor(self) -> float:
        """The factor with which the gradient is nearest; 0 where it is 0."""
        size, known = norm_of(self.gradient), self.of[REFERENCE]
        if size == 0:
            return 0.0
        of_all = float(np.sum(self.gradients * known)) / max(float(np.sum(known**2)), 1e-300)
        if self.is_equal(REFERENCE, of_all):
            return of_all
        return 1 + float(self.errors.mean(axis=0) @ self.gradient) / size**2

    def is_equal(self, candidate: Candidate, factor: float) -> bool:
        """Whether the gradients are the candidate's times the factor, in every batch."""
        rounding = ROUNDING_IN_SINGLE if self.finding.expectation.single else ROUNDING
        slack = rounding * float(np.abs(self.gradients).max(initial=0))
        off = np.abs(self.gradients - factor * self.of[candidate])
        return bool(np.any(self.gradients)) and float(off.max(initial=0.0)) <= slack

    def p_value(self, candidate: Candidate, factor: float) -> float:
        """Returns the probability that chance makes the difference to the candidate times the factor as great."""
        of = self.of[candidate]
        less_noise = self.errors - factor * (of - self.of[REFERENCE]) - (factor - 1) * self.gradient
        return min(p_of_mean(self.gradients - factor * of), p_of_mean(less_noise))


def _means_of(sampled: Sampled, candidates: Sequence[Candidate]) -> Means:
    """The means of what was drawn, which is drawn again, and of known estimators."""
    outputs = sampled.outputs
    shape = BATCHES, len(outputs.gradient)
    errors, gradients, of = np.zeros(shape), np.zeros(shape), {it: np.zeros(shape) for it in candidates}
    blocks = min(MOST_BLOCKS, sampled.finding.look.rollouts // FIRST_LOOK)
    for number in range(blocks):
        for draw, (block_errors, block_gradients) in zip(
            outputs.drawn.block(number), outputs.block(number), strict=True
        ):
            errors += _by_batch(block_errors)
            gradients += _by_batch(block_gradients)
            for candidate, total in of.items():
                total += draw.sums(candidate, np.arange(len(draw.index)) % BATCHES, BATCHES) / draw.size
    per_batch = blocks * FIRST_LOOK / BATCHES
    for array in (errors, gradients, *of.values()):
        array /= per_batch
    return Means(sampled.finding, outputs.gradient, errors, gradients, of)


def _by_batch(rows: Floats) -> Floats:
    """The sum over those that stand in one batch `[K, d]`, of rows in turn `[K m, d]`."""
    return np.asarray(rows.reshape(-1, BATCHES, rows.shape[1]).sum(axis=0))
