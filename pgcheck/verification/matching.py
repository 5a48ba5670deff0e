"""Naming a mistake by its expectation: which known mistake, times which factor, it is on every model."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgcheck.arrays import Floats, norm_of
from pgcheck.estimators.mistakes.weights import MISTAKES, REFERENCE, Candidate, Mistake
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.explanation import Explanation, Field, mean_of
from pgcheck.verification.findings import Finding
from pgcheck.verification.impulses import WeightMatrix, correct_weights, impulses, weights_agree
from pgcheck.verification.misplaced import MISPLACED_SCORES
from pgcheck.verification.probing import CHAIN_STEPS, Prober
from pgcheck.verification.scales import Scale, free_scale, known_scales, varying_scales

# An estimator that leaves out the reward of its own step often discounts from the next reward on: no mistake besides.
_SCALES_OF_OFF_BY_ONE = ("scale/gamma", "scale/over-gamma")

CANDIDATES: tuple[Mistake, ...] = (*MISTAKES, *MISPLACED_SCORES)


@dataclass(frozen=True, eq=False)
class Match:
    """A candidate that an expectation is equal to, or a multiple of."""

    candidate: Candidate
    scale: Scale | None

    def has_same_weights(self, matrix: WeightMatrix, gamma: float, findings: Sequence[Finding]) -> bool:
        """Whether the candidate weights steps by rewards as the estimator does, times a factor that is likely."""
        weights = impulses(self.candidate.each, CHAIN_STEPS, gamma)
        factors = [1.0]
        if self.scale is not None:
            factors = [*self.scale.factors(findings), 1 / CHAIN_STEPS, gamma, 1 / gamma, float(CHAIN_STEPS), -1.0]
        return any(weights_agree(matrix.values, factor * weights) for factor in factors)


def match_mistakes(
    prober: Prober,
    findings: Sequence[Finding],
    matrix: WeightMatrix | None,
    mistakes: Sequence[Mistake] = CANDIDATES,
    *,
    preferred: Callable[[Explanation], bool] | None = None,
) -> Explanation | None:
    """Returns the known mistake, or the multiple of one or of the gradient, that fits on every model.

    None where none fits. All findings have an enumeration. Of several that fit, the first that is preferred is
    returned, else the one that needs the fewest words.
    """
    if all(_size(finding) <= prober.tolerance * finding.norm for finding in findings):
        return Explanation((Diagnosis("zero-mean", "zero-mean"),), True, field=Field(candidate=None))
    # Where one model with one direction is all there is, any candidate is a multiple of any other, and only impulses
    # tell them apart.
    one_direction = sum(finding.freedom for finding in findings) < 2
    explanations: list[Explanation] = []
    for matches in stages(findings, mistakes, prober.tolerance, any_factor=not one_direction):
        agreeing = (
            [] if matrix is None else [it for it in matches if it.has_same_weights(matrix, prober.gamma, findings)]
        )
        for match in agreeing if one_direction else agreeing or matches:
            explanation = Explanation(
                tuple(diagnoses_of(match, matrix, prober.tolerance)), True, field=Field(match.candidate, match.scale)
            )
            if preferred is None or preferred(explanation):
                return _noted(prober, explanation)
            explanations.append(explanation)
        if matches and preferred is None:
            break
    if one_direction and not explanations and not prober.off_policy:
        return _match_impulses(prober, matrix)
    return _noted(prober, explanations[0]) if explanations else None


def _noted(prober: Prober, explanation: Explanation) -> Explanation:
    """An explanation that says so where the estimator is right without discount."""
    without_discount = None if prober.off_policy else prober.matrix(1.0)
    if not explanation.diagnoses or without_discount is None or not without_discount.is_right:
        return explanation
    first = explanation.diagnoses[0]
    noted = (it.noted("right-at-gamma-1") if it.cause == first.cause else it for it in explanation.diagnoses)
    return replace(explanation, diagnoses=tuple(noted))


def best_factor(means: Sequence[Floats], candidates: Sequence[Floats]) -> float | None:
    """Returns the c for which c times the candidates' means is nearest to `means`; None where all of them are 0."""
    below = sum(float(np.sum(candidate**2)) for candidate in candidates)
    if below == 0:
        return None
    return sum(float(np.sum(mean * field)) for mean, field in zip(means, candidates, strict=True)) / below


