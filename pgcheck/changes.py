"""Naming a mistake by what the expectation does when rewards, flags and batches are altered."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from pgcheck import probes
from pgcheck.batch import Batch
from pgcheck.bench import MAX_PROBED, STEPS, Bench, Case, Diagnosis, Finding, Matrix, best_factor
from pgcheck.calls import Caller
from pgcheck.estimators import discounts
from pgcheck.expectation import over_batches
from pgcheck.fields import Field
from pgcheck.interface import Answer
from pgcheck.mdp import Floats, Ints


def by_change(
    bench: Bench, findings: Sequence[Finding], gamma: float, matrix: Matrix | None, close: float
) -> list[Diagnosis]:
    """What the expectation does when rewards, flags and the order of things are altered."""
    one = min(findings, key=lambda found: len(found.case.batch) if found.case else 0)
    case, size, mean = one.case, one.expectation.batch_size, one.expectation.mean
    assert case is not None
    batch, scale = case.batch, max(float(np.linalg.norm(mean)), one.norm, 1e-300)

    def altered(change: Callable[[Batch], Batch]) -> Floats | None:
        return bench.mean(case, change(batch), size)

    def differ(a: Floats | None, b: Floats | None) -> bool:
        return a is not None and b is not None and float(np.linalg.norm(a - b)) > close * scale

    told: list[Diagnosis] = []
    zero = altered(lambda b: b.altered(rewards=np.zeros(b.rewards.shape)))
    if zero is None:
        told.append(Diagnosis("nan", "the result is not finite where every reward is 0"))
    ended = altered(lambda b: b.altered(terminated=np.ones(len(b), dtype=np.bool_)))
    cut = altered(lambda b: b.altered(terminated=np.zeros(len(b), dtype=np.bool_)))
    if differ(ended, mean) or differ(cut, mean):
        told.append(Diagnosis("bootstrap", _flag_told(one, ended, cut, close * scale)))
    if zero is not None and differ(zero, np.zeros(mean.shape)):
        found = _without_reward(bench, case, zero, gamma, close)
        rest = "" if differ(mean - zero, one.gradient) else "; without it the estimator is right"
        told.append(Diagnosis(found.id, found.text + rest))
    base = np.zeros(mean.shape) if zero is None else zero
    doubled = altered(lambda b: b.altered(rewards=2 * b.rewards))
    if doubled is not None and differ(doubled - base, 2 * (mean - base)):
        text = "twice the rewards do not give twice the gradient: something is standardised, clipped or ranked"
        told.append(Diagnosis("nonlinear", f"{text}{_trend(findings, close)}"))
    elif not bench.kind.by_episode and _by_steps(bench, findings, close):
        text = "the sum is divided by the number of steps in the batch: divide by the number of episodes"
        told.append(Diagnosis("length-normalised", text))
    elif not bench.kind.by_episode and (trend := _trend(findings, close)):
        if "exactly" in trend:
            text = f"an episode's own return is in its baseline{trend}"
            told.append(Diagnosis("action-dependent-baseline", text))
        else:
            told.append(
                Diagnosis("batch-coupled", f"the gradient of a batch is not the mean of its episodes'{trend}")
            )
    if not told and matrix is not None and matrix.is_right and _swapped(bench, gamma):
        text = "the weight of a step changes with its action although the rewards are the same"
        told.append(Diagnosis("action-dependent-baseline", text))
    return told


def _without_reward(bench: Bench, case: Case, zero: Floats, gamma: float, close: float) -> Diagnosis:
    """What it is that an estimator returns where every reward is 0."""
    text = "a term is there without any reward"
    for weights in (_log_pi, lambda batch: discounts(batch) * _log_pi(batch)):
        entropy = Field((), "", weights).mean(case.batch, case.prob)
        factor = best_factor([zero], [entropy])
        if factor and float(np.linalg.norm(zero - factor * entropy)) <= close * float(np.linalg.norm(zero)):
            return Diagnosis("regulariser", f"{text}, as of an entropy bonus of {abs(factor):.4g}")
    if bench.kind.by_episode and _varies(bench, case, close) and _swapped(bench, gamma, 0.0):
        text = "without any reward a step has a weight that changes with its action, as of a baseline b(s, a)"
        return Diagnosis("action-dependent-baseline", text)
    return Diagnosis("regulariser", f"{text}, as of weight decay")


def _varies(bench: Bench, case: Case, close: float) -> bool:
    """Whether gradients without reward differ from episode to episode."""
    rows = bench.each(case.batch.altered(rewards=np.zeros(case.batch.rewards.shape)))
    return float(np.max(np.abs(rows - rows[0]))) > close * float(np.max(np.abs(rows)))


def _log_pi(batch: Batch) -> Floats:
    return np.log(np.where(batch.mask, batch.probs[batch.states, batch.actions], 1.0))


class _Rescaled:
    """A caller whose gradients are multiplied by the mean length of the batch's episodes."""

    def __init__(self, caller: Caller) -> None:
        self.name = caller.name
        self._caller = caller

    def whole(self, batch: Batch) -> Answer:
        return self._caller.whole(batch)

    def groups(self, batch: Batch, index: Ints) -> Answer:
        answer = self._caller.groups(batch, index)
        length = batch.lengths[index].mean(axis=1).reshape(-1, *(1 for _ in answer.values.shape[1:]))
        return replace(answer, values=answer.values * length)


