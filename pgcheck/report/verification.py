"""A verification → its view: verdict, figures, what is wrong, and what a pass claims."""

import math
from collections.abc import Iterable, Iterator

from pgcheck.report.loops import loop_remarks, loop_scope, loop_table
from pgcheck.report.matrix import matrix_text
from pgcheck.report.printed import printed_remarks
from pgcheck.report.sampled import (
    excluded_text,
    sampled_remarks,
    sampled_scope,
    sampled_table,
    sampled_undecided,
    sampled_verdict_text,
)
from pgcheck.report.scope import advice, scope_text
from pgcheck.report.verification_record import finding_row, verification_record
from pgcheck.report.view import MOST_COLUMNS, Block, Column, Filled, Grid, Record, Span, Styled, Tone, Toned, View
from pgcheck.report.words import bias_text, percent
from pgcheck.verification.findings import Finding
from pgcheck.verification.verification import Verification

WHY = "Why, and the right lines: pgcheck explain"
TONE: dict[str, Tone] = {"pass": "good", "fail": "bad", "inconclusive": "unsure"}


def verification_view(name: str, verification: Verification, *, explained: bool = False) -> View:
    """The verdict on an estimator in every form.

    Args:
      name: of the estimator.
      verification: the verdict.
      explained: whether its mistakes are explained beside it, so that people need not be told what explains them.
    """
    names = " ".join(diagnosis.id for diagnosis in verification.diagnosis)
    lines: list[Record] = [
        {"verdict": verification.verdict, **finding_row(finding), "diagnosis": names, "why": None}
        for finding in verification.findings
    ]
    lines += [
        {"verdict": "inconclusive", **finding_row(None), "model": skipped.model, "diagnosis": "", "why": skipped.why}
        for skipped in verification.skipped
    ]
    return View(lambda: verification_record(name, verification), lines, _blocks(name, verification, explained))


def verdict_text(verification: Verification) -> str:
    """The verdict, with the deviations that it allows where it is a pass."""
    allowing = f", allowing {', '.join(verification.deviations)}" if verification.deviations else ""
    said = sampled_verdict_text(verification)
    return verification.verdict.upper() + (allowing if verification.verdict == "pass" else "") + said


def first_line(verification: Verification) -> str:
    """The verdict in one line: which model, by how much, and why."""
    worst = verification.worst
    if verification.beyond:
        return "; ".join(_explained(verification))
    if worst is None or verification.verdict == "inconclusive":
        return "inconclusive: " + "; ".join(_undecided_lines(verification))
    why = "; ".join(_explained(verification))
    is_single = verification.of_agent or (worst.batch_size == 1 and verification.contract.by_episode)
    batch = "" if is_single else f" with batches of {worst.batch_size}"
    if math.isnan(worst.bias):
        return f"{worst.mdp.name}: {why}"
    off = (
        f"a relative bias of {percent(worst.relative_bias)}"
        if worst.relative_bias is not None
        else f"a bias of {worst.bias:.3g} where the gradient is 0"
    )
    return f"{worst.mdp.name}: the expectation{batch} has {off}" + (f" ({why})" if why else "")


def to_explain(verifications: Iterable[Verification]) -> str | None:
    """The id of the first mistake that is not allowed; None where nothing fails with a name."""
    return next((name for verification in verifications for name in verification.mistakes), None)


def explanation(verification: Verification) -> list[str]:
    """What a failure looks like, in lines."""
    sentences = _undecided(verification) if verification.verdict == "inconclusive" else _reasons(verification)
    texts = [*_details(verification), *(sentence.lines(MOST_COLUMNS) for sentence in sentences)]
    return [line for line in "\n".join(texts).splitlines() if line]


def _blocks(name: str, verification: Verification, explained: bool) -> list[Block]:
    """The verdict, its reason or scope, then the table and what else is to be said, for people."""
    blocks: list[Block] = [Styled((Span(f"{name}: "), Span(verdict_text(verification), TONE[verification.verdict])))]
    if verification.verdict == "fail":
        blocks += list(_reasons(verification))
        if not explained and (mistake := to_explain([verification])) is not None:
            blocks.append(f"  {WHY} {mistake}")
    elif verification.verdict == "pass":
        if verification.exact:
            blocks.append(Filled(loop_scope(verification) if verification.of_agent else scope_text(verification)))
    else:
        blocks += list(_undecided(verification))
    blocks += list(sampled_scope(verification))
    if verification.exact:
        blocks += ["", loop_table(verification) if verification.of_agent else _table(verification), ""]
        if not verification.of_agent:
            other = "importance-sampling" if verification.off_policy else "REINFORCE"
            blocks.append(f"variance: per rollout, relative to {other}")
        if any(finding.freedom < 2 for finding in verification.exact):
            blocks.append("cosine omitted: only one free direction")
        if blocks[-1] != "":
            blocks.append("")
    if verification.sampled:
        blocks += [*([] if blocks[-1] == "" else [""]), sampled_table(verification), ""]
    if verification.verdict != "inconclusive":
        blocks += list(_omissions(verification))
    blocks += list(loop_remarks(verification))
    blocks += list(printed_remarks(verification))
    return [*blocks, *(_success(verification) if verification.verdict == "pass" else _details(verification))]


def _table(verification: Verification) -> Grid:
    columns = (
        Column("model", right=False), Column("horizon"), Column("B"), Column("rel. bias"), Column("scale"),
        Column("cosine"), Column("variance"),
    )  # fmt: skip
    return Grid(columns, [_cells(finding, is_off=verification.is_off(finding)) for finding in verification.exact])


