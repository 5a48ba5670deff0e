"""Whether an estimator's expectation is the gradient: the one road to the verdict, exact or from samples."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

import numpy as np

from pgcheck.errors import UsageError
from pgcheck.estimators.base import Estimate, Estimator
from pgcheck.estimators.contract import UnrepeatableError
from pgcheck.external.agent_source import AgentSource
from pgcheck.external.agents import AgentFunction
from pgcheck.external.opening import agent_source_of, estimator_of, is_agent
from pgcheck.verification.allowance import checked_ids
from pgcheck.verification.evidence import RANDOM, ModelProgress, Unlisted, gather, none_listed
from pgcheck.verification.examination import examine
from pgcheck.verification.judging import judged, with_larger_batches
from pgcheck.verification.limits import TOLERANCE, Limits, Skipped
from pgcheck.verification.loop_verdict import check_options_of_agent, verify_agent
from pgcheck.verification.models import Models, problems_of
from pgcheck.verification.sampled_evidence import Announce, drawn_evidence
from pgcheck.verification.sampled_verdict import judged_by_samples
from pgcheck.verification.sampling import CONFIDENCE, Sampling
from pgcheck.verification.sampling import TOLERANCE as SAMPLED_TOLERANCE
from pgcheck.verification.setting import Setting, setting_of
from pgcheck.verification.verification import Verification
from pgcheck.workers.executor import HERE, Executor

MAX_LISTED_TRAJECTORIES = 2_000_000  # that an estimator is called with
MAX_CALLS = 300_000  # batches of one size on one model
MAX_CALLS_ON_BATTERY = 30_000  # the same, where neither models nor batch sizes were given
MAX_BATCH_SIZE = 64
NOT_ASKED_FOR = "only drawn episodes were asked for"

EvidenceKind = Literal["auto", "exact", "sampled"]
EVIDENCE = get_args(EvidenceKind)


def verify(
    estimate: Estimate | Estimator | AgentFunction | AgentSource | str,
    models: Models | None = None,
    *,
    horizon: float | None = None,
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
    evidence: EvidenceKind = "auto",
    confidence: float = CONFIDENCE,
    max_rollouts: int | None = None,
    rng: np.random.Generator | None = None,
    progress: ModelProgress | None = None,
    announce: Announce | None = None,
    executor: Executor = HERE,
) -> Verification:
    """Returns whether an estimator's expectation is ∇J, and if not, what is wrong with it.

    The expectation is Σ_τ P(τ) ĝ(τ) over all trajectories; for an estimator of whole batches,
    Σ P(τ_1) … P(τ_B) ĝ(τ_1, …, τ_B) over all batches of B. There is no sampling noise in it. With `off_policy`, P is
    the probability under the model's behavior, while ∇J stays that of the policy; with `same_start`, the sum goes
    over s_0 and then over the batches of episodes that begin there.

    Where not all can be listed, episodes are drawn, and a pass says below what the bias is with which confidence.

    Args:
      estimate: a function from a `Batch` to one gradient for each episode `[N, *theta.shape]` or one for the whole
        batch `[*theta.shape]`, or the name of a built-in estimator: it runs in this process. Or an `Estimator`. Or an
        agent, see `pgcheck.agents`: its own draws are answered, so the options about batches are not for it.
      models: names, paths, MDPs with their policies or with a policy and a behavior, or `Model`s; None is the
        battery of bundled models.
      horizon, gamma, entropy, kl: override the models' own.
      off_policy: whether the model's behavior draws the episodes.
      same_start: whether the episodes of a batch share s_0, as the completions of one prompt do.
      tolerance: the relative bias ‖E[ĝ] − ∇J‖ / ‖∇J‖ that passes; None is 1e-6, 1e-4 for single precision, and 5 %
        where episodes are drawn.
      up_to_scale: accept one positive factor that is the same on every model.
      allow: ids of deviations that are intended, like `dropped-gamma`: accepted where they explain all of the bias.
      batch_sizes: B, for estimators of whole batches; None is 2 and 3, as far as `max_calls` allows.
      max_trajectories: a model with more is left out.
      max_calls: the most batches of one size on one model; None is 30,000 on the battery without
        `batch_sizes`, else 300,000. Of an agent, the most runs on one model; None is 20,000.
      skip_unsuitable: leave out models whose theta is no table (states look alike, or lack actions) where the
        estimator cannot be called on them; None is on the battery alone.
      evidence: `auto`: exact where all can be listed, else from drawn episodes; or one of `exact` and `sampled`.
      confidence: 1 − α of what is decided by drawn episodes.
      max_rollouts: the most that are drawn on one model for one batch size: episodes; batches of an estimator of
        whole batches; runs of an agent. None is what takes about a minute. At least 4,096.
      rng: draws the episodes; None is `default_rng(0)`.
      progress: is called with a model's name and the fraction done.
      announce: is called before much is drawn.
      executor: who does the work: `HERE`, or `Processes`. The digits do not depend on it.

    Raises:
      EstimatorError: the estimator cannot be called, or returns no gradient; with `evidence` exact, also where it
        returns different values for the same batch.
      ModelError: a model cannot be read.
      UsageError: a batch size or the tolerance is out of range, an id is unknown, or there are no models, or one
        lacks a behavior.
    """
    if is_agent(estimate):
        check_options_of_agent(off_policy=off_policy, same_start=same_start, batch_sizes=batch_sizes)
        return verify_agent(
            agent_source_of(estimate), models, horizon=horizon, gamma=gamma, entropy=entropy, kl=kl,
            tolerance=tolerance, up_to_scale=up_to_scale, allow=allow, max_runs=max_calls, evidence=evidence,
            confidence=confidence, max_rollouts=max_rollouts, seed=0 if rng is None else int(rng.integers(2**62)),
            progress=progress, announce=announce, executor=executor,
        )  # fmt: skip
    estimator, allowed = estimator_of(cast("Estimate | Estimator | str", estimate)), checked_ids(allow)
    loaded = problems_of(models, horizon=horizon, gamma=gamma, entropy=entropy, kl=kl, off_policy=off_policy)
    if batch_sizes is not None and not all(1 <= size <= MAX_BATCH_SIZE for size in batch_sizes):
        raise UsageError(f"batch sizes {list(batch_sizes)}; expected 1 to {MAX_BATCH_SIZE}")
    if tolerance is not None and not 0 < tolerance <= 1:
        raise UsageError(f"tolerance {tolerance}; expected more than 0, at most 1")
    if evidence not in EVIDENCE:
        raise UsageError(f"evidence {evidence!r}; expected {', '.join(EVIDENCE)}")
    if not loaded:
        raise UsageError("no models to check on; give at least one")
    if max_calls is None:
        max_calls = usual_max_calls(models, batch_sizes)
    check = _Check(
        estimator,
        tuple(setting_of(model, off_policy=off_policy, same_start=same_start) for model in loaded),
        Limits(
            None if batch_sizes is None else tuple(batch_sizes), max_trajectories, max_calls,
            (tolerance or TOLERANCE) / 10,
        ),
        evidence, tolerance,
        Sampling(confidence, tolerance or SAMPLED_TOLERANCE, max_rollouts, up_to_scale),
        allowed, models is None if skip_unsuitable is None else skip_unsuitable,
        np.random.default_rng(0) if rng is None else rng, progress, announce, executor,
    )  # fmt: skip
    try:
        verification = _checked(check, is_random=False)
    except UnrepeatableError:
        if evidence == "exact":
            raise
        verification = _checked(check, is_random=True)
    return replace(
        verification,
        off_policy=off_policy, same_start=same_start, unit_ratios=estimator.off_policy and not off_policy,
    )  # fmt: skip


def usual_max_calls(models: Models | None, batch_sizes: Sequence[int] | None) -> int:
    """Returns the most batches of one size on one model: fewer where neither models nor sizes were asked for."""
    return MAX_CALLS_ON_BATTERY if models is None and batch_sizes is None else MAX_CALLS


@dataclass(frozen=True, eq=False)
class _Check:
    """What is asked for: arguments of `verify`."""

    estimator: Estimator
    settings: tuple[Setting, ...]
    limits: Limits
    evidence: EvidenceKind
    tolerance: float | None
    sampling: Sampling
    allow: tuple[str, ...]
    skip_unsuitable: bool
    rng: np.random.Generator
    progress: ModelProgress | None
    announce: Announce | None
    executor: Executor


def _checked(check: _Check, *, is_random: bool) -> Verification:
    """The verdict: on what can be listed first, and where that passes, on what is drawn."""
    estimator, limits = check.estimator, check.limits
    examined = examine(estimator, check.settings, skip_unsuitable=check.skip_unsuitable, is_random=is_random)
    if check.evidence == "sampled":
        evidence = none_listed(examined, limits, RANDOM if is_random else NOT_ASKED_FOR)
    else:
        evidence = gather(estimator, examined, limits, check.progress, check.executor)
    drawn = () if check.evidence == "exact" else tuple(it for it in evidence.unlisted if it.sizes)
    left_out = tuple(it.skipped for it in evidence.unlisted if it not in drawn)
    skipped = tuple(dict.fromkeys((*examined.skipped, *left_out)))
    exact: Verification | None = None
    if evidence.findings or not drawn:
        checked = {finding.mdp.name for finding in evidence.findings}
        judgement = judged(
            estimator, evidence.contract, evidence.findings, check.tolerance, check.allow,
            up_to_scale=check.sampling.up_to_scale,
            is_complete=bool(checked or drawn) and is_complete(skipped, checked | _names(drawn), limits),
        )  # fmt: skip
        examined.check_again(estimator)  # after all these calls it is still the same function
        exact = judgement.verification
        if exact.verdict == "fail":
            return replace(exact, skipped=(*skipped, *(it.skipped for it in drawn)))
        exact = replace(with_larger_batches(judgement), skipped=skipped)
        if not drawn or exact.verdict == "fail":
            return exact
    assert evidence.contract is not None
    sampled = drawn_evidence(
        estimator, evidence.contract, drawn, check.sampling, check.rng,
        progress=check.progress, announce=check.announce, executor=check.executor,
    )  # fmt: skip
    checked = {it.finding.mdp.name for it in sampled} | (set() if exact is None else set(exact.checked))
    verification = judged_by_samples(
        estimator, evidence.contract, exact, sampled, check.sampling, check.allow,
        is_complete=is_complete(skipped, checked, limits),
    )  # fmt: skip
    examined.check_again(estimator)
    return replace(verification, skipped=skipped)


def _names(unlisted: Sequence[Unlisted]) -> set[str]:
    return {it.setting.mdp.name for it in unlisted}


def is_complete(skipped: Sequence[Skipped], checked: Collection[str], limits: Limits) -> bool:
    """Whether every model was checked; where batch sizes were asked for, with each of them."""
    too_large = [it for it in skipped if not it.unsuitable]
    if any(it.model not in checked for it in too_large):
        return False
    return bool(checked) and not (too_large and limits.batch_sizes is not None)
