"""Explanations of mistakes → views: the list of them, and one with how large it is."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pgcheck.estimators.mistakes.explanation import NOTATION, Explanation, Harmless
from pgcheck.estimators.mistakes.ids import TITLES
from pgcheck.report.spelling import spelled_out
from pgcheck.report.view import Block, Column, Filled, Grid, Record, Span, Styled, Tone, View
from pgcheck.report.words import if_known, percent
from pgcheck.verification.findings import Finding
from pgcheck.verification.limits import TOLERANCE
from pgcheck.verification.loop_evidence import LoopFinding
from pgcheck.verification.measuring import Measurement

TONES: dict[str, Tone] = {"-": "bad", "+": "good", " ": "plain"}
PLACE = "wrong.py:gradient"  # where a reader is thought to have put the wrong function


def explanations_view() -> View:
    """The ids of all mistakes with their titles."""
    rows: list[Record] = [{"id": name, "title": TITLES[name]} for name in TITLES]
    columns = Column("id", right=False), Column("what is wrong", right=False)
    grid = Grid(columns, [(row["id"], row["title"]) for row in rows])
    return View(lambda: {"mistakes": rows}, rows, [grid, "\nfor one of them: pgcheck explain dropped-gamma"])


def explanation_view(explanation: Explanation, measurement: Measurement, *, unicode: bool = True) -> View:
    """A mistake explained, in every form.

    Args:
      explanation: what is to be said.
      measurement: how large the mistake is.
      unicode: whether people see the symbols of formulas; else they are spelled out.
    """
    text: Record = {
        "id": explanation.id,
        "title": explanation.title,
        "what": explanation.what,
        "formula": "\n".join(explanation.formula),
        "why": explanation.why,
        "wrong": explanation.code.wrong,
        "right": explanation.code.right,
    }
    measured = [finding_record(finding) for finding in measurement.findings]

    def record() -> Record:
        return {
            **text,
            "formula": list(explanation.formula),
            "notation": NOTATION,
            "command": explanation.case.checking(PLACE),
            "measured": measured,
            "skipped": [{"model": skipped.model, "why": skipped.why} for skipped in measurement.skipped],
            "missing": list(measurement.missing),
            "harmless": [
                {"when": it.when, "command": harmless_command(explanation, it)} for it in explanation.harmless
            ],
            "threads": [
                {"title": it.title, "place": it.place, "url": it.url, "said": it.said} for it in explanation.threads
            ],
            "see": list(explanation.see),
        }

    nothing: Record = dict.fromkeys(FIGURES)
    rows = [{**text, **row} for row in (measured or [nothing])]
    blocks = list(_blocks(explanation, measurement))
    return View(record, rows, blocks if unicode else [_spelled(block) for block in blocks])


FIGURES = ("model", "horizon", "gamma", "entropy", "batch_size", "bias", "relative_bias", "scale", "cosine")


def finding_record(finding: Finding) -> Record:
    """Returns the figures of a mistake on one model, by the names in `FIGURES`."""
    mdp, size = finding.mdp, None if isinstance(finding, LoopFinding) else finding.batch_size
    numbers = finding.bias, finding.relative_bias, finding.scale, finding.cosine
    return dict(zip(FIGURES, (mdp.name, mdp.horizon, mdp.gamma, mdp.entropy, size, *numbers), strict=True))


def bias_text(finding: Finding) -> str:
    """Returns the relative bias as people read it: 0 % where nothing above rounding is left."""
    if finding.bias != finding.bias:
        return "not finite"
    if finding.relative_bias is None:
        return f"{finding.bias:.1e} of 0"
    return percent(finding.relative_bias if finding.relative_bias > TOLERANCE else 0.0)


def harmless_command(explanation: Explanation, harmless: Harmless) -> str | None:
    """Returns the command that shows it: a check that passes, or a measurement where a check tries more than that."""
    case = harmless.case
    if case is None:
        return None
    return case.measuring(explanation.id) if harmless.here_only else case.checking(PLACE)


def measure_text(measurement: Measurement) -> str:
    """Returns what is to be installed where nothing was measured; nothing where something was."""
    if not measurement.missing:
        return ""
    packages = " ".join(("'pgcheck[gymnasium]'" if it == "gymnasium" else it) for it in measurement.missing)
    return f"To measure it, install what it needs: pip install {packages}"


def size_grid(findings: Sequence[Finding]) -> Grid:
    """Returns the table of how large a mistake is."""
    of_loop = any(isinstance(finding, LoopFinding) for finding in findings)
    batch = () if of_loop else (Column("B"),)
    columns = (
        Column("model", right=False), Column("horizon"), Column("gamma"), *batch, Column("rel. bias"),
        Column("scale"), Column("cosine"),
    )  # fmt: skip
    rows = []
    for it in findings:
        size = () if of_loop else (str(it.batch_size),)
        figures = bias_text(it), if_known(it.scale, ".4g"), if_known(it.cosine, ".4f")
        known = figures if it.bias == it.bias else (figures[0], "", "")
        rows.append((it.mdp.name, f"{it.mdp.horizon:,}", f"{it.mdp.gamma:g}", *size, *known))
    return Grid(columns, rows)


def _blocks(explanation: Explanation, measurement: Measurement) -> Iterator[Block]:
    yield Styled((Span(explanation.id, "bad"), Span(f": {explanation.title}")))
    yield ""
    yield Filled(explanation.what)
    yield ""
    for line in explanation.formula:
        yield Filled(f"  {line}", "    ")
    yield Filled(f"  {explanation.why}", "  ")
    yield ""
    yield Filled(NOTATION)
    yield "\nThe wrong lines (-) and the right ones (+):"
    for mark, line in explanation.code.excerpt:
        yield Styled((Span(f"{mark} {line}".rstrip(), TONES[mark]),))
    yield ""
    if measurement.findings:
        what = "the loop" if explanation.is_loop else "the function"
        yield Filled(f"How large it is: the exact expectation of {what} with the wrong lines.")
        yield ""
        yield size_grid(measurement.findings)
    else:
        yield Filled(measure_text(measurement) or "It could not be measured exactly on any of the models.")
    for skipped in measurement.skipped if not measurement.findings else ():
        yield Filled(f"{skipped.model}: {skipped.why}")
    if explanation.harmless:
        yield "\nWhen it does no harm:"
    for it in explanation.harmless:
        yield Filled(f"  {it.when}", "  ")
        if (command := harmless_command(explanation, it)) is not None:
            yield f"    {command}"
    if explanation.threads:
        yield "\nWhere it was discussed in public:"
    for thread in explanation.threads:
        yield Filled(f"  {thread.title} ({thread.place})", "    ")
        yield f"    {thread.url}"
        yield Filled(f"    {thread.said}", "    ")
    yield ""
    if explanation.see:
        yield Filled(f"See also: {', '.join(explanation.see)}")
    yield Filled("Both functions, complete, are in --format json: the keys wrong and right.")


def _spelled(block: Block) -> Block:
    match block:
        case str():
            return spelled_out(block)
        case Filled():
            return replace(block, text=spelled_out(block.text))
        case Styled():
            return Styled(tuple(replace(span, text=spelled_out(span.text)) for span in block.spans))
        case Grid():
            return block
