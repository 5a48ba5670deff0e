"""The key of a state: equal for equal states, whatever their addresses; different where anything differs."""

import copy
import functools
import random
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from pgcheck.formats.exploring.state import digest, snapshot
from pgcheck.formats.exploring.writing import UnreadableError


class Colour(Enum):
    RED = 1
    BLUE = 2


class Box:
    def __init__(self, **parts: Any) -> None:
        self.__dict__.update(parts)


class Slots:
    __slots__ = ("__hidden", "shown")

    def __init__(self, shown: Any, hidden: Any) -> None:
        self.shown, self.__hidden = shown, hidden


class Child(Slots):
    def __init__(self, shown: Any, hidden: Any, own: Any) -> None:
        super().__init__(shown, hidden)
        self.own = own


@dataclass(frozen=True)
class Point:
    x: int
    y: Any = None


class Named(dict[str, int]):
    name = ""


class Whole(int):
    tag: Any = None


def shared() -> list[Any]:
    one = [1]
    return [one, one]


def cyclic(number: int) -> list[Any]:
    ring: list[Any] = [number]
    ring.append(ring)
    return ring


def tagged(kind: Callable[..., Any], content: Any, **tags: Any) -> Any:
    made = kind(content)
    made.__dict__.update(tags)
    return made


def counting(start: int) -> Callable[[], int]:
    kept = [start]

    def count() -> int:
        kept[0] += 1
        return kept[0]

    return count