def _cells(finding: Finding, *, is_off: bool) -> tuple[str, ...]:
    bias = bias_text(finding.bias, finding.relative_bias)
    bias = Toned(Span(bias, "bad")) if is_off else bias
    scale = "" if finding.scale is None else f"{finding.scale:.6g}"
    cosine = "" if finding.cosine is None else f"{finding.cosine:.6f}"
    ratio = finding.variance_over_reinforce
    variance = "" if ratio is None else f"{ratio:.3g} x"
    return finding.mdp.name, f"{finding.mdp.horizon:,}", str(finding.batch_size), bias, scale, cosine, variance


def _explained(verification: Verification) -> Iterator[str]:
    """What is wrong, each text once, after the ids that it explains."""
    for ids, text in verification.explanations:
        yield Toned(Span(", ".join(ids), TONE[verification.verdict]), f": {text}")


def _success(verification: Verification) -> Iterator[Filled]:
    """What a pass claims, and what it says nothing of."""
    times = "" if verification.scale is None else f"{verification.scale:.6g} times "
    but = ", but for what is allowed" if verification.deviations else ""
    within = f"within {verification.tolerance:g} of its size"
    if verification.exact:
        names = dict.fromkeys(finding.mdp.name for finding in verification.exact)
        where = f"On {', '.join(names)}, the" if verification.sampled else "The"
        yield Filled(f"{where} exact expectation is {times}the gradient{but}, {within}.")
    yield from sampled_remarks(verification)
    if verification.is_undiscounted:
        yield Filled("All of these models have gamma = 1: discounting was not tested; try --gamma 0.9.")
    if verification.flat:
        flat = ", ".join(verification.flat)
        yield Filled(f"The gradient is 0 on {flat}: sign, scale and discount were not tested there.")
    if verification.unit_ratios:
        tested = "no other behavior was tested; try --off-policy"
        yield Filled(f"The policy itself drew the episodes, so all ratios are 1: {tested}.")
    for diagnosis in verification.diagnosis:
        id_ = Span(diagnosis.id, "plain" if diagnosis.allowed else "unsure")
        yield Filled(Toned("" if diagnosis.allowed else "Warning: ", id_, f": {diagnosis.text}"))
    if verification.is_noisy:
        yield _noise(verification)


def _noise(verification: Verification) -> Filled:
    """How much greater the variance is than it needs to be, and why, if that is known."""
    why = {
        True: ", which leaves out the rewards before each step; they do not affect the gradient",
        False: "; the baseline raises the variance",
        None: "",
    }[verification.counts_past_rewards]
    ratio = verification.variance_over_reward_to_go
    other = "per-decision" if verification.off_policy else "reward-to-go"
    text = f"Unbiased, but high variance: up to {ratio:.2f} times the variance of {other}{why}."
    return Filled(text)


def _undecided(verification: Verification) -> Iterator[Filled]:
    """Which models were too large, and what would do."""
    for skipped in verification.skipped:
        text = f"{skipped.model}: not checked: {skipped.why}"
        yield Filled(text, "  ")
        remedies = [advice(skipped)]
        if skipped.limit is not None and verification.printed is None:
            remedies.append("With --evidence auto, some are drawn instead.")
        if (remedy := " ".join(filter(None, remedies))) and not skipped.unsuitable:
            yield Filled(f"  {remedy}", "  ")
    yield from sampled_undecided(verification)


def _undecided_lines(verification: Verification) -> Iterator[str]:
    """The same, each in one line, without what would do."""
    yield from (f"{skipped.model}: {skipped.why}" for skipped in verification.skipped)
    yield from (it.text for it in sampled_undecided(verification) if not it.text.startswith(" "))


def _omissions(verification: Verification) -> Iterator[Filled]:
    """What was left out of a verdict that stands all the same."""
    for skipped in verification.skipped:
        part = "not checked" if skipped.model in verification.unchecked else "left out"
        yield Filled(f"{skipped.model}: {part}: {skipped.why}")


def _reasons(verification: Verification) -> Iterator[Filled]:
    """What is wrong, and how to accept it where it may be meant."""
    for line in _explained(verification):
        yield Filled(line, "  ")
    if {diagnosis.id for diagnosis in verification.diagnosis if not diagnosis.allowed} == {"dropped-gamma"}:
        text = "  If gamma^t is left out on purpose, check with --gamma 1. Or accept it: --allow dropped-gamma."
        yield Filled(text, "  ")
    if excluded := excluded_text(verification):
        yield Filled(f"  {excluded}", "  ")
    if verification.leaves_a_rest:
        yield Filled("  What is allowed does not account for all of the bias.", "  ")


def _details(verification: Verification) -> Iterator[str]:
    """Where the expectation is off most, and how steps are weighted."""
    finding = verification.worst
    if finding is None or verification.verdict == "inconclusive" or verification.beyond or math.isnan(finding.bias):
        return
    components: list[Span | str] = []
    for worst in finding.worst_components():
        number = Span(f"{worst.expectation:.6g}", TONE[verification.verdict])
        components += [f"\n  {' '.join(worst.parameter)}: ", number, f" where the gradient is {worst.gradient:.6g}"]
    if components:
        yield Toned(f"Worst components, on {finding.mdp.name}:", *components)
    if verification.matrix is not None:
        yield matrix_text(verification.matrix)
