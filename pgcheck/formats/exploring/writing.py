"""Any object of Python, written down by value: equal for equal values, whatever their addresses.

All that hangs on an object is written: arrays by value, objects by their own attributes, an object that was met
before by where it was met first. Random generators are left out and gathered, since a deterministic environment does
not depend on them; so is what only draws or logs.
"""

import functools
import hashlib
import random
import struct
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import numpy as np

from pgcheck.formats.exploring.attributes import by_class, holds_attributes, ordered, own, written_text

GENERATORS = (
    np.random.Generator,
    np.random.RandomState,
    np.random.BitGenerator,
    np.random.SeedSequence,
    random.Random,
)
SEEDS = frozenset({"np_random", "_np_random", "np_random_seed", "_np_random_seed"})  # of environments and spaces
WITHOUT_STATE = frozenset({"matplotlib", "logging"})  # packages that only draw or log
SCREENS = frozenset({"Surface", "Clock", "Font"})  # of pygame, whose other classes, as Rect, may hold a state
SPECIFICATION = "gymnasium.envs.registration.EnvSpec"  # how an environment was made
ATOMS = (type, types.ModuleType, types.CodeType, property, weakref.ref)


class UnreadableError(Exception):
    """An object shows neither attributes nor a way to be saved."""


def hashed(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _integer(value: Any) -> bytes:
    return b"i%d;" % int(value)


def _float(value: Any) -> bytes:
    return b"f" + struct.pack("<d", value)


def _truth(value: Any) -> bytes:
    return b"T" if value else b"F"


# Values that hold nothing else. NumPy's usual scalars are written as the numbers of Python to which they are equal.
_PLAIN: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda value: b"N", type(...): lambda value: b"E", bool: _truth, np.bool_: _truth,
    int: _integer, np.int64: _integer, float: _float, np.float64: _float, str: written_text, np.str_: written_text,
    bytes: lambda value: b"b%d:%s" % (len(value), value), complex: lambda value: b"c" + repr(value).encode(),
}  # fmt: skip


