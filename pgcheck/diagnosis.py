"""Naming a mistake: by known wrong fields, by impulses, and by what changes when the episodes are altered.

Nothing is named that was not tested for; what is left is `other`, with the matrix of impulses.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain as chained

import numpy as np

from pgcheck import probes
from pgcheck.batch import Batch
from pgcheck.calls import Caller
from pgcheck.errors import EstimatorError
from pgcheck.expectation import Expectation, Habits, over_batches
from pgcheck.fields import FIELDS, RIGHT, Field
from pgcheck.mdp import MDP, Floats
from pgcheck.policy import Policy

STEPS = 4  # of the episodes that are probed with impulses
GAMMA = 0.9  # where the models' own is 0 or 1
MAX_PROBED = 200  # batches of two are made of so many trajectories at most, where episodes are altered
CLOSE, CLOSE_SINGLE = 1e-6, 1e-4


@dataclass(frozen=True)
class Diagnosis:
    """One thing that is wrong: its name, and what it means."""

    id: str
    text: str


@dataclass(frozen=True, eq=False)
class Case:
    """A model small enough to alter its episodes: all of them, and their probabilities."""

    mdp: MDP
    policy: Policy
    batch: Batch
    prob: Floats

    @property
    def mean_length(self) -> float:
        """E[L]."""
        return float(self.prob @ self.batch.lengths)


@dataclass(frozen=True, eq=False)
class Finding:
    """The expectation on one model, for one batch size, beside the gradient.

    Attributes:
      mdp, policy: the model.
      expectation: E[ĝ] and its batch size.
      gradient: ∇J `[*theta.shape]`.
      value: J.
      reinforce, reward_to_go: tr Σ of these; None where it is not known exactly.
      case: the model's episodes, where they are few.
    """

    mdp: MDP
    policy: Policy
    expectation: Expectation
    gradient: Floats
    value: float
    reinforce: float | None
    reward_to_go: float | None
    case: Case | None

    @property
    def norm(self) -> float:
        """‖∇J‖."""
        return float(np.linalg.norm(self.gradient))

    @property
    def bias(self) -> float:
        """‖E[ĝ] − ∇J‖."""
        return float(np.linalg.norm(self.expectation.mean - self.gradient))

    @property
    def relative_bias(self) -> float | None:
        """The same over ‖∇J‖; None where that is 0."""
        return self.bias / self.norm if self.norm > 0 else None

    @property
    def badness(self) -> float:
        """The relative bias, or where ∇J is 0 the bias itself."""
        return self.bias if self.relative_bias is None else self.relative_bias

    @cached_property
    def freedom(self) -> int:
        """How many directions a gradient can have: actions beyond the first, in each observation that is met."""
        rows = {tuple(row[row >= 0].tolist()) for row in self.policy.index if np.any(row >= 0)}
        return sum(len(row) - 1 for row in rows)

    @property
    def cosine(self) -> float | None:
        """Of the angle between E[ĝ] and ∇J; None where one is 0, or where there is but one direction."""
        size = float(np.linalg.norm(self.expectation.mean))
        if self.freedom < 2 or size == 0 or self.norm == 0:
            return None
        return float(np.clip(np.sum(self.expectation.mean / size * (self.gradient / self.norm)), -1, 1))

    @property
    def scale(self) -> float | None:
        """The c for which c ∇J is nearest to E[ĝ]."""
        if self.norm == 0:
            return None
        return float(np.sum(self.expectation.mean * self.gradient) / self.norm**2)

    def is_right(self, tolerance: float, scale: float = 1.0) -> bool:
        """Whether E[ĝ] is scale · ∇J but for the tolerance."""
        off = float(np.linalg.norm(self.expectation.mean - scale * self.gradient))
        if self.norm == 0:
            # Relative to nothing: to what one reward could have made of it.
            return off <= tolerance * max(float(np.abs(self.mdp.reward).max(initial=0)), 1e-300) or off == 0
        return off <= tolerance * abs(scale) * self.norm


@dataclass(frozen=True, eq=False)
class Matrix:
    """W[t, k] of an estimator, γ of the probe, and whether it is right where k ≥ t."""

    values: Floats
    gamma: float
    is_right: bool


def diagnose(
    caller: Caller,
    kind: Habits,
    findings: Sequence[Finding],
    cases: Sequence[Case],
    *,
    failed: bool,
    tolerance: float,
) -> tuple[list[Diagnosis], Matrix | None]:
    """Returns what is wrong with an estimator, and its matrix of impulses.

    One that is right may still have something to be warned of: that it fails on episodes of one step.
    """
    bench = _Bench(caller, kind)
    warnings = bench.not_finite()
    if not failed:
        return warnings, None
    gamma = next((case.mdp.gamma for case in cases if 0 < case.mdp.gamma < 1), GAMMA)
    matrix = bench.matrix(gamma)
    small = [found for found in findings if found.case is not None]
    named: list[Diagnosis] = []
    if small:
        close = max(CLOSE_SINGLE if kind.single else CLOSE, tolerance)
        named = _by_field(bench, small, gamma, matrix, close) or _by_change(bench, small, gamma, matrix, close)
    if kind.coupled:
        text = "rows of the result change with the other episodes of the batch: each must depend on its own alone"
        named.append(Diagnosis("batch-coupled", text))
    if not [one for one in named if one.id != "batch-coupled"] and not (named and not kind.by_episode):
        named.append(Diagnosis("other", "none of the known mistakes"))
    return named + warnings, matrix


class _Bench:
    """Calls an estimator on altered episodes."""

    def __init__(self, caller: Caller, kind: Habits) -> None:
        self.caller = caller
        self.kind = kind

    def each(self, batch: Batch) -> Floats:
        """The gradients of single episodes `[N, *theta.shape]`."""
        if self.kind.rows:
            return self.caller.whole(batch).values
        return self.caller.groups(batch, np.arange(len(batch))[:, None]).values

    def mean(self, case: Case, batch: Batch, size: int) -> Floats | None:
        """E[ĝ] over altered episodes of a case; None where it is not finite, or takes too long."""
        try:
            if self.kind.by_episode:
                return np.asarray(np.tensordot(case.prob, self.each(batch), axes=1))
            if len(batch) > MAX_PROBED:
                return None
            return over_batches(self.caller, batch, case.prob, size, self.kind).mean
        except EstimatorError as error:
            if error.not_finite:
                return None
            raise

    def matrix(self, gamma: float) -> Matrix | None:
        """W of episodes that terminate; None for an estimator of whole batches."""
        if not self.kind.by_episode:
            return None
        try:
            values = probes.impulses(self.each, STEPS, gamma)
        except EstimatorError as error:
            if error.not_finite:
                return None
            raise
        return Matrix(values, gamma, probes.agree(values, probes.right(STEPS, gamma), self.close))

    @property
    def close(self) -> float:
        return CLOSE_SINGLE if self.kind.single else CLOSE

    def not_finite(self) -> list[Diagnosis]:
        """Where the estimator breaks although no model did it: one step, no reward, equal rewards."""
        if not self.kind.by_episode:
            return []
        broken = []
        for what, steps, reward in (
            ("episodes of one step", 1, [1.0]),
            ("episodes in which every reward is 0", 3, [0.0] * 3),
            ("episodes in which all rewards are alike", 3, [1.0] * 3),
        ):
            mdp, policy = probes.chain(steps, GAMMA)
            batch = probes.episodes(mdp, policy, [[t % 2 for t in range(steps)], [0] * steps])
            try:
                self.each(batch.altered(rewards=np.tile(reward, (2, 1))))
            except EstimatorError as error:
                if not error.not_finite:
                    raise
                broken.append(what)
        return [Diagnosis("nan", f"the result is not finite for {', '.join(broken)}")] if broken else []


Scale = tuple[str, str, list[float]]  # id, text, and the factor on each finding


def _scales(findings: Sequence[Finding]) -> list[Scale]:
    """Factors that have a meaning, where they differ from 1."""
    gamma = [found.mdp.gamma for found in findings]
    horizon = [float(found.mdp.horizon) for found in findings]
    length = [found.case.mean_length if found.case else 1.0 for found in findings]
    size = [float(found.expectation.batch_size) for found in findings]
    known: list[Scale] = [
        ("sign", "the sign is wrong: this is minus the gradient, as of a loss", [-1.0 for _ in findings]),
        ("scale", "gamma times the gradient: the discount counts from t = 1", gamma),
        ("scale", "the gradient divided by gamma", [1 / g if g > 0 else 1.0 for g in gamma]),
        ("length-normalised", "the gradient divided by the horizon T", [1 / t for t in horizon]),
        ("length-normalised", "the gradient divided by the mean length E[L]", [1 / x if x else 1.0 for x in length]),
        ("scale", "T times the gradient, T the horizon", horizon),
        (
            "scale",
            "exactly (1 - 1/B) times the gradient: the baseline contains the episode's own return; leave that "
            "one out, or divide by B - 1",
            [1 - 1 / b for b in size],
        ),
        ("scale", "exactly B times the gradient: a sum over the batch where the mean is meant", size),
        ("scale", "the gradient divided by B, beyond the mean", [1 / b for b in size]),
        ("scale", "exactly B/(B - 1) times the gradient", [b / (b - 1) if b > 1 else 1.0 for b in size]),
        ("scale", "exactly B - 1 times the gradient", [b - 1 if b > 1 else 1.0 for b in size]),
        ("scale", "exactly 1/(B - 1) times the gradient", [1 / (b - 1) if b > 1 else 1.0 for b in size]),
    ]
    minus = [
        ("sign", f"the sign is wrong; besides, {text.replace('the gradient', 'it', 1)}", [-x for x in factors])
        for _, text, factors in known[1:]
    ]
    return [some for some in chained(known, minus) if any(abs(x - 1) > 1e-9 for x in some[2])]


def _by_field(
    bench: _Bench, findings: Sequence[Finding], gamma: float, matrix: Matrix | None, close: float
) -> list[Diagnosis]:
    """The known field, or multiple of one, that the expectation is on every model."""
    means = [found.expectation.mean for found in findings]
    sizes = [max(float(np.linalg.norm(mean)), 1e-300) for mean in means]
    if all(size <= close * found.norm for size, found in zip(sizes, findings, strict=True)):
        return [Diagnosis("zero-mean", "the expectation is 0: what is weighed with does not depend on the action")]

    def fits(fields: Sequence[Floats], factors: Sequence[float]) -> bool:
        return all(
            float(np.linalg.norm(mean - factor * field)) <= close * size
            for mean, field, factor, size in zip(means, fields, factors, sizes, strict=True)
        )

    scales = _scales(findings)
    # With one direction and one model everything is a multiple of everything else; so only impulses tell.
    blind = sum(found.freedom for found in findings) < 2
    found: list[tuple[Field, Scale | None]] = []
    for rank in range(3):
        for field in (RIGHT, *FIELDS):
            fields = [_mean(field, one) for one in findings]
            if rank == 0 and field is not RIGHT and fits(fields, [1.0] * len(means)):
                found.append((field, None))
            elif rank == 1:
                found += [(field, scale) for scale in scales if fits(fields, scale[2])]
            elif rank == 2 and not blind:
                factor = _best(means, fields)
                if factor is not None and fits(fields, [factor] * len(means)):
                    what = ("sign", "the sign is wrong; besides, it is") if factor < 0 else ("scale", "it is")
                    text = f"{what[1]} {abs(factor):.6g} times {'the gradient' if field is RIGHT else 'that'}"
                    found.append((field, (what[0], text, [factor] * len(means))))
        if found:
            break
    if not found:
        return []
    agreeing = [pair for pair in found if matrix is not None and _agrees(pair, matrix, gamma)]
    if blind and not agreeing:
        return []
    field, scale = (agreeing or found)[0]
    told = [Diagnosis(name, field.text) for name in field.ids[:1]]
    told += [Diagnosis(name, field.text) for name in field.ids[1:]]
    if scale is not None:
        told.append(Diagnosis(scale[0], scale[1]))
    return _right_without_discount(bench, told)


def _mean(field: Field, found: Finding) -> Floats:
    assert found.case is not None
    return field.mean(found.case.batch, found.case.prob)


def _agrees(pair: tuple[Field, Scale | None], matrix: Matrix, gamma: float) -> bool:
    """Whether a field weighs steps by rewards as the estimator does."""
    field, scale = pair
    own = probes.impulses(field.each, STEPS, gamma)
    factors = [1.0] if scale is None else [*scale[2], 1 / STEPS, gamma, 1 / gamma, float(STEPS), -1.0]
    return any(probes.agree(matrix.values, factor * own) for factor in factors)


def _best(means: Sequence[Floats], fields: Sequence[Floats]) -> float | None:
    below = sum(float(np.sum(field**2)) for field in fields)
    if below == 0:
        return None
    return sum(float(np.sum(mean * field)) for mean, field in zip(means, fields, strict=True)) / below


def _right_without_discount(bench: _Bench, told: list[Diagnosis]) -> list[Diagnosis]:
    """Adds, where it is so, that the estimator is right for γ = 1."""
    plain = bench.matrix(1.0)
    if plain is None or not plain.is_right or not told:
        return told
    return [Diagnosis(told[0].id, f"{told[0].text} (it is right for gamma = 1)"), *told[1:]]


def _by_change(
    bench: _Bench, findings: Sequence[Finding], gamma: float, matrix: Matrix | None, close: float
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
        rest = [mean - zero]
        text = "a term is there without any reward, as of an entropy bonus or of weight decay"
        if not differ(rest[0], one.gradient):
            text += "; without it the estimator is right"
        told.append(Diagnosis("regulariser", text))
    base = np.zeros(mean.shape) if zero is None else zero
    doubled = altered(lambda b: b.altered(rewards=2 * b.rewards))
    if doubled is not None and differ(doubled - base, 2 * (mean - base)):
        text = "twice the rewards do not give twice the gradient: something is standardised, clipped or ranked"
        told.append(Diagnosis("nonlinear", f"{text}{_trend(findings, close)}"))
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


def _swapped(bench: _Bench, gamma: float) -> bool:
    """Whether weights change with the actions where rewards do not."""
    mdp, policy = probes.chain(STEPS, gamma)
    batch = probes.episodes(mdp, policy, [[0] * STEPS, [1] * STEPS])
    batch = batch.altered(rewards=np.ones((2, STEPS)))
    one, other = probes.coefficients(batch, bench.each(batch))
    return float(np.max(np.abs(one - other))) > bench.close * max(1.0, float(np.abs(one).max()))
