"""Progress bars on standard error, while a person watches. One of two doors to rich."""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


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

    def __init__(self, label: str, shown: bool) -> None:
        self.label = label
        self.fraction = 0.0
        self._shown = shown
        self._since = time.monotonic()
        self._bar: Progress | None = None

    def __call__(self, fraction: float) -> None:
        """Notes how much is done, 0 to 1."""
        self.fraction = fraction
        if not self._shown or time.monotonic() - self._since < self.SHOWN_AFTER:
            return
        if self._bar is None:
            from rich.console import Console  # few commands take so long
            from rich.progress import BarColumn, Progress, TextColumn

            console = Console(file=sys.stderr, markup=False, emoji=False, highlight=False)
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.percentage:3.0f} %"),
            )
            self._bar = Progress(*columns, console=console, transient=True)
            self._bar.add_task(self.label, total=1.0)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], description=self.label, completed=fraction)

    def named(self, label: str, fraction: float) -> None:
        """Notes what is in hand, and how much of it is done."""
        self.label = label
        self(fraction)

    def stop(self) -> None:
        """Takes the bar off the screen; the next call starts anew."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