# Each is made twice: the values of a row are alike to themselves, and to no other of any row.
DIFFERENT: dict[str, list[Callable[[], Any]]] = {
    "numbers": [lambda: 0, lambda: 1, lambda: -1, lambda: 10**30, lambda: 0.5, lambda: -0.0, lambda: 1j],
    "texts": [lambda: "", lambda: "1", lambda: b"1", lambda: "\ud800", lambda: bytearray(b"1")],
    "single ones": [lambda: None, lambda: ..., lambda: True, lambda: False],
    "sequences": [
        lambda: [], lambda: (), lambda: [1, 2], lambda: (1, 2), lambda: [2, 1], lambda: [[1], 2], lambda: [[1, 2]],
        lambda: ["1", "2"], lambda: ["1s1:2"], lambda: deque([1, 2]), lambda: [1, [2]], lambda: range(2),
    ],
    "mappings": [
        lambda: {}, lambda: {1: 2}, lambda: {2: 1}, lambda: {1: 2, 2: 1}, lambda: OrderedDict({1: 2}),
        lambda: defaultdict(int, {1: 2}), lambda: Counter({1: 2}), lambda: {(1, 2): 3}, lambda: {1: (2, 3)},
    ],
    "sets": [lambda: set(), lambda: {1, 2}, lambda: {1, 3}, lambda: frozenset({1, 2}), lambda: {"a", "b", "c"}],
    "arrays": [
        lambda: np.zeros(2), lambda: np.zeros(2, np.float32), lambda: np.zeros((2, 1)), lambda: np.ones(2),
        lambda: np.zeros(0), lambda: np.arange(6).reshape(2, 3), lambda: np.arange(6).reshape(2, 3).T,
        lambda: np.array([[1], None], dtype=object), lambda: np.array([[2], None], dtype=object),
        lambda: np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]), lambda: np.float32(1), lambda: np.int8(1),
        lambda: np.datetime64("2020-01-01"), lambda: np.ma.masked_array([1, 2], [False, True]),
        lambda: np.ma.masked_array([1, 2], [True, False]),
    ],
    "objects": [
        lambda: Box(), lambda: Box(a=1), lambda: Box(b=1), lambda: Box(a=2), lambda: Box(a=Box(b=1)),
        lambda: Point(1), lambda: Point(1, [2]), lambda: Slots(1, 2), lambda: Slots(1, 3), lambda: Slots(2, 2),
        lambda: Child(1, 2, 3), lambda: Child(1, 2, 4), lambda: Child(1, 4, 3),
        lambda: tagged(Named, {"a": 1}, name="x"), lambda: tagged(Named, {"a": 1}, name="y"),
        lambda: tagged(Named, {"a": 2}, name="x"),
        lambda: tagged(Whole, 1, tag=2), lambda: tagged(Whole, 1, tag=3), lambda: tagged(Whole, 2, tag=2),
        lambda: Colour.RED, lambda: Colour.BLUE, lambda: Colour, lambda: Box, lambda: np, lambda: date(2020, 1, 1),
        lambda: date(2020, 1, 2), lambda: Fraction(1, 2), lambda: Fraction(1, 3),
    ],
    "what hangs together": [
        shared, lambda: [[1], [1]], lambda: cyclic(1), lambda: cyclic(2), lambda: [cyclic(1)],
        lambda: Box(a=(one := [1]), b=one), lambda: Box(a=[1], b=[1]),
    ],
    "functions": [
        lambda: counting(1), lambda: counting(2), lambda: functools.partial(max, 1),
        lambda: functools.partial(max, 2), lambda: [1, 2].append, lambda: [1].append, lambda: [1].pop,
        lambda: Fraction(1, 2).limit_denominator, lambda: Fraction(1, 3).limit_denominator, lambda: max, lambda: min,
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", DIFFERENT)
def test_values_are_alike_where_they_are_equal_alone(kind: str) -> None:
    keys = [digest(make()) for make in DIFFERENT[kind]]
    assert keys == [digest(make()) for make in DIFFERENT[kind]]
    assert keys == [digest(copied(make())) for make in DIFFERENT[kind]]
    assert len(set(keys)) == len(keys)


def copied(value: Any) -> Any:
    return value if isinstance(value, types.ModuleType) else copy.deepcopy(value)


def test_no_two_kinds_of_values_are_alike() -> None:
    keys = [digest(make()) for makes in DIFFERENT.values() for make in makes]
    assert len(set(keys)) == len(keys)


def test_numbers_of_numpy_are_the_equal_numbers_of_python() -> None:
    for one, other in ((1, np.int64(1)), (0.5, np.float64(0.5)), (True, np.True_), ("a", np.str_("a"))):
        assert digest(one) == digest(other)


def test_the_order_in_which_attributes_and_members_were_set_does_not_matter() -> None:
    assert digest(Box(a=1, b=2)) == digest(Box(b=2, a=1))
    more = set(map(str, range(1000)))
    assert digest({"a", "b", "c"}) == digest({"a", "b", "c", *more} - more)


@pytest.mark.parametrize(
    "make", [np.random.default_rng, np.random.RandomState, np.random.PCG64, np.random.SeedSequence, random.Random]
)
def test_random_generators_are_gathered_and_no_part_of_the_key(make: Callable[[int], Any]) -> None:
    one, other = (snapshot(Box(rng=make(seed), deep=[{"rng": make(seed)}], cell=1)) for seed in (1, 2))
    assert one.key == other.key
    assert [type(generator) for generator in one.generators] == [type(make(0))] * 2
    assert snapshot(Box(rng=make(1), deep=[{"rng": make(1)}], cell=2)).key != one.key


def test_the_seeds_of_an_environment_are_no_state_but_a_generator_of_its_own_is() -> None:
    def key(generator: Any, seed: Any) -> bytes:
        return snapshot(Box(_np_random=generator, _np_random_seed=seed, space=Box(_np_random=generator))).key

    assert key(None, None) == key(np.random.default_rng(0), 0) == key(np.random.default_rng(1), 1)
    assert key(Box(state=1), None) != key(Box(state=2), None)


def test_attributes_that_differ_are_named() -> None:
    inner = Box(cell=1, item=[1])
    one = snapshot(Wrapper(inner, 1))
    assert one.differing(snapshot(Wrapper(inner, 1))) == []
    assert one.differing(snapshot(Wrapper(Box(cell=2, item=[1]), 1))) == ["cell"]
    assert one.differing(snapshot(Wrapper(Box(cell=1, item=[2], more=0), 2))) == ["Wrapper.count", "item", "more"]


class Wrapper:
    def __init__(self, env: Any, count: int) -> None:
        self.env, self.count = env, count

    @property
    def unwrapped(self) -> Any:
        return getattr(self.env, "unwrapped", self.env)


def test_what_does_not_show_its_content_is_refused() -> None:
    with pytest.raises(UnreadableError, match=r"attribute value holds a builtins\.generator"):
        digest(number for number in range(3))
