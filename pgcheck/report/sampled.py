"""The parts of a verification's view that belong to drawn gradients: what they decide, the table, what they miss."""

import math
from collections.abc import Iterator

from pgcheck.report.view import Column, Filled, Grid, Record, Span, Toned
from pgcheck.report.words import many, percent
from pgcheck.verification.loop_evidence import LoopFinding
from pgcheck.verification.sampled_evidence import Announcement
from pgcheck.verification.sampled_finding import SampledFinding
from pgcheck.verification.verification import Verification

_WORDS = {
    "pass": Toned(Span("pass", "good")), "fail": Toned(Span("FAIL", "bad")),
    "inconclusive": Toned(Span("undecided", "unsure")),
}  # fmt: skip
LEAST_P = 1e-9  # below which a probability is not told apart


def announcement_text(announcement: Announcement) -> str:
    """Returns what is said before much is drawn."""
    it = announcement
    one, what = ("run", "runs") if it.of_agent else ("rollout", "episodes")
    drawn = many(it.rollouts, one) if it.batch_size == 1 else f"{it.rollouts:,} batches of {it.batch_size}"
    return (
        f"note: {it.model}: {it.why}\n  So {what} are drawn: {drawn} in about {_duration(it.seconds)}, "
        "unless fewer tell (--max-rollouts)"
    )


def sampled_verdict_text(verification: Verification) -> str:
    """Returns what a verdict on drawn gradients says after its first word; nothing of an exact one."""
    findings = verification.sampled
    if not findings or verification.sampling is None or verification.verdict == "inconclusive":
        return ""
    if verification.verdict == "fail":
        failing = [it for it in findings if it.look.decision == "fail"]
        small = all(it.look.bound <= verification.sampling.tolerance for it in failing)
        but = f"; it is certain, though below {share(verification.sampling.tolerance)}" if small else ""
        return f": {_bias(max(failing, key=lambda it: it.look.bias))}{but}" if failing else ""
    bound = max(it.look.bound for it in findings)
    what = "the relative bias is"
    if verification.rest is not None:
        bound, what = verification.rest, "what is left of the relative bias is"
    confidence = percent_of_confidence(verification.sampling.confidence)
    return f": {what} below {share(bound)} with confidence {confidence} ({_drawn(findings)})"


def sampled_table(verification: Verification) -> Grid:
    """Returns a row for each model and batch size on which gradients were drawn."""
    drawn = (Column("runs"),) if verification.of_agent else (Column("B"), Column("rollouts"))
    columns = (
        Column("model", right=False), *drawn, Column("rel. bias"), Column("below"), Column("scale error"),
        Column("says", right=False),
    )  # fmt: skip
    is_allowed = verification.rest is not None
    return Grid(columns, [_cells(finding, is_allowed=is_allowed) for finding in verification.sampled])


def sampled_record(finding: SampledFinding) -> Record:
    """Returns the figures that only drawn gradients have."""
    look = finding.look
    return {
        "rollouts": look.rollouts,
        "bound": look.bound if math.isfinite(look.bound) else None,
        "confidence": finding.confidence,
        "p_value": look.p_value,
        "needed": look.needed,
        "decision": look.decision,
    }


def sampled_scope(verification: Verification) -> Iterator[Filled]:
    """Yields why gradients were drawn, and what that leaves out, where it passes."""
    for why, models in _reasons(verification).items():
        yield Filled(f"sampled on {', '.join(models)}: {why}")


def sampled_remarks(verification: Verification) -> Iterator[Filled]:
    """Yields what a pass of drawn gradients does not claim."""
    findings = verification.sampled
    if not findings or verification.sampling is None:
        return
    fewest = min(it.look.rollouts for it in findings)
    unseen = math.log(1 / (1 - verification.sampling.confidence)) / fewest
    what = "Batches" if any(it.batch_size > 1 for it in findings) else "Rollouts"
    what = "Runs" if verification.of_agent else what
    yield Filled(f"{what} of a total probability below {unseen:.1g} leave no trace among those that were drawn.")
    for finding in findings:
        look = finding.look
        if not verification.deviations and look.bias > 2 * look.bias_error and look.bias > 1e-9:
            yield Filled(
                f"There may be a bias of about {percent(look.bias)} on {finding.mdp.name}: {_bias(finding)}."
            )


def excluded_text(verification: Verification) -> str:
    """Returns how many known mistakes drawn gradients exclude; nothing where none were compared."""
    return f"{many(verification.excluded, 'other known mistake')} excluded" if verification.excluded else ""


