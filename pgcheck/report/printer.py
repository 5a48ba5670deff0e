"""Views → tables for people, JSON, JSON lines and CSV. One of two doors to rich."""

import io
import itertools
from collections.abc import Iterable, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from pgcheck.formats.problems import visible
from pgcheck.report.output import Output
from pgcheck.report.records import csv_line, to_json
from pgcheck.report.terminal import is_coloured, terminal_width, wrapped
from pgcheck.report.view import MOST_COLUMNS, Block, Column, Filled, Grid, Record, Span, Styled, Toned, View

SCHEMA = "pgcheck/1"
UNBOUNDED = 1_000_000  # columns: wider than any table
_STYLES = {"plain": "", "good": "bold green", "bad": "bold red", "unsure": "bold yellow", "dim": "dim"}
FEW_ROWS = 50  # up to so many, rich is fast enough
MAX_ROWS = 2_000  # of a table for people


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
                self._block(block)
        else:
            rows = iter(view.rows)
            while lot := list(itertools.islice(rows, 1000)):
                self.output.write("".join(map(self._line, lot)))

    def _block(self, block: Block) -> None:
        match block:
            case str():
                self.text(block)
            case Styled():
                self._styled(block)
            case Filled():
                self.text(block.lines(terminal_width() if self.output.is_terminal else MOST_COLUMNS))
            case Grid():
                self.grid(block)

    def record(self, record: Record) -> None:
        """Prints a result as one JSON object, with the name of its form."""
        self.object({"schema": SCHEMA, **record})

    def object(self, record: Record) -> None:
        """Prints one JSON object as it is."""
        self.output.write(to_json(record, indent=2) + "\n")

    def row(self, row: Record) -> None:
        """Prints one line of JSON lines or CSV, at once."""
        self.output.write(self._line(row))

    def _line(self, row: Record) -> str:
        """A line of JSON lines or CSV; before the first line of CSV, its header."""
        if self.form == "jsonl":
            return to_json(row) + "\n"
        header = "" if self._has_header else csv_line(list(row))
        self._has_header = True
        return header + csv_line(list(row.values()))

    def stream(
        self,
        head: Record,
        key: str,
        rows: Iterable[tuple[Record, tuple[str, ...]]],
        columns: tuple[Column, ...],
    ) -> None:
        """Prints rows one by one as they come, however many; in JSON as the list `key` of one object.

        Args:
          head: the other keys of the JSON object.
          key: of the list.
          rows: each as a record, and as the cells of a table.
          columns: of the table.
        """
        if self.form == "json":
            opening = to_json({"schema": SCHEMA, **head})[:-1] + f', "{key}": ['
            between = "\n"
            for record, _ in rows:
                self.output.write(opening + between + to_json(record))
                opening, between = "", ",\n"
            self.output.write(opening + "\n]}\n")
        elif self.form == "table":
            self.grid(Grid(columns, []))
            for _, cells in rows:
                self.grid(Grid(columns, [cells]), header=False)
        else:
            for record, _ in rows:
                self.row(record)

    def text(self, text: str) -> None:
        """Prints a paragraph; on a terminal its words are wrapped, and those that stand out are coloured."""
        shown = wrapped(text, terminal_width()) if self.output.is_terminal else str(text)
        if isinstance(text, Toned) and self._is_coloured:
            self._styled(Styled(text.broken_as(shown).spans), soft_wrap=True)
        else:
            self.output.write(shown + "\n", encoding=self.output.encoding)

    def _styled(self, line: Styled, *, soft_wrap: bool = False) -> None:
        """Prints a line, some words of which are coloured where colour is shown."""
        console = self._console()
        console.print(_dressed(line.spans), soft_wrap=soft_wrap or not self.output.is_terminal)
        assert isinstance(console.file, io.StringIO)
        self.output.write(console.file.getvalue(), encoding=self.output.encoding)

    def grid(self, grid: Grid, *, header: bool = True) -> None:
        """Prints a table; no digit of it is ever cut."""
        rows = list(itertools.islice(grid.rows, MAX_ROWS + 1))
        self._grid(grid.columns, rows[:MAX_ROWS], header)
        if len(rows) > MAX_ROWS:
            self.text(f"... the first {MAX_ROWS:,} rows; --format csv or jsonl prints all")

    def _grid(self, columns: tuple[Column, ...], rows: Sequence[tuple[str, ...]], header: bool) -> None:
        grid = Grid(columns, rows)
        console = self._console()
        if len(rows) > FEW_ROWS and not self.output.is_terminal and not console.is_terminal:
            text = plain_table(grid, header=header, unicode=_is_unicode(self.output.encoding))
            self.output.write(text, encoding=self.output.encoding)
            return
        table = self._table(grid, header)
        needed = Measurement.get(console, console.options.update(max_width=UNBOUNDED), table).maximum
        if self.output.is_terminal and needed > console.width and _narrow(columns, rows, console.width):
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
            table.add_row(*(_dressed(cell.spans) if isinstance(cell, Toned) else Text(cell) for cell in row))
        return table

    @property
    def _is_coloured(self) -> bool:
        return self.output.is_stdout and is_coloured(self.output.is_terminal)

    def _console(self) -> Console:
        """The only maker of consoles for results."""
        coloured = self._is_coloured
        return Console(
            file=io.StringIO(),
            force_terminal=coloured,
            color_system="standard" if coloured else None,
            no_color=not coloured,
            width=terminal_width() if self.output.is_terminal else UNBOUNDED,
            height=25,
            markup=False,
            emoji=False,
            highlight=False,
            legacy_windows=False,
        )

    def _blocks(self, grid: Grid) -> None:
        """One record a paragraph: for a terminal too narrow for the table."""
        for row in grid.rows:
            parts: list[Span | str] = []
            for column, cell in zip(grid.columns, row, strict=True):
                if cell:
                    parts += [f"{column.title}: ", *(cell.spans if isinstance(cell, Toned) else (cell,)), "\n"]
            self.text(Toned(*parts))


