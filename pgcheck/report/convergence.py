"""The error against N → a table whose rows are printed as they come, and a sentence on the rate."""

import math
from collections.abc import Sequence

from pgcheck.estimators.base import Estimator
from pgcheck.estimators.convergence import MONTE_CARLO, Convergence, Row
from pgcheck.exact.gradient import ExactGradient
from pgcheck.model.mdp import MDP
from pgcheck.report.printer import Printer
from pgcheck.report.progress import ProgressBar
from pgcheck.report.view import Block, Column, Grid, Record
from pgcheck.report.words import bias_size, estimator_record, headline, if_known, model_record, named, percent

BAR = 12  # characters of the longest bar


class ConvergencePrinter:
    """Prints the rows of `converge` as they are done (`Watch`)."""

    def __init__(
        self, printer: Printer, bar: ProgressBar, mdp: MDP, estimator: Estimator, numbers: list[int], seed: int,
        replicates: int = 1, *, several: bool = False,
    ) -> None:  # fmt: skip
        self._printer = printer
        self._bar = bar
        self._mdp = mdp
        self._estimator = estimator
        self._numbers = numbers
        self._seed = seed
        self._replicates = replicates
        self._several = several
        bar.label = f"N = {numbers[0]:,}"
        self._columns = _columns(numbers[-1])
        self._first: Row | None = None
        self._done = 0

    def begin(self, exact: ExactGradient) -> None:
        """Prints what stands above the rows."""
        if self._printer.form == "table":
            model = headline(self._mdp, exact.trajectories)
            name = f"{self._estimator.name}; " if self._several else named(self._estimator)
            self._printer.text(f"{model}; {name}seed {self._seed}")
            if self._replicates > 1:
                self._printer.text(f"||error||: root mean square of {self._replicates:,} estimates for each N")
            self._printer.text("")
            self._printer.grid(Grid(self._columns, []))

    def row(self, row: Row) -> None:
        """Prints a row."""
        self._bar.stop()
        self._done += 1
        self._first = self._first or row
        self._bar.label = f"N = {self._numbers[min(self._done, len(self._numbers) - 1)]:,}"
        if self._printer.form == "table":
            cells = _cells(row, self._first, self._numbers[-1])
            self._printer.grid(Grid(self._columns, [cells]), header=False)
        elif self._printer.form != "json":
            whose: Record = {"estimator": self._estimator.name} if self._several else {}
            self._printer.row({**whose, **_row_record(row)})

    def progress(self, fraction: float) -> None:
        """Moves the bar."""
        self._bar(fraction)

    def end(self, result: Convergence) -> None:
        """Prints what stands below the rows, or the whole result as JSON; of several, `print_all` prints that."""
        if self._printer.form == "table":
            self._printer.text(sentence(result) + ("\n" if self._several else ""))
        elif self._printer.form == "json" and not self._several:
            self._printer.record(_record(result, self._seed))


def print_all(printer: Printer, results: Sequence[Convergence], seed: int) -> None:
    """Prints the results of several estimators as one JSON object, where JSON is asked for."""
    if printer.form == "json":
        printer.record({"estimators": [_record(result, seed) for result in results]})


def convergence_blocks(result: Convergence) -> list[Block]:
    """The same for a page, with all rows at hand; a seed is not known of them."""
    first = f"{headline(result.mdp, result.exact.trajectories)}; {named(result.estimator)}".rstrip("; ")
    note = f"||error||: root mean square of {result.replicates:,} estimates for each N"
    columns, last = _columns(result.rows[-1].n), result.rows[-1].n
    grid = Grid(columns[:-1], [_cells(row, result.rows[0], last)[:-1] for row in result.rows])
    return [first, *([note] if result.replicates > 1 else []), "", grid, sentence(result)]


def sentence(result: Convergence) -> str:
    """Returns what the table shows, in words."""
    if result.rate in ("stalls", "will-stall"):
        stalls = "stalls" if result.rate == "stalls" else "will stall"
        bias = bias_size(result.bias or 0.0, result.relative_bias)
        return f"error {stalls} at the bias of {result.estimator.name}, {bias}, however large N is"
    if result.rate == "no-error":
        return "the error is 0 at every N: every rollout gives the exact gradient"
    if result.slope is None:
        return "a rate needs several N, as in --n 10..1e6"
    slope = result.slope
    falls = f"error falls as N^{slope:.2f}" if slope < 0 else f"error does not fall: N^{slope:+.2f}"
    if result.std_err is None:
        return f"{falls}; no uncertainty from two N (Monte Carlo: N^-0.50)"
    falls += f" (+- {result.std_err:.2f})"
    if result.rate == "monte-carlo":
        return f"{falls}: the Monte Carlo rate"
    if result.std_err > 0:
        away = abs(slope - MONTE_CARLO) / result.std_err
        falls += f", {away:.1f} standard errors from the Monte Carlo rate N^-0.50"
    if result.rate == "within-scatter":
        return f"{falls}: too few N to tell"
    return f"{falls}; --replicates 16 is steadier" if result.replicates < 16 else falls


def _columns(largest: int) -> tuple[Column, ...]:
    """The columns, of fixed width, as rows come one by one."""
    return (
        Column("N", width=max(9, len(f"{largest:,}"))),
        Column("||error||", width=9),
        Column("expected", width=9),
        Column("relative", width=10),
        Column("cosine", width=9),
        Column("log error", right=False, width=BAR),
    )


def _cells(row: Row, first: Row, last: int) -> tuple[str, ...]:
    """A row; its bar is scaled to what the Monte Carlo rate makes of the first row."""
    decades = 0.5 * math.log10(max(last / first.n, 10))
    length = 0.0
    if row.error > 0 and first.error > 0:
        length = 1 + (BAR - 1) * (1 - math.log10(first.error / row.error) / decades)
    bar = "#" * round(min(max(length, 0), BAR))
    cosine = if_known(row.cosine, ".6f")
    return f"{row.n:,}", f"{row.error:.2e}", if_known(row.expected, ".2e"), percent(row.relative_error), cosine, bar


def _row_record(row: Row) -> Record:
    return {
        "n": row.n, "error": row.error, "relative_error": row.relative_error, "cosine": row.cosine,
        "expected": row.expected,
    }  # fmt: skip


def _record(result: Convergence, seed: int) -> Record:
    limit = result.limit
    return {
        **model_record(result.mdp),
        "seed": seed,
        **estimator_record(result.estimator),
        "bias": result.bias,
        "trace": None if limit is None else limit.trace,
        "covariance": None if limit is None else limit.evidence,
        "replicates": result.replicates,
        "value": result.exact.value,
        "parameters": [list(names) for names in result.exact.parameters],
        "gradient": result.exact.gradient.tolist(),
        "rows": [_row_record(row) for row in result.rows],
        "slope": result.slope,
        "slope_std_err": result.std_err,
        "unlikely": result.unlikely and dict(zip(("n", "tail_probability"), result.unlikely, strict=True)),
    }
