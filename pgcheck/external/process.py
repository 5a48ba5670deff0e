"""Somebody's estimator in a process of its own, watched from here: whatever it does, it cannot pass by it."""

import contextlib
import fcntl
import json
import math
import os
import pickle
import select
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import EstimatorError
from pgcheck.external.child import PIPE_GONE
from pgcheck.external.estimator import External
from pgcheck.trajectories.batch import Batch

TIMEOUT = 60.0  # seconds
PATIENCE = 0.5  # seconds that a request for many calls should take
HEADER = 2**20  # bytes that the first line of an answer may have


class Process(External):
    """Calls an estimator by its place (`Caller`), in a child process that lives as long as the `with` block.

    Raises (from every method):
      EstimatorError: the child has ended, or hangs, or the estimator raised an error or returned what is no gradient.
    """

    def __init__(self, spec: str, *, timeout: float = TIMEOUT) -> None:
        super().__init__(spec)
        self._timeout = timeout
        self._model: tuple[object, ...] = ()
        self._number = 0
        self._seconds_a_call = 1.0

    def __enter__(self) -> "Process":
        theirs_in, self._requests = _pipe()
        self._answers, theirs_out = _pipe()
        os.set_blocking(self._requests, False)
        # -P: a file of the working directory must not stand in for a module of pgcheck or of Python.
        start = f"import sys; sys.path.append({_HOME!r}); from pgcheck.external.child import main; main()"
        command = [sys.executable, "-P", "-c", start, str(theirs_in), str(theirs_out), self.name]
        self._child = subprocess.Popen(
            command, pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=None if _is_open(2) else subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._buffer = b""
        try:
            self._ask(("load",))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the child, and whatever it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
        for fd in (self._requests, self._answers):
            with contextlib.suppress(OSError):
                os.close(fd)

    def __call__(self, batch: Batch, /) -> Floats:
        """Returns the answer to one batch."""
        return self._call(batch, None)

    def of_batches(self, batch: Batch, index: Ints) -> Floats:
        """Returns the gradients of many small batches, asked for in lots that take about half a second each."""
        parts: list[Floats] = []
        lo = 0
        while lo < len(index) or not parts:
            size = max(1, int(min(PATIENCE, self._timeout / 4) / self._seconds_a_call)) if parts else 1
            since = time.monotonic()
            parts.append(self._call(batch, index[lo : lo + size]))
            self._seconds_a_call = max((time.monotonic() - since) / min(size, max(len(index) - lo, 1)), 1e-6)
            lo += size
        return np.concatenate(parts)

    def _call(self, batch: Batch, index: Ints | None) -> Floats:
        model = batch.mdp, batch.policy, batch.behavior
        if [id(part) for part in model] != [id(part) for part in self._model]:
            self._ask(("model", *model))
            self._model = model
        altered = {name: getattr(batch, name) for name in batch.alterations}
        header, body = self._ask(("call", batch.starts, batch.outcomes, altered, index))
        theta = batch.theta.shape
        allowed = [(len(batch), *theta), theta] if index is None else [(len(index), *theta)]
        shape = next((shape for shape in allowed if header.get("shape") == list(shape)), None)
        if shape is None or len(body) != 8 * math.prod(shape):
            raise self._disturbed()
        gradients = np.frombuffer(body, dtype=np.float64).reshape(shape)
        if not np.all(np.isfinite(gradients)):  # the worker has looked, but who has looked at the worker?
            raise self._disturbed()
        return gradients.astype(np.float32) if header.get("single") is True and index is None else gradients

    def _ask(self, request: tuple[object, ...]) -> tuple[dict[str, Any], bytes]:
        """Sends a request and returns the answer's header and bytes."""
        until = time.monotonic() + self._timeout
        self._number += 1
        data = pickle.dumps((self._number, *request), protocol=pickle.HIGHEST_PROTOCOL)
        self._write(struct.pack("<q", len(data)) + data, until)
        while b"\n" not in self._buffer:
            self._read(until)
            if len(self._buffer) > HEADER and b"\n" not in self._buffer[:HEADER]:
                raise self._disturbed()
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            header = json.loads(line)
            size, number = header["bytes"], header["number"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._disturbed() from None
        if number != self._number or not isinstance(size, int) or not 0 <= size < 2**40:
            raise self._disturbed()
        parts = [self._buffer]
        missing = size - len(self._buffer)
        while missing > 0:
            self._buffer = b""
            self._read(until)
            parts.append(self._buffer)
            missing -= len(self._buffer)
        whole = b"".join(parts)
        body, self._buffer = whole[:size], whole[size:]
        if "error" in header:
            raise EstimatorError(str(header["error"]), not_finite=bool(header.get("not_finite")))
        return header, body

    def _write(self, data: bytes, until: float) -> None:
        view = memoryview(data)
        while view:
            self._wait([], [self._requests], until)
            try:
                view = view[os.write(self._requests, view) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise self._ended() from None

    def _read(self, until: float) -> None:
        self._wait([self._answers], [], until)
        some = os.read(self._answers, 2**20)
        if not some:
            raise self._ended()
        self._buffer += some

    def _wait(self, readers: list[int], writers: list[int], until: float) -> None:
        ready = select.select(readers, writers, [], max(until - time.monotonic(), 0))
        if not any(ready):
            raise EstimatorError(
                f"{self.name} did not answer within {self._timeout:g} seconds; allow more with --timeout"
            )

    def _disturbed(self) -> EstimatorError:
        return EstimatorError(
            f"{self.name} disturbed the pipe to its judge, as by a process of its own that answers too"
        )

    def _ended(self) -> EstimatorError:
        """What became of the child."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=5)
        status = self._child.returncode
        if status in (None, PIPE_GONE):
            return EstimatorError(f"{self.name} closed the pipe to its judge")
        if status < 0:
            number = -status
            try:
                what = signal.Signals(number).name
            except ValueError:
                what = f"signal {number}"
            why = "; was it out of memory?" if number == signal.SIGKILL else ""
            return EstimatorError(f"{self.name} crashed: its process was killed by {what}{why}")
        return EstimatorError(f"{self.name} ended its process with status {status}, before it had answered")


_HOME = str(Path(__file__).resolve().parents[2])


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are not 0, 1 or 2, whatever of these is closed."""
    ends = []
    for fd in os.pipe():
        ends.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3))
        os.close(fd)
    return ends[0], ends[1]


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
