"""Naming what is wrong with the importance ratios of an estimator whose episodes another policy drew.

What else may be wrong is found where the policy itself draws the episodes, so that all ratios are 1. The way in which
the ratios enter is then the only question: whether they are there at all, and of which steps they are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pgcheck.arrays import norm_of
from pgcheck.estimators.mistakes.weights import Mistake, with_gamma_t
from pgcheck.estimators.weights import ratios
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.alterations import mean_length, no_rewards, padded_length
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.corrected import mistaken, wrong
from pgcheck.verification.corrections import MISSING, RIGHT, WRONG
from pgcheck.verification.cuts import Cut, corrections, find_cuts, share_cut, v_trace
from pgcheck.verification.explanation import Explanation, moved_on_policy
from pgcheck.verification.findings import Finding
from pgcheck.verification.matching import CANDIDATES, match_mistakes
from pgcheck.verification.normalised import find_self_normalised, is_free_of_scale
from pgcheck.verification.probing import AS_IT_IS, Length, Prober, View

UNREWARDED = {"regulariser", "objective"}  # ids of what is there without any reward
TAKEN_AWAY = {"length-normalised"} | UNREWARDED  # ids of what is known before ratios are looked at


def drawn_by_policy(batch: Batch) -> Batch:
    """Returns the same episodes as if the policy itself had drawn them."""
    return replace(batch, behavior=None).altered(**{name: batch.__dict__[name] for name in batch.alterations})


def on_policy_findings(prober: Prober, findings: Sequence[Finding]) -> list[Finding] | None:
    """Returns what the findings would be if the policy itself drew the episodes; None where one cannot be had."""
    on_policy = []
    for finding in findings:
        moved = moved_on_policy(finding)
        mean = prober.mean(moved, AS_IT_IS)
        if mean is None:
            return None
        on_policy.append(replace(moved, expectation=replace(finding.expectation, mean=mean)))
    return on_policy


def explain_ratios(
    prober: Prober,
    findings: Sequence[Finding],
    on_policy: Sequence[Finding],
    rest: Explanation,
    every: Sequence[Finding],
) -> Explanation:
    """Returns what is wrong with the ratios, and what else is.

    Args:
      prober: calls the estimator.
      findings: its expectations where the behavior draws the episodes; these can be altered.
      on_policy: the same where the policy itself draws them.
      rest: what is wrong there; without names where nothing is.
      every: all expectations, also those of more batches than can be altered.
    """
    if _same(prober, findings, on_policy):
        # Whoever draws the episodes: the ratios are right, and the expectation is that of the policy's own.
        return replace(rest, field=None if rest.field is None else replace(rest.field, on_policy=True))
    ids = {diagnosis.id for diagnosis in rest.diagnoses}
    mistakes = [mistake for mistake in CANDIDATES if ids.issuperset(mistake.ids)]
    if _ignores_behavior(prober, findings):
        if named := match_mistakes(prober, findings, None, [*wrong([MISSING]), *mistaken([MISSING], mistakes)]):
            return _with_rest(named, rest)
        # How the expectation depends on the behavior is not known: what is named does not tell it.
        return replace(rest, complete=False, field=None).after(Diagnosis("ratio", "ratio/missing"))
    for view, seen in _views(prober, findings, ids):
        if all(finding.is_right(prober.tolerance) for finding in seen):
            return rest  # the part that follows the rewards is right, and so are its ratios
        for candidates in (mistaken(RIGHT, mistakes), wrong(WRONG), mistaken(WRONG, mistakes)):
            if named := match_mistakes(prober, seen, None, list(candidates)):
                # Of a part of an estimator the field says nothing of the whole.
                named = replace(named, view=view) if view is not None else replace(named, complete=False, field=None)
                return _with_rest(named, rest)
    cut, trace = find_cuts(prober)
    if cut.is_there:
        return _cut(prober, findings, cut, trace, rest, mistakes)
    if normalised := find_self_normalised(prober, findings, every):
        return _with_rest(Explanation(tuple(normalised)), rest)
    if is_free_of_scale(prober):
        normalised = [Diagnosis("ratio", "ratio/self-normalised", notes=("more-may-hide",))]
        return Explanation((*normalised, *rest.diagnoses))
    if rest.diagnoses:
        perhaps = Diagnosis("ratio", "ratio/perhaps", certain=False)
        return Explanation((*rest.diagnoses, perhaps))
    return Explanation((Diagnosis("ratio", "ratio/unknown"),))


def _views(
    prober: Prober, findings: Sequence[Finding], ids: set[str]
) -> Iterator[tuple[View | None, Sequence[Finding]]]:
    """The findings as they are, and without faults that are known: a length that divides, what needs no reward.

    With the view that has them; None where what is there without any reward was subtracted.
    """
    lengths: list[Length | None] = [None]
    if "length-normalised" in ids:
        lengths += [mean_length, padded_length]
    for length in lengths:
        view = View(length=length)
        seen = findings if length is None else prober.seen(findings, view)
        if seen is None:
            continue
        yield view, seen
        if ids.isdisjoint(UNREWARDED):
            continue
        unrewarded = prober.seen(findings, View((no_rewards,), length=length))
        if unrewarded is not None:
            rewarded = [
                replace(
                    finding,
                    expectation=replace(finding.expectation, mean=finding.expectation.mean - other.expectation.mean),
                )
                for finding, other in zip(seen, unrewarded, strict=True)
            ]
            yield None, rewarded


def _ignores_behavior(prober: Prober, findings: Sequence[Finding]) -> bool:
    """Whether the same episodes give the same result if they are said to be drawn by the policy itself."""
    seen = prober.seen(findings, View((drawn_by_policy,)))
    return seen is not None and _same(prober, findings, seen)


def _same(prober: Prober, findings: Sequence[Finding], others: Sequence[Finding]) -> bool:
    return all(
        norm_of(finding.expectation.mean - other.expectation.mean) <= prober.tolerance * finding.size
        for finding, other in zip(findings, others, strict=True)
    )


def _with_rest(named: Explanation, rest: Explanation) -> Explanation:
    """What was matched, and what was taken away before, with the texts of the policy's own episodes."""
    texts = {diagnosis.id: diagnosis for diagnosis in rest.diagnoses}
    ids = {diagnosis.id for diagnosis in named.diagnoses}
    taken = [diagnosis for diagnosis in rest.diagnoses if diagnosis.id in TAKEN_AWAY - ids]
    return replace(named, diagnoses=(*(texts.get(it.id, it) for it in named.diagnoses), *taken))


