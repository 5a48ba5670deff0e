"""Naming a mistake by the expectation on one model alone, where the estimator cannot be called again.

No impulse and no altered episode tells known mistakes apart that have one expectation. One is named only if no other
fits as well; else each of them is said to be possible.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from pgcheck.arrays import norm_of
from pgcheck.estimators.mistakes.weights import Mistake
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.corrected import mistaken, wrong
from pgcheck.verification.corrections import MISSING, RIGHT, WRONG
from pgcheck.verification.explanation import Explanation, Field
from pgcheck.verification.findings import Finding
from pgcheck.verification.matching import CANDIDATES, Match, diagnoses_of, stages
from pgcheck.verification.objectives import Objectives
from pgcheck.verification.splitting import beside
from pgcheck.verification.terms import fitting_term, term_means

MOST_POSSIBLE = 4  # mistakes that are said to be possible

OTHER = Explanation((Diagnosis("other", "other"),))

Accepts = Callable[[Explanation], bool]


def explained(finding: Finding, tolerance: float, accepted: Accepts | None = None) -> Explanation:
    """Returns what is wrong with an expectation that is not ∇J.

    Args:
      finding: the expectation; without an enumeration, which only a small model has, nothing is named.
      tolerance: the relative difference that counts as none.
      accepted: says of an explanation whether it is accepted; of several that fit, such a one is returned.
    """
    if finding.enumeration is None:
        return Explanation((Diagnosis("other", "other/not-compared"),))
    if norm_of(finding.expectation.mean) <= tolerance * finding.norm:
        return Explanation((Diagnosis("zero-mean", "zero-mean"),), True, field=Field(candidate=None))
    if finding.freedom < 2:
        return _in_one_direction(finding, tolerance, accepted)
    first: list[Explanation] = []
    for mistakes in _known(finding):
        for matches in stages([finding], mistakes, tolerance, any_factor=True):
            fitting = [_explanation(match, tolerance) for match in matches]
            if meant := [it for it in fitting if accepted is not None and accepted(it)]:
                return meant[0]
            first = first or fitting
        if first and accepted is None:
            break
    return _singled_out(first) if first else _beside_the_gradient(finding, tolerance) or OTHER


def _in_one_direction(finding: Finding, tolerance: float, accepted: Accepts | None) -> Explanation:
    """What is wrong where any estimator is a multiple of any other: a factor that has a meaning.

    A known mistake that has the very same size is possible.
    """
    multiples = next(filter(None, stages([finding], (), tolerance, any_factor=False)), [])
    factors = [_explanation(match, tolerance) for match in multiples]
    if meant := [it for it in factors if accepted is not None and accepted(it)]:
        return meant[0]
    for mistakes in _known(finding):
        if matches := next(stages([finding], mistakes, tolerance, any_factor=False)):
            return _possible([*factors, *(_explanation(match, tolerance) for match in matches)])
    return _singled_out(factors) if factors else OTHER


def _known(finding: Finding) -> Iterator[Sequence[Mistake]]:
    """The known mistakes, the likeliest first; of episodes that another policy drew, with each way to correct."""
    if not finding.setting.off_policy:
        yield CANDIDATES
        return
    yield list(mistaken(RIGHT, CANDIDATES))
    yield list(wrong(WRONG))
    yield list(mistaken([MISSING], CANDIDATES))


def _explanation(match: Match, tolerance: float) -> Explanation:
    return Explanation(tuple(diagnoses_of(match, None, tolerance)), True, field=Field(match.candidate, match.scale))


def _singled_out(fitting: Sequence[Explanation]) -> Explanation:
    """The one that fits; of several with other ids, that each of them is possible."""
    ids = [{diagnosis.id for diagnosis in explanation.diagnoses} for explanation in fitting]
    # What is another and a further mistake besides fits only where the further one does no harm.
    least = [it for it, own in zip(fitting, ids, strict=True) if not any(other < own for other in ids)]
    different = _different(least)
    return least[0] if len(different) == 1 else _possible(different)


def _possible(fitting: Sequence[Explanation]) -> Explanation:
    """That each of these is possible."""
    diagnoses = dict.fromkeys(it for explanation in _different(fitting) for it in explanation.diagnoses)
    return Explanation(tuple(replace(it, certain=False) for it in diagnoses)[:MOST_POSSIBLE])


def _different(fitting: Sequence[Explanation]) -> list[Explanation]:
    """The first explanation with each set of ids."""
    different: dict[frozenset[str], Explanation] = {}
    for explanation in fitting:
        different.setdefault(frozenset(diagnosis.id for diagnosis in explanation.diagnoses), explanation)
    return list(different.values())


def _beside_the_gradient(finding: Finding, tolerance: float) -> Explanation | None:
    """That there is a term without any reward besides, or that another objective is followed; None where not."""
    objectives = Objectives([finding])
    if not objectives.is_asked:
        rest = finding.expectation.mean - finding.gradient
        term = fitting_term([rest], [finding.size], term_means([finding]), tolerance)
        if term is None:
            return None
        return Explanation(beside(term.diagnosis, ()), True, field=Field(terms=((term.term, term.coefficient),)))
    (plain,) = objectives.plain([finding])
    followed = objectives.explain([plain.expectation.mean - plain.gradient], [finding.size], tolerance)
    if followed is None or not followed.diagnoses:
        return None
    return Explanation(followed.diagnoses, True, field=Field(plain=True, added=followed.added))
