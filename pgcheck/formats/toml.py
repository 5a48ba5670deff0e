"""A TOML file → its tables, and faults in it with FILE:LINE:COL."""

import os
import re
import tomllib
from dataclasses import dataclass, field
from typing import Any

from pgcheck.formats.problems import Problems, fault
from pgcheck.formats.toml_places import Path, Place, places_in

MAX_BYTES = 2**22  # of a file
_LINES = str.maketrans(dict.fromkeys("\x85\u2028\u2029", " "))  # they end lines elsewhere, but not in TOML
_WHERE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


@dataclass(frozen=True)
class Toml:
    """What stands in a file.

    Attributes:
      table: all of it, as `tomllib` reads it.
      problems: takes the faults that are found in it.
      places: where each key stands.
    """

    table: dict[str, Any]
    problems: Problems
    places: dict[Path, Place] = field(default_factory=dict)

    def position(self, path: Path, *, of_key: bool = False) -> int:
        """Returns where the value at a path stands, or its key; of what is not there, the table around it."""
        while path and path not in self.places:
            path = path[:-1]
        if not path:
            return 0
        return self.places[path].key if of_key else self.places[path].value

    def fault(self, path: Path, message: str, *, of_key: bool = False) -> None:
        """Notes a fault of the value at a path, or of its key."""
        self.problems.add_at(self.position(path, of_key=of_key), message)


def read_toml(file: str) -> Toml:
    """Returns what stands in a TOML file.

    Raises:
      ModelError: it cannot be read, or is not TOML in UTF-8; the message has FILE:LINE:COL where there are lines.
    """
    data = _read(file)
    try:
        text = data.decode("utf-8-sig").translate(_LINES)
    except UnicodeDecodeError as error:
        problems = Problems(file, data.decode("utf-8-sig", "replace"))
        before = len(data[: error.start].decode("utf-8-sig", "replace"))
        problems.add_at(before, f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8")
        problems.check()
        raise
    problems = Problems(file, text)
    try:
        table, places = tomllib.loads(text), places_in(text)
    except tomllib.TOMLDecodeError as error:
        position, message = _place(text, str(error))
        problems.add_at(position, f"not TOML: {message}")
    except RecursionError:
        problems.add(1, 1, "values are nested too deeply")
    problems.check()
    return Toml(table, problems, places)


def _read(file: str) -> bytes:
    """The content of a file."""
    if os.path.isdir(file):
        raise fault(file, "a directory; expected a file that lists checks, as checks.toml")
    try:
        with open(file, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (FileNotFoundError, ValueError):  # ValueError: names that no file can have
        raise fault(file, "no such file; expected one that lists checks, as checks.toml") from None
    except OSError as error:
        raise fault(file, f"cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise fault(file, f"more than {MAX_BYTES:,} bytes; a file that lists checks has at most that many")
    return data


def _place(text: str, message: str) -> tuple[int, str]:
    """The position that a message of `tomllib` names, and the message without it."""
    match = _WHERE.fullmatch(message)
    if match is None:
        return 0, message
    if match[2] is None:
        return max(0, len(text.rstrip()) - 1), f"{match[1]} at the end of the file"
    begin = 0
    for _ in range(int(match[2]) - 1):
        begin = text.index("\n", begin) + 1
    return begin + int(match[3]) - 1, match[1]
