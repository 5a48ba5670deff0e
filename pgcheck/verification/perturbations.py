"""Naming a mistake by how the expectation responds when rewards, flags and next states are altered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgcheck.arrays import Floats, norm_of
from pgcheck.estimators.mistakes import Candidate, with_gamma_t
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.batching import explain_trend, trend_of
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.findings import Enumeration, Finding
from pgcheck.verification.impulses import WeightMatrix
from pgcheck.verification.matching import best_factor, match_mistakes
from pgcheck.verification.probing import Prober

Change = Callable[[Batch], Batch]


def all_terminated(batch: Batch) -> Batch:
    """Returns the episodes as if every one had terminated."""
    return batch.altered(terminated=np.ones(len(batch), dtype=np.bool_))


def all_cut_off(batch: Batch) -> Batch:
    """Returns the episodes as if the horizon had cut every one off."""
    return batch.altered(terminated=np.zeros(len(batch), dtype=np.bool_))


def next_states_moved(batch: Batch) -> Batch:
    """Returns the episodes with every next state replaced by the one after it in number."""
    return batch.altered(next_states=np.where(batch.mask, (batch.next_states + 1) % batch.num_states, 0))


def no_rewards(batch: Batch) -> Batch:
    """Returns the episodes with every reward 0."""
    return batch.altered(rewards=np.zeros(batch.rewards.shape))


def rewards_times(factor: float) -> Change:
    """Returns the change that multiplies all rewards."""
    return lambda batch: batch.altered(rewards=factor * batch.rewards)


@dataclass(frozen=True, eq=False)
class Responses:
    """The expectation on one model, as it is and under each change; None where the estimator cannot be called.

    Attributes:
      finding: the model, with its expectation as it is.
      enumeration: the model's episodes.
      size: ‖E[ĝ]‖ or ‖∇J‖, the greater: differences are relative to it.
    """

    finding: Finding
    enumeration: Enumeration
    size: float
    terminated: Floats | None
    cut_off: Floats | None
    moved: Floats | None
    no_rewards: Floats | None
    doubled: Floats | None
    negated: Floats | None

    @property
    def mean(self) -> Floats:
        """E[ĝ] as it is."""
        return self.finding.expectation.mean


def explain_responses(prober: Prober, findings: Sequence[Finding], matrix: WeightMatrix | None) -> list[Diagnosis]:
    """Returns what the expectation's response to altered episodes says; empty where it says nothing.

    Where a change explains a part of the bias, the rest is compared with the known mistakes again.
    """
    alterable = prober.alterable(findings)
    if not alterable:
        return explain_trend(prober, findings)
    responses = _responses(prober, alterable)
    diagnoses = _flags_and_constants(prober, responses, alterable)
    nonlinear = _nonlinear(prober, responses, findings)
    diagnoses += nonlinear
    if not diagnoses:
        diagnoses = explain_trend(prober, findings)
    if not diagnoses and matrix is not None and matrix.is_right and prober.weights_follow_actions(1.0):
        diagnoses.append(Diagnosis("action-dependent-baseline", "action-dependent-baseline/action"))
    if responses.no_rewards is None and prober.was_not_finite:
        diagnoses.append(Diagnosis("nan", "nan/no-reward"))
    return diagnoses


def _responses(prober: Prober, findings: Sequence[Finding]) -> Responses:
    """The responses on the model with the fewest episodes."""
    enumeration, finding = min(
        ((finding.enumeration, finding) for finding in findings if finding.enumeration is not None),
        key=lambda pair: len(pair[0].batch),
    )
    terminated, cut_off, moved, zero, doubled, negated = (
        _altered_mean(prober, finding, change)
        for change in (
            all_terminated, all_cut_off, next_states_moved, no_rewards, rewards_times(2.0), rewards_times(-1.0),
        )
    )  # fmt: skip
    size = max(norm_of(finding.expectation.mean), finding.norm, 1e-300)
    return Responses(finding, enumeration, size, terminated, cut_off, moved, zero, doubled, negated)


def _altered_mean(prober: Prober, finding: Finding, change: Change) -> Floats | None:
    assert finding.enumeration is not None
    return prober.mean(finding.enumeration, change(finding.enumeration.batch), finding.batch_size)


def _flags_and_constants(prober: Prober, responses: Responses, alterable: Sequence[Finding]) -> list[Diagnosis]:
    """Whether the result depends on `terminated`, on next states, or is there without any reward."""
    limit = prober.tolerance * responses.size

    def differ(a: Floats | None, b: Floats | None) -> bool:
        return a is not None and b is not None and norm_of(a - b) > limit

    mean = responses.mean
    if differ(responses.terminated, mean) or differ(responses.cut_off, mean):
        rest = _rest(prober, alterable, all_terminated, lambda _, altered: altered)
        return [Diagnosis("bootstrap", _flag_cause(responses, limit)), *(rest or [])]
    if differ(responses.moved, mean):
        return [Diagnosis("bootstrap", "bootstrap/next-states")]
    if responses.no_rewards is not None and norm_of(responses.no_rewards) > limit:
        constant = _constant(prober, responses.enumeration, responses.no_rewards)
        rest = _rest(prober, alterable, no_rewards, lambda mean, altered: mean - altered)
        if rest is None:
            return [replace(constant, notes=(*constant.notes, "right-without-it"))]
        return [constant, *rest]
    return []


def _rest(
    prober: Prober, alterable: Sequence[Finding], change: Change, remainder: Callable[[Floats, Floats], Floats]
) -> list[Diagnosis] | None:
    """What is wrong with the remainder of the expectation before and after a change; None where it is right."""
    rest = []
    for finding in alterable:
        altered = _altered_mean(prober, finding, change)
        if altered is not None:
            mean = remainder(finding.expectation.mean, altered)
            rest.append(replace(finding, expectation=replace(finding.expectation, mean=mean)))
    if all(finding.is_right(prober.tolerance) for finding in rest):
        return None
    return match_mistakes(prober, rest, None)


def _flag_cause(responses: Responses, limit: float) -> str:
    """How the result depends on the flag `terminated`."""
    for mean, cause in (
        (responses.terminated, "bootstrap/terminated-right"),
        (responses.cut_off, "bootstrap/cut-right"),
    ):
        if mean is not None and norm_of(mean - responses.finding.gradient) <= limit:
            return cause
    return "bootstrap/time-limit"


def _constant(prober: Prober, enumeration: Enumeration, mean: Floats) -> Diagnosis:
    """What the estimator's expectation is where every reward is 0."""
    for weights in (_log_pi, with_gamma_t(_log_pi)):
        entropy = Candidate(weights).mean(enumeration.batch, enumeration.prob)
        factor = best_factor([mean], [entropy])
        if factor and norm_of(mean - factor * entropy) <= prober.tolerance * norm_of(mean):
            return Diagnosis("regulariser", "regulariser/entropy", (("coefficient", abs(factor)),))
    if prober.contract.by_episode and _varies(prober, enumeration) and prober.weights_follow_actions(0.0):
        return Diagnosis("action-dependent-baseline", "action-dependent-baseline/no-reward")
    return Diagnosis("regulariser", "regulariser/weight-decay")


