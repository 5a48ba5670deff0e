"""Naming a mistake by what the expectation does when rewards, flags and batches are altered."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from pgcheck.arrays import Floats, Ints, norm_of
from pgcheck.estimators.base import Caller, Gradients
from pgcheck.estimators.mistakes import Field
from pgcheck.estimators.weights import discounts
from pgcheck.trajectories.batch import Batch
from pgcheck.verification import impulses as probes
from pgcheck.verification.matching import by_field
from pgcheck.verification.probing import STEPS, Bench, Case, Diagnosis, Finding, Matrix, best_factor

Change = Callable[[Batch], Batch]


def by_change(
    bench: Bench, findings: Sequence[Finding], gamma: float, matrix: Matrix | None, close: float
) -> list[Diagnosis]:
    """What the expectation does when rewards, flags and next states are altered.

    Where a change explains the bias only in part, the rest is compared with the known fields again.
    """
    probed = bench.probed(findings)
    if not probed:
        return _by_trend(bench, findings, close)
    one = min(probed, key=_episodes)
    case, mean = one.case, one.expectation.mean
    assert case is not None
    scale = max(norm_of(mean), one.norm, 1e-300)

    def means(change: Change, some: Sequence[Finding] = (one,)) -> list[Floats | None]:
        return [_altered(bench, found, change) for found in some]

    def differ(a: Floats | None, b: Floats | None) -> bool:
        return a is not None and b is not None and norm_of(a - b) > close * scale

    def rest(change: Change, signs: tuple[float, float]) -> list[Diagnosis] | None:
        """What is wrong beyond a change: with `signs` times the means before and after it; None for nothing."""
        left = [
            replace(
                found, expectation=replace(found.expectation, mean=signs[0] * found.expectation.mean + signs[1] * m)
            )
            for found, m in zip(probed, means(change, probed), strict=True)
            if m is not None
        ]
        if all(found.is_right(close) for found in left):
            return None
        return by_field(bench, left, gamma, None, close)

    told: list[Diagnosis] = []
    (ended,), (cut,) = means(_ended), means(_cut)
    (moved,), (zero,), (doubled,), (negated,) = means(_moved), means(_zero), means(_doubled), means(_negated)
    if differ(ended, mean) or differ(cut, mean):
        told.append(Diagnosis("bootstrap", _flag_told(one, ended, cut, close * scale)))
        told += rest(_ended, (0.0, 1.0)) or []
    elif differ(moved, mean):
        text = "the result depends on the next states, as of values of them that are not those of the steps left"
        told.append(Diagnosis("bootstrap", text))
    elif differ(zero, np.zeros(mean.shape)):
        assert zero is not None
        found, others = _without_reward(bench, case, zero, gamma, close), rest(_zero, (1.0, -1.0))
        right = "; without it the estimator is right" if others is None else ""
        told += [Diagnosis(found.id, found.text + right), *(others or [])]
    base = np.zeros(mean.shape) if zero is None else zero
    for changed, factor, what in ((doubled, 2.0, "twice"), (negated, -1.0, "minus")):
        if changed is not None and differ(changed - base, factor * (mean - base)):
            text = f"{what} the rewards do not give {what} the gradient: something is"
            text += f" standardised, clipped, ranked or made positive{_trend(findings, close)}"
            told.append(Diagnosis("nonlinear", text))
            break
    else:
        told += [] if told else _by_trend(bench, findings, close)
    if not told and matrix is not None and matrix.is_right and _swapped(bench, gamma):
        text = "the weight of a step changes with its action although the rewards are the same"
        told.append(Diagnosis("action-dependent-baseline", text))
    if zero is None and bench.broke:
        told.append(Diagnosis("nan", "the result is not finite where every reward is 0"))
    return told


def _episodes(found: Finding) -> int:
    return 0 if found.case is None else len(found.case.batch)


def _altered(bench: Bench, found: Finding, change: Change) -> Floats | None:
    assert found.case is not None
    return bench.mean(found.case, change(found.case.batch), found.expectation.batch_size)


def _ended(batch: Batch) -> Batch:
    return batch.altered(terminated=np.ones(len(batch), dtype=np.bool_))


def _cut(batch: Batch) -> Batch:
    return batch.altered(terminated=np.zeros(len(batch), dtype=np.bool_))


def _moved(batch: Batch) -> Batch:
    return batch.altered(next_states=np.where(batch.mask, (batch.next_states + 1) % batch.num_states, 0))


def _zero(batch: Batch) -> Batch:
    return batch.altered(rewards=np.zeros(batch.rewards.shape))


def _doubled(batch: Batch) -> Batch:
    return batch.altered(rewards=2 * batch.rewards)


def _negated(batch: Batch) -> Batch:
    return batch.altered(rewards=-batch.rewards)


def _by_trend(bench: Bench, findings: Sequence[Finding], close: float) -> list[Diagnosis]:
    """What is left to say of an estimator of whole batches."""
    trend = _trend(findings, close)
    if bench.kind.by_episode or not trend:
        return []
    if "exactly" in trend:
        text = f"an episode's own return is in its baseline: leave that one out{trend}"
        return [Diagnosis("action-dependent-baseline", text)]
    text = "the gradient of a batch is not the mean of its episodes'; is an episode's own return in its baseline"
    return [Diagnosis("batch-coupled", f"{text}, or the batch's own size in what is divided by?{trend}")]


def by_steps(bench: Bench, findings: Sequence[Finding], gamma: float, close: float) -> list[Diagnosis]:
    """Whether a batch's gradient is right, or a known field, once it is multiplied by its number of steps."""
    probed = bench.probed(findings)
    for what, length in (
        ("the sum is divided by the number of steps in the batch", _mean_length),
        ("the sum is divided by the padded length T of the batch", _padded_length),
    ):
        scaled = Bench(_Rescaled(bench.caller, length), bench.kind)
        left = [
            replace(found, expectation=replace(found.expectation, mean=mean))
            for found in probed
            if found.case is not None
            and (mean := scaled.mean(found.case, found.case.batch, found.expectation.batch_size)) is not None
        ]
        if not left:
            continue
        others = [] if all(found.is_right(close) for found in left) else by_field(bench, left, gamma, None, close)
        if others or all(found.is_right(close) for found in left):
            text = f"{what}: divide by the number of episodes"
            return [Diagnosis("length-normalised", text), *others]
    return []


