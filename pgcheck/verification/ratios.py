"""Naming what is wrong with the importance ratios of an estimator whose episodes another policy drew.

What else may be wrong is found where the policy itself draws the episodes, so that all ratios are 1. The way in which
the ratios enter is then the only question: whether they are there at all, and of which steps they are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgcheck.arrays import Floats, norm_of
from pgcheck.estimators.base import Weights
from pgcheck.estimators.mistakes import Mistake, dropped_gamma, with_gamma_t
from pgcheck.estimators.weights import all_steps, ratios, returns
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.alterations import mean_length, no_rewards, padded_length
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.corrections import RIGHT, WRONG, Correction, Multiplier
from pgcheck.verification.cuts import Cut, corrections, find_cuts, share_cut, v_trace
from pgcheck.verification.findings import Enumeration, Finding
from pgcheck.verification.matching import CANDIDATES, match_mistakes
from pgcheck.verification.normalised import find_self_normalised, is_free_of_scale
from pgcheck.verification.probing import AS_IT_IS, Length, Prober, View

UNREWARDED = {"regulariser", "objective"}  # ids of what is there without any reward
TAKEN_AWAY = {"length-normalised"} | UNREWARDED  # ids of what is known before ratios are looked at


@dataclass(frozen=True, eq=False)
class Corrected(Mistake):
    """On-policy weights with a correction, less a constant baseline: the mean return of the episodes as drawn.

    Attributes:
      baseline: what one unit of the baseline is multiplied by `[N, T]`; None where there is no baseline.
      by_start: whether the baseline is that of the episodes with the same first state.
    """

    baseline: Multiplier | None = None
    by_start: bool = False

    def mean(self, batch: Batch, prob: Floats) -> Floats:
        """Returns Σ_τ P(τ) ĝ(τ) over the episodes of a batch `[*theta.shape]`, for probabilities `[N]`."""
        mean = super().mean(batch, prob)
        if self.baseline is None:
            return mean
        group = batch.starts if self.by_start else np.zeros(len(batch), dtype=np.int64)
        mass = np.bincount(group, weights=prob)
        total = np.bincount(group, weights=prob * returns(batch))
        level = np.divide(total, mass, out=np.zeros(len(mass)), where=mass > 0)[group]
        below = replace(self, weights=_times(self.baseline, level), baseline=None)
        return mean - below.mean(batch, prob)


def _times(multiplier: Multiplier, level: Floats) -> Weights:
    return lambda batch: multiplier(batch) * level[:, None]


def _whole_return(batch: Batch) -> Floats:
    """w_t = R."""
    return all_steps(batch, returns(batch))


def _undiscounted_return(batch: Batch) -> Floats:
    """w_t = Σ_k r_k."""
    return all_steps(batch, np.asarray(batch.credits.sum(axis=1)))


# The weights that are right on-policy, and those that only the whole return makes.
_BASES: tuple[tuple[Weights, tuple[str, ...]], ...] = (
    (with_gamma_t(dropped_gamma), ()),
    (_whole_return, ()),
    (_undiscounted_return, ("undiscounted", "dropped-gamma")),
)


def drawn_by_policy(batch: Batch) -> Batch:
    """Returns the same episodes as if the policy itself had drawn them."""
    return replace(batch, behavior=None).altered(**{name: batch.__dict__[name] for name in batch.alterations})


def on_policy_findings(prober: Prober, findings: Sequence[Finding]) -> list[Finding] | None:
    """Returns what the findings would be if the policy itself drew the episodes; None where one cannot be had."""
    on_policy = []
    for finding in findings:
        setting = replace(finding.setting, behavior=None)
        moved = replace(finding, setting=setting, enumeration=Enumeration.of(setting))
        mean = prober.mean(moved, AS_IT_IS)
        if mean is None:
            return None
        on_policy.append(replace(moved, expectation=replace(finding.expectation, mean=mean)))
    return on_policy


def explain_ratios(
    prober: Prober,
    findings: Sequence[Finding],
    on_policy: Sequence[Finding],
    rest: list[Diagnosis],
    every: Sequence[Finding],
) -> list[Diagnosis]:
    """Returns what is wrong with the ratios, and what else is.

    Args:
      prober: calls the estimator.
      findings: its expectations where the behavior draws the episodes; these can be altered.
      on_policy: the same where the policy itself draws them.
      rest: what is wrong there; empty where nothing is.
      every: all expectations, also those of more batches than can be altered.
    """
    if _same(prober, findings, on_policy):
        return rest  # whoever draws the episodes: the ratios are right
    if _ignores_behavior(prober, findings):
        return [Diagnosis("ratio", "ratio/missing"), *rest]
    ids = {diagnosis.id for diagnosis in rest}
    mistakes = [mistake for mistake in CANDIDATES if ids.issuperset(mistake.ids)]
    for seen in _views(prober, findings, ids):
        if all(finding.is_right(prober.tolerance) for finding in seen):
            return rest  # the part that follows the rewards is right, and so are its ratios
        for candidates in (_mistaken(RIGHT, mistakes), _wrong(WRONG), _mistaken(WRONG, mistakes)):
            if named := match_mistakes(prober, seen, None, list(candidates)):
                return _with_rest(named, rest)
    cut, trace = find_cuts(prober)
    if cut.is_there:
        return _cut(prober, findings, cut, trace, rest, mistakes)
    if named := find_self_normalised(prober, findings, every):
        return _with_rest(named, rest)
    if is_free_of_scale(prober):
        return [Diagnosis("ratio", "ratio/self-normalised", notes=("more-may-hide",)), *rest]
    if rest:
        return [*rest, Diagnosis("ratio", "ratio/perhaps", certain=False)]
    return [Diagnosis("ratio", "ratio/unknown")]


def _views(prober: Prober, findings: Sequence[Finding], ids: set[str]) -> Iterator[Sequence[Finding]]:
    """The findings as they are, and without faults that are known: a length that divides, what needs no reward."""
    lengths: list[Length | None] = [None]
    if "length-normalised" in ids:
        lengths += [mean_length, padded_length]
    for length in lengths:
        seen = findings if length is None else prober.seen(findings, View(length=length))
        if seen is None:
            continue
        yield seen
        if ids.isdisjoint(UNREWARDED):
            continue
        unrewarded = prober.seen(findings, View((no_rewards,), length=length))
        if unrewarded is not None:
            yield [
                replace(
                    finding,
                    expectation=replace(finding.expectation, mean=finding.expectation.mean - other.expectation.mean),
                )
                for finding, other in zip(seen, unrewarded, strict=True)
            ]


def _ignores_behavior(prober: Prober, findings: Sequence[Finding]) -> bool:
    """Whether the same episodes give the same result if they are said to be drawn by the policy itself."""
    seen = prober.seen(findings, View((drawn_by_policy,)))
    return seen is not None and _same(prober, findings, seen)


def _same(prober: Prober, findings: Sequence[Finding], others: Sequence[Finding]) -> bool:
    return all(
        norm_of(finding.expectation.mean - other.expectation.mean) <= prober.tolerance * finding.size
        for finding, other in zip(findings, others, strict=True)
    )


def _wrong(ways: Sequence[Correction]) -> Iterator[Mistake]:
    """Wrong corrections of weights that are right on-policy, some with the batch's mean return as a baseline."""
    for way in ways:
        for weights, more in _BASES:
            yield Corrected(_corrected(way, weights), ("ratio", *more), way.cause)
    for way in ways:
        if way.multiplier is not None:
            for by_start in (False, True):
                yield Corrected(
                    _corrected(way, _whole_return), ("ratio",), way.cause, baseline=way.multiplier, by_start=by_start
                )


