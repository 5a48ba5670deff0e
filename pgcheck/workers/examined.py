"""What a file of results has to be, and whether a file is that: found out without a change to any of its bytes."""

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from pgcheck.errors import UsageError

APPLICATION = int.from_bytes(b"pgck", "big")  # by which SQLite files of one kind know each other
LAYOUT = 1  # of the tables
PROBLEM = "CREATE TABLE problem (description TEXT NOT NULL, checksum BLOB NOT NULL)"
PART = (
    "CREATE TABLE part (call INTEGER NOT NULL, computation BLOB NOT NULL, number INTEGER NOT NULL, "
    "arrays TEXT NOT NULL, data BLOB NOT NULL, checksum BLOB NOT NULL, PRIMARY KEY (call, computation, number))"
)
MAGIC = b"SQLite format 3\0"
HEAD = 20  # bytes at the beginning of a SQLite file, of which the last two say how it is read and written
FORMATS = slice(18, 20)
LOGS = ("-wal", "-journal")  # that SQLite leaves beside the file of a killed process
SHOWN = 60  # characters of a text in a message
ADVICE = "  Give another file, or delete this one to begin anew."


def described(problem: Mapping[str, str]) -> str:
    """Returns a problem as text."""
    return json.dumps(dict(problem), sort_keys=True)


def digest(text: str) -> bytes:
    """Returns the checksum of a text."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def checksum(problem: bytes, call: int, computation: bytes, number: int, arrays: str, data: bytes) -> bytes:
    """Returns the checksum of a part: it belongs to its problem and its place as much as to its numbers."""
    start = repr((problem, call, computation, number, arrays)).encode()
    return hashlib.blake2b(start + data, digest_size=16).digest()


def damaged(path: str, why: str) -> UsageError:
    """Returns the error that a file is damaged."""
    shown = "".join(letter if letter.isprintable() else " " for letter in why.strip())
    return UsageError(f"{path}: this checkpoint is damaged: {shown}.\n{ADVICE}")


def check_kind(path: str) -> None:
    """Checks that a file, if there is one, can be one with results.

    Raises:
      UsageError: it is a directory, a device or a pipe.
    """
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            kind = "a directory" if stat.S_ISDIR(mode) else "a device or a pipe"
            raise UsageError(f"{path}: this is {kind}; a checkpoint needs a file of its own.")


def is_begun(path: str, real: str, problem: Mapping[str, str]) -> bool:
    """Returns whether a file has results, or room for them, of a problem; else it is still to be begun.

    Args:
      path: of the file, in messages.
      real: the same without symbolic links; nobody else writes to it meanwhile.
      problem: what it should be of.

    Raises:
      UsageError: it is the file of another problem, no checkpoint, or damaged.
      OSError: it cannot be read.
    """
    if not os.path.exists(real) or not os.path.getsize(real):
        return False
    logs = [real + log for log in LOGS if os.path.exists(real + log)]
    try:
        with _copied(real, logs) if logs else _unchanged(path, real) as connection:
            return _examine(path, connection, problem)
    except UnicodeDecodeError:  # of what SQLite says, which quotes the file
        raise damaged(path, "its tables cannot be read") from None
    except sqlite3.Error as error:
        raise damaged(path, str(error)) from None


@contextlib.contextmanager
def _unchanged(path: str, real: str) -> Iterator[sqlite3.Connection]:
    """Opens a file that is whole for reading."""
    with open(real, "rb") as file:
        head = file.read(HEAD)
    if not head.startswith(MAGIC):
        raise _foreign(path)
    if not set(head[FORMATS]) <= {1, 2}:
        raise damaged(path, "it begins like no file that SQLite could write to")
    with contextlib.closing(sqlite3.connect(f"file:{quote(os.fsencode(real))}?immutable=1", uri=True)) as connection:
        yield connection


@contextlib.contextmanager
def _copied(real: str, logs: Sequence[str]) -> Iterator[sqlite3.Connection]:
    """Opens a copy of a file that is whole only together with the logs beside it: SQLite brings them together."""
    with tempfile.TemporaryDirectory(prefix="pgcheck-") as folder:
        for name in (real, *logs):
            shutil.copyfile(name, os.path.join(folder, os.path.basename(name)))
        copy = os.path.join(folder, os.path.basename(real))
        with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")  # fails where the file itself could not be written to
            connection.execute("ROLLBACK")
            yield connection


def _examine(path: str, connection: sqlite3.Connection, problem: Mapping[str, str]) -> bool:
    def ask(question: str) -> list[tuple[object, ...]]:
        return connection.execute(question).fetchall()

    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    if ask("PRAGMA page_count") == [(0,)]:  # killed while it was made
        return False
    if ask("PRAGMA application_id") != [(APPLICATION,)]:
        raise _foreign(path)
    if ask("PRAGMA user_version") != [(LAYOUT,)]:
        raise UsageError(f"{path}: this checkpoint is of another version of pgcheck.\n{ADVICE}")
    if ask("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid") != [(PROBLEM,), (PART,)]:
        raise damaged(path, "its tables are not those of a checkpoint")
    entries = ask("SELECT description, checksum FROM problem")
    match entries:
        case [(str(description), bytes(kept))] if kept == digest(description):
            then = json.loads(description)
        case _:
            raise damaged(path, "what it was made for cannot be read")
    if then != dict(problem):
        raise UsageError(f"{path}: this is the checkpoint of something else: {_difference(then, problem)}.\n{ADVICE}")
    (verdict,) = ask("PRAGMA integrity_check(1)")
    if verdict != ("ok",):
        raise damaged(path, str(verdict[0]))
    rows = connection.execute("SELECT call, computation, number, arrays, data, checksum FROM part")
    for call, computation, number, arrays, data, kept in rows:
        own = isinstance(data, bytes) and checksum(digest(description), call, computation, number, arrays, data)
        if kept != own:
            raise damaged(path, "the checksum of a part does not agree with its numbers")
    return True


def _foreign(path: str) -> UsageError:
    return UsageError(f"{path}: this file is no checkpoint of pgcheck, and is left as it is.\n  Give another file.")


def _difference(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What differs between two problems, name by name."""
    names = [name for name in {**now, **then} if then.get(name) != now.get(name)]
    texts = []
    for name in names:
        before, after = then.get(name, "(none)"), now.get(name, "(none)")
        pairs = enumerate(zip(before, after, strict=False))
        same = next((place for place, (b, a) in pairs if b != a), min(len(before), len(after)))
        start = max(0, same - SHOWN // 3)
        texts.append(f"{name} was {_cropped(before, start)}, and is {_cropped(after, start)}")
    return "; ".join(texts)


def _cropped(text: str, start: int) -> str:
    """A text, or so much of it that both begin a little before they differ."""
    if len(text) <= SHOWN:
        return text
    return "..." * (start > 0) + text[start : start + SHOWN] + "..." * (start + SHOWN < len(text))
