"""Finished parts kept in a file: the same computation, begun again, does only those that are missing.

    with Checkpoint("run.ckpt", {"command": "exact", "model": digest_of(mdp), ...}) as checkpoint:
        exact_gradient(mdp, policy, executor=checkpoint.around(executor))

A part is found again by the number of the call of `map` in its command, by a digest of the task and of all parts, and
by its own number. Where a command makes other calls than it did, the digests differ: what is there is left alone.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType

from pgcheck.workers.digests import digest_of
from pgcheck.workers.executor import Arrays, Executor, Finished, Part, Task
from pgcheck.workers.stored import Stored, opened


class Checkpoint:
    """A file of finished parts, which is open in a `with` block; afterwards it stays, and has all that was finished.

    Args:
      path: of the file; it is made if it is not there.
      problem: all that the results depend on, as named texts: the version, the command, digests of the model, ...

    Attributes:
      resumed: how many parts were there already, so far.

    Raises (on entering the block, before anything is computed):
      UsageError: the file is that of another problem, no checkpoint, damaged, or in use; not a byte of it is changed.
      OutputError: the file cannot be read or written; so do the executors, later.
    """

    def __init__(self, path: str, problem: Mapping[str, str]) -> None:
        self.resumed = 0
        self._path, self._problem = path, problem
        self._calls = 0
        self._open = contextlib.ExitStack()

    def __enter__(self) -> "Checkpoint":
        self._stored = self._open.enter_context(opened(self._path, self._problem))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def around(self, executor: Executor) -> Executor:
        """Returns an executor that has the parts that are missing done by another one, and stores each of them."""
        return _Resuming(self, executor)

    def _map(self, executor: Executor, task: Task, parts: Sequence[Part]) -> Iterator[Arrays]:
        call, self._calls = self._calls, self._calls + 1
        return self._results(executor, task, parts, call, bytes.fromhex(digest_of(task, tuple(parts))))

    def _results(
        self, executor: Executor, task: Task, parts: Sequence[Part], call: int, computation: bytes
    ) -> Iterator[Arrays]:
        stored: Stored = self._stored
        there = stored.numbers(call, computation)
        missing = [number for number in range(len(parts)) if number not in there]

        def keep(number: int, result: Arrays) -> None:
            stored.add(call, computation, missing[number], result)

        fresh = executor.map(task, [parts[number] for number in missing], keep) if missing else iter(())
        try:
            for number in range(len(parts)):
                if number in there:
                    self.resumed += 1
                    yield stored.result(call, computation, number)
                else:
                    yield next(fresh)
        finally:
            close = getattr(fresh, "close", None)  # iterators that are generators have it
            if close is not None:
                close()


class _Resuming:
    """Does the parts that are missing in a checkpoint (`Executor`)."""

    def __init__(self, checkpoint: Checkpoint, executor: Executor) -> None:
        self._checkpoint, self._executor = checkpoint, executor

    def map(self, task: Task, parts: Sequence[Part], finished: Finished | None = None) -> Iterator[Arrays]:
        """Yields the results of the parts in their order; see `Executor`."""
        results = self._checkpoint._map(self._executor, task, parts)
        for number, result in enumerate(results):
            if finished is not None:
                finished(number, result)
            yield result