def sampled_undecided(verification: Verification) -> Iterator[Filled]:
    """Yields why drawn gradients do not tell, and what would."""
    for finding in verification.sampled:
        look = finding.look
        if look.decision != "inconclusive":
            continue
        where = finding.mdp.name + (f", batches of {finding.batch_size}" if finding.batch_size > 1 else "")
        yield Filled(f"{where}: {_why_undecided(finding, verification)}", "  ")
        if look.needed is not None and look.needed > look.rollouts:
            to_both = verification.printed is not None
            yield Filled(
                f"  Try {'--n' if to_both else '--max-rollouts'} {look.needed}{', in both commands' * to_both}.", "  "
            )


def share(x: float) -> str:
    """Returns a share in percent with two digits."""
    if x >= 0.995:
        return f"{100 * x:,.0f} %"
    return f"{100 * x:.2g} %" if x >= 1e-4 else f"{100 * x:.1e} %"


def percent_of_confidence(confidence: float) -> str:
    """Returns a confidence in percent, such as 99.9 %."""
    return f"{100 * confidence:.10g} %"


def _why_undecided(finding: SampledFinding, verification: Verification) -> str:
    look = finding.look
    if not look.is_carried:
        if look.effective == 0:
            return f"the gradients of all {_drawn((finding,))} are 0: is the reward too rare to be seen?"
        if not look.is_typical:
            return (
                f"the {_drawn((finding,))} are not typical, a right estimator would be off too: rare ones are missing"
            )
        return (
            f"the largest of {_drawn((finding,))} carries {share(look.largest)} of the variance, and "
            f"{look.effective:.0f} carry about all: rare episodes that are not yet seen may decide"
        )
    if finding.norm == 0:
        return "the gradient is 0 here: no tolerance relative to it has a meaning"
    assert verification.sampling is not None
    confidence = percent_of_confidence(verification.sampling.confidence)
    return (
        f"after {_drawn((finding,))} no bias is certain, and it is below {share(look.bound)} with confidence "
        f"{confidence}; {share(verification.sampling.tolerance)} passes"
    )


def _reasons(verification: Verification) -> dict[str, list[str]]:
    """The names of models by why gradients were drawn there."""
    reasons: dict[str, list[str]] = {}
    for finding in verification.sampled:
        names = reasons.setdefault(finding.why, [])
        if finding.mdp.name not in names:
            names.append(finding.mdp.name)
    return reasons


def _drawn(findings: tuple[SampledFinding, ...]) -> str:
    """How many gradients were drawn."""
    numbers = sorted({it.look.rollouts for it in findings})
    sizes = sorted({it.batch_size for it in findings})
    what = "rollouts" if sizes == [1] else f"batches of {', '.join(map(str, sizes))}"
    what = "runs" if isinstance(findings[0], LoopFinding) else what
    number = f"{numbers[0]:,}" if len(numbers) == 1 else f"{numbers[0]:,} to {numbers[-1]:,}"
    return f"{number} {what}"


def _bias(finding: SampledFinding) -> str:
    """The bias with its standard error, how unlikely chance is, and the part of it along the gradient."""
    look = finding.look
    if math.isnan(look.bias):
        return "some gradients are not finite"
    p = f"p < {LEAST_P:g}" if look.p_value < LEAST_P else f"p = {look.p_value:.2g}"
    if finding.norm == 0:
        return f"a bias of {look.bias:.3g} where the gradient is 0, {p}"
    return f"a bias of {_with_error(look.bias, look.bias_error)}, {p}; scale error {_scale_error(finding)}"


def _with_error(x: float, error: float, sign: str = "") -> str:
    """A share in percent with its standard error, to the error's first digits."""
    digits = 2 if error <= 0 else min(4, max(0, 1 - math.floor(math.log10(100 * error))))
    return f"{100 * x:{sign}.{digits}f} % ± {100 * error:.{digits}f} %"


def _scale_error(finding: SampledFinding) -> str:
    look = finding.look
    return "" if math.isnan(look.scale_error) else _with_error(look.scale_error, look.scale_error_error, "+")


def _cells(finding: SampledFinding, *, is_allowed: bool) -> tuple[str, ...]:
    look = finding.look
    size = () if isinstance(finding, LoopFinding) else (str(finding.batch_size),)
    start = finding.mdp.name, *size, f"{look.rollouts:,}"
    decision = "" if is_allowed else _WORDS[look.decision]  # of another expectation than that of what is allowed
    if math.isnan(look.bias):
        return *start, "not finite", "", "", decision
    if finding.norm == 0:
        return *start, f"{look.bias:.1e} of 0", "", "", decision
    below = share(look.bound) if math.isfinite(look.bound) else ""
    return *start, _with_error(look.bias, look.bias_error), below, _scale_error(finding), decision


def _duration(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 90:
        return many(max(1, round(seconds)), "second")
    return many(round(seconds / 60), "minute") if seconds < 5400 else many(round(seconds / 3600), "hour")
