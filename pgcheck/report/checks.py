"""What came of a list of checks → its view: a row for each, from the record that is printed as JSON."""

import json
from collections.abc import Iterator, Sequence

from pgcheck.errors import VERDICT_STATUS, ExitStatus
from pgcheck.report.records import to_json
from pgcheck.report.verification import WHY
from pgcheck.report.verification_record import verification_record
from pgcheck.report.verifications import ERROR, ids_text, toned, worst_status
from pgcheck.report.view import Block, Column, Grid, Record, Span, Styled, Toned, View
from pgcheck.report.words import bias_text
from pgcheck.verification.checks import Check, Outcome
from pgcheck.verification.verification import Verification

BATTERY = "(battery)"
WORDS = {ExitStatus.DISAGREES: "fail", ExitStatus.FAULT: ERROR, ExitStatus.INCONCLUSIVE: "inconclusive"}


def check_text(check: Check, outcome: Outcome) -> str:
    """Returns the record of a check as JSON: all that is shown of it, wherever it was done."""
    if isinstance(outcome.verdict, Verification):
        record = verification_record(check.estimator, outcome.verdict)
    else:
        record = {"verdict": ERROR, "why": str(outcome.verdict)}
    asked: Record = {
        "estimator": check.estimator,
        "command": check.command,
        "expect": check.expect,
        "as_expected": record["verdict"] == check.expect,
        "notes": list(outcome.notes),
    }
    return to_json({**asked, **record})


def check_record(text: str) -> Record:
    """Returns the record that `check_text` has made a text of."""
    record: Record = json.loads(text)
    return record


def exit_status_of_checks(records: Sequence[Record]) -> int:
    """Returns the worst exit status: 1 if a verdict is not the expected one, else 2, else 3, else 0."""
    return worst_status({_status(record) for record in records})


def _status(record: Record) -> int:
    if record["as_expected"]:
        return ExitStatus.DONE
    if record["verdict"] == ERROR:
        return ExitStatus.FAULT
    return VERDICT_STATUS[record["verdict"]] or ExitStatus.DISAGREES  # a pass that was to fail


def checks_view(checks: Sequence[Check], records: Sequence[Record]) -> View:
    """The verdicts on a list of checks in every form."""
    word = WORDS.get(ExitStatus(exit_status_of_checks(records)), "pass")
    lines = map(check_row, records)
    return View(lambda: {"verdict": word, "checks": list(records)}, lines, list(_blocks(checks, records)))


def check_row(record: Record) -> Record:
    """Returns one check as a line of CSV: its verdict and the worst of its biases."""
    worst = _worst(record) or {}
    return {
        "estimator": record["estimator"],
        "verdict": record["verdict"],
        "expect": record["expect"],
        "as_expected": record["as_expected"],
        "evidence": record.get("evidence"),
        "bias": worst.get("bias"),
        "relative_bias": worst.get("relative_bias"),
        "model": worst.get("model"),
        "diagnosis": " ".join(diagnosis["id"] for diagnosis in record.get("diagnosis", [])),
        "why": record.get("why"),
        "command": record["command"],
    }


def _blocks(checks: Sequence[Check], records: Sequence[Record]) -> Iterator[Block]:
    """How many are as they should be, a table, and why some could not be checked."""
    right = sum(bool(record["as_expected"]) for record in records)
    word = "PASS" if all(check.expect == "pass" for check in checks) else "AS EXPECTED"
    yield Styled((Span(f"{right} of {len(records)} {word}", "good" if right == len(records) else "bad"),))
    yield ""
    differ = len({check.models for check in checks}) > 1
    columns = (
        Column("estimator", right=False), *((Column("models", right=False),) * differ),
        Column("verdict", right=False), Column("worst bias"), Column("on", right=False),
        Column("diagnosis", right=False),
    )  # fmt: skip
    rows = []
    for check, record in zip(checks, records, strict=True):
        models = (", ".join(check.models) or BATTERY,) * differ
        rows.append((check.estimator, *models, _verdict(record), *_cells(record)))
    yield Grid(columns, rows)
    for record in records:
        if record["verdict"] == ERROR:
            yield f"\n{record['estimator']}: not checked\n  {record['why']}"
    wrong = [record for record in records if not record["as_expected"] and record["verdict"] != ERROR]
    if wrong:
        mistake = next(filter(None, map(_to_explain, wrong)), None)
        yield "" if mistake is None else f"\n{WHY} {mistake}"
        yield f"for the details of one: {wrong[0]['command']}"


def _to_explain(record: Record) -> str | None:
    """The id of the first mistake of a failing check that is not allowed."""
    if record["verdict"] != "fail":
        return None
    ids = (diagnosis["id"] for diagnosis in record["diagnosis"])
    return next((name for name in ids if name not in record["allowed"]), None)


def _verdict(record: Record) -> Toned:
    """The verdict, and what was expected instead of a pass; what was expected stands out as a pass does."""
    verdict = str(record["verdict"])
    text = verdict.upper()
    if record["expect"] != "pass":
        text += ", as expected" if record["as_expected"] else f", expected {record['expect'].upper()}"
    return toned("pass" if record["as_expected"] else verdict if verdict != "pass" else "fail", text)


def _worst(record: Record) -> Record | None:
    """The finding with the greatest relative bias, or bias where the gradient is 0; one that is no number first."""
    findings: list[Record] = record.get("models", [])
    return max(findings, key=_severity, default=None)


def _severity(finding: Record) -> float:
    sizes = (finding["relative_bias"], finding["bias"])
    return next((float(size) for size in sizes if size is not None), float("inf"))


def _cells(record: Record) -> tuple[str, str, str]:
    """The worst bias, the model that it is on, and the ids of the diagnosis."""
    worst = _worst(record)
    if worst is None:
        return "", "", ""
    bias = "not finite" if worst["bias"] is None else bias_text(worst["bias"], worst["relative_bias"])
    ids = ids_text(record["verdict"], [(it["id"], it["id"] in record["allowed"]) for it in record["diagnosis"]])
    return bias, worst["model"], ids
