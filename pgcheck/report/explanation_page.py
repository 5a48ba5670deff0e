"""Explanations of mistakes → pages in Markdown, as they stand in the documentation."""

from collections.abc import Iterator

from pgcheck.estimators.mistakes.catalogue import EXPLANATIONS
from pgcheck.estimators.mistakes.explanation import NOTATION, Code, Explanation, Side
from pgcheck.estimators.mistakes.ids import TITLES
from pgcheck.report.explanation import PLACE, harmless_command, measure_text, size_grid
from pgcheck.report.view import Grid
from pgcheck.verification.measuring import Measurement

INTRODUCTION = (
    "Each thing that `pgcheck verify` can say is wrong has an id and a page: what the mistake is, what is left of "
    "E[ĝ] − ∇J, a wrong function and the right one, and how large it is; where known, also when it does no harm and "
    "where it was discussed in public. `pgcheck explain dropped-gamma` shows the same in a terminal, and measures it "
    "on models of your own. [How to say that a deviation is intended](../how-to/intended.md)."
)


def index_page() -> str:
    """Returns the page that lists all mistakes."""
    rows = ["| id | what is wrong |", "|---|---|"]
    rows += [f"| [`{name}`]({name}.md) | {TITLES[name]} |" for name in EXPLANATIONS]
    return "\n".join(["# Mistakes", "", INTRODUCTION, "", *rows, ""])


def explanation_page(explanation: Explanation, measurement: Measurement) -> str:
    """Returns the page of a mistake, with how large it is."""
    return "\n".join(_lines(explanation, measurement)) + "\n"


def _lines(explanation: Explanation, measurement: Measurement) -> Iterator[str]:
    yield f"# {explanation.id}: {explanation.title}"
    yield from ("", explanation.what)
    yield from ("", "## Why its expectation is not ∇J", "")
    yield from ("```text", *explanation.formula, "```", "", explanation.why)
    yield from ("", NOTATION)
    yield from ("", "## Wrong", "", *_fence(explanation.code, "-"))
    yield from ("", "## Right", "", *_fence(explanation.code, "+"))
    yield from ("", "## How large it is", "", *_size(explanation, measurement))
    if explanation.harmless:
        yield from ("", "## When it does no harm", "", *_harmless(explanation))
    if explanation.threads:
        yield from ("", "## Where it was discussed in public", "")
        yield from (f"- [{_title(it.title)}]({it.url}) ({it.place}): {it.said}" for it in explanation.threads)
    if explanation.see:
        yield from ("", "## See also", "")
        yield from (f"- [{name}]({name}.md): {TITLES[name]}" for name in explanation.see)


def _fence(code: Code, side: Side) -> list[str]:
    """One of the two functions, complete; the lines that the other does not have are highlighted."""
    source = code.wrong if side == "-" else code.right
    differing = " ".join(map(str, code.differing(side)))
    return [f'```python hl_lines="{differing}"' if differing else "```python", *source.splitlines(), "```"]


def _size(explanation: Explanation, measurement: Measurement) -> list[str]:
    command = f"`{explanation.case.checking(PLACE)}`"
    said = f"Saved as `wrong.py`, the first of the two is checked by {command}, which fails."
    loop = ["This is a training loop."] if explanation.is_loop else []
    needs = [f"To run it, {' and '.join(explanation.needs)} must be installed."] if explanation.needs else []
    lines = [" ".join([said, *loop, *needs]), ""]
    if not measurement.findings:
        return [*lines, measure_text(measurement)]
    return [*lines, "Its exact expectation beside ∇J:", "", *_table(size_grid(measurement.findings))]


def _harmless(explanation: Explanation) -> list[str]:
    lines = []
    for it in explanation.harmless:
        command = harmless_command(explanation, it)
        shows = "shows it" if it.here_only else "passes"
        lines.append(f"- {it.when}" + ("" if command is None else f" `{command}` {shows}."))
    return lines


def _table(grid: Grid) -> list[str]:
    """A table for people in Markdown."""
    heads = [column.title for column in grid.columns]
    rules = ["---:" if column.right else "---" for column in grid.columns]
    return [f"| {' | '.join(cells)} |" for cells in (heads, rules, *grid.rows)]


def _title(text: str) -> str:
    """The title of a thread, in which Markdown sees no markup."""
    text = text.replace("`", "")
    for character in ("[", "]", "*"):
        text = text.replace(character, f"\\{character}")
    return text
