"""The parts of a verification's view that belong to agents: the table of runs, what a pass covers, and remarks."""

import math
from collections.abc import Iterator

from pgcheck.report.view import Column, Filled, Grid, Record, Span, Toned
from pgcheck.report.words import bias_text, many, objective, percent
from pgcheck.verification.loop_evidence import LoopFinding
from pgcheck.verification.loop_sampled import SampledLoopFinding
from pgcheck.verification.verification import Verification

MOST_NAMES = 4  # of parameters that are listed


def loops_of(verification: Verification) -> list[LoopFinding]:
    """Returns the findings of an agent by all of its runs; none of another estimator."""
    return [finding for finding in verification.exact if isinstance(finding, LoopFinding)]


def loop_table(verification: Verification) -> Grid:
    """Returns a row for each model on which all runs of an agent were listed."""
    columns = (
        Column("model", right=False), Column("horizon"), Column("runs"), Column("rel. bias"), Column("scale"),
        Column("cosine"),
    )  # fmt: skip
    return Grid(columns, [_cells(finding, is_off=verification.is_off(finding)) for finding in loops_of(verification)])


def _cells(finding: LoopFinding, *, is_off: bool) -> tuple[str, ...]:
    start = finding.mdp.name, f"{finding.mdp.horizon:,}", f"{finding.runs.number:,}"
    if math.isnan(finding.bias):
        return *start, Toned(Span("not finite", "bad")) if is_off else "not finite", "", ""
    bias = bias_text(finding.bias, finding.relative_bias)
    bias = Toned(Span(bias, "bad")) if is_off else bias
    scale = "" if finding.scale is None else f"{finding.scale:.6g}"
    cosine = "" if finding.cosine is None else f"{finding.cosine:.6f}"
    return *start, bias, scale, cosine


def loop_record(finding: LoopFinding) -> Record:
    """Returns the figures that only an agent has."""
    beginning, runs = finding.beginning, finding.runs
    return {
        "runs": runs.number,
        "optimizer_steps": beginning.rehearsal.steps,
        "compared": finding.is_compared if isinstance(finding, SampledLoopFinding) else None,
        "shuffled": runs.shuffled,
        "unused_parameters": list(beginning.subject.unused),
        "numbers_not_told": beginning.subject.not_told,
        "outside": finding.outside,
        "not_finite": runs.not_finite,
        "without_gradient": runs.without,
        "clipped": runs.clipped,
    }


def loop_scope(verification: Verification) -> str:
    """Returns what a pass covers."""
    findings, scope = loops_of(verification), verification.scope
    sizes = [many(scope.steps, "step"), many(scope.states, "state"), many(scope.actions, "action")]
    weights = next(iter(dict.fromkeys(objective(finding.mdp) for finding in findings)), "")
    runs = many(sum(finding.runs.number for finding in findings), "run")
    episodes = sorted({int(count) for finding in findings for count in finding.runs.recorded.episodes})
    span = f"{episodes[0]}" if len(episodes) == 1 else f"{episodes[0]} to {episodes[-1]}" if episodes else "0"
    return (
        f"exact over all {runs} of {many(scope.models, 'model')} (at most {', '.join(sizes)}{weights}), "
        f"{span} episode{'' if span == '1' else 's'} a run; at the parameters that the agent begins with"
    )


def loop_remarks(verification: Verification) -> Iterator[Filled]:
    """Returns what else a reader has to know: which step was judged, and what was left out."""
    findings = [finding for finding in verification.findings if isinstance(finding, LoopFinding)]
    steps = max((finding.beginning.rehearsal.steps for finding in findings), default=0)
    if steps > 1:
        text = f"Judged at the first of {steps:,} optimizer steps: the others start from changed parameters."
        yield Filled(text)
    if any(finding.runs.shuffled for finding in findings):
        yield Filled(
            "Orders of what is shuffled were not listed: each run was repeated with another one, to the same."
        )
    unused = list(dict.fromkeys(name for finding in findings for name in finding.beginning.subject.unused))
    if unused:
        names = ", ".join(unused[:MOST_NAMES]) + (
            f" and {len(unused) - MOST_NAMES} more" * (len(unused) > MOST_NAMES)
        )
        yield Filled(f"The logits do not depend on {names}: not judged.")
    if any(isinstance(it, SampledLoopFinding) and not it.is_compared for it in findings):
        yield Filled(
            "Runs were not compared with a right estimator on the same episodes, which would take noise away: the "
            "episodes of a run are not always as many, whole ones, and drawn by the policy for all that is known."
        )
    not_told = max((finding.beginning.subject.not_told for finding in findings), default=0)
    if not_told:
        which = f"{not_told:,} numbers in parameters that the agent did not hand over"
        yield Filled(f"The logits also depend on {which}: not judged.")
    decayed = max((finding.beginning.rehearsal.decayed for finding in findings), default=0.0)
    if decayed:
        yield Filled(f"The optimizer applies weight decay of {decayed:g} besides the gradient: not judged.")
    without = max((finding.runs.without for finding in findings), default=0.0)
    if without:
        about = "about " if any(isinstance(it, SampledLoopFinding) for it in findings) else ""
        yield Filled(f"Runs of probability {about}{percent(without)} computed no gradient: they count as 0.")
