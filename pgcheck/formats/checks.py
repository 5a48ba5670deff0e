"""A file that lists checks, in TOML: `checks.toml`, or the table [tool.pgcheck] of pyproject.toml.

    tolerance = 1e-8                     # of all checks

    [[check]]                            # in pyproject.toml: [[tool.pgcheck.check]]
    estimator = "losses.py:reinforce"
    models = ["two_state", "mine.yaml"]

Keys are called as the long options of `verify`, and take what these take. Paths are relative to the file's folder.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgcheck.errors import UsageError
from pgcheck.formats.check_keys import (
    ESTIMATORS,
    FLAG,
    KEYS,
    PROJECT,
    Kind,
    placed_estimator,
    placed_model,
    unknown_key,
)
from pgcheck.formats.problems import Problems
from pgcheck.formats.toml import Toml, read_toml
from pgcheck.formats.toml_places import Path

TABLE: Path = ("tool", "pgcheck")  # in pyproject.toml
EXPECTATIONS = ("pass", "fail")
NEEDS_ESTIMATOR = 'a check needs estimator = "file.py:function", or estimators = ["file.py:function", ...]'
Texts = tuple[str, ...] | bool
Meaning = Callable[[str], object]


@dataclass(frozen=True)
class Entry:
    """What a key says.

    Attributes:
      texts: as the command line takes them: one, or one for each element of a list; or a flag.
      values: what each of them means; of a flag, the flag.
      at: where its value stands in the text.
    """

    texts: Texts
    values: tuple[object, ...]
    at: int


@dataclass(frozen=True)
class Listed:
    """One check: an estimator, and what the file says of how it is checked.

    Attributes:
      estimator: as `verify` takes it.
      expect: `pass`, or `fail` for an estimator that is known to be wrong.
      entries: of the check and, where it has none, of all checks, by key.
    """

    estimator: str
    expect: str
    entries: Mapping[str, Entry]

    def values(self, key: str) -> tuple[Any, ...]:
        """Returns what a key means; nothing where it is left out."""
        return self.entries[key].values if key in self.entries else ()


def has_checks(file: str) -> bool:
    """Whether a file is there and has a table [tool.pgcheck].

    Raises:
      ModelError: it is not TOML.
    """
    return os.path.isfile(file) and isinstance(_at(read_toml(file).table, TABLE), dict)


def read_checks(file: str, meanings: Mapping[str, Meaning]) -> tuple[list[Listed], Problems]:
    """Returns the checks that a file lists, and the faults that were found in it.

    Args:
      file: a path. Where the file has a table [tool.pgcheck], that is read, else all of it.
      meanings: by key, what a text means; a UsageError is noted at its place. A key without one means its text.

    Raises:
      ModelError: the file cannot be read, or is not TOML.
    """
    toml = read_toml(file)
    base = TABLE if os.path.basename(file) == PROJECT or _at(toml.table, TABLE) is not None else ()
    reader = _Reader(toml, os.path.dirname(file), meanings)
    return reader.checks(base), toml.problems


def _at(table: Any, path: Path) -> Any:
    """What stands at a path; None where there is nothing."""
    for key in path:
        table = table.get(key) if isinstance(table, dict) else None
    return table


class _Reader:
    """Reads the tables of one file."""

    def __init__(self, toml: Toml, folder: str, meanings: Mapping[str, Meaning]) -> None:
        self._toml, self._folder, self._meanings = toml, folder, meanings

    def checks(self, base: Path) -> list[Listed]:
        """Returns the checks of the table at a path."""
        table = _at(self._toml.table, base)
        header = f"[{'.'.join(map(str, (*base, 'check')))}]"
        if not isinstance(table, dict):
            self._toml.fault(base, f"no table [{'.'.join(map(str, base))}]; it lists checks, each as [{header}]")
            return []
        check = table.get("check", [])
        if not isinstance(check, list) or not all(isinstance(item, dict) for item in check):
            self._toml.fault((*base, "check"), f"check: expected tables; begin each with [{header}], in two brackets")
            return []
        alone = {key: table[key] for key in (*ESTIMATORS, "expect") if key in table}
        own = {key: value for key, value in table.items() if key != "check" and key not in alone}
        defaults = self._entries(own, base)
        if alone and not check:
            return self._check({**alone}, base, defaults)
        for key in alone:
            self._toml.fault((*base, key), f"{key} is of one check; move it into one that begins with [{header}]")
        if not check:
            self._toml.fault(base, f"no checks; begin each with [{header}]")
        return [
            listed
            for number, item in enumerate(check)
            for listed in self._check(item, (*base, "check", number), defaults)
        ]

    def _check(self, table: dict[str, Any], path: Path, defaults: Mapping[str, Entry]) -> list[Listed]:
        """The checks of one table: one for each estimator."""
        own = {key: value for key, value in table.items() if key not in (*ESTIMATORS, "expect")}
        entries = {**defaults, **self._entries(own, path)}
        expect = table.get("expect", "pass")
        if expect not in EXPECTATIONS:
            self._toml.fault((*path, "expect"), f"expect: expected {' or '.join(map(repr, EXPECTATIONS))}")
        given = [key for key in ESTIMATORS if key in table]
        if len(given) != 1:
            place = (*path, given[1]) if given else path
            self._toml.fault(place, "give estimator or estimators, not both" if given else NEEDS_ESTIMATOR)
            return []
        (key,) = given
        found = self._texts(key, table[key], (*path, key), ESTIMATORS[key])
        for name, at in found or ():
            if name.strip() in ("", "-"):
                why = (
                    "gradients on standard input are checked alone: pgcheck verify -"
                    if name.strip()
                    else NEEDS_ESTIMATOR
                )
                self._toml.problems.add_at(at, f"{key} {name!r}: {why}")
        names = dict.fromkeys(placed_estimator(name, self._folder) for name, _ in found or ())
        return [Listed(name, str(expect), entries) for name in names]

    def _entries(self, table: dict[str, Any], path: Path) -> dict[str, Entry]:
        """What the keys of a table say; faults are noted."""
        entries: dict[str, Entry] = {}
        for key, value in table.items():
            place = (*path, key)
            if key not in KEYS:
                self._toml.fault(place, unknown_key(key, self._toml.problems.file), of_key=True)
            elif KEYS[key] is FLAG:
                if not isinstance(value, bool):
                    self._toml.fault(place, f"{key}: expected {FLAG.what}")
                else:
                    entries[key] = Entry(value, (value,), self._toml.position(place))
            elif texts := self._texts(key, value, place, KEYS[key]):
                values = self._values(key, texts)
                entries[key] = Entry(tuple(text for text, _ in texts), tuple(values), self._toml.position(place))
        return entries

    def _texts(self, key: str, value: object, path: Path, kind: Kind) -> list[tuple[str, int]] | None:
        """A value as the texts of a command line, each with its position; None where it is at fault."""
        items: Sequence[tuple[object, Path]] = [(value, path)]
        if isinstance(value, list) and kind.is_list:
            items = [(item, (*path, number)) for number, item in enumerate(value)]
        if not items:
            self._toml.fault(path, f"{key}: the list is empty; expected {kind.what}, or leave {key} out")
            return None
        wrong = [place for item, place in items if not isinstance(item, kind.types) or isinstance(item, bool)]
        for place in wrong:
            self._toml.fault(place, f"{key}: expected {kind.what}")
        if wrong:
            return None
        return [(item if isinstance(item, str) else repr(item), self._toml.position(place)) for item, place in items]

    def _values(self, key: str, texts: Sequence[tuple[str, int]]) -> list[object]:
        """What texts mean; faults are noted at their places."""
        values: list[object] = []
        for text, at in texts:
            if key == "models" and text == "-":
                self._toml.problems.add_at(at, "models '-': standard input is for one check; name a file")
            elif key == "models":
                text = placed_model(text, self._folder)
            elif key == "policy":
                text = placed_estimator(text, self._folder)
            try:
                values.append(self._meanings[key](text) if key in self._meanings else text)
            except UsageError as error:
                self._toml.problems.add_at(at, str(error).removeprefix("--"))
        return values
