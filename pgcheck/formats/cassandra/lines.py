"""Lines that set one cell of a table, of which large files have millions: many are read at once.

What is no such line, or is at fault, is left to `pomdp_sections`, which says what is wrong with it.
"""

import re
from array import array
from collections.abc import Mapping

import numpy as np

from pgcheck.formats.assembling import LOOSE_SLACK
from pgcheck.formats.cassandra.tables import Table
from pgcheck.formats.cassandra.text import END, SKIP, UNSIGNED, WORD, Text
from pgcheck.formats.reader import number
from pgcheck.formats.transitions import MAX_SIZE

FEW = 16  # lines in a row that are written one by one
_INDEX = rf"{SKIP}:{SKIP}({WORD}|\*)"
_LINE = re.compile(rf"{SKIP}([TOR])" + _INDEX * 3 + rf"(?:{_INDEX})?+{SKIP}([-+]?+{UNSIGNED}){END}")

Line = tuple[tuple[int, ...], float, int]  # the cell, its value, and when it was written


def read_lines(
    text: Text,
    tables: Mapping[str, Table],
    indices: Mapping[str, tuple[Mapping[str, int], ...]],
    places: "array[int]",
) -> None:
    """Reads such lines up to the first other one.

    Args:
      tables: T, O and R.
      indices: for each table what the words of each index stand for, `*` among them.
      places: to which the place of each line is appended.
    """
    lines: dict[str, list[Line]] = {word: [] for word in tables}
    while match := _LINE.match(text.text, text.at):
        word, *names, last, digits = match.groups()
        if word not in tables:
            break
        axes = indices[word]
        if last is not None:
            if len(axes) < 4:
                break
            names.append(last)
        elif len(axes) > 3:
            break
        cell = tuple([known.get(name) for known, name in zip(axes, names, strict=True)])
        value = number(digits) if "e" in digits or "E" in digits else float(digits)
        if value is None or None in cell:
            break
        if not (-MAX_SIZE <= value <= MAX_SIZE if word == "R" else 0 <= value <= 1 + LOOSE_SLACK):
            break
        lines[word].append((cell, value + 0.0, len(places)))  # type: ignore[arg-type]
        places.append(match.start(1))
        text.at = match.end()
    for word, written in lines.items():
        _write(tables[word], written)


def _write(table: Table, lines: list[Line]) -> None:
    """Writes lines to their table."""
    if len(lines) < FEW:
        for cell, value, time in lines:
            table.write(cell, value, time)
    else:
        cells, values, times = zip(*lines, strict=True)
        table.write_all(np.array(cells), np.array(values), np.array(times))
