"""Gradients that a program printed, one a line → arrays, or an error that names the line.

A line is a JSON array, flat or in the shape of theta, or numbers separated by commas. Lines are read and converted
some at a time: those that hold nothing but numbers are one JSON document together, any others are looked at one by
one.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import EstimatorError
from pgcheck.external.results import MAX_MAGNITUDE

FEW_DIGITS = 9  # significant ones: single precision has no more
MOST_SHOWN = 60  # characters of a line in a message
BYTES_A_NUMBER = 400  # at most, with what stands around it

_BOM = b"\xef\xbb\xbf"
_NUMBER = re.compile(r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|inf(?:inity)?)", re.ASCII | re.IGNORECASE)
_UNUSUAL = re.compile(rb"[^-+.,\deE\[\] \t\n]")
_OF_DIGITS = [re.compile(rb"(?<![\d.])[0.]*[1-9](?:\.?\d){%d}" % n) for n in range(FEW_DIGITS + 1)]  # n + 1 of them


@dataclass(frozen=True)
class Expected:
    """What the lines are to be.

    Attributes:
      model: the name of the model.
      size: d, the number of its parameters.
      shape: of theta.
      table: S and A.
    """

    model: str
    size: int
    shape: tuple[int, ...]
    table: tuple[int, int]

    @property
    def text(self) -> str:
        """What a line may be, in words."""
        table = "" if len(self.shape) == 1 else f", or {list(self.shape)} as theta is"
        count = f"its {self.size} parameters in order" if self.size > 1 else "its one parameter"
        return f"expected a gradient of {self.model}, {count}{table}: a JSON array, or numbers separated by commas"


@dataclass(frozen=True)
class Form:
    """How a line is written.

    Attributes:
      is_json: whether it is a JSON array; if not, it is numbers with commas between.
      shape: of the array.
    """

    is_json: bool
    shape: tuple[int, ...]

    @property
    def text(self) -> str:
        """The form in words."""
        count = f"{self.shape[0]} number{'' if self.shape[0] == 1 else 's'}"
        if not self.is_json:
            return f"{count} separated by commas" if self.shape[0] > 1 else "one number"
        return f"a JSON array of {count if len(self.shape) == 1 else list(self.shape)}"


class GradientLines:
    """Gradients on a stream, one a line, each written as the first is.

    Attributes:
      number: how many lines were read.
      digits: the most significant digits that a number has, counted up to FEW_DIGITS + 1.
      is_single: whether all numbers are as if they came from single precision.
    """

    def __init__(self, stream: BinaryIO, expected: Expected) -> None:
        self.number = 0
        self.digits = 0
        self.is_single = True
        self._stream = stream
        self._expected = expected
        self._form: Form | None = None
        self._longest = BYTES_A_NUMBER * (1 + math.prod(expected.shape))

    @property
    def is_imprecise(self) -> bool:
        """Whether no number is more precise than single precision allows."""
        return self.digits <= FEW_DIGITS or self.is_single

    @property
    def few_digits(self) -> int | None:
        """The most significant digits that a number has; None where they are more than single precision has."""
        return self.digits if self.digits <= FEW_DIGITS else None

    def take(self, count: int) -> Floats:
        """Returns the next gradients, fewer where the stream ends `[n, d]`; `[n, k]` where lines hold theta's k.

        Raises:
          EstimatorError: a line is not what is expected.
        """
        first, lines = self.number + 1, self._lines(count)
        if not lines:
            return np.zeros((0, self._expected.size if self._form is None else math.prod(self._form.shape)))
        if self._form is None:
            self._form = self._first_form(lines[0])
        values = self._together(lines)
        if values is None:
            values = np.array([self._alone(line, first + row) for row, line in enumerate(lines)])
        text = b"\n".join(lines)
        while self.digits <= FEW_DIGITS and _OF_DIGITS[self.digits].search(text):
            self.digits += 1
        if self.is_single:
            with np.errstate(over="ignore"):
                self.is_single = bool(np.all(values == values.astype(np.float32)))
        return values.reshape(len(lines), -1)

    def further(self) -> str | None:
        """Returns the next line as a message shows it; None where there is none."""
        lines = self._lines(1)
        return _shown(lines[0]) if lines else None

    def _lines(self, count: int) -> list[bytes]:
        """The next lines, without what surrounds them; empty ones may stand at the end alone."""
        lines: list[bytes] = []
        while len(lines) < count and (line := self._line()) is not None:
            if line:
                lines.append(line)
                continue
            empty = self.number
            while line is not None and not line:
                line = self._line()
            if line is not None:
                raise EstimatorError(f"standard input, line {empty:,}: empty; expected a gradient on every line")
            break
        return lines

    def _line(self) -> bytes | None:
        line = self._stream.readline(self._longest)
        if not line:
            return None
        self.number += 1
        if len(line) == self._longest and not line.endswith(b"\n"):
            raise self._unfit(line, self.number, f"longer than {self._longest:,} characters")
        return (line.removeprefix(_BOM) if self.number == 1 else line).strip()

    def _first_form(self, line: bytes) -> Form:
        """The form of the first line, which all others have."""
        is_json, values = self._parsed(line, 1)
        size, shape = self._expected.size, self._expected.shape
        known = {(size,), (math.prod(shape),)} | ({shape} if is_json else set())
        if values.shape not in known:
            is_table = values.shape in (self._expected.table, (math.prod(self._expected.table),))
            why = " (a table, but states look alike or lack actions: then theta is flat)" * is_table
            raise self._unfit(line, 1, Form(is_json, values.shape).text + why)
        return Form(is_json, values.shape)

    def _together(self, lines: list[bytes]) -> Floats | None:
        """The gradients on lines, converted at once; None where one of them may need a closer look."""
        assert self._form is not None
        if self._form.is_json:
            opening = lines[0].count(b"[")
            if not all(it[:1] == b"[" and it[-1:] == b"]" and it.count(b"[") == opening for it in lines):
                return None
            text = b"[" + b",\n".join(lines) + b"]"
        else:
            text = b"[[" + b"],\n[".join(lines) + b"]]"
        if _UNUSUAL.search(text):
            return None
        try:
            values = np.array(json.loads(text, parse_int=float), dtype=np.float64)
        except (ValueError, RecursionError):
            return None
        if values.shape != (len(lines), *self._form.shape) or not np.max(np.abs(values)) <= MAX_MAGNITUDE:
            return None
        return values

    def _alone(self, line: bytes, number: int) -> Floats:
        """The gradient on one line."""
        is_json, values = self._parsed(line, number)
        form = Form(is_json, values.shape)
        if form != self._form:
            raise self._unfit(line, number, form.text)
        return values

    def _parsed(self, line: bytes, number: int) -> tuple[bool, Floats]:
        """Whether a line is a JSON array, and the finite numbers on it."""
        try:
            text = line.decode()
        except UnicodeDecodeError:
            raise self._unfit(line, number, "not UTF-8") from None
        is_json = text.startswith("[")
        if is_json:
            try:
                values = np.array(json.loads(text, parse_int=float), dtype=object)
            except (ValueError, RecursionError):
                raise self._unfit(line, number, "not JSON") from None
        else:
            values = np.array([_number(part.strip()) for part in text.split(",")], dtype=object)
        for value in values.ravel().tolist():
            if not isinstance(value, float):
                raise self._unfit(line, number, _fault(text, value))
            if not math.isfinite(value):
                raise self._unfit(line, number, "not finite", not_finite=True)
            if abs(value) > MAX_MAGNITUDE:
                raise self._unfit(line, number, f"a number of size {abs(value):.3g}, over {MAX_MAGNITUDE:g}")
        return is_json, values.astype(np.float64)

    def _unfit(self, line: bytes, number: int, fault: str, *, not_finite: bool = False) -> EstimatorError:
        """The error for a line: where, what it is, and what was expected."""
        due = self._expected.text if self._form is None else f"expected {self._form.text}, as on line 1"
        return EstimatorError(
            f"standard input, line {number:,}: {_shown(line)}: {fault}; {due}", not_finite=not_finite
        )


def _number(text: str) -> object:
    """The number that a text is; the text itself where it is none."""
    return float(text) if _NUMBER.fullmatch(text) else text


def _fault(text: str, value: Any) -> str:
    """What a line has in place of a number, and what may have led to it."""
    if text.startswith("{"):
        return "a JSON object (is the program that answers missing in between?)"
    if isinstance(value, list):
        return "rows of different lengths"
    if not isinstance(value, str):
        return f"{json.dumps(value)[:MOST_SHOWN]} where a number is expected"
    if text.startswith("["):
        return "text where a number is expected"
    if not value:
        return "nothing where a number is expected"
    if all(map(_NUMBER.fullmatch, value.split())):
        return "numbers without commas"
    return "no numbers: only gradients go to standard output, all else to standard error"


def _shown(line: bytes) -> str:
    """A line for a message, cropped and in quotes."""
    text = line[: 4 * MOST_SHOWN].decode(errors="replace")
    return repr(text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 3] + "...")
