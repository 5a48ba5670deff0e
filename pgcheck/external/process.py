"""The parent's side of the process that runs a user's estimator.

A crash, hang or exit becomes an EstimatorError, never a pass.
"""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import EstimatorError, ExitStatus
from pgcheck.estimators.base import Gradients
from pgcheck.external import wire
from pgcheck.external.estimator import External
from pgcheck.external.policies import sendable
from pgcheck.external.prints import Prints
from pgcheck.external.watchdog import Watchdog
from pgcheck.trajectories.batch import Batch

TIMEOUT = 60.0  # seconds
LOT_SECONDS = 0.5  # that a request for many small batches should take
LOT_GROWTH = 4  # times as many small batches as in the request before, at most
ENDING_SECONDS = 5.0  # for a child to end that has closed its pipe
SOURCE = str(Path(__file__).resolve().parents[2])  # the directory of the package


class Process(External):
    """Calls an estimator that is named by its place, in a child process that lives as long as the `with` block.

    The child, and all processes of its group, are killed at the end of the block.

    Args:
      spec: the place of the estimator, `file.py:function` or `package.module:function`.
      timeout: seconds that one request may take, from its first byte to the last of its answer.

    Raises (from every method):
      EstimatorError: the child ended, hangs, or sent something else than an answer; or the estimator raised an
        error, or returned something that is not a gradient.
    """

    def __init__(self, spec: str, *, timeout: float = TIMEOUT) -> None:
        super().__init__(spec)
        self._timeout = timeout
        self._model: wire.Model | None = None
        self._lot_size = 1  # small batches that the next request asks for
        self._batch_size = 0  # of these

    def __enter__(self) -> "Process":
        # -P: a file of the working directory must not stand in for a module of pgcheck or of Python.
        start = f"import sys; sys.path.append({SOURCE!r}); from pgcheck.external.child import main; main()"
        with _standard_descriptors_open():
            self._connection, childs_end = wire.pipe()
            self._prints = Prints(self.name)
            try:
                self._child = subprocess.Popen(
                    [sys.executable, "-P", "-c", start, self.name], stdin=childs_end,
                    stdout=self._prints.entrance, stderr=self._prints.entrance, start_new_session=True,
                    creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
                )  # fmt: skip
            except BaseException:
                self._connection.close()
                raise
            finally:
                os.close(childs_end)
                self._prints.started()
        self._watchdog = Watchdog(self._timeout, self._cut_off)
        try:
            self._ask(wire.Load())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the child, and the processes that it has started."""
        self._watchdog.stop()
        self._kill()
        self._child.wait()
        self._connection.close()
        self._prints.close()

    def __call__(self, batch: Batch, /) -> Floats:
        """Returns the gradients of a batch: one for each episode, or one for all."""
        self._send_model(batch)
        shape = batch.theta.shape
        answer = self._call(batch, None, {True: (len(batch), *shape), False: (1, *shape)})
        gradients = answer.values if answer.per_episode else answer.values[0]
        return gradients.astype(np.float32) if answer.single else gradients

    def of_batches(self, batch: Batch, index: Ints) -> Floats:
        """Returns the gradients of M batches of B episodes, whose numbers in `batch` are `index` `[M, B]`.

        A request asks for as many small batches as take about half a second, so that a slow estimator does not run
        into the timeout, and progress is seen. Another model or batch size begins with one small batch.
        """
        self._send_model(batch)
        if index.shape[1] != self._batch_size:
            self._batch_size, self._lot_size = index.shape[1], 1
        gradients: list[Floats] = []
        done = 0
        while done < len(index) or not gradients:
            lot = index[done : done + self._lot_size]
            since = time.monotonic()
            gradients.append(self._call(batch, lot, {False: (len(lot), *batch.theta.shape)}).values)
            seconds = max(time.monotonic() - since, 1e-6) / max(len(lot), 1)
            affordable = int(min(LOT_SECONDS, self._timeout / 4) / seconds)
            self._lot_size = max(1, min(LOT_GROWTH * self._lot_size, affordable))
            done += len(lot)
        return np.concatenate(gradients)

    def _send_model(self, batch: Batch) -> None:
        """Sends the model and the policies of `batch`, unless the child has them."""
        if self._model is None or not self._model.is_of(batch):
            model = wire.Model(batch.mdp, batch.policy, batch.behavior)
            policy = sendable(batch.policy)
            behavior = policy if batch.behavior is batch.policy else batch.behavior and sendable(batch.behavior)
            self._ask(wire.Model(batch.mdp, policy, behavior))
            self._model, self._lot_size = model, 1

    def _call(self, batch: Batch, index: Ints | None, shapes: wire.Shapes) -> Gradients:
        alterations = {name: getattr(batch, name) for name in batch.alterations}
        answer = self._ask(wire.Call(batch.starts, batch.outcomes, alterations, index), shapes)
        assert answer is not None
        return answer

    def _ask(self, request: wire.Request, shapes: wire.Shapes | None = None) -> Gradients | None:
        """Sends a request and returns its answer: gradients of one of these shapes, or None where none are due."""
        number = secrets.randbits(63)
        try:
            with self._watchdog:
                wire.send_request(self._connection, number, request)
                answer = wire.receive_answer(self._connection, number, shapes)
        except wire.MalformedAnswerError:
            raise EstimatorError(
                f"{self.name} interfered with the pipe to pgcheck: does a process that it started answer too?"
            ) from None
        except (EOFError, OSError):
            raise self._ended() from None
        if isinstance(answer, wire.Failure):
            raise EstimatorError(answer.text, not_finite=answer.not_finite)
        return answer

    def _ended(self) -> EstimatorError:
        """The error that says why the pipe is closed."""
        if self._watchdog.timed_out:
            return EstimatorError(
                f"{self.name} did not answer within {self._timeout:g} seconds; allow more with --timeout"
            )
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=ENDING_SECONDS)
        status = self._child.returncode
        if status in (None, ExitStatus.UNWRITABLE):
            return EstimatorError(f"{self.name} closed the pipe to pgcheck")
        if status < 0:
            name = _signal_name(-status)
            hint = "; was it out of memory?" if name == "SIGKILL" else ""
            return EstimatorError(f"{self.name} crashed: its process was killed by {name}{hint}")
        return EstimatorError(f"{self.name} ended its process with status {status}, before it had answered")

    def _cut_off(self) -> None:
        self._kill()
        # A process that has left the group may still hold the other end.
        wire.cut(self._connection)

    def _kill(self) -> None:
        """Kills the child with its process group, or alone where there are no process groups."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGKILL)
        else:
            self._child.kill()


@contextlib.contextmanager
def _standard_descriptors_open() -> Iterator[None]:
    """Opens the null device for each of 0, 1 and 2 that is closed, so that no end of a pipe takes its number."""
    opened = []
    try:
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            opened.append(descriptor)
        os.close(descriptor)
        yield
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
