"""Whether the exact expectation of a training loop is the gradient: the verdict on an agent."""

from collections.abc import Sequence

from pgcheck.errors import UsageError
from pgcheck.external.agent_source import AgentSource
from pgcheck.formats.modelfile import Model
from pgcheck.verification.allowance import checked_ids, marked
from pgcheck.verification.battery import LOOP_BATTERY, battery_models
from pgcheck.verification.evidence import ModelProgress
from pgcheck.verification.limits import SINGLE_TOLERANCE, TOLERANCE
from pgcheck.verification.loop_diagnosis import diagnose_loop
from pgcheck.verification.loop_evidence import LoopEvidence, gather_runs
from pgcheck.verification.models import Models, problems_of
from pgcheck.verification.scales import common_scale
from pgcheck.verification.verification import Verdict, Verification

MAX_RUNS = 20_000  # of an agent on one model


def verify_agent(
    source: AgentSource,
    models: Models | None = None,
    *,
    horizon: int | None = None,
    gamma: float | None = None,
    entropy: float | None = None,
    kl: float | None = None,
    tolerance: float | None = None,
    up_to_scale: bool = False,
    allow: Sequence[str] = (),
    max_runs: int | None = None,
    progress: ModelProgress | None = None,
) -> Verification:
    """Returns whether the exact expectation of an agent's gradient is ∇J, and if not, what is wrong with it.

    The expectation is Σ P(run) ĝ(run) over all ways in which the draws of a run can come out.

    Args:
      source: the agent.
      models: as in `verify`; None is a battery of models on which loops have few runs.
      horizon, gamma, entropy, kl: override the models' own.
      tolerance: the relative bias that passes; None is 1e-6, 1e-4 for single precision.
      up_to_scale: accept one positive factor that is the same on every model.
      allow: ids of deviations that are intended.
      max_runs: a model on which there are more is left out; None is 20,000.
      progress: is called with a model's name and the fraction done.

    Raises:
      EstimatorError: the agent cannot be made or run, its draws cannot be answered, or it does not begin alike.
      ModelError: a model cannot be read.
      UsageError: the tolerance is out of range, an id is unknown, or there are no models.
    """
    allowed = checked_ids(allow)
    if tolerance is not None and not 0 < tolerance <= 1:
        raise UsageError(f"tolerance {tolerance}; expected more than 0, at most 1")
    is_battery = models is None
    loaded: list[Model] = (
        battery_models(horizon=horizon, gamma=gamma, entropy=entropy, kl=kl, names=LOOP_BATTERY)
        if is_battery
        else problems_of(models, horizon=horizon, gamma=gamma, entropy=entropy, kl=kl)
    )
    if not loaded:
        raise UsageError("no models to check on; give at least one")
    evidence = gather_runs(
        source,
        loaded,
        MAX_RUNS if max_runs is None else max_runs,
        progress,
        skip_unsuitable=is_battery,
        max_rounding=(tolerance or TOLERANCE) / 10,
    )
    if tolerance is None:
        tolerance = SINGLE_TOLERANCE if evidence.contract.single else TOLERANCE
    findings = evidence.findings
    scale = common_scale(findings) if up_to_scale else None
    is_right = all(it.is_right(tolerance, scale or 1.0) for it in findings) and (scale is None or scale > 0)
    diagnosed = diagnose_loop(
        source, findings, failed=not is_right, tolerance=tolerance, allow=allowed, up_to_scale=up_to_scale
    )
    is_accepted = is_right or diagnosed.is_accepted
    if not is_right:
        scale = diagnosed.scale if is_accepted and up_to_scale else None
    verdict: Verdict = (
        "fail" if not is_accepted else "pass" if _is_complete(evidence, is_battery=is_battery) else "inconclusive"
    )
    return Verification(
        verdict, findings, evidence.contract, tolerance, scale, marked(diagnosed.diagnoses, allowed), None,
        evidence.skipped, allowed=allowed, of_agent=True,
    )  # fmt: skip


def check_options_of_agent(*, off_policy: bool, same_start: bool, batch_sizes: Sequence[int] | None) -> None:
    """Raises UsageError where an option is given that says how batches are drawn: an agent draws its own episodes."""
    given = {"--off-policy": off_policy, "--same-start": same_start, "--batch-sizes": batch_sizes is not None}
    for option, is_given in given.items():
        if is_given:
            raise UsageError(f"{option} is not for agents: an agent draws its own episodes")


def _is_complete(evidence: LoopEvidence, *, is_battery: bool) -> bool:
    """Whether every model was checked; on the battery, one of those that are discounted is enough."""
    if is_battery:
        return any(finding.mdp.gamma < 1 for finding in evidence.findings)
    return bool(evidence.findings) and not evidence.skipped