def _cut(
    prober: Prober,
    findings: Sequence[Finding],
    cut: Cut,
    trace: Cut,
    rest: Explanation,
    mistakes: Sequence[Mistake],
) -> Explanation:
    """Ratios that are cut: which ones, where it is known, and how often."""
    ways = [
        (way.compared, [*wrong([way.correction]), *mistaken([way.correction], mistakes)]) for way in corrections(cut)
    ]
    of_values = v_trace(cut, trace)
    ways += [
        (ratios, [Mistake(with_gamma_t(of_values), ("ratio",), cut.cause)]),
        (ratios, [Mistake(of_values, ("ratio", "dropped-gamma"), cut.cause)]),
    ]
    for compared, candidates in ways:
        if named := match_mistakes(prober, findings, None, candidates):
            figures = _figures(cut, share_cut(cut, compared, findings))
            diagnoses = (replace(it, figures=figures) if it.id == "ratio" else it for it in named.diagnoses)
            return _with_rest(replace(named, diagnoses=tuple(diagnoses)), rest)
    # The estimator was seen to cut ratios; that nothing else is wrong was not.
    figures = _figures(cut, share_cut(cut, ratios, findings))
    return Explanation((Diagnosis("ratio", cut.cause, figures, ("more-may-hide",)), *rest.diagnoses))


def beyond_ratios(prober: Prober) -> list[Diagnosis]:
    """Returns how an estimator that is right on all models cuts ratios that none of them has; empty where not."""
    cut, _ = find_cuts(prober)
    return [Diagnosis("ratio", cut.cause, _figures(cut, 0.0), ("beyond-the-models",))] if cut.is_there else []


def _figures(cut: Cut, share: float) -> tuple[tuple[str, float], ...]:
    return (("low", cut.low), ("high", cut.high), ("share", 100 * share))
