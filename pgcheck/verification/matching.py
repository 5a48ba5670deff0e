"""Naming a mistake by its expectation: which known mistake, times which factor, it is on every model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgcheck.arrays import Floats, norm_of
from pgcheck.estimators.mistakes import MISTAKES, REFERENCE, Candidate, Mistake, public_id
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.findings import Finding
from pgcheck.verification.impulses import WeightMatrix, correct_weights, impulses, weights_agree
from pgcheck.verification.misplaced import MISPLACED_SCORES
from pgcheck.verification.probing import CHAIN_STEPS, Prober

# An estimator that leaves out the reward of its own step often discounts from the next reward on: no mistake besides.
_SCALES_OF_OFF_BY_ONE = ("scale/gamma", "scale/over-gamma")

CANDIDATES: tuple[Mistake, ...] = (*MISTAKES, *MISPLACED_SCORES)


@dataclass(frozen=True)
class Scale:
    """A factor by which an expectation differs from a candidate's.

    Attributes:
      diagnosis: what the factor means.
      factors: the factor on each finding.
    """

    diagnosis: Diagnosis
    factors: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Match:
    """A candidate that an expectation is equal to, or a multiple of."""

    candidate: Candidate
    scale: Scale | None

    def has_same_weights(self, matrix: WeightMatrix, gamma: float) -> bool:
        """Whether the candidate weights steps by rewards as the estimator does, times a factor that is likely."""
        weights = impulses(self.candidate.each, CHAIN_STEPS, gamma)
        factors = [1.0]
        if self.scale is not None:
            factors = [*self.scale.factors, 1 / CHAIN_STEPS, gamma, 1 / gamma, float(CHAIN_STEPS), -1.0]
        return any(weights_agree(matrix.values, factor * weights) for factor in factors)


def match_mistakes(
    prober: Prober,
    findings: Sequence[Finding],
    matrix: WeightMatrix | None,
    mistakes: Sequence[Mistake] = CANDIDATES,
) -> list[Diagnosis]:
    """Returns the known mistake, or the multiple of one or of the gradient, that fits on every model.

    Empty where none fits. All findings have an enumeration.
    """
    if all(_size(finding) <= prober.tolerance * finding.norm for finding in findings):
        return [Diagnosis("zero-mean", "zero-mean")]
    # Where one model with one direction is all there is, any candidate is a multiple of any other, and only impulses
    # tell them apart.
    one_direction = sum(finding.freedom for finding in findings) < 2
    matches = _matches(findings, mistakes, prober.tolerance, any_factor=not one_direction)
    agreeing = [match for match in matches if matrix is not None and match.has_same_weights(matrix, prober.gamma)]
    if one_direction and not agreeing and not prober.off_policy:
        return _match_impulses(prober, matrix)
    if not matches:
        return []
    diagnoses = _diagnoses((agreeing or matches)[0], matrix, prober.tolerance)
    without_discount = None if prober.off_policy else prober.matrix(1.0)
    if diagnoses and without_discount is not None and without_discount.is_right:
        diagnoses[0] = replace(diagnoses[0], notes=(*diagnoses[0].notes, "right-at-gamma-1"))
    return diagnoses


def best_factor(means: Sequence[Floats], candidates: Sequence[Floats]) -> float | None:
    """Returns the c for which c times the candidates' means is nearest to `means`; None where all of them are 0."""
    below = sum(float(np.sum(candidate**2)) for candidate in candidates)
    if below == 0:
        return None
    return sum(float(np.sum(mean * field)) for mean, field in zip(means, candidates, strict=True)) / below


def _matches(
    findings: Sequence[Finding], mistakes: Sequence[Mistake], tolerance: float, *, any_factor: bool
) -> list[Match]:
    """What fits best: mistakes as they are; else times a factor with a meaning; else times any one factor."""
    means = [finding.expectation.mean for finding in findings]
    sizes = [_size(finding) for finding in findings]
    candidates = [(candidate, means_of(candidate, findings)) for candidate in (REFERENCE, *mistakes)]

    def fits(expected: Sequence[Floats], factors: Sequence[float]) -> bool:
        return all(
            norm_of(mean - factor * field) <= tolerance * size
            for mean, field, factor, size in zip(means, expected, factors, sizes, strict=True)
        )

    ones = [1.0] * len(means)
    matches = [Match(candidate, None) for candidate, expected in candidates[1:] if fits(expected, ones)]
    if matches:
        return matches
    scales = known_scales(findings)
    matches = [
        Match(candidate, scale)
        for candidate, expected in candidates
        for scale in scales
        if fits(expected, scale.factors)
    ]
    if matches or not any_factor:
        return matches
    for candidate, expected in candidates:
        factor = best_factor(means, expected)
        if factor is not None and fits(expected, [factor] * len(means)):
            matches.append(Match(candidate, Scale(_free_scale(factor, candidate), (factor,) * len(means))))
    return matches


