"""Progress bars on standard error, while a person watches. One of two doors to rich."""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pgcheck.report.terminal import ELLIPSIS, terminal_width

if TYPE_CHECKING:
    from rich.progress import Progress

PERCENT = len(" 100 %")  # columns at the end of the line
LEAST_BAR, MOST_BAR = 10, 40  # columns of the bar; where fewer are left, there is none


@contextlib.contextmanager
def progress_bar(label: str, *, quiet: bool) -> "Iterator[ProgressBar]":
    """A progress bar on standard error, while a person watches and the work is long."""
    shown = not quiet and sys.stderr is not None and sys.stderr.isatty()
    bar = ProgressBar(label, shown)
    try:
        yield bar
    except BaseException as error:
        error.add_note(f"{bar.label}: {100 * bar.fraction:.3g} % done")  # told if it was an interruption
        raise
    finally:
        bar.stop()


class ProgressBar:
    """Draws nothing for the first second."""

    SHOWN_AFTER = 1.0
    DRAWN_EVERY = 0.1  # seconds

    def __init__(self, label: str, shown: bool) -> None:
        self.label = label
        self.fraction = 0.0
        self._shown = shown
        self._due = time.monotonic() + self.SHOWN_AFTER
        self._began = time.monotonic()
        self._bar: Progress | None = None

    def __call__(self, fraction: float) -> None:
        """Notes how much is done, 0 to 1."""
        if fraction < self.fraction:  # of something else
            self._began = time.monotonic()
        self.fraction = fraction
        if not self._shown or time.monotonic() < self._due:
            return
        if self._bar is None:
            from rich.console import Console  # few commands take so long
            from rich.progress import Progress

            console = Console(file=sys.stderr, markup=False, emoji=False, highlight=False)
            self._bar = Progress(console=console, transient=True, auto_refresh=False)
            self._bar.add_task("", total=1.0)
        self._draw(self._bar)
        self._due = time.monotonic() + self.DRAWN_EVERY

    def _draw(self, bar: "Progress") -> None:
        """Draws one line, which fits the terminal as wide as it is now."""
        from rich.progress import BarColumn, TextColumn

        bar.console.width = terminal_width()  # COLUMNS may say how wide another terminal was
        label, width = fitted(self.label + self._left(), bar.console.width)
        drawn = (BarColumn(width),) if width else ()
        bar.columns = (
            TextColumn("{task.description}", markup=False), *drawn, TextColumn("{task.percentage:3.0f} %")
        )  # fmt: skip
        bar.update(bar.task_ids[0], description=label, completed=self.fraction)
        bar.start()  # the first time alone it does something
        bar.refresh()

    def _left(self) -> str:
        """How long the rest will take, if it goes on as it did; empty where that is not known, or nothing is left."""
        if not 0 < self.fraction < 1:
            return ""
        seconds = (time.monotonic() - self._began) * (1 - self.fraction) / self.fraction
        if seconds < 99.5:
            return f", {seconds:.0f} s left"
        return f", {seconds / 60:.0f} min left" if seconds < 5970 else f", {seconds / 3600:,.0f} h left"

    def named(self, label: str, fraction: float) -> None:
        """Notes what is in hand, and how much of it is done."""
        self.label = label
        self(fraction)

    def stop(self) -> None:
        """Takes the bar off the screen; the next call starts anew."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def fitted(label: str, columns: int) -> tuple[str, int]:
    """Returns what a line of so many columns shows of a label, and how wide its bar is: 0 where there is no room.

    A label that is too long is cropped at a word, and left out where there is room for the figure alone.
    """
    from rich.cells import cell_len, set_cell_size

    bar = min(columns - cell_len(f"{label} ") - PERCENT, MOST_BAR)
    if bar >= LEAST_BAR:
        return label, bar
    room = columns - PERCENT
    if cell_len(label) <= room:
        return label, 0
    room -= len(ELLIPSIS)
    if room <= 0:
        return "", 0
    words = set_cell_size(label, room + 1).rpartition(" ")[0] or set_cell_size(label, room)
    return words.rstrip(" ,:") + ELLIPSIS, 0
