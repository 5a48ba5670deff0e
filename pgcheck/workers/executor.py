"""Who does the parts of a computation: one protocol, and the plainest one that follows it.

A computation is a task and a list of parts. The problem alone says what the parts are, and each part's result
follows from the task and the part alone, so that the results, in the parts' order, have the same bits whoever
computes them, and whether or not some of them were computed before.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

Arrays = tuple[np.ndarray[Any, Any], ...]  # what a part's work comes to: arrays of numbers, so that they can be kept
Part = Any  # numbers and arrays, that can be pickled
Finished = Callable[[int, Arrays], None]


class Task(Protocol):
    """A pure function of a part that can be pickled: it travels to each worker once.

    Attributes:
      label: what is done, in words, such as `enumerating two-state`.
    """

    @property
    def label(self) -> str: ...

    def __call__(self, part: Part, /) -> Arrays:
        """Returns what the part comes to.

        Raises:
          PgcheckError: as the computation does; the first part that raises one, in the parts' order, decides.
        """


class Executor(Protocol):
    """Does the parts of tasks."""

    def map(self, task: Task, parts: Sequence[Part], finished: Finished | None = None) -> Iterator[Arrays]:
        """Yields the results of the parts in their order; further parts may be under way meanwhile.

        The iterator may be closed before its end: what is not finished is then dropped.

        Args:
          task: what is done.
          parts: of each of them.
          finished: is called with the number and the result of a part as soon as it is there, in any order.

        Raises:
          WorkerError: a part was given up, because the workers that did it died.
        """


class Here:
    """Does the parts in this process, one after the other, each when it is asked for (`Executor`)."""

    def map(self, task: Task, parts: Sequence[Part], finished: Finished | None = None) -> Iterator[Arrays]:
        """Yields the results of the parts in their order."""
        for number, part in enumerate(parts):
            result = done(task, part)
            if finished is not None:
                finished(number, result)
            yield result


HERE = Here()


def done(task: Task, part: Part) -> Arrays:
    """Returns what a part comes to, laid out alike wherever it is done: sums depend on how arrays lie in memory."""
    return tuple(array if array.flags.c_contiguous else array.copy() for array in task(part))


def fractions(results: Iterator[Arrays], number: int, progress: Callable[[float], None] | None) -> Iterator[Arrays]:
    """Yields results, and tells `progress` after each which part of their number is done, 0 to 1."""
    for done, result in enumerate(results, 1):
        yield result
        if progress is not None:
            progress(done / number)