def _without_reward(bench: Bench, case: Case, zero: Floats, gamma: float, close: float) -> Diagnosis:
    """What it is that an estimator returns where every reward is 0."""
    text = "a term is there without any reward"
    for weights in (_log_pi, lambda batch: discounts(batch) * _log_pi(batch)):
        entropy = Field((), "", weights).mean(case.batch, case.prob)
        factor = best_factor([zero], [entropy])
        if factor and norm_of(zero - factor * entropy) <= close * norm_of(zero):
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
    """A caller whose gradients are multiplied by a length of the batch."""

    def __init__(self, caller: Caller, length: Callable[[Ints], Floats]) -> None:
        self.name = caller.name
        self._caller = caller
        self._length = length

    def whole(self, batch: Batch) -> Gradients:
        return self._caller.whole(batch)

    def groups(self, batch: Batch, index: Ints) -> Gradients:
        answer = self._caller.groups(batch, index)
        length = self._length(batch.lengths[index]).reshape(-1, *(1 for _ in answer.values.shape[1:]))
        return replace(answer, values=answer.values * length)


def _mean_length(lengths: Ints) -> Floats:
    return np.asarray(lengths.mean(axis=1))


def _padded_length(lengths: Ints) -> Floats:
    return np.asarray(lengths.max(axis=1), dtype=np.float64)


def _flag_told(one: Finding, ended: Floats | None, cut: Floats | None, tolerance: float) -> str:
    text = "the result depends on the flag `terminated`"
    for mean, what in ((ended, "terminated"), (cut, "cut off")):
        if mean is not None and norm_of(mean - one.gradient) <= tolerance:
            why = "after the horizon no value is left" if what == "terminated" else "a last reward counts too"
            return f"{text}: it is right once every episode counts as {what}; {why}"
    return f"{text}: what the time limit cuts off is treated in another way than what terminates"


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
        exact = exact and norm_of(b * one - c * other) <= 10 * close * max(few.norm, few.bias)
        shrinks = shrinks and many.bias < few.bias * (1 + b / c) / 2
    if exact:
        return "; the bias is exactly proportional to 1/B"
    few, many = pairs[0]
    sizes = f"from B = {few.expectation.batch_size} to {many.expectation.batch_size}"
    return f"; {sizes} the bias {'shrinks' if shrinks else 'does not shrink as 1/B'}"


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
