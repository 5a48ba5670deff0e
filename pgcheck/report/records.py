"""Records as JSON and CSV: numbers that can be read back, null for what is no number."""

import csv
import io
import json
import math


def csv_line(values: list[object]) -> str:
    """Returns values as a line of CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([_cell(value) for value in values])
    return text.getvalue()


def to_json(value: object, indent: int | None = None) -> str:
    """Returns a value as JSON."""
    return json.dumps(_finite(value), allow_nan=False, indent=indent, ensure_ascii=True)


def _finite(value: object) -> object:
    """The value with null for NaN and infinities, which JSON lacks."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _cell(value: object) -> object:
    """A value in CSV: nothing for null, JSON for lists."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(float(value))
    return to_json(value) if isinstance(value, list | tuple | dict) else value
