"""Naming a mistake by the expectation on one model alone, where the estimator cannot be called again.

No impulse and no altered episode tells known mistakes apart that have one expectation. One is named only if no other
fits as well; else each of them is said to be possible.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from pgcheck.arrays import norm_of
from pgcheck.estimators.mistakes import Mistake
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.corrected import mistaken, wrong
from pgcheck.verification.corrections import MISSING, RIGHT, WRONG
from pgcheck.verification.explanation import Explanation, Field
from pgcheck.verification.findings import Finding
from pgcheck.verification.matching import CANDIDATES, Match, diagnoses_of, stages
from pgcheck.verification.objectives import Objectives

MOST_POSSIBLE = 4  # mistakes that are said to be possible

Accepts = Callable[[Explanation], bool]


def explained(finding: Finding, tolerance: float, accepted: Accepts | None = None) -> Explanation:
    """Returns what is wrong with an expectation that is not ∇J.

    Args:
      finding: the expectation; without an enumeration, nothing is named.
      tolerance: the relative difference that counts as none.
      accepted: says of an explanation whether it is accepted; of several that fit, such a one is returned.
    """
    if finding.enumeration is None:
        return Explanation((Diagnosis("other", "other"),))
    if norm_of(finding.expectation.mean) <= tolerance * finding.norm:
        return Explanation((Diagnosis("zero-mean", "zero-mean"),), True, field=Field(candidate=None))
    # In one direction any candidate is a multiple of any other.
    is_line = finding.freedom < 2
    lots = [()] if is_line else _known(finding)
    first: list[Explanation] = []
    for mistakes in lots:
        for matches in stages([finding], mistakes, tolerance, any_factor=not is_line):
            fitting = [_explanation(match, tolerance) for match in matches]
            if meant := [it for it in fitting if accepted is not None and accepted(it)]:
                return meant[0]
            first = first or fitting
        if first and accepted is None:
            break
    if first:
        return _singled_out(first)
    return _of_objective(finding, tolerance) or Explanation((Diagnosis("other", "other"),))


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
    different: dict[tuple[str, ...], Explanation] = {}
    for explanation in least:
        different.setdefault(tuple(sorted(diagnosis.id for diagnosis in explanation.diagnoses)), explanation)
    if len(different) == 1:
        return least[0]
    possible = [it for explanation in different.values() for it in explanation.diagnoses]
    return Explanation(tuple(replace(it, certain=False) for it in dict.fromkeys(possible[:MOST_POSSIBLE])))


def _of_objective(finding: Finding, tolerance: float) -> Explanation | None:
    """That the expectation is the gradient of another objective; None where it is of none."""
    objectives = Objectives([finding])
    if not objectives.is_asked:
        return None
    (plain,) = objectives.plain([finding])
    added = finding.expectation.mean - plain.gradient
    followed = objectives.explain([added], [finding.size], tolerance)
    if followed is None or not followed.diagnoses:
        return None
    return Explanation(followed.diagnoses, True, field=Field(plain=True, added=followed.added))