class Writer:
    """Writes values down, those of one snapshot after each other."""

    def __init__(self) -> None:
        self.generators: list[Any] = []
        self._met: dict[int, tuple[str, int]] = {}  # objects that can change, and where they were met first
        self._kept: list[Any] = []  # what was made on the way: an address is used again when its object is gone
        self._out: list[bytes] = []
        self._place = ""

    def know(self, value: Any, place: str, number: int) -> None:
        self._met[id(value)] = place, number

    def gathers(self, value: Any) -> bool:
        """Gathers a random generator that an environment or a space draws from; whether it is none of their state."""
        if isinstance(value, GENERATORS):
            self.generators.append(value)
            return True
        return value is None or isinstance(value, int)  # not made yet, or its seed

    def digest(self, value: Any, place: str) -> bytes:
        self._out, self._place = [], place
        self._write(value)
        return hashed(b"".join(self._out))

    def _write(self, value: Any) -> None:
        kind = type(value)
        plain = _PLAIN.get(kind)
        if plain is not None:
            self._out.append(plain(value))
        elif kind is tuple:  # cannot change: which of two equal ones it is does not matter
            self._sequence(b"(", value)
        elif id(value) in self._met:
            place, number = self._met[id(value)]
            self._out.append(b"@%s %d;" % (place.encode(), number))
        elif (write := _manner(kind)) is not None:
            write(self, value)

    def _generator(self, value: Any) -> None:
        self.generators.append(value)

    def _atom(self, value: Any) -> None:
        self._out.append(b"a" + written_text(_called(value)))

    def _member(self, value: Any) -> None:
        self._out.append(b"e" + written_text(f"{_called(type(value))}.{value!r}"))

    def _object(self, value: Any) -> None:
        kind = type(value)
        self.know(value, self._place, len(self._out))
        self._out.append(_heading(kind))
        content = _content(kind)
        if content is not None:
            content(self, value)
        parts = own(value)
        for name, text in ordered(tuple(parts)):
            part = parts[name]
            if name in SEEDS and self.gathers(part):
                continue
            self._out.append(text)
            plain = _PLAIN.get(type(part))
            if plain is None:
                self._write(part)
            else:
                self._out.append(plain(part))

    def _mapping(self, value: Any) -> None:
        self._sequence(b"{", (part for item in value.items() for part in item))

    def _list(self, value: Any) -> None:
        self._sequence(b"[", value)

    def _set(self, value: Any) -> None:
        self._sequence(b"<", sorted(value, key=self._apart))

    def _scalar(self, value: Any) -> None:
        self._out.append(value.dtype.str.encode() + value.tobytes())

    def _method(self, value: Any) -> None:
        self._sequence(b"m", (value.__func__, value.__self__))

    def _builtin(self, value: Any) -> None:
        self._sequence(b"m", (value.__qualname__, value.__self__))

    def _sequence(self, mark: bytes, values: Iterable[Any]) -> None:
        self._out.append(mark)
        for value in values:
            plain = _PLAIN.get(type(value))
            if plain is None:
                self._write(value)
            else:
                self._out.append(plain(value))
        self._out.append(b")")

    def _array(self, value: Any) -> None:
        self._out.append(b"%s%s" % (_dtype(value.dtype), repr(value.shape).encode()))
        if value.dtype.hasobject:
            self._sequence(b"[", value.ravel().tolist() if value.dtype.fields is None else value.tolist())
        else:
            self._out.append(value.tobytes())

    def _apart(self, value: Any) -> bytes:
        """What orders the members of a set: each by itself, whatever else holds it."""
        writer = Writer()
        writer._met = dict(self._met)
        found = writer.digest(value, self._place)
        self.generators += writer.generators
        return found

    def _function(self, value: types.FunctionType) -> None:
        """A function is its code and what it has closed over; copies share it."""
        cells = [cell.cell_contents for cell in value.__closure__ or () if _filled(cell)]
        code = value.__code__
        self._out.append(written_text(f"{code.co_filename}:{code.co_firstlineno}:{_called(value)}"))
        self._sequence(b"&", (cells, value.__defaults__, value.__kwdefaults__))
        self._kept.append(cells)

    def _reduced(self, value: Any) -> None:
        """An object of a compiled class, as it would be saved."""
        try:
            parts = value.__reduce_ex__(4)
        except Exception as error:
            raise UnreadableError(f"attribute {self._place} holds a {_called(type(value))}: {error}") from None
        if isinstance(parts, tuple):
            parts = tuple(list(part) if hasattr(part, "__next__") else part for part in parts)
        self._kept.append(parts)
        self._write(parts)


@by_class
def _manner(kind: type) -> Callable[[Writer, Any], None] | None:
    """How objects of a class are written down; None for those that are no part of a state."""
    if issubclass(kind, GENERATORS):
        return Writer._generator
    if issubclass(kind, Enum):
        return Writer._member
    if issubclass(kind, ATOMS):
        return Writer._atom
    package = kind.__module__.partition(".")[0]
    drawn = package == "pygame" and kind.__qualname__ in SCREENS
    apart = drawn or package in WITHOUT_STATE or _called(kind) == SPECIFICATION
    return None if apart else Writer._object


@by_class
def _content(kind: type) -> Callable[[Writer, Any], None] | None:
    """How what an object of a class holds is written down, besides its attributes; None where it holds nothing."""
    for base in (int, float, str, bytes):
        if issubclass(kind, base) and not issubclass(kind, np.generic):
            return lambda writer, value: writer._out.append(_PLAIN[base](value))
    for bases, write in _CONTENTS:
        if issubclass(kind, bases):
            return write
    alike = all(getattr(kind, name) is getattr(object, name) for name in ("__reduce__", "__reduce_ex__"))
    return None if alike and holds_attributes(kind) else Writer._reduced


_CONTENTS: list[tuple[Any, Callable[[Writer, Any], None]]] = [
    (np.ndarray, Writer._array), (dict, Writer._mapping), ((list, tuple, deque), Writer._list),
    ((set, frozenset), Writer._set), (np.generic, Writer._scalar), (types.FunctionType, Writer._function),
    (types.MethodType, Writer._method), (types.BuiltinFunctionType, Writer._builtin),
]  # fmt: skip


@functools.lru_cache(1_000)
def _dtype(dtype: Any) -> bytes:
    return str(dtype.descr).encode()


@by_class
def _heading(kind: type) -> bytes:
    return written_text(_called(kind))


def _filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _called(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