def _by_steps(bench: Bench, findings: Sequence[Finding], close: float) -> bool:
    """Whether a batch's gradient is right once it is multiplied by its mean length."""
    caller = _Rescaled(bench.caller)
    for found in findings:
        case, size = found.case, found.expectation.batch_size
        if case is None or len(case.batch) > MAX_PROBED:
            continue
        mean = over_batches(caller, case.batch, case.prob, size, bench.kind).mean
        if float(np.linalg.norm(mean - found.gradient)) > close * found.norm:
            return False
    return True


def _flag_told(one: Finding, ended: Floats | None, cut: Floats | None, tolerance: float) -> str:
    text = "the result depends on the flag `terminated`"
    for mean, what in ((ended, "terminated"), (cut, "cut off")):
        if mean is not None and float(np.linalg.norm(mean - one.gradient)) <= tolerance:
            return f"{text}: it is right once every episode counts as {what}; after the horizon no value is left"
    return f"{text}: something is added where the time limit cuts an episode off"


def _trend(findings: Sequence[Finding], close: float) -> str:
    """How the bias of an estimator of whole batches goes with B."""
    by_model: dict[str, list[Finding]] = {}
    for found in findings:
        by_model.setdefault(found.mdp.name, []).append(found)
    pairs = [found[:2] for found in by_model.values() if len(found) > 1]
    if not pairs:
        return ""
    exact, shrinks = True, True
    for few, many in pairs:
        one, other = (found.expectation.mean - found.gradient for found in (few, many))
        b, c = few.expectation.batch_size, many.expectation.batch_size
        exact = exact and float(np.linalg.norm(b * one - c * other)) <= 10 * close * max(few.norm, few.bias)
        shrinks = shrinks and many.bias < few.bias * (1 + b / c) / 2
    if exact:
        return "; the bias is exactly proportional to 1/B"
    return "; the bias shrinks as B grows" if shrinks else "; the bias does not shrink as B grows"


def _swapped(bench: Bench, gamma: float, reward: float = 1.0) -> bool:
    """Whether weights change with the actions where rewards do not."""
    mdp, policy = probes.chain(STEPS, gamma)
    batch = probes.episodes(mdp, policy, [[0] * STEPS, [1] * STEPS])
    batch = batch.altered(rewards=np.full((2, STEPS), reward))
    try:
        one, other = probes.coefficients(batch, bench.each(batch))
    except Exception:  # as when it was made for one model only
        return False
    return float(np.max(np.abs(one - other))) > bench.close * max(1.0, float(np.abs(one).max()))
