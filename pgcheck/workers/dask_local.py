"""A Dask cluster of this machine, that prints nothing and ends at once."""

import contextlib
import logging
import os
import signal
import tempfile
from collections.abc import Iterator
from multiprocessing import resource_tracker

from pgcheck.errors import UsageError
from pgcheck.workers import threads
from pgcheck.workers.processes import TRIES

try:
    import dask
    import distributed
except ImportError:
    raise UsageError("a scheduler needs Dask: pip install 'pgcheck[dask]'") from None

SETTINGS = {
    "distributed.deploy.lost-worker-timeout": "1000 days",  # its keeper replaces a worker, however often it dies
    "distributed.scheduler.allowed-failures": TRIES - 1,
    "distributed.comm.timeouts.connect": "5s",  # after which what a killed worker had is asked of it no more
    "distributed.nanny.pre-spawn-environ": dict.fromkeys(threads.NAMES, "1"),
    # What else would look at each process 50 or 100 times a second.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
}
NEVER = logging.CRITICAL + 1


@contextlib.contextmanager
def local_cluster(workers: int) -> Iterator[str]:
    """Yields the address of a scheduler with workers of one thread each; all of them end with the block."""
    with (
        tempfile.TemporaryDirectory(prefix="pgcheck-dask-", ignore_cleanup_errors=True) as folder,
        dask.config.set(SETTINGS),
    ):
        with _deaf():  # for about a second: Ctrl-C is heard then
            cluster = distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, silence_logs=NEVER, memory_limit=0, local_directory=folder,
                dashboard_address=None, scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
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
    resource_tracker.ensure_running()  # which lets its thread hear Ctrl-C again when it starts
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
