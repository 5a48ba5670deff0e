"""Where results go: standard output, or a file that appears whole or not at all."""

import contextlib
import errno
import os
import stat
import sys
import tempfile
from collections.abc import Callable
from typing import BinaryIO, TextIO

from pgcheck.errors import OutputError, ReaderGoneError
from pgcheck.report.terminal import is_coloured, is_terminal, terminal_width, wrapped

LABEL = "error:"


class Output:
    """The one writer of results.

    A file is written beside its destination and renamed at the end, so that a crash leaves the old one whole.
    """

    def __init__(self, path: str | None) -> None:
        self.is_stdout = path is None
        self._path: str | None = None
        self._temporary: str | None = None
        self._stream: BinaryIO
        if path is None:
            if sys.stdout is None:
                raise OutputError("standard output is closed; nothing was written")
            self._stream = sys.stdout.buffer
            self._name = "standard output"
            return
        self._name = path
        try:
            if os.path.exists(path) and not os.path.isfile(path):
                if stat.S_ISDIR(os.stat(path).st_mode):
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                self._stream = open(path, "wb")  # noqa: SIM115 - a device or pipe cannot be renamed over
                return
            self._path = os.path.realpath(path)
            descriptor, self._temporary = tempfile.mkstemp(
                prefix=f".{os.path.basename(self._path)[:100]}.", suffix=".tmp", dir=os.path.dirname(self._path)
            )
            self._stream = os.fdopen(descriptor, "wb")
            os.chmod(self._temporary, _mode(self._path))
        except OSError as error:
            raise self._failed(error) from None

    @property
    def is_terminal(self) -> bool:
        """Whether a person is reading."""
        return self.is_stdout and self._stream.isatty()

    @property
    def encoding(self) -> str:
        """The encoding of tables; files are in UTF-8."""
        return (sys.stdout.encoding or "ascii") if self.is_stdout else "utf-8"

    def write(self, text: str, *, encoding: str = "utf-8") -> None:
        """Writes and flushes; what the encoding lacks becomes `?`. Errors are those of `write_bytes`."""
        self.write_bytes(text.encode(encoding, "replace"))

    def write_bytes(self, data: bytes) -> None:
        """Writes and flushes.

        Raises:
          ReaderGoneError: nobody reads the pipe any more.
          OutputError: the disk is full, or the like.
        """
        rest = memoryview(data)
        try:
            while rest:
                written = self._stream.write(rest)
                if not written:
                    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
                rest = rest[written:]
            self._stream.flush()
        except OSError as error:
            raise self._failed(error) from None

    def close(self) -> None:
        """Puts a finished file in its place."""
        if self.is_stdout:
            return
        try:
            self._stream.close()
            if self._temporary is not None and self._path is not None:
                os.replace(self._temporary, self._path)
                self._temporary = None
        except OSError as error:
            raise self._failed(error) from None

    def discard(self) -> None:
        """Removes an unfinished file; does nothing after `close`."""
        if not self.is_stdout:
            with contextlib.suppress(OSError):
                self._stream.close()
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)
            self._temporary = None

    def _failed(self, error: OSError) -> OutputError:
        if isinstance(error, BrokenPipeError):
            return ReaderGoneError("the reader of the pipe went away")
        return OutputError(f"{self._name}: cannot be written: {error.strerror}")


def silence(stream: TextIO | None) -> None:
    """Points a stream at nothing, so that what Python still holds for it cannot fail at exit."""
    if stream is None:
        return
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def _mode(path: str) -> int:
    """The permissions of a file about to be replaced, or those that a new one gets."""
    with contextlib.suppress(OSError):
        return stat.S_IMODE(os.stat(path).st_mode)
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


def tell(text: str) -> None:
    """Writes to standard error what is neither a note nor an error."""
    _tell(text, lambda shown: shown)


def note(text: str) -> None:
    """Writes a note to standard error, dim on a terminal that shows colour."""
    _tell(text, lambda shown: f"\x1b[2m{shown}\x1b[22m")


def complain(text: str) -> None:
    """Writes an error to standard error; its label `error:` is red on a terminal that shows colour."""
    _tell(text, lambda shown: shown.replace(LABEL, f"\x1b[1;31m{LABEL}\x1b[0m", 1))


def _tell(text: str, dressed: Callable[[str], str]) -> None:
    """Writes to standard error, if there is one; what cannot be written must not change the exit status."""
    if sys.stderr is None:
        return
    on_terminal = is_terminal(sys.stderr)
    if on_terminal:
        text = wrapped(text, terminal_width())
    if is_coloured(on_terminal):
        text = dressed(text)
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        silence(sys.stderr)
