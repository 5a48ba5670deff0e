"""The process of a program in any language: text goes in, lines come out, and no wait is without an end."""

import contextlib
import os
import queue
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Sequence

from pgcheck.errors import EstimatorError, UsageError
from pgcheck.external.guard import Guard
from pgcheck.external.inbox import Inbox
from pgcheck.external.prints import Prints, Tally
from pgcheck.external.process import environment, no_directory, signal_name, standard_descriptors_open
from pgcheck.external.program_lines import BOM, quoted
from pgcheck.external.watchdog import Watchdog

PREFIX = "cmd:"
CHUNK = 2**16  # bytes that are read at once
LOOKING_SECONDS = 0.005  # between two looks whether it has ended
ENDING_SECONDS = 2.0  # for a program to end whose input or output has ended
JOINING_SECONDS = 0.5  # for threads to end, unless some other process holds the pipes


class ProgramEndedError(EstimatorError):
    """The program ended, or closed its output, before it had answered.

    Attributes:
      failed: whether it ended by itself, with a status that says that something went wrong.
    """

    def __init__(self, text: str, *, failed: bool = False) -> None:
        super().__init__(text, ended=not failed)
        self.failed = failed


class ProgramSilentError(EstimatorError):
    """The program did not answer in time; it has been killed."""

    def __init__(self, text: str) -> None:
        super().__init__(text, ended=True)


