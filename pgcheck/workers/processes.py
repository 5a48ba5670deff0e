"""Parts done by processes of this machine, each of them in a process pool of its own.

One pool a worker: a worker that dies takes down its own pool and no other, and it is known which part it had.
Workers are forked from a server that has loaded the package (`forkserver`), where there is one, else spawned. Each
has one thread for linear algebra, ignores Ctrl-C, which is for its parent to handle, and ends with its parent.
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import types
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import wait as wait_for
from types import TracebackType

from pgcheck.errors import WorkerError
from pgcheck.workers import threads
from pgcheck.workers.executor import HERE, Arrays, Finished, Part, Task, done

TRIES = 3  # that a part has, if the workers that do it die
AHEAD = 16  # parts for each worker that may be finished before an earlier one
PRELOADED = ["pgcheck.exact.enumeration", "pgcheck.estimators.tallies"]  # by the server, once for all workers


class Processes:
    """Does the parts in processes (`Executor`); they are started when there are parts, and end with the `with` block.

    Args:
      workers: how many.
      needs_main: whether tasks may be defined in this process's main module, which each worker then loads too.
    """

    def __init__(self, workers: int, *, needs_main: bool = True) -> None:
        self.workers = workers
        self._needs_main = needs_main
        self._pools: list[_Worker] = []
        self._starting: threading.Thread | None = None

    def __enter__(self) -> "Processes":
        return self

    def start(self) -> None:
        """Starts them all meanwhile, so that they are there when there are parts."""
        self._starting = threading.Thread(target=self._start, args=[self.workers])
        self._starting.start()

    def _start(self, number: int) -> None:
        while len(self._pools) < number:
            self._pools.append(_Worker(self._needs_main))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._starting is not None:
            self._starting.join()
        for worker in self._pools:
            worker.kill()
        for worker in self._pools:
            worker.wait()
        self._pools.clear()

    def map(self, task: Task, parts: Sequence[Part], finished: Finished | None = None) -> Iterator[Arrays]:
        """Yields the results of the parts in their order; a single one is done here. See `Executor`."""
        if len(parts) < 2:
            yield from HERE.map(task, parts, finished)
            return
        blob = pickle.dumps(task)
        work = _Work(task.label, len(parts))
        if self._starting is not None:
            self._starting.join()
        self._start(min(self.workers, len(parts)))
        idle = list(self._pools)
        under_way: dict[Future[Arrays], tuple[_Worker, int]] = {}
        todo = iter(range(len(parts)))
        again: list[int] = []
        try:
            while work.following < len(parts):
                while idle and (again or work.following + AHEAD * self.workers > work.given):
                    number = again.pop() if again else next(todo, None)
                    if number is None:
                        break
                    worker = idle.pop()
                    work.given = max(work.given, number + 1)
                    under_way[worker.begin(blob, parts[number])] = worker, number
                if work.following not in work.done:
                    for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                        worker, number = under_way.pop(future)
                        idle.append(worker)
                        if isinstance(future.exception(), BrokenProcessPool):
                            worker.restart()
                            work.lost(number)
                            again.append(number)
                        else:
                            work.done[number] = future
                            if finished is not None and future.exception() is None:
                                finished(number, future.result())
                    continue
                yield work.next()
        finally:
            # A part that nobody waits for any more is not worth its time.
            for worker, _ in under_way.values():
                worker.restart()


@dataclass
class _Work:
    """How far the parts of a task are.

    Attributes:
      label: of the task.
      number: of parts.
      given: how many were begun.
      following: the number of the part whose result is due next.
    """

    label: str
    number: int
    given: int = 0
    following: int = 0

    def __post_init__(self) -> None:
        self.done: dict[int, Future[Arrays]] = {}
        self._deaths: dict[int, int] = {}

    def next(self) -> Arrays:
        """Returns the result that is due next, or raises the error of that part."""
        result = self.done.pop(self.following).result()
        self.following += 1
        return result

    def lost(self, number: int) -> None:
        """Notes that the worker with this part died.

        Raises:
          WorkerError: it is the third.
        """
        self._deaths[number] = self._deaths.get(number, 0) + 1
        if self._deaths[number] == TRIES:
            raise WorkerError(self.label, number, self.number, TRIES)


class _Worker:
    """One process, and the pool that it is alone in."""

    def __init__(self, needs_main: bool) -> None:
        self._needs_main = needs_main
        self._start()

    def _start(self) -> None:
        self._task: bytes | None = None  # that the process has
        with threads.one_each(), _deaf(), contextlib.nullcontext() if self._needs_main else _without_main():
            self._pool = ProcessPoolExecutor(1, mp_context=_context(), initializer=_begin)
            self._pid: Future[int] = self._pool.submit(os.getpid)

    def begin(self, task: bytes, part: Part) -> "Future[Arrays]":
        """Hands over a part; the task goes along unless the process has it."""
        is_new, self._task = task is not self._task, task
        try:
            return self._pool.submit(_do, task if is_new else None, part)
        except BrokenProcessPool as error:  # it died while it had nothing to do
            broken: Future[Arrays] = Future()
            broken.set_exception(error)
            return broken

    def restart(self) -> None:
        """Ends the process, and starts another."""
        self.kill()
        self.wait()
        self._start()

    def kill(self) -> None:
        """Ends the process at once."""
        with contextlib.suppress(BrokenProcessPool, ProcessLookupError):
            os.kill(self._pid.result(), signal.SIGTERM)

    def wait(self) -> None:
        """Waits for a process that was killed, and gives back what it took."""
        self._pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Processes that are started meanwhile do not hear Ctrl-C before they can ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which sets the mask back where it is started
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Processes that are started meanwhile do not load the main module of this one."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _context() -> "multiprocessing.context.BaseContext":
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


_task: Task | None = None  # the last that came, in a worker


def _begin() -> None:
    """Prepares a worker: Ctrl-C is for the parent, whose end it does not outlive."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=[parent.sentinel], daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait_for([sentinel])
    os._exit(1)


def _do(task: bytes | None, part: Part) -> Arrays:
    """Does a part, in a worker."""
    global _task
    if task is not None:
        _task = pickle.loads(task)
    assert _task is not None
    return done(_task, part)
