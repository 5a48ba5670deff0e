"""What a user's estimator prints: the first lines go to standard error, the rest is counted."""

import contextlib
import os
import sys
import threading

MOST_LINES = 10  # that are passed on
MOST_BYTES = 500  # of a line that are passed on
CHUNK = 2**16  # bytes that are read at once
ENDING_SECONDS = 1.0  # to wait for the last lines, when some process still holds the other end


class Tally:
    """How many lines an estimator has printed, in all of its processes: the first are passed on.

    Args:
      name: the estimator, as the user named it.
      heard: whether lines are passed on at all.
    """

    def __init__(self, name: str, *, heard: bool = True) -> None:
        self._name, self._heard = name, heard
        self._lines = 0
        self._held: list[str] | None = None  # lines that wait until it is known whether they are wanted
        self._lines_before = 0
        self._lock = threading.Lock()

    @property
    def is_full(self) -> bool:
        """Whether lines are no longer passed on, only counted."""
        return not self._heard or self._lines >= MOST_LINES

    def add(self, line: str) -> None:
        """Passes a line on, if it is among the first."""
        with self._lock:
            self._lines += 1
            if not self._heard or self._lines > MOST_LINES:
                return
            if self._held is None:
                tell(line + "\n")
            else:
                self._held.append(line)

    def count(self, lines: int) -> None:
        """Counts lines that are not passed on."""
        with self._lock:
            self._lines += lines

    def hold(self) -> None:
        """Keeps the lines to come back, until they are released or forgotten."""
        with self._lock:
            self._held, self._lines_before = [], self._lines

    def release(self) -> None:
        """Passes on what was kept back; nothing is kept back from now on."""
        with self._lock:
            held, self._held = self._held or [], None
            for line in held:
                tell(line + "\n")

    def forget(self) -> None:
        """Drops what was kept back, as if it had not been printed; nothing is kept back from now on."""
        with self._lock:
            if self._held is not None:
                self._lines, self._held = self._lines_before, None

    def close(self) -> None:
        """Passes on what was kept back, and says how many lines were left out."""
        self.release()
        more = self._lines - MOST_LINES
        if self._heard and more > 0:
            tell(f"... and {more:,} more line{'' if more == 1 else 's'} from {self._name}\n")


class Prints:
    """Reads, in a thread, what is written to a pipe; beyond the first lines the writer waits for nobody.

    Args:
      tally: takes the lines.

    Attributes:
      entrance: the file descriptor to write to; `started` closes this process's copy of it.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._exit, self.entrance = os.pipe()
        self._line = bytearray()  # the beginning of a line whose end has not come
        self._thread = threading.Thread(target=self._read, name="pgcheck prints", daemon=True)

    def started(self) -> None:
        """Begins to read: the process that writes has been started, or could not be."""
        os.close(self.entrance)
        self._thread.start()

    def close(self) -> None:
        """Waits for what was written before the writer ended."""
        self._thread.join(ENDING_SECONDS)
        if self._line:
            self._end_line()

    def _read(self) -> None:
        with open(self._exit, "rb", buffering=0) as pipe:
            while data := pipe.read(CHUNK):
                if self._tally.is_full:
                    self._count(data)
                else:
                    self._take(data)

    def _take(self, data: bytes) -> None:
        """Passes whole lines on, as long as they are among the first."""
        *whole, rest = data.split(b"\n")
        for line in whole:
            self._extend(line)
            self._end_line()
        self._extend(rest)

    def _count(self, data: bytes) -> None:
        """Counts the lines that end in what was read, and keeps the beginning of the one that does not."""
        ends = data.count(b"\n")
        self._tally.count(ends)
        if ends:
            self._line.clear()
        self._extend(data.rpartition(b"\n")[2])

    def _extend(self, part: bytes) -> None:
        self._line += part[: MOST_BYTES + 1 - len(self._line)]

    def _end_line(self) -> None:
        cut = b"..." if len(self._line) > MOST_BYTES else b""
        self._tally.add((self._line[:MOST_BYTES] + cut).decode(errors="replace"))
        self._line.clear()


def tell(text: str) -> None:
    """Writes to standard error, if there is one that takes it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text)
        sys.stderr.flush()