def _mistaken(ways: Sequence[Correction], mistakes: Sequence[Mistake]) -> Iterator[Mistake]:
    """Known mistakes with a correction; a wrong one makes it two causes."""
    for way in ways:
        for mistake in mistakes:
            ids = ("ratio", *mistake.ids) if way.cause else mistake.ids
            yield replace(
                mistake, weights=_corrected(way, mistake.weights), ids=ids, cause=way.cause or mistake.cause,
                notes=() if way.cause else mistake.notes,
            )  # fmt: skip


def _corrected(way: Correction, weights: Weights) -> Weights:
    return lambda batch: way.apply(batch, weights)


def _with_rest(named: list[Diagnosis], rest: Sequence[Diagnosis]) -> list[Diagnosis]:
    """What was matched, and what was taken away before, with the texts of the policy's own episodes."""
    texts = {diagnosis.id: diagnosis for diagnosis in rest}
    ids = {diagnosis.id for diagnosis in named}
    taken = [diagnosis for diagnosis in rest if diagnosis.id in TAKEN_AWAY - ids]
    return [*(texts.get(diagnosis.id, diagnosis) for diagnosis in named), *taken]


def _cut(
    prober: Prober,
    findings: Sequence[Finding],
    cut: Cut,
    trace: Cut,
    rest: list[Diagnosis],
    mistakes: Sequence[Mistake],
) -> list[Diagnosis]:
    """Ratios that are cut: which ones, where it is known, and how often."""
    ways = [
        (way.compared, [*_wrong([way.correction]), *_mistaken([way.correction], mistakes)])
        for way in corrections(cut)
    ]
    of_values = v_trace(cut, trace)
    ways += [
        (ratios, [Mistake(with_gamma_t(of_values), ("ratio",), cut.cause)]),
        (ratios, [Mistake(of_values, ("ratio", "dropped-gamma"), cut.cause)]),
    ]
    for compared, candidates in ways:
        if named := match_mistakes(prober, findings, None, candidates):
            figures = _figures(cut, share_cut(cut, compared, findings))
            named = [replace(it, figures=figures) if it.id == "ratio" else it for it in named]
            return _with_rest(named, rest)
    # The estimator was seen to cut ratios; that nothing else is wrong was not.
    figures = _figures(cut, share_cut(cut, ratios, findings))
    return [Diagnosis("ratio", cut.cause, figures, ("more-may-hide",)), *rest]


def beyond_ratios(prober: Prober) -> list[Diagnosis]:
    """Returns how an estimator that is right on all models cuts ratios that none of them has; empty where not."""
    cut, _ = find_cuts(prober)
    return [Diagnosis("ratio", cut.cause, _figures(cut, 0.0), ("beyond-the-models",))] if cut.is_there else []


def _figures(cut: Cut, share: float) -> tuple[tuple[str, float], ...]:
    return (("low", cut.low), ("high", cut.high), ("share", 100 * share))
