"""Deviations that are intended: whether those that are allowed are all that is wrong with an estimator."""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import replace

from pgcheck.errors import UsageError
from pgcheck.verification.causes import Diagnosis, known_ids
from pgcheck.verification.explanation import Explanation
from pgcheck.verification.findings import Finding
from pgcheck.verification.probing import AS_IT_IS, Prober


def checked_ids(ids: Sequence[str]) -> tuple[str, ...]:
    """Returns ids of diagnoses as they are.

    Raises:
      UsageError: one of them is no id; the message names one that is near, and all there are.
    """
    known = known_ids()
    for name in ids:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UsageError(f"--allow {name!r}: not the id of a deviation{hint}\n  ids: {', '.join(known)}")
    return tuple(ids)


def is_allowed(
    explanation: Explanation, allow: Collection[str], findings: Sequence[Finding], *, up_to_scale: bool
) -> bool:
    """Whether an explanation has names, and all of them are allowed.

    With `up_to_scale`, a positive factor that is the same on all findings needs no name.
    """
    factor = explanation.common_factor(findings) if up_to_scale else None
    left = explanation.without(factor)
    return bool(explanation.diagnoses) and all(it.certain and it.id in allow for it in left)


def is_confirmed(
    prober: Prober, explanation: Explanation, findings: Sequence[Finding], tolerance: float
) -> bool:  # fmt: skip
    """Whether an explanation accounts for the whole expectation on every finding, to the tolerance.

    Models that are too large to be altered again and again are called for once more, where that is needed.
    """
    if not explanation.complete:
        return False
    if explanation.field is None:  # it was compared on the findings that can be altered, and is not known elsewhere
        return len(prober.alterable(findings)) == len(findings)
    for finding in findings:
        mean = finding.expectation.mean
        if explanation.view != AS_IT_IS:
            altered = prober.mean(finding, explanation.view)
            if altered is None:
                return False
            mean = altered
        seen = replace(finding, expectation=replace(finding.expectation, mean=mean))
        if not seen.is_near(explanation.field.mean(seen), tolerance):
            return False
    return True


def marked(diagnoses: Sequence[Diagnosis], allow: Collection[str]) -> tuple[Diagnosis, ...]:
    """Returns the diagnoses with those that are allowed marked as such, after those that are not."""
    left = [it for it in diagnoses if it.id not in allow]
    return (*left, *(replace(it, allowed=True) for it in diagnoses if it.id in allow))
