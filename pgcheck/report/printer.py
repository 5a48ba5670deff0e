"""Views → tables for people, JSON, JSON lines and CSV. The only door to rich."""

import contextlib
import csv
import io
import itertools
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from pgcheck.report.output import Output

SCHEMA = "pgcheck/1"
WIDEST = 1_000_000
MAX_ROWS = 2_000  # of a table for people

Record = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A column of a table for people; `width` is fixed where rows come one by one."""

    title: str
    right: bool = True
    width: int | None = None


@dataclass(frozen=True)
class Grid:
    """A table for people; rows beyond the first 2,000 are left to the other forms."""

    columns: tuple[Column, ...]
    rows: Iterable[tuple[str, ...]]


@dataclass(frozen=True)
class View:
    """One result in every form that it can be printed in.

    Attributes:
      record: makes the JSON object.
      rows: the lines of JSON lines and CSV, all with the same keys; to be gone through once.
      blocks: paragraphs and tables for people.
    """

    record: Callable[[], Record]
    rows: Iterable[Record]
    blocks: Sequence[str | Grid]


class Printer:
    """Prints views on an output in one format: `table`, `json`, `jsonl` or `csv`."""

    def __init__(self, output: Output, form: str) -> None:
        self.output = output
        self.form = form
        self._has_header = False

    def view(self, view: View) -> None:
        """Prints a whole result."""
        if self.form == "json":
            self.record(view.record())
        elif self.form == "table":
            for block in view.blocks:
                self.text(block) if isinstance(block, str) else self.grid(block)
        else:
            rows = iter(view.rows)
            while some := list(itertools.islice(rows, 1000)):
                self.output.write("".join(map(self._line, some)))

    def record(self, record: Record) -> None:
        """Prints a result as one JSON object, with the name of its form."""
        self.object({"schema": SCHEMA, **record})

    def object(self, record: Record) -> None:
        """Prints one JSON object as it is."""
        self.output.write(_json(record, indent=2) + "\n")

    def row(self, row: Record) -> None:
        """Prints one line of JSON lines or CSV, at once."""
        self.output.write(self._line(row))

    def _line(self, row: Record) -> str:
        """A line of JSON lines or CSV; before the first line of CSV, its header."""
        if self.form == "jsonl":
            return _json(row) + "\n"
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not self._has_header:
            self._has_header = True
            writer.writerow(row)
        writer.writerow([_cell(value) for value in row.values()])
        return text.getvalue()

    def stream(
        self,
        head: Record,
        key: str,
        rows: Iterable[Record],
        columns: tuple[Column, ...],
        cells: Callable[[Record], tuple[str, ...]],
    ) -> None:
        """Prints rows one by one as they come, however many; in JSON as the list `key` of one object."""
        if self.form == "json":
            opening = _json({"schema": SCHEMA, **head})[:-1] + f', "{key}": ['
            between = "\n"
            for row in rows:
                self.output.write(opening + between + _json(row))
                opening, between = "", ",\n"
            self.output.write(opening + "\n]}\n")
        elif self.form == "table":
            self.grid(Grid(columns, []))
            for row in rows:
                self.grid(Grid(columns, [cells(row)]), header=False)
        else:
            for row in rows:
                self.row(row)

    def text(self, text: str) -> None:
        """Prints a paragraph, as it is: the terminal may wrap it."""
        self.output.write(text + "\n", encoding=self.output.encoding)

    def grid(self, grid: Grid, *, header: bool = True) -> None:
        """Prints a table; no digit of it is ever cut."""
        rows = list(itertools.islice(grid.rows, MAX_ROWS + 1))
        grid = Grid(grid.columns, rows[:MAX_ROWS])
        self._grid(grid, rows[:MAX_ROWS], header)
        if len(rows) > MAX_ROWS:
            self.text(f"... the first {MAX_ROWS:,} rows; --format csv or jsonl prints all")

    def _grid(self, grid: Grid, rows: Sequence[tuple[str, ...]], header: bool) -> None:
        table = self._table(grid, header)
        console = self._console()
        needed = Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum
        if self.output.is_terminal and needed > console.width and _narrow(grid.columns, rows, console.width):
            self._blocks(grid)
            return
        if not self.output.is_terminal:
            console.size = (max(needed, 1), 25)
        console.print(table)
        assert isinstance(console.file, io.StringIO)
        lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
        self.output.write("\n".join(lines) + "\n", encoding=self.output.encoding)

    def _table(self, grid: Grid, header: bool) -> Table:
        unicode = _is_unicode(self.output.encoding)
        table = Table(
            box=box.SIMPLE_HEAD if unicode else _ASCII_HEAD,
            show_header=header,
            show_edge=False,
            pad_edge=True,
            header_style="bold",
        )
        for column in grid.columns:
            table.add_column(
                Text(column.title),
                justify="right" if column.right else "left",
                overflow="fold",
                min_width=column.width,
                no_wrap=column.right,
            )
        for row in grid.rows:
            table.add_row(*(Text(cell) for cell in row))
        return table

    def _console(self) -> Console:
        """The only maker of consoles for results."""
        wanted = os.environ.get("FORCE_COLOR", "") not in ("", "0")
        coloured = (self.output.is_terminal or (wanted and self.output.is_stdout)) and not os.environ.get("NO_COLOR")
        return Console(
            file=io.StringIO(),
            force_terminal=coloured,
            color_system="standard" if coloured else None,
            no_color=not coloured,
            width=_terminal_width() if self.output.is_terminal else WIDEST,
            height=25,
            markup=False,
            emoji=False,
            highlight=False,
            legacy_windows=False,
        )

    def _blocks(self, grid: Grid) -> None:
        """One record a paragraph: for a terminal too narrow for the table."""
        for row in grid.rows:
            lines = [f"{column.title}: {cell}" for column, cell in zip(grid.columns, row, strict=True) if cell]
            self.text("\n".join(lines) + "\n")


_ASCII_HEAD = box.Box("    \n    \n -- \n    \n    \n -- \n    \n    \n", ascii=True)


@contextlib.contextmanager
def progress_bar(what: str, *, quiet: bool) -> "Iterator[ProgressBar]":
    """A progress bar on standard error, while a person watches and the work is long."""
    shown = not quiet and sys.stderr is not None and sys.stderr.isatty()
    bar = ProgressBar(what, shown)
    try:
        yield bar
    except BaseException as error:
        error.add_note(f"{bar.what}: {100 * bar.fraction:.3g} % done")  # told if it was an interruption
        raise
    finally:
        bar.stop()


class ProgressBar:
    """Draws nothing for the first second."""

    PATIENCE = 1.0

    def __init__(self, what: str, shown: bool) -> None:
        self.what = what
        self.fraction = 0.0
        self._shown = shown
        self._since = time.monotonic()
        self._bar: Progress | None = None

    def __call__(self, fraction: float) -> None:
        """Notes how much is done, 0 to 1."""
        self.fraction = fraction
        if not self._shown or time.monotonic() - self._since < self.PATIENCE:
            return
        if self._bar is None:
            console = Console(file=sys.stderr, markup=False, emoji=False, highlight=False)
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.percentage:3.0f} %"),
            )
            self._bar = Progress(*columns, console=console, transient=True)
            self._bar.add_task(self.what, total=1.0)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], description=self.what, completed=fraction)

    def stop(self) -> None:
        """Takes the bar off the screen; the next call starts anew."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _narrow(columns: Sequence[Column], rows: Sequence[tuple[str, ...]], width: int) -> bool:
    """Whether the numbers alone do not fit; words can be folded."""
    fixed = [max([len(c.title), *(len(r[i]) for r in rows)]) for i, c in enumerate(columns) if c.right]
    words = sum(1 for column in columns if not column.right)
    return sum(fixed) + 12 * words + 3 * len(columns) + 2 > width


def _terminal_width() -> int:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            width = os.get_terminal_size(stream.fileno()).columns
            if width > 0:
                return width
    return 80


def _is_unicode(encoding: str) -> bool:
    return encoding.lower().replace("-", "").replace("_", "").startswith("utf")


def _json(value: object, indent: int | None = None) -> str:
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
    return _json(value) if isinstance(value, list | tuple | dict) else value