def _dressed(spans: Iterable[Span]) -> Text:
    return Text.assemble(*((span.text, _STYLES[span.tone]) for span in spans))


_ASCII_HEAD = box.Box("    \n    \n -- \n    \n    \n -- \n    \n    \n", ascii=True)


def plain_table(grid: Grid, *, header: bool, unicode: bool) -> str:
    """Returns a table as rich prints it without colour at full width, in a twentieth of the time."""
    cells = [tuple(column.title for column in grid.columns)] if header else []
    cells += [tuple(map(visible, row)) for row in grid.rows]
    lines, width = [""] * len(cells), -1
    for column, texts in zip(grid.columns, zip(*cells, strict=True), strict=True):
        texts = tuple(map(str.rstrip, texts)) if column.right else texts
        widths = [len(text) if text.isascii() else cell_len(text) for text in texts]
        widest = max([*widths, column.width or 1])
        width += widest + 3
        padding = [" " * (widest - width) for width in widths]
        for k, (text, space) in enumerate(zip(texts, padding, strict=True)):
            lines[k] += f" {space}{text}  " if column.right else f" {text}{space}  "
    rule = ("\N{BOX DRAWINGS LIGHT HORIZONTAL}" if unicode else "-") * width
    lines[1:1] = [rule] if header else []
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _narrow(columns: Sequence[Column], rows: Sequence[tuple[str, ...]], width: int) -> bool:
    """Whether the numbers alone do not fit; words can be folded."""
    fixed = [max([len(c.title), *(len(r[i]) for r in rows)]) for i, c in enumerate(columns) if c.right]
    words = sum(1 for column in columns if not column.right)
    return sum(fixed) + 12 * words + 3 * len(columns) + 2 > width


def _is_unicode(encoding: str) -> bool:
    return encoding.lower().replace("-", "").replace("_", "").startswith("utf")
