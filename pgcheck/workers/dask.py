"""Parts done by a Dask cluster: the workers of a scheduler, on any number of machines, or a cluster of this machine.

The task travels once: its bytes are the result of a first, small piece of work that all parts depend on. Dask copies
them from worker to worker, and makes them anew where all workers that had them are lost. Results stay with
the workers until their turn has come. What a worker computes must not depend on the worker: versions that differ are
refused, at the start and, for workers that join later, with each part.
"""

import pickle
import re
import threading
import time
import uuid
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any

import pgcheck
from pgcheck.errors import ClusterError, PgcheckError, UsageError, WorkerError
from pgcheck.workers.dask_local import local_cluster, silence
from pgcheck.workers.dask_versions import check_versions
from pgcheck.workers.executor import Arrays, Finished, Part, Task, done

try:
    import distributed
except ImportError:
    raise UsageError("a scheduler needs Dask: pip install 'pgcheck[dask]'") from None

AHEAD = 8  # parts for each thread that are handed over, or finished and not yet due
CONNECTING = 10  # seconds for a scheduler to answer, and for its first worker to be there
LINGER = 0.25  # seconds that a result may wait for others
LOOK = 5  # seconds after which it is looked whether there still are workers
PATIENCE = 60  # seconds without any worker after which the work is given up
ADDRESS = re.compile(r"(tcp://|tls://|(?!local:))[^/\s]+:\d+")
LOCAL = re.compile(r"local:([1-9]\d*)")


