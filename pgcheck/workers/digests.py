"""Digests of what a computation is made of: the same for the same content, in any process and at any time.

The bytes of a pickle would not do: they depend on which equal objects are one object, on the order of sets, and on
what an object has worked out and kept so far. Here the content is read: numbers and texts as they are, arrays by
their type, shape and elements, dataclasses by their fields, policies by θ and π, functions and classes by their name,
and any other object by what pickle would rebuild it from, without what its cached properties hold.
"""

import dataclasses
import functools
import hashlib
import itertools
import types
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

PLAIN = {type(None), bool, float, complex, str, bytes}  # that differ exactly if their texts differ


def digest_of(*things: object) -> str:
    """Returns the SHA-256 of things in hexadecimal: models, policies, tasks, parts, and whatever they consist of.

    Raises:
      TypeError: something cannot be pickled, and is neither a dataclass, a policy, a function nor a class.
    """
    return _digest(things, ()).hex()


def file_digest(path: str) -> str:
    """Returns the SHA-256 of a file in hexadecimal: of the source of a user's estimator, say.

    Raises:
      OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(thing: Any, above: tuple[int, ...]) -> bytes:
    """The digest of a thing inside of others, which are known by their identity."""
    state = hashlib.sha256()
    if id(thing) in above:
        state.update(b"the %d above" % above[::-1].index(id(thing)))
        return state.digest()
    for item in _content(thing, (*above, id(thing))):
        state.update(b"%d:" % len(item))  # so that no two contents run together to the same bytes
        state.update(item)
    return state.digest()


def _content(thing: Any, above: tuple[int, ...]) -> Iterator[bytes]:
    """What a thing is, first its type."""
    kind = type(thing)
    yield f"{kind.__module__}.{kind.__qualname__}".encode()
    if kind in PLAIN or (kind is tuple and _is_plain(thing)):
        yield repr(thing).encode()
    elif kind is int:
        yield b"%x" % thing  # of any length, unlike decimal digits
    elif kind in (tuple, list):
        for item in thing:
            yield _digest(item, above)
    elif kind in (set, frozenset):
        yield from sorted(_digest(item, above) for item in thing)
    elif kind is dict:
        for key, value in thing.items():
            yield _digest(key, above)
            yield _digest(value, above)
    elif isinstance(thing, np.ndarray | np.generic):
        yield f"{thing.dtype.str} {thing.shape}".encode()
        yield _digest(thing.tolist(), above) if thing.dtype.hasobject else thing.tobytes()
    elif isinstance(thing, type | types.FunctionType | types.BuiltinFunctionType):
        if "<" in thing.__qualname__:
            raise TypeError(f"{thing.__qualname__} has no name of its own, and cannot be pickled")
        yield f"{thing.__module__}.{thing.__qualname__}".encode()
    elif dataclasses.is_dataclass(thing):
        for field in dataclasses.fields(thing):
            yield _digest(getattr(thing, field.name), above)
    elif all(hasattr(thing, name) for name in ("theta", "parameters", "probs", "pullback")):
        yield _digest((thing.theta, thing.parameters, thing.probs()), above)
    else:
        yield _digest(_rebuilt_from(thing), above)


def _is_plain(items: Collection[Any]) -> bool:
    """Whether a tuple holds texts and numbers, or tuples of them, all as deep: millions of names are quickly read."""
    kinds = set(map(type, items))
    return kinds <= PLAIN or (kinds == {tuple} and _is_plain([*itertools.chain.from_iterable(items)]))


def _rebuilt_from(thing: Any) -> object:
    """What pickle would rebuild an object from, without what cached properties hold."""
    reduced = thing.__reduce_ex__(4)
    if isinstance(reduced, str):
        return reduced
    function, arguments, *rest = reduced
    return function, arguments, [_without_cached(thing, item) if item is not None else None for item in rest]


def _without_cached(thing: object, item: Any) -> object:
    """What follows the arguments in pickle's account of an object: its state, or an iterator of its items."""
    if not isinstance(item, dict):
        return list(item) if isinstance(item, Iterator) else item
    kinds = type(thing).__mro__
    properties = {name: value for kind in kinds for name, value in vars(kind).items()}
    return {k: v for k, v in item.items() if not isinstance(properties.get(k), functools.cached_property)}