def _size(finding: Finding) -> float:
    """‖E[ĝ]‖, above 0: nothing is within a tolerance of a gradient that is 0."""
    return max(norm_of(finding.expectation.mean), 1e-300)


def means_of(candidate: Candidate, findings: Sequence[Finding]) -> list[Floats]:
    """Returns the expectation of a candidate on each finding's model."""
    return [
        candidate.mean(finding.enumeration.batch, finding.enumeration.prob)
        for finding in findings
        if finding.enumeration is not None
    ]


def known_scales(findings: Sequence[Finding]) -> list[Scale]:
    """Returns factors that have a meaning, where they differ from 1; then the same with the sign wrong besides."""
    gamma = [finding.mdp.gamma for finding in findings]
    horizon = [float(finding.mdp.horizon) for finding in findings]
    length = [1.0 if finding.enumeration is None else finding.enumeration.mean_length for finding in findings]
    size = [float(finding.batch_size) for finding in findings]
    known: list[tuple[str, list[float]]] = [
        ("scale/gamma", gamma),
        ("scale/over-gamma", [1 / g if g > 0 else 1.0 for g in gamma]),
        ("length-normalised/horizon", [1 / t for t in horizon]),
        ("length-normalised/mean-length", [1 / x if x else 1.0 for x in length]),
        ("scale/horizon", horizon),
        ("scale/batch-baseline", [1 - 1 / b for b in size]),
        ("scale/batch-sum", size),
        ("scale/over-batch", [1 / b for b in size]),
        ("scale/batch-over-others", [b / (b - 1) if b > 1 else 1.0 for b in size]),
        ("scale/others", [b - 1 if b > 1 else 1.0 for b in size]),
        ("scale/over-others", [1 / (b - 1) if b > 1 else 1.0 for b in size]),
    ]
    scales = [Scale(Diagnosis("sign", "sign"), (-1.0,) * len(findings))]
    scales += [Scale(Diagnosis(public_id(cause), cause), tuple(factors)) for cause, factors in known]
    scales += [
        Scale(Diagnosis("sign", cause, negative=True), tuple(-factor for factor in factors))
        for cause, factors in known
    ]
    return [scale for scale in scales if any(abs(factor - 1) > 1e-9 for factor in scale.factors)]


def _free_scale(factor: float, candidate: Candidate) -> Diagnosis:
    """A factor without a meaning of its own."""
    cause = "scale/factor-of-mistake" if isinstance(candidate, Mistake) else "scale/factor"
    negative = factor < 0
    return Diagnosis("sign" if negative else "scale", cause, (("factor", abs(factor)),), negative=negative)


def _match_impulses(prober: Prober, matrix: WeightMatrix | None) -> list[Diagnosis]:
    """A factor by the impulses alone, where the expectation has only one direction."""
    if matrix is None or abs(factor := float(matrix.values[0, 0])) < prober.tolerance:
        return []
    if not weights_agree(matrix.values / factor, correct_weights(CHAIN_STEPS, prober.gamma), prober.tolerance):
        return []
    return [Diagnosis("sign" if factor < 0 else "scale", "scale/impulses", (("factor", factor),))]


def _diagnoses(match: Match, matrix: WeightMatrix | None, tolerance: float) -> list[Diagnosis]:
    """The diagnoses of a match: the mistake by each of its ids, and its scale."""
    diagnoses = []
    mistake = match.candidate
    if isinstance(mistake, Mistake):
        cause, notes = mistake.cause, mistake.notes
        past_counts = matrix is not None and bool(np.any(np.abs(np.tril(matrix.values, -1)) > tolerance))
        if "immediate-reward" in mistake.ids and past_counts:
            cause, notes = "immediate-reward/reversed", ()
        ids = mistake.ids
        if cause == "first-step-missing" and matrix is not None and _is_one_step_late(matrix.values, tolerance):
            cause, ids = "score-of-next-step", ("score-of-next-step", *ids[1:])
        diagnoses = [Diagnosis(name, cause, notes=notes) for name in ids]
    if match.scale is not None:
        shifts_discount = match.scale.diagnosis.cause in _SCALES_OF_OFF_BY_ONE
        if not (shifts_discount and any(diagnosis.id == "off-by-one" for diagnosis in diagnoses)):
            diagnoses.append(match.scale.diagnosis)
    return diagnoses


def _is_one_step_late(values: Floats, tolerance: float) -> bool:
    """Whether the weight of step t + 1 starts with the reward of step t."""
    below = np.abs(np.tril(values, -1)) > tolerance
    return bool(np.all(np.diagonal(below, -1))) and int(below.sum()) == len(values) - 1
