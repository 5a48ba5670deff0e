"""Whether the expectation of a training loop is the gradient: the verdict on an agent."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pgcheck.errors import UsageError
from pgcheck.external.agent_source import AgentSource
from pgcheck.verification.allowance import checked_ids, marked
from pgcheck.verification.battery import LOOP_BATTERY, battery_models
from pgcheck.verification.evidence import ModelProgress
from pgcheck.verification.limits import SINGLE_TOLERANCE, TOLERANCE, Skipped
from pgcheck.verification.loop_diagnosis import diagnose_loop, diagnose_sampled_loop
from pgcheck.verification.loop_evidence import LoopFinding
from pgcheck.verification.loop_gathering import LoopEvidence, Unlisted, contract_of, gather_runs, sample_runs
from pgcheck.verification.loop_outputs import KEPT
from pgcheck.verification.loop_sampled import SampledLoopFinding
from pgcheck.verification.models import Models, problems_of
from pgcheck.verification.sampled_evidence import Announce
from pgcheck.verification.sampled_verdict import together
from pgcheck.verification.sampling import CONFIDENCE, Sampling
from pgcheck.verification.sampling import TOLERANCE as SAMPLED_TOLERANCE
from pgcheck.verification.scales import common_scale
from pgcheck.verification.verification import Verification
from pgcheck.workers.executor import HERE, Executor

MAX_RUNS = 20_000  # of an agent on one model
NOT_ASKED_FOR = "only sampled runs were asked for"


def verify_agent(
    source: AgentSource,
    models: Models | None = None,
    *,
    horizon: float | None = None,
    gamma: float | None = None,
    entropy: float | None = None,
    kl: float | None = None,
    tolerance: float | None = None,
    up_to_scale: bool = False,
    allow: Sequence[str] = (),
    max_runs: int | None = None,
    evidence: str = "auto",
    confidence: float = CONFIDENCE,
    max_rollouts: int | None = None,
    seed: int = 0,
    progress: ModelProgress | None = None,
    announce: Announce | None = None,
    executor: Executor = HERE,
) -> Verification:
    """Returns whether the expectation of an agent's gradient is ∇J, and if not, what is wrong with it.

    The expectation is Σ P(run) ĝ(run) over all ways in which the draws of a run can come out. Where they cannot be
    listed, or are too many, runs are made whose draws come out at random.

    Args:
      source: the agent.
      models: as in `verify`; None is a battery of models on which loops have few runs.
      horizon, gamma, entropy, kl: override the models' own.
      tolerance: the relative bias that passes; None is 1e-6, 1e-4 for single precision, and 5 % for sampled runs.
      up_to_scale: accept one positive factor that is the same on every model.
      allow: ids of deviations that are intended.
      max_runs: a model on which there are more is sampled, or left out; None is 20,000.
      evidence: `auto`, `exact` or `sampled`, as in `verify`.
      confidence: 1 − α of what is decided by sampled runs.
      max_rollouts: the most sampled runs on one model; None is what takes about a minute for all models.
      seed: of the sampled runs.
      progress: is called with a model's name and the fraction done.
      announce: is called before many runs are sampled.
      executor: does the runs of an agent that is named by its place; a function's are made in this process.

    Raises:
      EstimatorError: the agent cannot be made or run, or it does not begin alike; with `evidence` exact, also where
        its draws cannot be answered.
      ModelError: a model cannot be read.
      UsageError: the tolerance is out of range, an id is unknown, or there are no models.
    """
    allowed = checked_ids(allow)
    if tolerance is not None and not 0 < tolerance <= 1:
        raise UsageError(f"tolerance {tolerance}; expected more than 0, at most 1")
    is_battery = models is None
    small = battery_models(horizon=horizon, gamma=gamma, entropy=entropy, kl=kl, names=LOOP_BATTERY)
    loaded = problems_of(small if is_battery else models, horizon=horizon, gamma=gamma, entropy=entropy, kl=kl)
    if not loaded:
        raise UsageError("no models to check on; give at least one")
    asked = _Asked(
        source, tolerance, allowed, Sampling(confidence, tolerance or SAMPLED_TOLERANCE, max_rollouts, up_to_scale)
    )
    if evidence == "sampled":
        unlisted = tuple(Unlisted(model, Skipped(model.mdp.name, NOT_ASKED_FOR)) for model in loaded)
        listed = LoopEvidence((), unlisted, ())
    else:
        listed = gather_runs(
            source, loaded, MAX_RUNS if max_runs is None else max_runs, progress, skip_unsuitable=is_battery,
            max_rounding=(tolerance or TOLERANCE) / 10, raises=evidence == "exact",
            executor=executor,
        )  # fmt: skip
    left_out = tuple(it.skipped for it in listed.unlisted)
    exact = _of_all_runs(asked, listed.findings)
    is_complete = (
        _is_discounted(exact) if is_battery else bool(listed.findings) and not (*left_out, *listed.unsuitable)
    )
    is_enough = is_complete and all(it.limit is not None for it in left_out)
    if evidence == "exact" or not listed.unlisted or exact.verdict == "fail" or is_enough:
        return _complete(replace(exact, skipped=(*left_out, *listed.unsuitable)), is_complete=is_complete)
    sampled, unsuitable = sample_runs(
        source, listed.unlisted, asked.sampling, seed,
        skip_unsuitable=is_battery, progress=progress, announce=announce, executor=executor,
    )  # fmt: skip
    verification = _of_sampled_runs(asked, exact, sampled)
    skipped = (*listed.unsuitable, *unsuitable)
    is_complete = _is_discounted(verification) if is_battery else not skipped
    return _complete(replace(verification, skipped=skipped), is_complete=is_complete)


@dataclass(frozen=True, eq=False)
class _Asked:
    """What is asked for: arguments of `verify_agent`."""

    source: AgentSource
    tolerance: float | None
    allow: tuple[str, ...]
    sampling: Sampling


def _of_all_runs(asked: _Asked, findings: Sequence[LoopFinding]) -> Verification:
    """The verdict on exact expectations."""
    contract, up_to_scale = contract_of(findings), asked.sampling.up_to_scale
    tolerance = asked.tolerance or (SINGLE_TOLERANCE if contract.single else TOLERANCE)
    scale = common_scale(findings) if up_to_scale else None
    is_right = all(it.is_right(tolerance, scale or 1.0) for it in findings) and (scale is None or scale > 0)
    diagnosed = diagnose_loop(
        asked.source, findings, failed=not is_right, tolerance=tolerance, allow=asked.allow, up_to_scale=up_to_scale
    )
    is_accepted = is_right or diagnosed.is_accepted
    if not is_right:
        scale = diagnosed.scale if is_accepted and up_to_scale else None
    return Verification(
        "pass" if is_accepted else "fail", tuple(findings), contract, tolerance, scale,
        marked(diagnosed.diagnoses, asked.allow), None, (), allowed=asked.allow, of_agent=True,
    )  # fmt: skip


def _of_sampled_runs(asked: _Asked, exact: Verification, findings: Sequence[SampledLoopFinding]) -> Verification:
    """The verdict on sampled runs, and on exact expectations that have passed."""
    verdict = together(findings, exact.scale, asked.sampling)
    failed, rest = [it for it in findings if it.look.decision == "fail"], None
    contract, up_to_scale = contract_of(findings), asked.sampling.up_to_scale
    diagnosed = diagnose_sampled_loop(asked.source, failed, allow=asked.allow, up_to_scale=up_to_scale)
    if failed and diagnosed.is_accepted:
        verdict = "inconclusive" if any(it.look.decision == "inconclusive" for it in findings) else "pass"
        # What is allowed is equal on the runs that were kept: what they may not have shown is left.
        rest = math.log(2 / (1 - asked.sampling.confidence)) / KEPT
    scale = math.fsum(1 + it.look.scale_error for it in findings) / max(1, len(findings)) if up_to_scale else None
    return replace(
        exact, verdict=verdict, findings=(*exact.findings, *findings),
        contract=replace(contract, single=contract.single or exact.contract.single),
        tolerance=exact.tolerance if exact.findings else asked.sampling.tolerance,
        scale=exact.scale if exact.findings else scale,
        diagnosis=(*marked(diagnosed.diagnoses, asked.allow), *exact.diagnosis),
        sampling=asked.sampling, excluded=diagnosed.excluded, rest=rest,
    )  # fmt: skip


def _is_discounted(verification: Verification) -> bool:
    """Whether one of the models is discounted: on the battery, that is enough."""
    return any(finding.mdp.gamma < 1 for finding in verification.findings)


def _complete(verification: Verification, *, is_complete: bool) -> Verification:
    """The verdict, which is no pass where something was not checked that was asked for."""
    is_open = verification.verdict == "pass" and not is_complete
    return replace(verification, verdict="inconclusive") if is_open else verification


def check_options_of_agent(*, off_policy: bool, same_start: bool, batch_sizes: Sequence[int] | None) -> None:
    """Raises UsageError where an option is given that says how batches are drawn: an agent draws its own episodes."""
    given = {"--off-policy": off_policy, "--same-start": same_start, "--batch-sizes": batch_sizes is not None}
    for option, is_given in given.items():
        if is_given:
            raise UsageError(f"{option} is not for agents: an agent draws its own episodes")