def _varies(prober: Prober, enumeration: Enumeration) -> bool:
    """Whether gradients differ from episode to episode although every reward is 0."""
    rows = prober.each(no_rewards(enumeration.batch))
    return float(np.max(np.abs(rows - rows[0]))) > prober.tolerance * float(np.max(np.abs(rows)))


def _log_pi(batch: Batch) -> Floats:
    """w_t = log π(a_t|s_t): the gradient of minus the entropy."""
    return np.log(np.where(batch.mask, batch.probs[batch.states, batch.actions], 1.0))


def _nonlinear(prober: Prober, responses: Responses, findings: Sequence[Finding]) -> list[Diagnosis]:
    """Whether the expectation fails to follow the rewards in proportion."""
    base = np.zeros(responses.mean.shape) if responses.no_rewards is None else responses.no_rewards
    for altered, factor, cause in (
        (responses.doubled, 2.0, "nonlinear/doubled"),
        (responses.negated, -1.0, "nonlinear/negated"),
    ):
        if altered is None:
            continue
        off = norm_of(altered - base - factor * (responses.mean - base))
        if off > prober.tolerance * responses.size:
            diagnosis = Diagnosis("nonlinear", cause)
            trend = trend_of(findings, prober.tolerance)
            return [diagnosis if trend is None else trend.noted(diagnosis)]
    return []
