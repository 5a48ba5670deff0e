"""A table P[s][a] = [(p, s', r, done), ...], as Gymnasium environments have it → its columns, or every fault."""

import enum
import itertools
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pgcheck.arrays import Bools, Floats, Ints, kind_of
from pgcheck.errors import UsageError
from pgcheck.formats.problems import Problems, hidden, visible
from pgcheck.formats.reader import MAX_NAME, cropped

OUTCOME = "(probability, next state, reward, done)"
TRUTHS = {bool, np.bool_, int, np.int64}  # types of `done`


@dataclass(frozen=True, eq=False)
class Table:
    """K outcomes of S states and A actions, in any order, in which some may coincide.

    Attributes:
      states, actions: the keys of the table, in rising order where they are whole numbers.
      state, action, next_state, prob, reward, done: the outcomes `[K]`.
      terminal: states without outcomes that are entered by outcomes with `done` alone `[S]`.
    """

    states: tuple[Hashable, ...]
    actions: tuple[Hashable, ...]
    state: Ints
    action: Ints
    next_state: Ints
    prob: Floats
    reward: Floats
    done: Bools
    terminal: Bools

    @cached_property
    def number(self) -> dict[Hashable, int]:
        """The number of each state by its key."""
        return {key: number for number, key in enumerate(self.states)}


def table_of(given: Any, source: str) -> Table:
    """Returns the columns of a table.

    Args:
      given: by states, then actions: mappings, or sequences for states and actions that are numbered.
      source: in messages.

    Raises:
      UsageError: it is an array.
      ModelError: it is no such table; the message lists up to 20 faults.
    """
    if hasattr(given, "shape"):
        raise UsageError(
            f"{visible(source)}: P is an array; expected P[s][a] = [{OUTCOME}, ...]\n"
            "  Save arrays to a file, np.savez('model.npz', P=P, R=R, start=start), and name that file."
        )
    try:
        return _read(given, source)
    except (TypeError, ValueError, OverflowError) as error:
        _check_rows(given, source)
        raise UsageError(f"{visible(source)}: P cannot be read: {error}") from error


def names_of(keys: Sequence[Hashable]) -> tuple[str, ...]:
    """Returns the names of keys: texts as they are, members of an Enum by name; numbers where two would be alike."""
    names = tuple(_name(key) for key in keys)
    usable = len(set(names)) == len(names) and all(0 < len(n) <= MAX_NAME and hidden(n) is None for n in names)
    return names if usable else tuple(map(str, range(len(keys))))


def plain_key(key: Any) -> Any:
    """Returns a key of states or actions that can be looked up: numbers of NumPy as Python's, arrays as tuples."""
    if type(key) is int:
        return key
    if hasattr(key, "tolist"):
        key = key.tolist()
    return tuple(map(plain_key, key)) if isinstance(key, list | tuple) else key


def _name(key: Hashable) -> str:
    return key.name if isinstance(key, enum.Enum) else str(key)


