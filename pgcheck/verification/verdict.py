"""Whether an estimator's exact expectation is the gradient: the verdict, and the figures behind it."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pgcheck.errors import UsageError
from pgcheck.estimators.base import Estimate, Estimator
from pgcheck.estimators.contract import Contract
from pgcheck.external.opening import estimator_of
from pgcheck.formats.modelfile import Model, load_model, overridden
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.verification.battery import battery_models
from pgcheck.verification.beyond import counts_past_rewards, explain_stretch, gamma_of_chains, stretch
from pgcheck.verification.diagnosis import diagnose
from pgcheck.verification.evidence import BATCH_SIZES, Evidence, ModelProgress, gather
from pgcheck.verification.exhaustive import over_batches
from pgcheck.verification.findings import Enumeration, Finding
from pgcheck.verification.limits import Limits
from pgcheck.verification.probing import MAX_ALTERED, Prober
from pgcheck.verification.ratios import beyond_ratios
from pgcheck.verification.reach import beyond_models, is_tried
from pgcheck.verification.setting import setting_of
from pgcheck.verification.truth import finding_of
from pgcheck.verification.verification import Verdict, Verification

OneModel = str | Path | Model | tuple[MDP, Policy] | tuple[MDP, Policy, Policy]
Models = Sequence[OneModel] | str | Path

TOLERANCE, SINGLE_TOLERANCE = 1e-6, 1e-4  # relative bias that passes, in double and in single precision
MAX_LISTED_TRAJECTORIES = 2_000_000  # that an estimator is called with
MAX_CALLS = 300_000  # batches of one size on one model
MAX_CALLS_ON_BATTERY = 30_000  # the same, where neither models nor batch sizes were given
MAX_BATCH_SIZE = 64


def verify(
    estimate: Estimate | Estimator | str,
    models: Models | None = None,
    *,
    horizon: int | None = None,
    gamma: float | None = None,
    off_policy: bool = False,
    same_start: bool = False,
    tolerance: float | None = None,
    up_to_scale: bool = False,
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
        batch `[*theta.shape]`, or the name of a built-in estimator: it runs in this process. Or an `Estimator`.
      models: names, paths, MDPs with their policies or with a policy and a behavior, or `Model`s; None is the
        battery of bundled models.
      horizon, gamma: override the models' own.
      off_policy: whether the model's behavior draws the episodes.
      same_start: whether the episodes of a batch share s_0, as the completions of one prompt do.
      tolerance: the relative bias ‖E[ĝ] − ∇J‖ / ‖∇J‖ that passes; None is 1e-6, 1e-4 for single precision.
      up_to_scale: accept one positive factor that is the same on every model.
      batch_sizes: B, for estimators of whole batches; None is 2 and 3, as far as `max_calls` allows.
      max_trajectories: a model with more is left out.
      max_calls: the most batches of one size on one model; None is 30,000 on the battery without
        `batch_sizes`, else 300,000.
      skip_unsuitable: leave out models whose theta is no table (states look alike, or lack actions) where the
        estimator cannot be called on them; None is on the battery alone.
      progress: is called with a model's name and the fraction done.

    Raises:
      EstimatorError: the estimator cannot be called, returns no gradient, or returns different values for the same
        batch.
      ModelError: a model cannot be read.
      UsageError: a batch size or the tolerance is out of range, or there are no models, or one lacks a behavior.
    """
    estimator = estimator_of(estimate)
    loaded = problems_of(models, horizon=horizon, gamma=gamma, off_policy=off_policy)
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
    verification = replace(
        _judged(estimator, evidence, limits, tolerance, up_to_scale=up_to_scale),
        off_policy=off_policy, same_start=same_start, unit_ratios=estimator.off_policy and not off_policy,
    )  # fmt: skip
    evidence.check_again(estimator)  # after all these calls it is still the same function
    return verification if verification.verdict == "fail" else _stretched(estimator, verification)


def usual_max_calls(models: Models | None, batch_sizes: Sequence[int] | None) -> int:
    """Returns the most batches of one size on one model: fewer where neither models nor sizes were asked for."""
    return MAX_CALLS_ON_BATTERY if models is None and batch_sizes is None else MAX_CALLS


