"""Whether an estimator's exact expectation is the gradient: the verdict, and the figures behind it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from pgcheck.errors import UsageError
from pgcheck.estimators.base import Estimate, Estimator
from pgcheck.estimators.contract import Contract
from pgcheck.external.agent_source import AgentSource
from pgcheck.external.agents import AgentFunction
from pgcheck.external.opening import agent_source_of, estimator_of, is_agent
from pgcheck.verification.allowance import checked_ids, is_allowed, is_confirmed, marked
from pgcheck.verification.battery import battery_models
from pgcheck.verification.beyond import counts_past_rewards, explain_stretch, gamma_of_chains, reach, stretch
from pgcheck.verification.diagnosis import diagnose
from pgcheck.verification.evidence import BATCH_SIZES, Evidence, ModelProgress, gather
from pgcheck.verification.exhaustive import over_batches, over_episodes
from pgcheck.verification.explanation import THE_GRADIENT, Explanation
from pgcheck.verification.findings import Enumeration, Finding
from pgcheck.verification.limits import SINGLE_TOLERANCE, TOLERANCE, Limits
from pgcheck.verification.loop_verdict import check_options_of_agent, verify_agent
from pgcheck.verification.models import Models, problems_of
from pgcheck.verification.probing import AS_IT_IS, CHAIN_GAMMA, Prober
from pgcheck.verification.ratios import beyond_ratios
from pgcheck.verification.scales import common_scale
from pgcheck.verification.setting import setting_of
from pgcheck.verification.truth import finding_of
from pgcheck.verification.verification import Verdict, Verification

MAX_LISTED_TRAJECTORIES = 2_000_000  # that an estimator is called with
MAX_CALLS = 300_000  # batches of one size on one model
MAX_CALLS_ON_BATTERY = 30_000  # the same, where neither models nor batch sizes were given
MAX_BATCH_SIZE = 64


def verify(
    estimate: Estimate | Estimator | AgentFunction | AgentSource | str,
    models: Models | None = None,
    *,
    horizon: int | None = None,
    gamma: float | None = None,
    entropy: float | None = None,
    kl: float | None = None,
    off_policy: bool = False,
    same_start: bool = False,
    tolerance: float | None = None,
    up_to_scale: bool = False,
    allow: Sequence[str] = (),
    batch_sizes: Sequence[int] | None = None,
    max_trajectories: int = MAX_LISTED_TRAJECTORIES,
    max_calls: int | None = None,
    skip_unsuitable: bool | None = None,
    progress: ModelProgress | None = None,
) -> Verification:
    """Returns whether an estimator's exact expectation is ∇J, and if not, what is wrong with it.

    The expectation is Σ_τ P(τ) ĝ(τ) over all trajectories; for an estimator of whole batches,
    Σ P(τ_1) … P(τ_B) ĝ(τ_1, …, τ_B) over all batches of B. There is no sampling noise in it. With `off_policy`, P is
    the probability under the model's behavior, while ∇J stays that of the policy; with `same_start`, the sum goes
    over s_0 and then over the batches of episodes that begin there.

    Args:
      estimate: a function from a `Batch` to one gradient for each episode `[N, *theta.shape]` or one for the whole
        batch `[*theta.shape]`, or the name of a built-in estimator: it runs in this process. Or an `Estimator`. Or an
        agent, see `pgcheck.agents`: its own draws are answered, so the options about batches are not for it.
      models: names, paths, MDPs with their policies or with a policy and a behavior, or `Model`s; None is the
        battery of bundled models.
      horizon, gamma, entropy, kl: override the models' own.
      off_policy: whether the model's behavior draws the episodes.
      same_start: whether the episodes of a batch share s_0, as the completions of one prompt do.
      tolerance: the relative bias ‖E[ĝ] − ∇J‖ / ‖∇J‖ that passes; None is 1e-6, 1e-4 for single precision.
      up_to_scale: accept one positive factor that is the same on every model.
      allow: ids of deviations that are intended, like `dropped-gamma`: accepted where they explain all of the bias.
      batch_sizes: B, for estimators of whole batches; None is 2 and 3, as far as `max_calls` allows.
      max_trajectories: a model with more is left out.
      max_calls: the most batches of one size on one model; None is 30,000 on the battery without
        `batch_sizes`, else 300,000. Of an agent, the most runs on one model; None is 20,000.
      skip_unsuitable: leave out models whose theta is no table (states look alike, or lack actions) where the
        estimator cannot be called on them; None is on the battery alone.
      progress: is called with a model's name and the fraction done.

    Raises:
      EstimatorError: the estimator cannot be called, returns no gradient, or returns different values for the same
        batch.
      ModelError: a model cannot be read.
      UsageError: a batch size or the tolerance is out of range, an id is unknown, or there are no models, or one
        lacks a behavior.
    """
    if is_agent(estimate):
        check_options_of_agent(off_policy=off_policy, same_start=same_start, batch_sizes=batch_sizes)
        return verify_agent(
            agent_source_of(estimate), models, horizon=horizon, gamma=gamma, entropy=entropy, kl=kl,
            tolerance=tolerance, up_to_scale=up_to_scale, allow=allow, max_runs=max_calls, progress=progress,
        )  # fmt: skip
    estimator, allowed = estimator_of(cast("Estimate | Estimator | str", estimate)), checked_ids(allow)
    loaded = problems_of(models, horizon=horizon, gamma=gamma, entropy=entropy, kl=kl, off_policy=off_policy)
    if batch_sizes is not None and not all(1 <= size <= MAX_BATCH_SIZE for size in batch_sizes):
        raise UsageError(f"batch sizes {list(batch_sizes)}; expected 1 to {MAX_BATCH_SIZE}")
    if tolerance is not None and not 0 < tolerance <= 1:
        raise UsageError(f"tolerance {tolerance}; expected more than 0, at most 1")
    if not loaded:
        raise UsageError("no models to check on; give at least one")
    if max_calls is None:
        max_calls = usual_max_calls(models, batch_sizes)
    sizes = None if batch_sizes is None else tuple(batch_sizes)
    limits = Limits(sizes, max_trajectories, max_calls, (tolerance or TOLERANCE) / 10)
    unsuitable = models is None if skip_unsuitable is None else skip_unsuitable
    settings = [setting_of(model, off_policy=off_policy, same_start=same_start) for model in loaded]
    evidence = gather(estimator, settings, limits, progress, skip_unsuitable=unsuitable)
    judgement = _judged(estimator, evidence, limits, tolerance, allowed, up_to_scale=up_to_scale)
    verification = replace(
        judgement.verification,
        off_policy=off_policy, same_start=same_start, unit_ratios=estimator.off_policy and not off_policy,
    )  # fmt: skip
    judgement = replace(judgement, verification=verification)
    evidence.check_again(estimator)  # after all these calls it is still the same function
    return judgement.verification if judgement.verification.verdict == "fail" else _stretched(judgement)


def usual_max_calls(models: Models | None, batch_sizes: Sequence[int] | None) -> int:
    """Returns the most batches of one size on one model: fewer where neither models nor sizes were asked for."""
    return MAX_CALLS_ON_BATTERY if models is None and batch_sizes is None else MAX_CALLS


@dataclass(frozen=True, eq=False)
class _Judgement:
    """A verdict on small batches, and what larger ones are compared with.

    Attributes:
      verification: the verdict.
      prober: calls the estimator.
      explanation: what is accepted as all that is wrong; without names for a right estimator.
    """

    verification: Verification
    prober: Prober
    explanation: Explanation


def _judged(
    estimator: Estimator,
    evidence: Evidence,
    limits: Limits,
    tolerance: float | None,
    allow: tuple[str, ...],
    *,
    up_to_scale: bool,
) -> _Judgement:
    """The verdict on the evidence, and the diagnosis."""
    findings, skipped = evidence.findings, evidence.skipped
    unknown = Contract(rows=True, coupled=False, ordered=False, plain_mean=True, single=False)
    contract = evidence.contract or unknown
    if tolerance is None:
        tolerance = SINGLE_TOLERANCE if contract.single else TOLERANCE
    scale = common_scale(findings) if up_to_scale else None
    is_right = all(finding.is_right(tolerance, scale or 1.0) for finding in findings) and (scale is None or scale > 0)

    def is_meant(explanation: Explanation) -> bool:
        return is_allowed(explanation, allow, findings, up_to_scale=up_to_scale)

    shown = findings if is_right else (*findings, *_on_small_model(estimator, contract, findings))
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
    verdict: Verdict = "fail" if not is_accepted else "pass" if _is_complete(evidence, limits) else "inconclusive"
    diagnosis = (*marked(names, allow), *diagnosed.warnings)
    verification = Verification(
        verdict, findings, contract, tolerance, scale, diagnosis, diagnosed.matrix, skipped, allowed=allow
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
    return _Judgement(verification, prober, accepted)


def _stretched(judgement: _Judgement) -> Verification:
    """A verdict on small batches, with what larger ones show."""
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


def _is_complete(evidence: Evidence, limits: Limits) -> bool:
    """Whether every model was checked; where batch sizes were asked for, with each of them."""
    checked = {finding.mdp.name for finding in evidence.findings}
    too_large = [skipped for skipped in evidence.skipped if not skipped.unsuitable]
    if any(skipped.model not in checked for skipped in too_large):
        return False
    return bool(checked) and not (too_large and limits.batch_sizes is not None)


def _on_small_model(estimator: Estimator, contract: Contract, findings: Sequence[Finding]) -> list[Finding]:
    """A finding for the diagnosis alone, where no model has so few episodes or batches that they can be altered."""
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
    return [] if finding is None or finding.is_right(TOLERANCE) else [finding]
