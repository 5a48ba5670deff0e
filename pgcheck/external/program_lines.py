"""Batches → lines of JSON for a program; its lines → numbers, or what else they hold."""

import itertools
import json
import re
from collections.abc import Iterable
from json import JSONDecoder
from typing import Any

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.trajectories.batch import Batch

CROPPED = 80  # characters of a line that an error quotes
NUMERIC = b"0123456789+-.eE[], \t\r"  # all that a line of numbers is made of
BOM = b"\xef\xbb\xbf"
NOT_FINITE = re.compile(r"(?i)(?<![\w.\"])([-+]?)(nan(?:\([^()]*\))?|inf(?:inity)?|null)(?![\w.\"])")

_DECODER = JSONDecoder(parse_int=float)  # an integer of any length is a number


class WrongLineError(Exception):
    """A line holds something else than numbers; the text says what."""


def episode_texts(batch: Batch, rows: Ints) -> list[str]:
    """Returns the JSON of some episodes of a batch; its altered arrays are in the place of their own.

    The states are s_0 … s_L. All but the last are the states in which actions were taken. Only the last is taken from
    `next_states`: where these are altered, to see whether values of the states that follow are used, the actions must
    still have been taken where they were.
    """
    lengths = batch.lengths[rows]
    path = np.zeros((len(rows), batch.states.shape[1] + 1), dtype=np.int64)
    path[:, :-1] = batch.states[rows]
    path[lengths == 0, 0] = batch.starts[rows[lengths == 0]]
    longer = np.flatnonzero(lengths)
    path[longer, lengths[longer]] = batch.next_states[rows[longer], lengths[longer] - 1]
    terminated = np.where(batch.terminated[rows], "true", "false")
    texts = np.empty(len(rows), dtype=object)
    for length in np.unique(lengths).tolist():
        of_length = np.flatnonzero(lengths == length)
        numbers = rows[of_length]
        texts[of_length] = [
            f'{{"states": [{states}], "actions": [{actions}], "rewards": [{rewards}], "terminated": {ended}}}'
            for states, actions, rewards, ended in zip(
                _rows(path[of_length, : length + 1]), _rows(batch.actions[numbers, :length]),
                _rows(batch.rewards[numbers, :length]), terminated[of_length].tolist(), strict=True,
            )
        ]  # fmt: skip
    return list(texts)


def _rows(array: "Ints | Floats") -> list[str]:
    """The rows of an array `[n, L]` as JSON without brackets; one call makes all of it."""
    return json.dumps(array.tolist(), allow_nan=False)[2:-2].split("], [")


def batch_line(texts: Iterable[str]) -> str:
    """Returns the line of a batch of these episodes."""
    return f'{{"episodes": [{", ".join(texts)}]}}\n'


def list_in(line: bytes) -> list[Any]:
    """Returns the list that a line holds: of floats, NaN and infinities among them, or of such lists.

    Raises:
      WrongLineError: it holds something else.
    """
    text = line.strip()
    if text.translate(None, NUMERIC):
        text = _with_words(text)
    try:
        value, end = _DECODER.raw_decode(text.decode())
    except (ValueError, RecursionError):
        raise WrongLineError("is no list of numbers in JSON" if text else "is empty") from None
    if end < len(text) or not isinstance(value, list):
        raise WrongLineError("is no list of numbers")
    return value


def array_of(values: list[Any]) -> Floats:
    """Returns a list from a line, or a list of them, as an array.

    Raises:
      WrongLineError: its lists are of different lengths.
    """
    try:
        return np.array(values, dtype=np.float64)
    except (ValueError, TypeError):
        raise WrongLineError("holds lists of different lengths") from None


def _with_words(line: bytes) -> bytes:
    """A line of which the words that stand for NaN and infinities are as JSON has them, if it has no other words."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise WrongLineError("is not UTF-8") from None
    text = NOT_FINITE.sub(_standard, text)
    others = re.sub(r"-?Infinity|NaN", "", text).encode().translate(None, NUMERIC)
    if not others:
        return text.encode()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise WrongLineError("is no list of numbers in JSON") from None
    kinds = ((str, "a string"), (bool, "true or false"), (dict, "an object"))
    kind = next((name for kind, name in kinds if _holds(value, kind)), "something else")
    raise WrongLineError(f"holds {kind}, where numbers are expected")


def _standard(word: "re.Match[str]") -> str:
    if word[2][0] in "nN":
        return "NaN"
    return "-Infinity" if word[1] == "-" else "Infinity"


def _holds(value: object, kind: type) -> bool:
    """Whether a value of JSON, or one in its lists, is of a kind; objects are not looked into."""
    values = [value]
    while values:
        value = values.pop()
        if isinstance(value, kind):
            return True
        if isinstance(value, list):
            values += value
    return False


def quoted(line: bytes) -> str:
    """Returns the beginning of a line, for an error: in ASCII, without characters that could move a cursor."""
    text = line[: 4 * CROPPED + 4].decode(errors="replace")
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in itertools.islice(text, CROPPED))
    return shown if len(text) <= CROPPED else f"{shown}..."