def stages(
    findings: Sequence[Finding], mistakes: Sequence[Mistake], tolerance: float, *, any_factor: bool
) -> Iterator[list[Match]]:
    """Yields what fits: mistakes as they are; then times a factor with a meaning; then times any one factor, or both.

    Args:
      findings: expectations with their enumerations.
      mistakes: what may fit, besides multiples of the gradient.
      tolerance: the relative difference that counts as none.
      any_factor: whether factors without a meaning are looked for: where there is one direction, one always fits.
    """
    means = [finding.expectation.mean for finding in findings]
    sizes = [_size(finding) for finding in findings]
    candidates = [(candidate, means_of(candidate, findings)) for candidate in (REFERENCE, *mistakes)]

    def fits(expected: Sequence[Floats], factors: Sequence[float]) -> bool:
        return all(
            norm_of(mean - factor * field) <= tolerance * size
            for mean, field, factor, size in zip(means, expected, factors, sizes, strict=True)
        )

    ones = [1.0] * len(means)
    yield [Match(candidate, None) for candidate, expected in candidates[1:] if fits(expected, ones)]
    scales = [(scale, scale.factors(findings)) for scale in known_scales(findings)]
    yield [
        Match(candidate, scale)
        for candidate, expected in candidates
        for scale, factors in scales
        if fits(expected, factors)
    ]
    if not any_factor:
        return
    for known in (None, *varying_scales(findings)):
        known_factors = ones if known is None else known.factors(findings)
        matches = []
        for candidate, expected in candidates:
            scaled = [factor * field for factor, field in zip(known_factors, expected, strict=True)]
            factor = best_factor(means, scaled)
            if factor is not None and fits(scaled, [factor] * len(means)):
                is_alone = candidate is REFERENCE and known is None
                free = free_scale(factor, "scale/factor" if is_alone else "scale/factor-of-mistake")
                matches.append(Match(candidate, free if known is None else known.times(free)))
        yield matches


def _size(finding: Finding) -> float:
    """‖E[ĝ]‖, above 0: nothing is within a tolerance of a gradient that is 0."""
    return max(norm_of(finding.expectation.mean), 1e-300)


def means_of(candidate: Candidate, findings: Sequence[Finding]) -> list[Floats]:
    """Returns the expectation of a candidate on each finding's model."""
    return [mean_of(candidate, finding) for finding in findings]


def _match_impulses(prober: Prober, matrix: WeightMatrix | None) -> Explanation | None:
    """A factor by the impulses alone, where the expectation has only one direction."""
    if matrix is None or abs(factor := float(matrix.values[0, 0])) < prober.tolerance:
        return None
    if abs(factor - 1) <= prober.tolerance:
        return None  # the weights of rewards are right: what is wrong is there without them
    if not weights_agree(matrix.values / factor, correct_weights(CHAIN_STEPS, prober.gamma), prober.tolerance):
        return None
    scale = free_scale(factor, "scale/impulses")
    return Explanation(scale.diagnoses, True, field=Field(scale=scale))


def diagnoses_of(match: Match, matrix: WeightMatrix | None = None, tolerance: float = 0.0) -> list[Diagnosis]:
    """Returns the diagnoses of a match: the mistake by each of its ids, and its scale."""
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
    is_late = any(diagnosis.id == "off-by-one" for diagnosis in diagnoses)
    of_scale = () if match.scale is None else match.scale.diagnoses
    return [*diagnoses, *(it for it in of_scale if not (is_late and it.cause in _SCALES_OF_OFF_BY_ONE))]


def _is_one_step_late(values: Floats, tolerance: float) -> bool:
    """Whether the weight of step t + 1 starts with the reward of step t."""
    below = np.abs(np.tril(values, -1)) > tolerance
    return bool(np.all(np.diagonal(below, -1))) and int(below.sum()) == len(values) - 1