class ProgramProcess:
    """A program that has been started. It is read from all the time, in one thread, and written to in another.

    Args:
      words: the program and its arguments.
      name: what errors call it.
      timeout: seconds that an exchange may take.
      tally: takes what it writes to standard error.
      directory: its working directory; None is that of this process.

    Attributes:
      answered: how many lines it has been asked for and has written.

    Raises:
      EstimatorError: it cannot be started.
    """

    def __init__(
        self, words: Sequence[str], name: str, timeout: float, tally: Tally, directory: str | None = None
    ) -> None:
        self._name, self._timeout = name, timeout
        self.answered = 0
        prints = Prints(tally)
        with standard_descriptors_open():
            try:
                self._process = subprocess.Popen(
                    words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=prints.entrance, bufsize=0,
                    start_new_session=True, cwd=directory, env=environment(),
                    creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
                )  # fmt: skip
            except (OSError, ValueError) as error:
                if directory is not None and not os.path.isdir(directory):
                    raise no_directory(name, directory) from None
                raise EstimatorError(f"{name}: {_why_not_started(words[0], error)}") from None
            finally:
                prints.started()
            self._guard = Guard(self._process.pid)
        self._prints = prints
        self._texts: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()  # None: no more
        self._inbox = Inbox()
        self._watchdog = Watchdog(timeout, self._cut_off)
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._write, self._read)]
        for thread in self._threads:
            thread.start()

    def ask(self, text: bytes, lines: int, most: int) -> list[bytes]:
        """Writes text, and returns the next lines, without their ends; none of them may be longer than `most`.

        Raises:
          EstimatorError: it has written more than it was asked for, or a line that is longer.
          ProgramEndedError: it has ended, or does before the last line.
          ProgramSilentError: the lines do not come in time.
        """
        if line := self._inbox.beginning():
            raise EstimatorError(more_than_asked(self._name, self.answered, line.partition(b"\n")[0]))
        self._texts.put(text)
        with self._watchdog:
            self._inbox.wait(lines, most)
            if self._inbox.lines < lines or self._watchdog.timed_out:
                has_ended = self._inbox.has_ended or self._watchdog.timed_out
                raise self._ended() if has_ended else self._endless(most)
        answers = self._inbox.take(lines)
        if not self.answered and answers:
            answers[0] = answers[0].removeprefix(BOM)
        self.answered += lines
        return answers

    def close(self, *, at_once: bool = False) -> list[bytes]:
        """Ends the program and all processes of its group, and returns lines that it was not asked for.

        It may end by itself, now that its input ends, unless it has to `at_once`.
        """
        self._watchdog.stop()
        self._texts.put(None)
        until = time.monotonic() + (0.0 if at_once else ENDING_SECONDS)
        while time.monotonic() < until and not self._has_ended():
            time.sleep(LOOKING_SECONDS)
        self._kill()
        self._guard.end()
        self._process.wait()
        self._inbox.end()
        for thread in self._threads:
            thread.join(JOINING_SECONDS)
        self._prints.close()
        return self._inbox.take()

    @property
    def _number(self) -> int:
        """The number of the line that is being read, from 1."""
        return self.answered + self._inbox.lines + 1

    def _endless(self, most: int) -> EstimatorError:
        """The error about a line that is too long."""
        number = self._number
        self._inbox.take()  # the lines before it
        return EstimatorError(
            f"{self._name}: line {number:,} of its output has more than {most:,} bytes and no end: "
            f"{quoted(self._inbox.beginning())}"
        )

    def _ended(self) -> EstimatorError:
        """The error that says why no more lines come."""
        before = f"before line {self._number:,} of its output\n  expected one line a batch, until its input ends"
        if self._watchdog.timed_out:
            return ProgramSilentError(
                f"{self._name} did not answer within {self._timeout:g} seconds: line {self._number:,} of its output "
                "is missing; allow more with --timeout\n"
                "  Does it read line by line, and flush its output after each answer, as by print(..., flush=True), "
                "fflush(stdout), mawk -W interactive?"
            )
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=ENDING_SECONDS)
        status = self._process.returncode
        if status is None:
            return ProgramEndedError(f"{self._name} closed its standard output {before}", failed=False)
        if status < 0:
            name = signal_name(-status)
            return ProgramEndedError(f"{self._name} was killed by {name} {before}", failed=False)
        return ProgramEndedError(f"{self._name} ended with status {status} {before}", failed=status > 0)

    def _cut_off(self) -> None:
        self._kill()
        # A process that has left the group may still hold the other end.
        self._inbox.end()

    def _has_ended(self) -> bool:
        """Whether it has ended; it is left to be waited for, so that its number is nobody else's yet."""
        if hasattr(os, "waitid"):
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        return self._process.poll() is not None

    def _kill(self) -> None:
        """Kills the program with its process group, or alone where there are no process groups."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()

    def _write(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(OSError), stdin:  # the program may read no more
            while (text := self._texts.get()) is not None:
                rest = memoryview(text)
                while rest:
                    rest = rest[os.write(stdin.fileno(), rest) :]

    def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        with contextlib.suppress(OSError), stdout:
            while chunk := os.read(stdout.fileno(), CHUNK):
                self._inbox.add(chunk)
        self._inbox.end()


def words_of(spec: str) -> list[str]:
    """Returns the program and its arguments that `cmd:PROGRAM ARGS` names, split as a shell splits words.

    Raises:
      UsageError: it names no program, or a quotation has no end.
    """
    try:
        words = shlex.split(spec.removeprefix(PREFIX), posix=os.name == "posix")
    except ValueError as error:
        raise UsageError(f"{spec}: {error}") from None
    if not words:
        raise UsageError(f"{spec}: which program? Expected cmd:PROGRAM ARGS, as 'cmd:node mine.js'")
    return words


def more_than_asked(name: str, asked: int, line: bytes) -> str:
    """Returns what is said of a line that was not asked for."""
    return (
        f"{name}: line {asked + 1:,} of its output was not asked for: {quoted(line)}\n"
        "  expected one line for each batch, gradients, and none for a header; what else there is to say belongs on "
        "standard error"
    )


def _why_not_started(word: str, error: Exception) -> str:
    """Why a program cannot be started, and what to do."""
    if isinstance(error, FileNotFoundError) and os.sep in word and os.path.exists(word):
        return f"{word} cannot be run: the interpreter that its first line names is missing"
    if isinstance(error, FileNotFoundError):
        hint = f"; did you mean ./{word}?" if os.sep not in word and os.path.exists(f"./{word}") else ""
        return f"no program is called {word}{hint}"
    if isinstance(error, PermissionError):
        is_file = not os.path.isdir(word)
        return f"{word} may not be run" + (f": chmod +x {word}" if is_file else ": it is a folder")
    reason = getattr(error, "strerror", None) or str(error)
    return f"{word} cannot be run: {reason}; does its first line name its interpreter, as #!/usr/bin/env node does?"
