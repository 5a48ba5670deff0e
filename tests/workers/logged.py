"""A task that writes down each part that it begins, and a program that does it, for tests that kill it.

python -m tests.workers.logged FILE LOG PARTS WORKERS [MOUNTS] prints the digest of the results; MOUNTS says
of what kind the disks are, as /proc/mounts does. Without arguments it begins processes: see `serve`.
"""

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pgcheck.errors import UsageError
from pgcheck.workers import locking
from pgcheck.workers.checkpoint import Checkpoint
from pgcheck.workers.executor import HERE, Arrays, Executor
from pgcheck.workers.processes import Processes

PROBLEM = {"version": "1", "command": "a test", "options": "--gamma 0.9"}


@dataclass(frozen=True)
class Logged:
    """Draws numbers from a generator that the part seeds; takes 0 to `most` seconds."""

    log: str
    most: float = 0.0
    label: str = "drawing"

    def __call__(self, part: int) -> Arrays:
        descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, b"%d\n" % part)
        os.close(descriptor)
        rng = np.random.default_rng(part)
        time.sleep(self.most * rng.uniform(0.3, 1.0))
        return rng.normal(size=(part % 3, 4)), np.array(part)


@dataclass(frozen=True)
class Failing(Logged):
    """Of which part 0 fails, after all others were done."""

    parts: int = 0

    def __call__(self, part: int) -> Arrays:
        if part == 0:
            while len(set(begun(self.log))) < self.parts - 1:
                time.sleep(0.001)
            time.sleep(0.2)
            raise UsageError("part 0 is wrong")
        return super().__call__(part)


def begun(log: str) -> list[int]:
    """Returns the parts that were begun, in order, as often as each of them was."""
    with contextlib.suppress(FileNotFoundError), open(log) as file:
        return [int(line) for line in file]
    return []


def digest(results: Iterable[Arrays]) -> str:
    """Returns a digest of the bytes of results."""
    state = hashlib.sha256()
    for arrays in results:
        for array in arrays:
            state.update(repr((array.dtype.str, array.shape)).encode() + array.tobytes())
    return state.hexdigest()


def main(path: str, log: str, parts: str, workers: str, mounts: str = "") -> None:
    locking.MOUNTS = mounts or locking.MOUNTS
    with Checkpoint(path, PROBLEM) as checkpoint, contextlib.ExitStack() as stack:
        executor: Executor = HERE if workers == "1" else stack.enter_context(Processes(int(workers)))
        print(digest(checkpoint.around(executor).map(Logged(log, 0.02), range(int(parts)))))


def serve() -> None:
    """Begins a process for each line of arguments on standard input: writes its number, and how it ended."""
    for line in sys.stdin:
        number = os.fork()  # a start of Python would take longer than what is to be killed
        if number == 0:
            with open(os.devnull, "w") as sys.stdout:
                main(*json.loads(line))
            os._exit(0)
        print(number, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:]) if sys.argv[1:] else serve()
