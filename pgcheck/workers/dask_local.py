"""A Dask cluster of this machine, that prints nothing and ends at once."""

import contextlib
import logging
import os
import signal
import tempfile
from collections.abc import Iterator

from pgcheck.errors import UsageError
from pgcheck.workers import threads
from pgcheck.workers.processes import TRIES

try:
    import dask
    import distributed
except ImportError:
    raise UsageError("a scheduler needs Dask: pip install 'pgcheck[dask]'") from None

SETTINGS = {
    "distributed.scheduler.allowed-failures": TRIES - 1,
    "distributed.nanny.pre-spawn-environ": dict.fromkeys(threads.NAMES, "1"),
    "distributed.worker.profile.enabled": False,  # it would look at the worker 100 times a second
}
NEVER = logging.CRITICAL + 1


@contextlib.contextmanager
def local_cluster(workers: int) -> Iterator[str]:
    """Yields the address of a scheduler with workers of one thread each; all of them end with the block."""
    with tempfile.TemporaryDirectory(prefix="pgcheck-dask-", ignore_cleanup_errors=True) as folder:
        with dask.config.set(SETTINGS), _deaf():
            cluster = distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=NEVER, memory_limit=0,
                local_directory=folder,
            )  # fmt: skip
        try:
            yield cluster.scheduler_address
        finally:
            for worker in list(cluster.workers.values()):
                worker.close_gracefully()  # so that the process is not started anew
                if worker.pid:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker.pid, signal.SIGKILL)  # the part that it does is not worth waiting for
            cluster.close(timeout=5)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Lets Dask and its parts log nothing."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in ("distributed", "tornado")]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(NEVER)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Threads and processes that are started meanwhile do not hear Ctrl-C, which is for the main thread to handle."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
