"""Results of parts in a SQLite file: each by a transaction of its own, with a checksum.

    problem   what the results are of, as JSON of named texts
    part      the results: of which call, of what computation, the number of the part, and its arrays

A process that is killed at any moment leaves all that it had finished. After a power cut the last parts may be
missing, and no others: the log is brought to the disk from time to time, not after each part. SQLite's write-ahead
log is not for a disk of another machine: a rollback journal takes its place, which is brought to the disk each time.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping

from pgcheck.errors import OutputError, UsageError
from pgcheck.workers.examined import (
    APPLICATION,
    LAYOUT,
    PART,
    PROBLEM,
    check_kind,
    checksum,
    damaged,
    described,
    digest,
    is_begun,
)
from pgcheck.workers.executor import Arrays
from pgcheck.workers.locking import alone, is_remote
from pgcheck.workers.packed import packed, unpacked

IN_USE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Stored:
    """The parts that are in an open file.

    Raises (from every method):
      OutputError: the file cannot be read or written.
      UsageError: it is damaged.
    """

    def __init__(self, path: str, connection: sqlite3.Connection, problem: bytes) -> None:
        self._path, self._connection, self._problem = path, connection, problem

    def numbers(self, call: int, computation: bytes) -> set[int]:
        """Returns the numbers of the parts of a computation that are there."""
        with _told(self._path):
            rows = self._connection.execute(
                "SELECT number FROM part WHERE call = ? AND computation = ?", (call, computation)
            )
            return {number for (number,) in rows}

    def result(self, call: int, computation: bytes, number: int) -> Arrays:
        """Returns the result of a part that is there."""
        place = call, computation, number
        with _told(self._path):
            text, data, kept = self._connection.execute(
                "SELECT arrays, data, checksum FROM part WHERE call = ? AND computation = ? AND number = ?", place
            ).fetchone()
        if kept != checksum(self._problem, *place, text, data):
            raise damaged(self._path, f"part {number} is not what was stored")
        return unpacked(text, data)

    def add(self, call: int, computation: bytes, number: int, arrays: Arrays) -> Arrays:
        """Stores the result of a part, and returns it as it will be found."""
        place = call, computation, number
        text, data = packed(arrays)
        kept = checksum(self._problem, *place, text, data)
        with _told(self._path):
            self._connection.execute("INSERT INTO part VALUES (?, ?, ?, ?, ?, ?)", (*place, text, data, kept))
        return unpacked(text, data)


@contextlib.contextmanager
def opened(path: str, problem: Mapping[str, str]) -> Iterator[Stored]:
    """Opens the file of a problem, or makes it; no other process can open it before the `with` block ends.

    Raises:
      UsageError: it is the file of another problem, no checkpoint, damaged, or in use; not a byte of it is changed.
      OutputError: it cannot be read or written.
    """
    real = os.path.realpath(path)
    with contextlib.ExitStack() as stack:
        try:
            check_kind(path)
            if not stack.enter_context(alone(real)):
                raise _in_use(path)
            is_there = os.path.exists(real)
            if is_there:
                os.close(os.open(real, os.O_RDWR))  # SQLite would say less of what it may not write to
            begun = is_begun(path, real, problem)
        except OSError as error:
            raise OutputError(f"{path}: the checkpoint cannot be used: {error.strerror}") from None
        with _told(path):
            connection = sqlite3.connect(real, timeout=0, isolation_level=None)
            stack.callback(connection.close)
            try:
                _begin(connection, None if begun else problem, is_remote(real))
            except sqlite3.Error:
                connection.close()
                if not is_there:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(real)
                raise
        yield Stored(path, connection, digest(described(problem)))


def _begin(connection: sqlite3.Connection, problem: Mapping[str, str] | None, is_remote: bool) -> None:
    """Takes a file for this process alone, and makes the tables if a problem is given."""
    # Alone, the log needs no memory that is shared with other processes, and others are told that it is in use.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    if problem is not None:
        text = described(problem)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {LAYOUT}")
        connection.execute(PROBLEM)
        connection.execute(PART)
        connection.execute("INSERT INTO problem VALUES (?, ?)", (text, digest(text)))
    connection.execute("COMMIT")
    connection.execute(f"PRAGMA journal_mode = {'DELETE' if is_remote else 'WAL'}")
    connection.execute("PRAGMA synchronous = NORMAL")


def _in_use(path: str) -> UsageError:
    return UsageError(
        f"{path}: another process is using this checkpoint.\n  Wait until it has ended, or give another file."
    )


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    """Turns what SQLite says into an error that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in IN_USE:
            raise _in_use(path) from None
        if code in DAMAGED:
            raise damaged(path, str(error)) from None
        raise OutputError(f"{path}: the checkpoint cannot be written: {error}") from None
