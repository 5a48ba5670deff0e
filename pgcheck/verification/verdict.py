"""Whether an estimator's exact expectation is the gradient: the verdict, and the figures behind it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from pgcheck.errors import VERDICT_STATUS, UsageError
from pgcheck.estimators.base import Estimate, Estimator
from pgcheck.estimators.contract import Contract
from pgcheck.external.opening import estimator_of
from pgcheck.formats.modelfile import load, overridden
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.paths import listed
from pgcheck.verification.battery import battery
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.diagnosis import diagnose
from pgcheck.verification.evidence import BATCH_SIZES, Evidence, Limits, ModelProgress, Skipped, finding_of, gather
from pgcheck.verification.exhaustive import number_of_batches, over_batches
from pgcheck.verification.findings import Enumeration, Finding
from pgcheck.verification.impulses import WeightMatrix
from pgcheck.verification.probing import MAX_ALTERED

Verdict = Literal["pass", "fail", "inconclusive"]
Models = Sequence[str | Path | tuple[MDP, Policy]] | str | Path

TOLERANCE, SINGLE_TOLERANCE = 1e-6, 1e-4  # relative bias that passes, in double and in single precision
MAX_LISTED_TRAJECTORIES = 2_000_000  # that an estimator is called with
MAX_CALLS = 300_000  # batches of one size on one model
MAX_CALLS_ON_BATTERY = 30_000  # the same, where neither models nor batch sizes were given
NOISY = 1.2  # times the variance of reward-to-go is worth a word
MAX_BATCH_SIZE = 64


@dataclass(frozen=True, eq=False)
class Verification:
    """The verdict on an estimator, with what it rests on.

    Attributes:
      verdict: `pass`; `fail`; or `inconclusive`, where a model was too large to be checked.
      findings: one for each model and batch size.
      contract: what kind of function the estimator is.
      tolerance: the relative bias that passes.
      scale: the one factor that was accepted with `up_to_scale`.
      diagnosis: what is wrong, by name; of an estimator that passes, warnings.
      matrix: how the estimator weighs steps by rewards, where it could be found out.
      skipped: what was too large.
      off_policy: whether the estimator is built in and made for episodes that another policy drew.
    """

    verdict: Verdict
    findings: tuple[Finding, ...]
    contract: Contract
    tolerance: float
    scale: float | None
    diagnosis: tuple[Diagnosis, ...]
    matrix: WeightMatrix | None
    skipped: tuple[Skipped, ...]
    off_policy: bool = False

    @property
    def exit_status(self) -> int:
        """The exit status of the command line."""
        return VERDICT_STATUS[self.verdict]

    @property
    def worst(self) -> Finding | None:
        """The finding with the greatest relative bias; None without findings."""
        return max(self.findings, key=lambda finding: finding.severity, default=None)

    @property
    def checked(self) -> tuple[str, ...]:
        """The names of the models with a finding, in order."""
        return tuple(dict.fromkeys(finding.mdp.name for finding in self.findings))

    @property
    def unchecked(self) -> tuple[str, ...]:
        """The names of the models without any finding, in order."""
        return tuple(dict.fromkeys(skipped.model for skipped in self.skipped if skipped.model not in self.checked))

    @property
    def flat(self) -> tuple[str, ...]:
        """The names of the models on which ∇J is 0, sorted: sign, scale and discount do not show there."""
        return tuple(sorted({finding.mdp.name for finding in self.findings if finding.norm == 0}))

    @property
    def is_undiscounted(self) -> bool:
        """Whether γ = 1 on every model: mistakes in discounting do not show."""
        return all(finding.mdp.gamma == 1 for finding in self.findings)

    @property
    def variance_over_reward_to_go(self) -> float | None:
        """The greatest variance relative to `reward-to-go`; None where it is not known."""
        ratios = [finding.variance_over_reward_to_go for finding in self.findings]
        return max((ratio for ratio in ratios if ratio is not None), default=None)

    @property
    def is_noisy(self) -> bool:
        """Whether the estimator is right, but with a needlessly large variance."""
        ratio = self.variance_over_reward_to_go
        return self.verdict == "pass" and ratio is not None and ratio > NOISY

    @property
    def explanations(self) -> tuple[tuple[tuple[str, ...], str], ...]:
        """Each text of the diagnosis once, after the ids that it explains."""
        ids: dict[Diagnosis, tuple[str, ...]] = {}
        for diagnosis in self.diagnosis:
            without_id = replace(diagnosis, id="")
            ids[without_id] = (*ids.get(without_id, ()), diagnosis.id)
        return tuple((names, diagnosis.text) for diagnosis, names in ids.items())


def verify(
    estimate: Estimate | Estimator | str,
    models: Models | None = None,
    *,
    horizon: int | None = None,
    gamma: float | None = None,
    tolerance: float | None = None,
    up_to_scale: bool = False,
    batch_sizes: Sequence[int] | None = None,
    max_trajectories: int = MAX_LISTED_TRAJECTORIES,
    max_calls: int | None = None,
    progress: ModelProgress | None = None,
) -> Verification:
    """Returns whether an estimator's exact expectation is ∇J, and if not, what is wrong with it.

    The expectation is Σ_τ P(τ) ĝ(τ) over all trajectories; for an estimator of whole batches,
    Σ P(τ_1) … P(τ_B) ĝ(τ_1, …, τ_B) over all batches of B. There is no sampling noise in it.

    Args:
      estimate: a function from a `Batch` to one gradient for each episode `[N, *theta.shape]` or one for the whole
        batch `[*theta.shape]`, or the name of a built-in estimator: it runs in this process. Or an `Estimator`.
      models: names, paths, or MDPs with their policies; None is the battery of bundled models.
      horizon, gamma: override the models' own.
      tolerance: the relative bias ‖E[ĝ] − ∇J‖ / ‖∇J‖ that passes; None is 1e-6, 1e-4 for single precision.
      up_to_scale: accept one positive factor that is the same on every model.
      batch_sizes: B, for estimators of whole batches; None is 2 and 3, as far as `max_calls` allows.
      max_trajectories: a model with more is left out.
      max_calls: the most batches of one size on one model; None is 30,000 on the battery without
        `batch_sizes`, else 300,000.
      progress: is called with a model's name and the fraction done.

    Raises:
      EstimatorError: the estimator cannot be called, returns no gradient, or returns other numbers when it is called
        again.
      ModelError: a model cannot be read.
      UsageError: a batch size or the tolerance is out of range, or there are no models.
    """
    estimator = estimator_of(estimate)
    loaded = problems_of(models, horizon=horizon, gamma=gamma)
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
    evidence = gather(estimator, loaded, limits, progress)
    verification = _judged(estimator, evidence, limits, tolerance, up_to_scale=up_to_scale)
    evidence.check_again(estimator)  # after all these calls it is still the same function
    return verification


def usual_max_calls(models: Models | None, batch_sizes: Sequence[int] | None) -> int:
    """Returns the most batches of one size on one model: fewer where neither models nor sizes were asked for."""
    return MAX_CALLS_ON_BATTERY if models is None and batch_sizes is None else MAX_CALLS


def problems_of(
    models: Models | None = None, *, horizon: int | None = None, gamma: float | None = None
) -> list[tuple[MDP, Policy]]:
    """Returns MDPs with their policies; arguments and errors are those of `verify`."""
    if models is None:
        return battery(horizon=horizon, gamma=gamma)
    if isinstance(models, str | Path):
        models = [models]
    return [
        load(model, horizon=horizon, gamma=gamma)
        if isinstance(model, str | Path)
        else (overridden(model[0], horizon=horizon, gamma=gamma), model[1])
        for model in models
    ]


def _judged(
    estimator: Estimator, evidence: Evidence, limits: Limits, tolerance: float | None, *, up_to_scale: bool
) -> Verification:
    """The verdict on the evidence, and the diagnosis."""
    findings, contract = evidence.findings, evidence.contract
    off_policy = estimator.off_policy
    if contract is None:
        unknown = Contract(rows=True, coupled=False, ordered=False, plain_mean=True, single=False)
        tolerance = tolerance or TOLERANCE
        return Verification(
            "inconclusive", (), unknown, tolerance, None, (), None, evidence.skipped, off_policy
        )  # fmt: skip
    if tolerance is None:
        tolerance = SINGLE_TOLERANCE if contract.single else TOLERANCE
    scale = _common_scale(findings) if up_to_scale else None
    is_right = all(finding.is_right(tolerance, scale or 1.0) for finding in findings) and (scale is None or scale > 0)
    shown = findings if is_right else (*findings, *_on_small_model(estimator, contract, findings))
    diagnosis, matrix = diagnose(estimator, contract, shown, failed=not is_right, tolerance=tolerance)
    verdict: Verdict = "fail" if not is_right else "pass" if _is_complete(evidence, limits) else "inconclusive"
    return Verification(
        verdict, findings, contract, tolerance, scale, tuple(diagnosis), matrix, evidence.skipped, off_policy
    )  # fmt: skip


def _is_complete(evidence: Evidence, limits: Limits) -> bool:
    """Whether every model was checked; where batch sizes were asked for, with each of them."""
    checked = {finding.mdp.name for finding in evidence.findings}
    if any(skipped.model not in checked for skipped in evidence.skipped):
        return False
    return bool(checked) and not (evidence.skipped and limits.batch_sizes is not None)


def _on_small_model(estimator: Estimator, contract: Contract, findings: Sequence[Finding]) -> list[Finding]:
    """A finding for the diagnosis alone, where no other model has so few batches that they can be altered."""
    if contract.by_episode or any(
        finding.enumeration is not None
        and number_of_batches(len(finding.enumeration.batch), finding.batch_size, contract) <= MAX_ALTERED
        for finding in findings
    ):
        return []
    mdp, policy = battery()[0]
    enumeration = Enumeration(mdp, policy, *listed(mdp, policy))
    try:
        expectation = over_batches(estimator, enumeration.batch, enumeration.prob, BATCH_SIZES[0], contract)
    except Exception:  # the estimator may be made for the other models only
        return []
    return [finding_of(enumeration, expectation)]


def _common_scale(findings: Sequence[Finding]) -> float | None:
    """The one factor by which all expectations are nearest to the gradients; None where all gradients are 0."""
    above = math.fsum(float(np.sum(finding.expectation.mean * finding.gradient)) for finding in findings)
    below = math.fsum(float(np.sum(finding.gradient**2)) for finding in findings)
    return above / below if below > 0 else None
