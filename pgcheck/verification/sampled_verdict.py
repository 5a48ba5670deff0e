"""The verdict where episodes are drawn: each finding decides for itself, and all of them together."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pgcheck.estimators.base import Estimator
from pgcheck.estimators.contract import Contract
from pgcheck.verification.allowance import marked
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.diagnosis import diagnose
from pgcheck.verification.explanation import Field
from pgcheck.verification.judging import on_small_model
from pgcheck.verification.limits import SINGLE_TOLERANCE, TOLERANCE
from pgcheck.verification.matching import Match
from pgcheck.verification.probing import AS_IT_IS
from pgcheck.verification.sampled_diagnosis import SampledDiagnosis, diagnose_sampled
from pgcheck.verification.sampled_evidence import Sampled, drawn_again
from pgcheck.verification.sampled_finding import SampledFinding
from pgcheck.verification.sampling import Sampling
from pgcheck.verification.tails import normal_quantile
from pgcheck.verification.verification import Verdict, Verification

MOST_POSSIBLE = 3  # mistakes that are named where none is singled out


@dataclass(frozen=True, eq=False)
class Named:
    """What is wrong.

    Attributes:
      diagnoses: the names.
      excluded: how many other known mistakes are excluded.
      match: what the expectation would be then; None where that is not known.
    """

    diagnoses: tuple[Diagnosis, ...] = ()
    excluded: int = 0
    match: Match | None = None


def judged_by_samples(
    estimator: Estimator,
    contract: Contract,
    exact: Verification | None,
    sampled: Sequence[Sampled],
    sampling: Sampling,
    allow: tuple[str, ...],
    *,
    is_complete: bool,
) -> Verification:
    """Returns the verdict on drawn episodes, and on exact expectations that did not fail.

    Args:
      estimator, contract: what was called.
      exact: the verdict on what was listed; None where nothing was.
      sampled: what was drawn.
      sampling: how certain a verdict is.
      allow: ids of deviations that are intended.
      is_complete: whether all was checked that was asked for.
    """
    findings = tuple(it.finding for it in sampled)
    verdict, named, rest = together(findings, None if exact is None else exact.scale, sampling), Named(), None
    if verdict == "fail":
        failed = [it for it in sampled if it.finding.look.decision == "fail"]
        named = _named(estimator, contract, failed or sampled)
        if named.match is not None and all(it.id in allow for it in named.diagnoses):
            again = [
                drawn_again(estimator, contract, it, named.match, sampling.shared(len(sampled))) for it in sampled
            ]
            verdict = together(again, None, replace(sampling, up_to_scale=False))
            rest = max(it.look.bound for it in again)
    if verdict == "pass" and not is_complete:
        verdict = "inconclusive"
    diagnosis = marked(named.diagnoses, allow)
    if exact is None:
        return Verification(
            verdict, findings, contract, sampling.tolerance, _factor(findings) if sampling.up_to_scale else None,
            diagnosis, None, (), allowed=allow, sampling=sampling, excluded=named.excluded, rest=rest,
        )  # fmt: skip
    return replace(
        exact,
        verdict=verdict, findings=(*exact.findings, *findings), diagnosis=(*diagnosis, *exact.diagnosis),
        sampling=sampling, excluded=named.excluded, rest=rest,
    )  # fmt: skip


def together(findings: Sequence[SampledFinding], exact: float | None, sampling: Sampling) -> Verdict:
    """Returns the verdict of all findings: one that fails is enough to fail, and all have to pass.

    Where a factor is accepted it has to be the same everywhere, within the tolerance.

    Args:
      findings: from drawn gradients.
      exact: the factor of what was listed; None where nothing was, or none is accepted.
      sampling: how certain the verdict is.
    """
    decisions = [it.look.decision for it in findings]
    of_factors = _of_factors(findings, exact, sampling) if sampling.up_to_scale else "pass"
    if "fail" in (*decisions, of_factors):
        return "fail"
    return "inconclusive" if "inconclusive" in (*decisions, of_factors) else "pass"


def _factor(findings: Sequence[SampledFinding]) -> float:
    """The factor of the gradient, from all findings."""
    return math.fsum(1 + it.look.scale_error for it in findings) / len(findings)


def _of_factors(findings: Sequence[SampledFinding], exact: float | None, sampling: Sampling) -> Verdict:
    """Whether the gradient has the same factor everywhere: certainly, certainly not, or not known well enough."""
    factors = [(1 + it.look.scale_error, it.look.scale_error_error) for it in findings]
    factors += [] if exact is None else [(exact, 0.0)]
    pairs = list(itertools.combinations(factors, 2))
    z = normal_quantile((1 - sampling.confidence) / (2 * max(1, len(pairs))))
    verdict: Verdict = "pass"
    for (one, error), (other, its_error) in pairs:
        off, spread = abs(one - other), z * math.hypot(error, its_error)
        allowed = sampling.tolerance * min(abs(one), abs(other))
        if off - spread > allowed:
            return "fail"
        if off + spread > allowed:
            verdict = "inconclusive"
    return verdict


def _named(estimator: Estimator, contract: Contract, sampled: Sequence[Sampled]) -> Named:
    """What is wrong: by drawn gradients where they equal a known mistake's, else by a small model if that tells."""
    diagnosed = diagnose_sampled(sampled)
    only = diagnosed.only
    if only is not None and only.is_equal:
        return Named(only.diagnoses, diagnosed.excluded, only.match)
    if not contract.is_random:
        shown = on_small_model(estimator, contract, [it.finding for it in sampled])
        if shown:
            tolerance = SINGLE_TOLERANCE if contract.single else TOLERANCE
            explanation = diagnose(estimator, contract, shown, failed=True, tolerance=tolerance).explanation
            if all(it.id != "other" for it in explanation.diagnoses):
                is_known = explanation.complete and explanation.view == AS_IT_IS
                where = f"exactly so on {shown[0].mdp.name}"
                match = _match_of(explanation.field) if is_known else None
                names = tuple(replace(it, figures=(*it.figures, ("where", where))) for it in explanation.diagnoses)
                return Named(tuple(it.noted("on-small-model") for it in names), 0, match)
    return named_by_samples(diagnosed)


def named_by_samples(diagnosed: SampledDiagnosis) -> Named:
    """Returns what is wrong by drawn gradients alone: one mistake that is singled out, or a few that are possible."""
    if (only := diagnosed.only) is not None:
        return Named(only.diagnoses, diagnosed.excluded, only.match)
    possible = {fit.ids: fit for fit in diagnosed.fits}
    if 1 < len(possible) <= MOST_POSSIBLE:
        doubtful = {it.id: it for fit in reversed(possible.values()) for it in reversed(fit.diagnoses)}
        return Named(tuple(replace(it, certain=False) for it in reversed(doubtful.values())), diagnosed.excluded)
    return Named((Diagnosis("other", "other"),), diagnosed.excluded if not possible else 0)


def _match_of(field: Field | None) -> Match | None:
    """A field as a known mistake times a factor; None where it is more than that."""
    if field is None or field.candidate is None or field.terms or field.added or field.on_policy or field.plain:
        return None
    return Match(field.candidate, field.scale)
