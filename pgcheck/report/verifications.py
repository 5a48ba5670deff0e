"""Verifications of several estimators → their view: a row for each, worst relative bias and diagnosis in it."""

import shlex
from collections.abc import Collection, Iterator, Sequence

from pgcheck.errors import ExitStatus, PgcheckError
from pgcheck.report.verification import TONE, WHY, to_explain, verdict_text, verification_view
from pgcheck.report.view import Block, Column, Grid, Record, Span, Styled, Toned, View
from pgcheck.report.words import bias_text
from pgcheck.verification.verification import Verification

Judged = tuple[str, Verification | PgcheckError]  # an estimator's name, and the verdict or why there is none
ERROR = "error"  # stands for the verdict on what could not be checked


def exit_status_of(judged: Sequence[Judged]) -> int:
    """Returns the worst exit status: 1 if any fails, else 2 if any could not be checked, else 3, else 0."""
    return worst_status({outcome.exit_status for _, outcome in judged})


def worst_status(statuses: Collection[int]) -> int:
    """Returns the exit status of several: 1 where one of them is 1, else 2, else 3, else 0."""
    order = (ExitStatus.DISAGREES, ExitStatus.FAULT, ExitStatus.INCONCLUSIVE)
    return next((status for status in order if status in statuses), ExitStatus.DONE)


def verifications_view(judged: Sequence[Judged]) -> View:
    """The verdicts on several estimators in every form."""
    views = [(name, _view(name, outcome)) for name, outcome in judged]
    return View(lambda: {"estimators": [view.record() for _, view in views]}, _lines(views), list(_blocks(judged)))


def verdict_line(name: str, outcome: Verification | PgcheckError) -> Styled:
    """A verdict in one line: the estimator, the word, and how far it is off where, by which mistake."""
    if not isinstance(outcome, Verification):
        return Styled((Span(f"{name}: "), Span("NOT CHECKED", "unsure"), Span(f": {_first(str(outcome))}")))
    said, _, rest = verdict_text(outcome).partition(":")
    bias, model, ids = _cells(outcome)
    if outcome.verdict == "fail":
        rest = f": {', '.join(filter(None, [ids, f'relative bias {bias} on {model}' * bool(bias)]))}"
    elif outcome.verdict == "pass":
        rest = f":{rest}" if rest else f": exact on {', '.join(outcome.checked)}" * (not outcome.sampled)
    return Styled((Span(f"{name}: "), Span(said, TONE[outcome.verdict]), Span(rest)))


def _first(text: str) -> str:
    return text.partition("\n")[0]


def _view(name: str, outcome: Verification | PgcheckError) -> View:
    """The view of one estimator, of which the record and the lines are used."""
    if isinstance(outcome, Verification):
        return verification_view(name, outcome)
    error = {"verdict": ERROR, "why": str(outcome)}
    return View(lambda: {"estimator": name, **error}, [error], [])


def _lines(views: Sequence[tuple[str, View]]) -> Iterator[Record]:
    """The lines of all estimators, each with its name and all with the same keys."""
    lines = [{**line, "estimator": name} for name, view in views for line in view.rows]
    keys = {"estimator": None, **{key: None for line in lines for key in line}}
    for line in lines:
        yield {**keys, **line}


def _blocks(judged: Sequence[Judged]) -> Iterator[Block]:
    """How many pass, a table, and why some could not be checked."""
    verdicts = [_verdict(outcome) for _, outcome in judged]
    passed = verdicts.count("pass")
    yield Styled((Span(f"{passed} of {len(judged)} PASS", "good" if passed == len(judged) else "bad"),))
    yield ""
    columns = (
        Column("estimator", right=False), Column("verdict", right=False), Column("worst bias"),
        Column("on", right=False), Column("diagnosis", right=False),
    )  # fmt: skip
    rows = [(name, toned(_verdict(outcome), _verdict(outcome).upper()), *_cells(outcome)) for name, outcome in judged]
    yield Grid(columns, rows)
    errors = [(name, outcome) for name, outcome in judged if isinstance(outcome, PgcheckError)]
    for name, error in errors:
        yield f"\n{name}: not checked\n  {error}"
    failing = [
        f"{shlex.quote(name)}{_options(outcome)}"
        for name, outcome in judged
        if isinstance(outcome, Verification) and outcome.verdict != "pass"
    ]
    if failing:
        mistake = to_explain(outcome for _, outcome in judged if isinstance(outcome, Verification))
        yield "" if mistake is None else f"\n{WHY} {mistake}"
        yield f"for the details of one: pgcheck verify {failing[0]}"


def toned(verdict: str, text: str) -> Toned:
    """Returns the text of a verdict in the tone of that verdict, an error in that of a failure."""
    return Toned(Span(text, TONE.get(verdict, "bad")))


def ids_text(verdict: str, ids: Sequence[tuple[str, bool]]) -> Toned:
    """Returns the ids of a diagnosis, each with whether it is allowed; of a failure, those that are not stand out."""
    parts: list[Span] = []
    for id_, is_allowed in ids:
        parts += [Span(", ")] if parts else []
        parts.append(
            Span(id_ + " (allowed)" * is_allowed, "bad" if verdict == "fail" and not is_allowed else "plain")
        )
    return Toned(*parts)


def _options(outcome: Verification) -> str:
    """The options without which it would be another check."""
    return " --off-policy" * outcome.off_policy + " --same-start" * outcome.same_start


def _verdict(outcome: Verification | PgcheckError) -> str:
    return outcome.verdict if isinstance(outcome, Verification) else ERROR


def _cells(outcome: Verification | PgcheckError) -> tuple[str, str, str]:
    """The worst bias, the model that it is on, and the ids of the diagnosis."""
    worst = outcome.worst if isinstance(outcome, Verification) else None
    if worst is None or not isinstance(outcome, Verification):
        return "", "", ""
    bias = bias_text(worst.bias, worst.relative_bias)
    ids = ids_text(outcome.verdict, [(diagnosis.id, diagnosis.allowed) for diagnosis in outcome.diagnosis])
    return bias, worst.mdp.name, ids
