"""What a user's estimator prints: the first lines go to standard error, the rest is counted."""

import contextlib
import os
import sys
import threading

MOST_LINES = 10  # that are passed on
MOST_BYTES = 500  # of a line that are passed on
CHUNK = 2**16  # bytes that are read at once
ENDING_SECONDS = 1.0  # to wait for the last lines, when some process still holds the other end


class Prints:
    """Reads, in a thread, what is written to a pipe; beyond the first lines the writer waits for nobody.

    Args:
      name: the estimator, as the user named it.

    Attributes:
      entrance: the file descriptor to write to; `started` closes this process's copy of it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._exit, self.entrance = os.pipe()
        self._line = bytearray()  # the beginning of a line whose end has not come
        self._lines = 0
        self._thread = threading.Thread(target=self._read, name="pgcheck prints", daemon=True)

    def started(self) -> None:
        """Begins to read: the process that writes has been started, or could not be."""
        os.close(self.entrance)
        self._thread.start()

    def close(self) -> None:
        """Waits for what was written before the writer ended, and says how many lines were left out."""
        self._thread.join(ENDING_SECONDS)
        if self._line:
            self._end_line()
        more = self._lines - MOST_LINES
        if more > 0:
            _tell(f"... and {more:,} more line{'' if more == 1 else 's'} from {self._name}\n")

    def _read(self) -> None:
        with open(self._exit, "rb", buffering=0) as pipe:
            while data := pipe.read(CHUNK):
                if self._lines >= MOST_LINES:
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
        self._lines += ends
        if ends:
            self._line.clear()
        self._extend(data.rpartition(b"\n")[2])

    def _extend(self, part: bytes) -> None:
        self._line += part[: MOST_BYTES + 1 - len(self._line)]

    def _end_line(self) -> None:
        if self._lines < MOST_LINES:
            cut = b"..." if len(self._line) > MOST_BYTES else b""
            _tell((self._line[:MOST_BYTES] + cut).decode(errors="replace") + "\n")
        self._lines += 1
        self._line.clear()


def _tell(text: str) -> None:
    """Writes to standard error, if there is one that takes it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text)
        sys.stderr.flush()