def _read(given: Any, source: str) -> Table:
    """The columns in one pass; raises TypeError or ValueError where the table has a fault."""
    states = _sorted([plain_key(key) for key, _ in _items(given)])
    rows = {plain_key(key): [(plain_key(a), outcomes) for a, outcomes in _items(row)] for key, row in _items(given)}
    actions = _sorted(dict.fromkeys(action for row in rows.values() for action, _ in row))
    if not actions:
        raise ValueError("no state has an action")
    place = {action: number for number, action in enumerate(actions)}
    outcomes = [
        (s, place[action], *outcome)
        for s, key in enumerate(states)
        for action, listed in rows[key]
        for outcome in listed
    ]
    if not outcomes:
        raise ValueError("there are no outcomes")
    state, action, prob, following, reward, done = zip(*outcomes, strict=True)
    if not set(map(type, done)) <= TRUTHS:
        raise TypeError("done is not True or False")
    number = {key: s for s, key in enumerate(states)}
    try:
        next_state = [number[key] for key in following]
    except (KeyError, TypeError):  # arrays, or states that have no row
        keys = [plain_key(key) for key in following]
        unlisted = [key for key in dict.fromkeys(keys) if key not in number]
        if unlisted and isinstance(given, Sequence):
            raise ValueError("a next state is out of range") from None
        states = [*states, *unlisted]
        number |= {key: s for s, key in enumerate(unlisted, start=len(number))}
        next_state = [number[key] for key in keys]
    columns = [np.array(column, dtype=np.int64) for column in (state, action, next_state)]
    chances, pay = np.array(prob, dtype=np.float64), np.array(reward, dtype=np.float64)
    if chances.ndim != 1 or pay.ndim != 1:
        raise ValueError("a probability or a reward is an array")
    ends = np.array(done, dtype=np.bool_)
    terminal = np.ones(len(states), dtype=np.bool_)
    terminal[columns[0]] = False
    terminal[columns[2][~ends]] = False
    return Table(tuple(states), tuple(actions), columns[0], columns[1], columns[2], chances, pay, ends, terminal)


def _items(table: Any) -> Iterable[tuple[Any, Any]]:
    """The entries of a mapping by key, or of a sequence by number."""
    if isinstance(table, Mapping):
        return table.items()
    if isinstance(table, Sequence) and not isinstance(table, str):
        return enumerate(table)
    raise TypeError(f"{kind_of(table)} is neither a mapping nor a list")


def _sorted(keys: Iterable[Any]) -> list[Any]:
    """Keys in rising order where all are whole numbers, as they come elsewhere."""
    listed = list(keys)
    return sorted(listed) if all(type(key) is int for key in listed) else listed


def _check_rows(given: Any, source: str) -> None:
    """Raises ModelError with the faults of a table that could not be read, each with its place."""
    problems = Problems(source)

    def add(place: str, what: str) -> None:
        problems.add(0, 0, f"{place}: {what}")

    def entries(table: Any, place: str, of: str) -> list[tuple[Any, Any]]:
        try:
            return list(_items(table))
        except TypeError:
            add(place, f"{kind_of(table)}; expected a mapping or a list, by {of}")
            return []

    size = len(given) if isinstance(given, Sequence) else None
    number = 0
    for state, row in entries(given, "P", "states"):
        for action, outcomes in entries(row, f"P[{_shown(state)}]", "actions"):
            place = f"P[{_shown(state)}][{_shown(action)}]"
            number += 1
            if isinstance(outcomes, str) or not isinstance(outcomes, Iterable) or _fault(outcomes, None) is None:
                add(place, f"{_shown(outcomes)}; expected a list of {OUTCOME}")
                continue
            for outcome in outcomes:
                fault = _fault(outcome, size)
                if fault:
                    add(place, fault)
    if not number and not problems.count:
        add("P", "no state has an action; expected at least one")
    problems.check()


def _fault(outcome: Any, size: int | None) -> str | None:
    """What is wrong with an outcome, where next states are below `size`; None if nothing is."""
    if not isinstance(outcome, Sequence) or isinstance(outcome, str) or len(outcome) != 4:
        return f"{_shown(outcome)}; expected {OUTCOME}"
    prob, following, reward, done = outcome
    for noun, value in (("probability", prob), ("reward", reward)):
        try:
            is_number = not np.ndim(value) and isinstance(float(value), float)
        except (TypeError, ValueError, OverflowError):
            is_number = False
        if not is_number:
            return f"{noun} {_shown(value)}; expected a number"
    if type(done) not in TRUTHS:
        return f"done {_shown(done)}; expected True or False"
    try:
        key = plain_key(following)
        hash(key)
    except TypeError:
        return f"next state {_shown(following)}; expected a key of P"
    if size is not None and not (isinstance(key, int) and 0 <= key < size):
        return f"next state {_shown(following)}; expected 0 to {size - 1}"
    return None


def _shown(value: Any) -> str:
    text = "".join(itertools.islice(repr(value), 200))
    return cropped(text)
