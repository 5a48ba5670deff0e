"""Parts done here as long as that is short, and by all processors of this machine where it is long."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pgcheck.workers.executor import Arrays, Finished, Part, Task, done

if TYPE_CHECKING:
    from pgcheck.workers.processes import Processes

TRIED_SECONDS = 0.5  # after which it is known how long a part takes
LONG_SECONDS = 5.0  # that are left: processes are started for no less

Tell = Callable[[float, int], None]  # is called with the seconds that are left, and the number of processes


def processors() -> int:
    """Returns how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Automatic(contextlib.ExitStack):
    """Does the parts here, and by processes once more than five seconds are left (`Executor`).

    Who does them makes no difference to what they come to, so that a clock may decide.

    Args:
      tell: is called before processes are started.
      workers: how many are started then.
      needs_main: as in `Processes`.
    """

    def __init__(self, tell: Tell, workers: int | None = None, *, needs_main: bool = True) -> None:
        super().__init__()
        self._tell, self._workers, self._needs_main = tell, workers or processors(), needs_main
        self._processes: Processes | None = None

    def map(self, task: Task, parts: Sequence[Part], finished: Finished | None = None) -> Iterator[Arrays]:
        """Yields the results of the parts in their order; see `Executor`."""
        spent, number = 0.0, 0
        while number < len(parts):
            left = spent / max(number, 1) * (len(parts) - number)
            if spent > TRIED_SECONDS and left > LONG_SECONDS and self._workers > 1 and len(parts) - number > 1:
                rest = None if finished is None else _after(number, finished)
                yield from self._started(left).map(task, parts[number:], rest)
                return
            since = time.monotonic()
            result = done(task, parts[number])
            spent += time.monotonic() - since
            if finished is not None:
                finished(number, result)
            number += 1
            yield result

    def _started(self, left: float) -> "Processes":
        if self._processes is None:
            from pgcheck.workers.processes import Processes  # takes some time to load, and little work is so long

            self._tell(left, self._workers)
            self._processes = self.enter_context(Processes(self._workers, needs_main=self._needs_main))
        return self._processes


def _after(first: int, finished: Finished) -> Finished:
    """Numbers the parts from the first of them on."""
    return lambda number, result: finished(first + number, result)
