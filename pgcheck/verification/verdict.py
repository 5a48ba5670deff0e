"""Somebody's estimator against the exact gradient: the evidence, and the verdict."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from pgcheck.errors import TooLargeError, UsageError
from pgcheck.estimators.base import Caller, Estimate, Gradients
from pgcheck.estimators.catalogue import estimator as built_in
from pgcheck.estimators.contract import Contract, check_again, contract_of, representative
from pgcheck.estimators.moments import predict
from pgcheck.exact.gradient import exact_gradient
from pgcheck.external.calling import LocalCaller
from pgcheck.formats.modelfile import load
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.counting import count_text, count_trajectories
from pgcheck.trajectories.paths import listed
from pgcheck.verification.battery import battery
from pgcheck.verification.diagnosis import diagnose
from pgcheck.verification.exhaustive import Expectation, calls_for, over_batches, over_episodes
from pgcheck.verification.probing import MAX_PROBED, Case, Diagnosis, Finding, Matrix

Verdict = Literal["pass", "fail", "inconclusive"]

TOLERANCE, SINGLE_TOLERANCE = 1e-6, 1e-4  # relative bias that passes, in double and in single precision
MAX_EPISODES = 2_000_000  # trajectories that an estimator is called with
MAX_LISTED = 20_000  # of which batches are made, and on which mistakes are looked for
MAX_CALLS = 300_000  # batches of one size on one model
BATTERY_CALLS = 30_000  # the same, where no models were given
SIZES = (2, 3)

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Skipped:
    """A model on which an estimator could not be checked exactly, and why."""

    model: str
    why: str


@dataclass(frozen=True, eq=False)
class Verification:
    """What was found.

    Attributes:
      verdict: `pass`, `fail`, or `inconclusive` where nothing could be listed.
      findings: one for each model and batch size.
      contract: what kind of function the estimator is.
      tolerance: the relative bias that passes.
      scale: the one factor that was accepted with `up_to_scale`.
      diagnosis: what is wrong, by name.
      matrix: how the estimator weighs steps by rewards, where it could be found out.
      skipped: models that were too large.
    """

    verdict: Verdict
    findings: tuple[Finding, ...]
    contract: Contract
    tolerance: float
    scale: float | None
    diagnosis: tuple[Diagnosis, ...]
    matrix: Matrix | None
    skipped: tuple[Skipped, ...]

    @property
    def worst(self) -> Finding | None:
        """The finding with the greatest relative bias."""
        return max(self.findings, key=lambda found: found.badness, default=None)


def verify(
    estimate: Estimate | str,
    models: Sequence[str | Path | tuple[MDP, Policy]] | str | Path | None = None,
    *,
    tolerance: float | None = None,
    up_to_scale: bool = False,
    batch_sizes: Sequence[int] | None = None,
) -> Verification:
    """Returns whether an estimator's exact expectation is ∇J, and if not, what is wrong with it.

    Args:
      estimate: a function from a `Batch` to one gradient for each episode `[N, *theta.shape]` or one for the whole
        batch `[*theta.shape]`, or the name of a built-in estimator. It runs in this process.
      models: names, paths, or MDPs with their policies; None is the battery of bundled models.
      tolerance, up_to_scale, batch_sizes: as in `verify_with`.

    Raises:
      EstimatorError: the estimator returns what is no gradient, or other numbers when called again.
      ModelError: a model cannot be read.
    """
    function = built_in(estimate) if isinstance(estimate, str) else estimate
    name = estimate if isinstance(estimate, str) else getattr(estimate, "__name__", "the estimator")
    if isinstance(models, str | Path):
        models = [models]
    chosen = battery() if models is None else [load(m) if isinstance(m, str | Path) else m for m in models]
    return verify_with(
        LocalCaller(function, name), chosen, tolerance=tolerance, up_to_scale=up_to_scale, batch_sizes=batch_sizes,
        max_calls=BATTERY_CALLS if models is None and batch_sizes is None else MAX_CALLS,
    )  # fmt: skip


def verify_with(
    caller: Caller,
    models: Sequence[tuple[MDP, Policy]],
    *,
    tolerance: float | None = None,
    up_to_scale: bool = False,
    batch_sizes: Sequence[int] | None = None,
    max_trajectories: int = MAX_EPISODES,
    max_calls: int = MAX_CALLS,
    progress: Progress | None = None,
) -> Verification:
    """Returns whether an estimator's exact expectation is ∇J on these models.

    The expectation is Σ_τ P(τ) ĝ(τ) over all trajectories; for an estimator of whole batches,
    Σ P(τ_1) … P(τ_B) ĝ(τ_1, …, τ_B) over all batches of B. There is no sampling noise in it.

    Args:
      caller: calls the estimator.
      models: what it is checked on.
      tolerance: the relative bias ‖E[ĝ] − ∇J‖ / ‖∇J‖ that passes; None is 1e-6, 1e-4 for single precision.
      up_to_scale: accept one positive factor that is the same on every model.
      batch_sizes: B, for estimators of whole batches; None is 2 and 3, as far as `max_calls` allows.
      max_trajectories: refuse to go through more.
      max_calls: the most batches of one size.
      progress: called with a model's name and the fraction done.

    Raises:
      EstimatorError: the estimator cannot be called, or returns what is no gradient.
      UsageError: a batch size or the tolerance is out of range, or there are no models.
    """
    if batch_sizes is not None and not all(1 <= size <= 64 for size in batch_sizes):
        raise UsageError(f"batch sizes {list(batch_sizes)}; expected 1 to 64")
    if tolerance is not None and not 0 < tolerance <= 1:
        raise UsageError(f"tolerance {tolerance}; expected more than 0, at most 1")
    if not models:
        raise UsageError("no models to check on; give at least one")
    kind: Contract | None = None
    findings: list[Finding] = []
    cases: list[Case] = []
    skipped: list[Skipped] = []
    before: list[tuple[Batch, Gradients]] = []
    looked: list[tuple[MDP, Policy, Batch]] = []
    for mdp, policy in models:
        try:
            first, _ = listed(mdp, policy, most=2000)
        except TooLargeError as error:
            skipped.append(Skipped(mdp.name, str(error).partition("\n")[0]))
            continue
        looked.append((mdp, policy, first))
        kind = _stricter(kind, contract_of(caller, first))
        some = representative(first)
        before.append((some, caller.whole(some)))
    if kind is None:
        nothing = Contract(rows=True, coupled=False, ordered=False, plain_mean=True, single=False)
        return Verification("inconclusive", (), nothing, tolerance or TOLERANCE, None, (), None, tuple(skipped))
    for mdp, policy, first in looked:
        count = _count(mdp)
        if count is None or count > max_trajectories:
            many = "more than can be counted" if count is None else f"{count_text(count)} trajectories"
            skipped.append(Skipped(mdp.name, f"{many}; the limit is {max_trajectories:,}"))
            continue
        case = Case(mdp, policy, *listed(mdp, policy)) if count <= MAX_LISTED else None
        found, why, kind = _expectations(caller, mdp, policy, count, case, kind, batch_sizes, max_calls, progress)
        if why:
            skipped.append(Skipped(mdp.name, why))
        if not found:
            continue
        cases += [] if case is None else [case]
        findings += [_finding(mdp, policy, expectation, first, case) for expectation in found]
    if tolerance is None:
        tolerance = SINGLE_TOLERANCE if kind.single else TOLERANCE
    scale = _common_scale(findings) if up_to_scale else None
    right = all(found.is_right(tolerance, scale or 1.0) for found in findings) and (scale is None or scale > 0)
    verdict: Verdict = "fail"
    if right:
        incomplete = _nothing(findings, skipped) or (skipped and batch_sizes is not None)
        verdict = "pass" if findings and not incomplete else "inconclusive"
    shown = findings if right else findings + _elsewhere(caller, kind, findings)
    diagnosis, matrix = diagnose(caller, kind, shown, cases, failed=not right, tolerance=tolerance)
    for batch, answer in before:  # after all these calls it is still the same function
        check_again(caller, batch, answer)
    return Verification(verdict, tuple(findings), kind, tolerance, scale, tuple(diagnosis), matrix, tuple(skipped))


def _elsewhere(caller: Caller, kind: Contract, findings: Sequence[Finding]) -> list[Finding]:
    """For a diagnosis: a finding on a small model, where batches of the others are too many to be altered."""
    if kind.by_episode or any(
        found.case and calls_for(len(found.case.batch), found.expectation.batch_size, kind) <= MAX_PROBED
        for found in findings
    ):
        return []
    mdp, policy = battery()[0]
    case = Case(mdp, policy, *listed(mdp, policy))
    try:
        expectation = over_batches(caller, case.batch, case.prob, SIZES[0], kind)
    except Exception:  # it may be made for the other models only
        return []
    return [_finding(mdp, policy, expectation, case.batch, case)]


def _nothing(findings: Sequence[Finding], skipped: Sequence[Skipped]) -> bool:
    """Whether some model could not be looked at at all."""
    return bool({one.model for one in skipped} - {found.mdp.name for found in findings})


def _count(mdp: MDP) -> int | None:
    try:
        return count_trajectories(mdp)
    except TooLargeError:
        return None


def _stricter(one: Contract | None, other: Contract) -> Contract:
    """What holds on both of two models."""
    if one is None:
        return other
    return Contract(
        one.rows and other.rows,
        one.coupled or other.coupled,
        one.ordered or other.ordered,
        one.plain_mean and other.plain_mean,
        one.single or other.single,
    )


def _expectations(
    caller: Caller,
    mdp: MDP,
    policy: Policy,
    count: int,
    case: Case | None,
    kind: Contract,
    sizes: Sequence[int] | None,
    max_calls: int,
    progress: Progress | None,
) -> tuple[list[Expectation], str, Contract]:
    """The expectations that fit, why others do not, and what kind of function it was after all."""

    def told(fraction: float) -> None:
        if progress is not None:
            progress(mdp.name, fraction)

    if kind.by_episode and sizes is None:
        if not kind.rows and count > max_calls:
            return [], f"{count:,} trajectories, one call each; the limit is {max_calls:,} (--max-calls)", kind
        found = over_episodes(caller, mdp, policy, kind, progress=told)
        if found is not None:
            return [found], "", kind
        kind = Contract(True, True, True, False, kind.single)
    fitting = [size for size in sizes or SIZES if case is not None and calls_for(count, size, kind) <= max_calls]
    why = ""
    if len(fitting) < len(sizes or SIZES):
        size = next(size for size in sizes or SIZES if size not in fitting)
        many = calls_for(count, size, kind)
        why = f"{count_text(many)} batches of {size} among {count_text(count)} trajectories"
        why += (
            f"; the limit is {MAX_LISTED:,}" if count > MAX_LISTED else f"; the limit is {max_calls:,} (--max-calls)"
        )
    if case is None or not fitting:
        return [], why, kind
    return [over_batches(caller, case.batch, case.prob, size, kind, progress=told) for size in fitting], why, kind


def _finding(mdp: MDP, policy: Policy, expectation: Expectation, some: Batch, case: Case | None) -> Finding:
    truth = exact_gradient(mdp, policy, method="backward-induction")
    rng = np.random.default_rng(0)  # for samples, which are not exact and are left out
    traces: list[float | None] = []
    for name in ("reinforce", "reward-to-go"):
        moments = predict(mdp, policy, built_in(name), rng)(None)
        exact = moments is not None and moments.evidence != "sample"
        traces.append(moments.trace if moments is not None and exact else None)
    reinforce, to_go = traces
    gradient = some.shaped(np.zeros(len(policy.theta)) if truth.is_zero else truth.gradient)
    return Finding(mdp, policy, expectation, gradient, reinforce, to_go, case)


def _common_scale(findings: Sequence[Finding]) -> float | None:
    """The factor that fits all findings best."""
    above = math.fsum(float(np.sum(found.expectation.mean * found.gradient)) for found in findings)
    below = math.fsum(float(np.sum(found.gradient**2)) for found in findings)
    return above / below if below > 0 else None