class Cluster:
    """Does the parts on a Dask cluster (`Executor`), which it is connected to within the `with` block.

    Args:
      address: of a scheduler: `tcp://host:8786`, `tls://host:8786` or `host:8786`; or `local:N`, a scheduler and N
        workers on this machine, which are started with the block and end with it.

    Attributes:
      scheduler: where it is connected to, as Dask writes it.

    Raises:
      UsageError: `address` is neither.
    """

    def __init__(self, address: str) -> None:
        self.address, self._local = address, LOCAL.fullmatch(address)
        if not self._local and not ADDRESS.fullmatch(address):
            raise UsageError(
                f"--scheduler {address}: not an address; expected tcp://HOST:8786, tls://HOST:8786, HOST:8786, or"
                " local:N with N of at least 1"
            )
        self.scheduler = address
        self._client: Any = None
        self._stack = ExitStack()

    def __enter__(self) -> "Cluster":
        """Connects to the scheduler.

        Raises:
          UsageError: nothing answers there.
          ClusterError: it has no workers, or other versions.
        """
        with ExitStack() as stack:
            stack.enter_context(silence())
            if self._local:
                address = stack.enter_context(local_cluster(int(self._local[1])))
            else:
                address = self.address if "://" in self.address else f"tcp://{self.address}"
            self.scheduler = address
            self._client = _connected(address, self.address)
            stack.callback(self._client.close, timeout=1)
            check_versions(self._client, self.address)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def map(self, task: Task, parts: Sequence[Part], finished: Finished | None = None) -> Iterator[Arrays]:
        """Yields the results of the parts in their order; see `Executor`.

        Results stay on the cluster until it is their turn, and `finished` is called then.

        Raises:
          WorkerError: all workers that did a part died.
          ClusterError: the scheduler or all workers are gone, or a worker that joined has other versions.
        """
        if not parts:
            return
        client, name = self._client, uuid.uuid4().hex
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")
            carried = client.submit(
                _carried, pgcheck.__version__, pickle.dumps(task), key=f"pgcheck-task-{name}", pure=False
            )
        waiting: deque[Any] = deque()  # those whose result is not fetched yet, in order
        given, window = 0, AHEAD
        try:
            while given < len(parts) or waiting:
                if given < len(parts) and len(waiting) <= window // 2:
                    window = AHEAD * max(1, sum(client.nthreads().values()))  # workers come and go
                    numbers = range(given, min(len(parts), given + window - len(waiting)))
                    # One group of keys for all, so that Dask sees that they are many, and keeps them in its queue.
                    waiting += client.map(
                        _do, [carried] * len(numbers), [pickle.dumps(parts[number]) for number in numbers],
                        key=[(f"pgcheck-part-{name}", number) for number in numbers], pure=False, priority=-given,
                    )  # fmt: skip
                    given = numbers.stop
                error = self._outcome(waiting[0])
                if error is not None:
                    raise self._understood(error, task.label, given - len(waiting), len(parts))
                if given < len(parts):  # a question for several results costs no more than for one
                    with suppress(TimeoutError):
                        waiting[len(waiting) // 2].exception(timeout=LINGER)
                first = given - len(waiting)
                there = [waiting.popleft()]
                while waiting and waiting[0].status == "finished":
                    there.append(waiting.popleft())
                results = [pickle.loads(result) for result in client.gather(there)]
                for future in there:
                    future.release()
                for number, result in enumerate(results, first):
                    if finished is not None:
                        finished(number, result)
                for result in results:
                    yield result
        except (CancelledError, distributed.comm.CommClosedError) as error:
            raise ClusterError(f"{self.address}: the connection to the scheduler was lost") from error
        finally:
            for future in [*waiting, carried]:
                future.release()  # tells the scheduler that nobody waits for it, and does not wait for the answer

    def _outcome(self, future: Any) -> BaseException | None:
        """Waits for a part, and returns the error that it failed with, or none.

        Raises:
          ClusterError: there are no workers, for a minute.
        """
        seen = time.monotonic()
        while True:
            try:
                error: BaseException | None = future.exception(timeout=LOOK)
                return error
            except TimeoutError:
                if self._client.nthreads():
                    seen = time.monotonic()
                elif time.monotonic() - seen > PATIENCE:
                    raise ClusterError(f"{self.address}: no worker is left, for {PATIENCE} seconds") from None

    def _understood(self, error: BaseException, label: str, number: int, parts: int) -> BaseException:
        """Returns what the error of a part means.

        Raises:
          ClusterError: a worker joined that has other versions, and fails in whatever way.
        """
        if isinstance(error, ClusterError) or not isinstance(error, PgcheckError | CancelledError):
            check_versions(self._client, self.address)
        if isinstance(error, distributed.KilledWorker):
            return WorkerError(label, number, parts, error.allowed_failures + 1)
        return error


def _connected(address: str, name: str) -> Any:
    """Returns a client of the scheduler at an address that has workers."""
    client = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about versions, that are looked at below
            client = distributed.Client(address, timeout=CONNECTING, set_as_default=False)
        client.wait_for_workers(1, timeout=CONNECTING)
    except Exception as error:
        if client is None:
            raise UsageError(
                f"--scheduler {name}: no Dask scheduler answers there ({type(error).__name__}: {error})\n"
                "  Start one on that machine: dask scheduler"
            ) from None
        client.close(timeout=1)
        raise ClusterError(
            f"{name}: the scheduler has no workers\n  Start some: dask worker {address} --nworkers auto --nthreads 1"
        ) from None
    return client


_tasks = threading.local()  # the last that came to this thread of a worker


def _carried(version: str, task: bytes) -> tuple[str, bytes]:
    return version, task


def _do(carried: tuple[str, bytes], part: bytes) -> bytes:
    """Does a part, in a worker."""
    version, blob = carried
    if version != pgcheck.__version__:
        raise ClusterError(
            f"{distributed.get_worker().address}: this worker has pgcheck {pgcheck.__version__}, where the work comes"
            f" from it is {version}; install the same version everywhere"
        )
    if getattr(_tasks, "blob", None) is not blob:
        _tasks.task, _tasks.blob = pickle.loads(blob), blob
    return pickle.dumps(done(_tasks.task, pickle.loads(part)))
