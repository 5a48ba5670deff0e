"""The attributes that objects of Python have of their own."""

import functools
from collections.abc import Callable
from operator import itemgetter
from typing import Any, TypeVar

T = TypeVar("T")


def by_class(function: Callable[[type], T]) -> Callable[[type], T]:
    """Lets a function of classes be asked once for each class."""
    return functools.cache(function)


def attributes(value: Any) -> list[tuple[str, Any]]:
    """Returns what `own` returns, in order."""
    return sorted(own(value).items(), key=itemgetter(0))


def own(value: Any) -> dict[str, Any]:
    """Returns the attributes of an object that are its own, in `__dict__` or in slots, by name."""
    found: dict[str, Any] = getattr(value, "__dict__", {})
    if slots := _slots(type(value)):
        found = dict(found) | {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return found


@functools.lru_cache(10_000)
def ordered(names: tuple[str, ...]) -> list[tuple[str, bytes]]:
    """Returns names in their order, and as they are written down."""
    return [(name, written_text(name)) for name in sorted(names)]


@by_class
def _slots(kind: type) -> tuple[str, ...]:
    """The names under which the slots of a class and of its bases are found."""
    names: list[str] = []
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            private = name.startswith("__") and not name.endswith("__")
            names.append(f"_{base.__name__.lstrip('_')}{name}" if private else name)
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))


def holds_attributes(kind: type) -> bool:
    """Returns whether objects of a class have attributes of their own."""
    return bool(kind.__dictoffset__ or _slots(kind))


def written_text(value: str) -> bytes:
    """Returns a text as it is written down."""
    data = value.encode("utf-8", "surrogatepass")
    return b"s%d:%s" % (len(data), data)
