"""The parent's side of the process that runs a user's estimator or agent.

A crash, hang or exit becomes an EstimatorError, never a pass.
"""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from pgcheck.errors import EstimatorError, ExitStatus
from pgcheck.external import contents, requests, wire
from pgcheck.external.contents import Kind
from pgcheck.external.draws.endings import UnanswerableError
from pgcheck.external.guard import Guard
from pgcheck.external.prints import Prints, Tally
from pgcheck.external.subject import UnsuitableError
from pgcheck.external.watchdog import Watchdog
from pgcheck.external.wire import Read
from pgcheck.workers import threads

TIMEOUT = 60.0  # seconds
ENDING_SECONDS = 5.0  # for a child to end that has closed its pipe
SOURCE = str(Path(__file__).resolve().parents[2])  # the directory of the package

Result = TypeVar("Result")


class Child:
    """A process that has loaded what is named by its place, and that lives as long as the `with` block.

    It is killed, with all processes of its group, at the end of the block.

    Args:
      spec: the place, `file.py:name` or `package.module:name`.
      timeout: seconds that one request may take, from its first byte to the last of its answer.
      directory: its working directory, where a relative place begins; None is that of this process as it is now.
      heard: whether what it prints is passed on.

    Attributes:
      name: the place.
      timeout: the seconds.
      directory: the working directory.
      kind: of what was loaded.

    Raises (from every method):
      EstimatorError: the child ended, hangs, or sent something else than an answer; or what it ran raised an error,
        or returned something else than it has to.
    """

    kind: Kind

    def __init__(
        self, spec: str, *, timeout: float = TIMEOUT, directory: str | None = None, heard: bool = True
    ) -> None:
        self.name, self.timeout, self._heard = spec, timeout, heard
        self.directory = working_directory() if directory is None else directory

    def __enter__(self) -> "Child":
        # -P: a file of the working directory must not stand in for a module of pgcheck or of Python.
        start = f"import sys; sys.path.append({SOURCE!r}); from pgcheck.external.child import main; main()"
        with standard_descriptors_open():
            self._connection, childs_end = wire.pipe()
            self._tally = Tally(self.name, heard=self._heard)
            self._prints = Prints(self._tally)
            try:
                self._child = subprocess.Popen(
                    [sys.executable, "-P", "-c", start, self.name], stdin=childs_end,
                    stdout=self._prints.entrance, stderr=self._prints.entrance, start_new_session=True,
                    cwd=self.directory, env=environment(),
                    creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
                )  # fmt: skip
            except BaseException as error:
                self._connection.close()
                if isinstance(error, OSError) and self.directory and not os.path.isdir(self.directory):
                    raise no_directory(self.name, self.directory) from None
                raise
            finally:
                os.close(childs_end)
                self._prints.started()
            self._guard = Guard(self._child.pid)
        self._watchdog = Watchdog(self.timeout, self._cut_off)
        try:
            self.kind = self.ask(requests.Load(), contents.kind)
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
        self._guard.end()
        self._child.wait()
        self._connection.close()
        self._prints.close()
        self._tally.close()

    def ask(self, request: requests.Request, read: Read[Result], *, more: float = 0.0) -> Result:
        """Sends a request and returns its answer.

        Args:
          request: what to ask.
          read: makes the result of the answer, as in `wire.receive_answer`.
          more: seconds that the request may take besides the timeout.
        """
        number = secrets.randbits(63)
        self._watchdog.more = more
        try:
            with self._watchdog:
                wire.send_request(self._connection, number, request)
                answer = wire.receive_answer(self._connection, number, read)
        except wire.MalformedAnswerError:
            raise EstimatorError(
                f"{self.name} interfered with the pipe to pgcheck: does a process that it started answer too?"
            ) from None
        except (EOFError, OSError):
            raise self._ended() from None
        if isinstance(answer, wire.Failure):
            if answer.unsuitable:
                raise UnsuitableError(answer.text)
            if answer.unanswerable:
                raise UnanswerableError(answer.text)
            raise EstimatorError(answer.text, not_finite=answer.not_finite)
        return answer

    def _ended(self) -> EstimatorError:
        """The error that says why the pipe is closed."""
        if self._watchdog.timed_out:
            return EstimatorError(
                f"{self.name} did not answer within {self.timeout:g} seconds; allow more with --timeout", ended=True
            )
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout=ENDING_SECONDS)
        status = self._child.returncode
        if status in (None, ExitStatus.UNWRITABLE):
            return EstimatorError(f"{self.name} closed the pipe to pgcheck", ended=True)
        if status < 0:
            name = signal_name(-status)
            hint = "; was it out of memory?" if name == "SIGKILL" else ""
            return EstimatorError(f"{self.name} crashed: its process was killed by {name}{hint}", ended=True)
        text = f"{self.name} ended its process with status {status}, before it had answered"
        return EstimatorError(text, ended=True)

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


def working_directory() -> str | None:
    """Returns this process's working directory; None where it was deleted."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def environment() -> dict[str, str]:
    """Returns the environment of a user's process: as it is here, with one thread for linear algebra.

    With more of them, sums are added in an order that depends on how many there are, and with it the last digits.
    """
    return {**os.environ, **dict.fromkeys(threads.NAMES, "1")}


def no_directory(name: str, directory: str) -> EstimatorError:
    """Returns the error for a working directory that this machine does not have."""
    return EstimatorError(
        f"{name}: {socket.gethostname()} has no folder {directory}\n"
        "  The code is shipped by its place: let all machines have it in the same folder, as on a shared disk"
    )


@contextlib.contextmanager
def standard_descriptors_open() -> Iterator[None]:
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


def signal_name(number: int) -> str:
    """Returns the name of a signal, as `SIGKILL`."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