def problems_of(
    models: Models | None = None,
    *,
    horizon: int | None = None,
    gamma: float | None = None,
    off_policy: bool = False,
) -> list[Model]:
    """Returns the models; arguments and errors are those of `verify`."""
    if models is None:
        return battery_models(horizon=horizon, gamma=gamma)
    if isinstance(models, str | Path):
        models = [models]
    loaded = []
    for model in models:
        if isinstance(model, str | Path):
            model = load_model(model)
        elif not isinstance(model, Model):
            model = Model(model[0], model[1], model[2] if len(model) > 2 else None)
        model = replace(model, mdp=overridden(model.mdp, horizon=horizon, gamma=gamma))
        setting_of(model, off_policy=off_policy)  # a behavior that is missing or unfit is refused before any call
        loaded.append(model)
    return loaded


def _judged(
    estimator: Estimator, evidence: Evidence, limits: Limits, tolerance: float | None, *, up_to_scale: bool
) -> Verification:
    """The verdict on the evidence, and the diagnosis."""
    findings, contract = evidence.findings, evidence.contract
    if contract is None:
        unknown = Contract(rows=True, coupled=False, ordered=False, plain_mean=True, single=False)
        tolerance = tolerance or TOLERANCE
        return Verification("inconclusive", (), unknown, tolerance, None, (), None, evidence.skipped)
    if tolerance is None:
        tolerance = SINGLE_TOLERANCE if contract.single else TOLERANCE
    scale = _common_scale(findings) if up_to_scale else None
    is_right = all(finding.is_right(tolerance, scale or 1.0) for finding in findings) and (scale is None or scale > 0)
    shown = findings if is_right else (*findings, *_on_small_model(estimator, contract, findings))
    diagnosis, matrix = diagnose(estimator, contract, shown, failed=not is_right, tolerance=tolerance)
    verdict: Verdict = "fail" if not is_right else "pass" if _is_complete(evidence, limits) else "inconclusive"
    verification = Verification(
        verdict, findings, contract, tolerance, scale, tuple(diagnosis), matrix, evidence.skipped
    )
    if not is_right or not findings:
        return verification
    gamma = gamma_of_chains(findings)
    drawn_by_behavior = findings[0].setting.off_policy
    prober = Prober(estimator, contract, gamma, tolerance, scale or 1.0, off_policy=drawn_by_behavior)
    if beyond := beyond_models(prober, gamma) or (beyond_ratios(prober) if drawn_by_behavior else []):
        return replace(verification, verdict="fail", beyond=True, diagnosis=(*beyond, *diagnosis))
    if drawn_by_behavior:
        return replace(verification, long_untried=not is_tried(prober, gamma))
    if verification.is_noisy:
        return replace(verification, counts_past_rewards=counts_past_rewards(prober, gamma))
    return verification


def _stretched(estimator: Estimator, verification: Verification) -> Verification:
    """A verdict on small batches, with what larger ones show."""
    results = stretch(estimator, verification.contract, verification.findings, verification.scale or 1.0)
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
    """A finding for the diagnosis alone, where no model has so few episodes or batches that they can be altered.

    Of single episodes the impulses tell enough, unless ratios may be wrong.
    """
    like = findings[0].setting
    if contract.by_episode and not like.off_policy:
        return []
    if any(
        finding.enumeration is not None
        and (
            contract.by_episode or finding.enumeration.number_of_batches(finding.batch_size, contract) <= MAX_ALTERED
        )
        for finding in findings
    ):
        return []
    setting = setting_of(battery_models()[0], off_policy=like.off_policy, same_start=like.same_start)
    enumeration = Enumeration.of(setting)
    size = 1 if contract.by_episode else BATCH_SIZES[0]
    try:
        expectation = over_batches(
            estimator, enumeration.batch, enumeration.prob, size, contract, same_start=like.same_start
        )
    except Exception:  # the estimator may be made for the other models only
        return []
    return [finding_of(setting, enumeration.batch, expectation, enumeration)]


def _common_scale(findings: Sequence[Finding]) -> float | None:
    """The one factor by which all expectations are nearest to the gradients; None where all gradients are 0."""
    above = math.fsum(float(np.sum(finding.expectation.mean * finding.gradient)) for finding in findings)
    below = math.fsum(float(np.sum(finding.gradient**2)) for finding in findings)
    return above / below if below > 0 else None
