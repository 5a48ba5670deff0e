"""Whether an estimator's exact expectations are the gradient: the verdict, and what is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pgcheck.estimators.base import Estimator
from pgcheck.estimators.contract import Contract
from pgcheck.verification.allowance import is_allowed, is_confirmed, marked
from pgcheck.verification.battery import battery_models
from pgcheck.verification.beyond import counts_past_rewards, explain_stretch, gamma_of_chains, reach, stretch
from pgcheck.verification.diagnosis import diagnose
from pgcheck.verification.evidence import BATCH_SIZES
from pgcheck.verification.exhaustive import over_batches, over_episodes
from pgcheck.verification.explanation import THE_GRADIENT, Explanation
from pgcheck.verification.findings import Enumeration, Finding
from pgcheck.verification.limits import SINGLE_TOLERANCE, TOLERANCE
from pgcheck.verification.probing import AS_IT_IS, CHAIN_GAMMA, Prober
from pgcheck.verification.ratios import beyond_ratios
from pgcheck.verification.scales import common_scale
from pgcheck.verification.setting import setting_of
from pgcheck.verification.truth import finding_of
from pgcheck.verification.verification import Verdict, Verification


@dataclass(frozen=True, eq=False)
class Judgement:
    """A verdict on small batches, and what larger ones are compared with.

    Attributes:
      verification: the verdict.
      prober: calls the estimator.
      explanation: what is accepted as all that is wrong; without names for a right estimator.
    """

    verification: Verification
    prober: Prober
    explanation: Explanation


def judged(
    estimator: Estimator,
    contract: Contract | None,
    findings: tuple[Finding, ...],
    tolerance: float | None,
    allow: tuple[str, ...],
    *,
    up_to_scale: bool,
    is_complete: bool,
) -> Judgement:
    """Returns the verdict on exact expectations, and the diagnosis.

    Args:
      estimator, contract: what was called; None where no model could be looked at.
      findings: its expectations.
      tolerance: the relative bias that passes; None is 1e-6, 1e-4 for single precision.
      allow: ids of deviations that are intended.
      up_to_scale: whether one positive factor is accepted.
      is_complete: whether all was checked that was asked for.
    """
    contract = contract or Contract(rows=True, coupled=False, ordered=False, plain_mean=True, single=False)
    if tolerance is None:
        tolerance = SINGLE_TOLERANCE if contract.single else TOLERANCE
    scale = common_scale(findings) if up_to_scale else None
    is_right = all(finding.is_right(tolerance, scale or 1.0) for finding in findings) and (scale is None or scale > 0)

    def is_meant(explanation: Explanation) -> bool:
        return is_allowed(explanation, allow, findings, up_to_scale=up_to_scale)

    shown = findings if is_right else (*findings, *on_small_model(estimator, contract, findings))
    diagnosed = diagnose(
        estimator, contract, shown, failed=not is_right, tolerance=tolerance, preferred=is_meant if allow else None
    )
    explanation = diagnosed.explanation
    names = explanation.diagnoses
    is_accepted = is_right
    # What is named on some of the models is held against the others too, where that does not take many calls.
    is_partial = len(diagnosed.prober.alterable(findings)) < len(findings)
    is_cheap = contract.by_episode or explanation.view == AS_IT_IS
    if not is_right and (is_meant(explanation) or (is_partial and is_cheap)):
        is_explained = is_confirmed(diagnosed.prober, explanation, findings, tolerance)
        is_accepted = is_explained and is_meant(explanation)
        if explanation.complete and not is_explained:
            names = tuple(it.noted("more-may-hide") for it in names)
    if not is_right and is_accepted:
        scale = explanation.common_factor(findings) if up_to_scale else None
        names = explanation.without(scale)
    verdict: Verdict = "fail" if not is_accepted else "pass" if is_complete else "inconclusive"
    diagnosis = (*marked(names, allow), *diagnosed.warnings)
    verification = Verification(
        verdict, findings, contract, tolerance, scale, diagnosis, diagnosed.matrix, (), allowed=allow
    )
    gamma = gamma_of_chains(findings)
    accepted = replace(explanation, field=explanation.field or THE_GRADIENT) if is_right else explanation
    off_policy = any(finding.setting.off_policy for finding in findings)
    prober = Prober(estimator, contract, gamma, tolerance, scale or 1.0 if is_right else 1.0, off_policy=off_policy)
    if is_accepted and findings:
        tried = reach(prober, gamma, accepted)
        if beyond := tried or (beyond_ratios(prober) if off_policy and is_right else []):
            verification = replace(verification, verdict="fail", beyond=True, diagnosis=(*beyond, *diagnosis))
        else:
            verification = replace(verification, long_untried=tried is None)
            if verification.is_noisy and not off_policy:
                verification = replace(verification, counts_past_rewards=counts_past_rewards(prober, gamma))
    return Judgement(verification, prober, accepted)


def with_larger_batches(judgement: Judgement) -> Verification:
    """Returns a verdict on small batches, with what larger ones show."""
    verification = judgement.verification
    results = stretch(judgement.prober, verification.findings, judgement.explanation, verification.scale or 1.0)
    is_wrong = any(result.outcome == "wrong" for result in results)
    return replace(
        verification,
        verdict="fail" if is_wrong else verification.verdict,
        beyond=is_wrong,
        stretched=results,
        diagnosis=(*explain_stretch(results), *verification.diagnosis),
    )


def on_small_model(estimator: Estimator, contract: Contract, findings: Sequence[Finding]) -> list[Finding]:
    """Returns a finding for the diagnosis alone, where no model has so few episodes that they can be altered."""
    if not findings or Prober(estimator, contract, CHAIN_GAMMA, TOLERANCE).alterable(findings):
        return []
    like = findings[0].setting
    setting = setting_of(
        battery_models(entropy=like.mdp.entropy, kl=like.mdp.kl)[0],
        off_policy=like.off_policy,
        same_start=like.same_start,
    )
    enumeration = Enumeration.of(setting)
    try:
        if contract.by_episode:
            expectation = over_episodes(estimator, setting, contract)
        else:
            expectation = over_batches(
                estimator, enumeration.batch, enumeration.prob, BATCH_SIZES[0], contract, same_start=like.same_start
            )
    except Exception:  # the estimator may be made for the other models only
        return []
    finding = None if expectation is None else finding_of(setting, enumeration.batch, expectation, enumeration)
    tolerance = SINGLE_TOLERANCE if contract.single else TOLERANCE
    return [] if finding is None or finding.is_right(tolerance) else [finding]
