"""Draws of the standard library's random: by its functions, and by every instance of Random.

What draws from a finite set is answered, also by SystemRandom and by secrets. A few modules of the library draw for
themselves: the names of tempfile are no draws of the user's code.
"""

import functools
import os
import random
import sys
import sysconfig
from collections.abc import Callable, Sequence
from itertools import pairwise
from types import FrameType, MethodType
from typing import Any

from pgcheck.external.draws.answers import asked, under_way
from pgcheck.external.draws.finite import one_of, place, shuffle_by_swaps
from pgcheck.external.draws.noise import Noise, reseed
from pgcheck.external.draws.patches import Patch

Method = Callable[..., Any]
_LIBRARY = sysconfig.get_path("stdlib") + os.sep
_NAMING = tuple(f"{_LIBRARY}{name}" for name in ("tempfile.py", "email", "mailbox.py", "multiprocessing", "asyncio"))
_OF_SAMPLE = random.Random.sample.__code__

_drawn: list[str] = []
_made: list[random.Random] = []  # in a sampled run, before the update
_before: list[object] = []  # the state of the global generator when the run began, or when it was seeded


def patches() -> list[Patch]:
    """Returns what stands in for methods of Random and SystemRandom, and for the functions that hold them."""
    instance = random.sample.__self__  # type: ignore[attr-defined]
    methods: dict[str, Method] = {"sample": _sample, "choices": _choices, "shuffle": _shuffle}
    answered = {name: _answered(method, random.Random, name) for name, method in methods.items()}
    standing_in: list[tuple[type, str, Method]] = [
        (random.Random, "_randbelow", _below),
        (random.SystemRandom, "_randbelow", _below),
        (random.Random, "random", _noted),
        (random.Random, "getrandbits", _noted),
        (random.SystemRandom, "random", _refused),
        (random.SystemRandom, "getrandbits", _refused),
    ]
    return [
        *(Patch(owner, name, _answered(method, owner, name)) for owner, name, method in standing_in),
        *(Patch(random.Random, name, method) for name, method in answered.items()),
        *(Patch(random, name, MethodType(method, instance)) for name, method in answered.items()),
        Patch(random, "seed", functools.partial(_seeded, random.seed)),
        Patch(random.Random, "seed", _answered(_seeded_anew, random.Random, "seed")),
    ]


def generators() -> list[tuple[str, Callable[[], object]]]:
    """Returns the name of the global generator, and what gives its state."""
    return [("random", random.getstate)]


def drawn() -> list[str]:
    """Returns what has drawn for itself in this run; seeding is no draw.

    The global generator by its name, instances of Random with FILE:LINE.
    """
    has_drawn = _before and random.getstate() != _before[0]
    return [*dict.fromkeys([*_drawn, *(["random"] if has_drawn else [])])]


def forget() -> None:
    """Begins a new run: nothing has been drawn yet."""
    _drawn.clear()
    _made.clear()
    _before[:] = [random.getstate()]


def reseeded(noise: Noise) -> None:
    """Lets the generators that a sampled run has made so far draw other numbers."""
    for generator in {id(it): it for it in _made}.values():
        reseed(generator, noise)


def _seeded(original: Method, *args: Any, **kwargs: Any) -> None:
    _drawn.extend(name for name in drawn() if name not in _drawn)
    original(*args, **kwargs)
    _before[:] = [random.getstate()]


def _seeded_anew(original: Method, self: Any, *args: Any, **kwargs: Any) -> None:
    answers = asked()
    original(self, *args, **kwargs)
    if answers.noise is not None and answers.is_making:
        _made.append(self)
    elif answers.noise is not None:
        reseed(self, answers.noise)


def _answered(method: Method, owner: type, name: str) -> Method:
    """Returns a method that is `original` where no run is under way, and for the library's own modules."""
    original = getattr(owner, name)

    @functools.wraps(original, assigned=("__name__", "__doc__"), updated=())
    def either(self: Any, *args: Any, **kwargs: Any) -> Any:
        if under_way() is None or _is_of_the_library(sys._getframe(1)):
            return original(self, *args, **kwargs)
        return method(original, self, *args, **kwargs)

    return either


def _below(original: Method, self: Any, n: int) -> int:
    if (
        sys._getframe(2).f_code is _OF_SAMPLE and asked().noise is None
    ):  # it draws again what it has, for ever if the answer stays the same
        asked().refuse(f"{place()}: random.sample was kept from before the run; call it as random.sample(...)")
    return one_of(n, "a generator of random")


def _sample(original: Method, self: Any, population: Any, k: int, *, counts: Any = None) -> list[Any]:
    if counts is not None or not isinstance(population, Sequence) or not 0 <= k <= len(population):
        return original(self, population, k, counts=counts)  # type: ignore[no-any-return]
    return [population[member] for member in asked().subset(len(population), k)]


def _shuffle(original: Method, self: Any, x: Any) -> None:
    shuffle_by_swaps(x)


def _choices(
    original: Method, self: Any, population: Any, weights: Any = None, *, cum_weights: Any = None, k: int = 1
) -> list[Any]:
    n = len(population)
    if weights is None and cum_weights is None and n:
        return [population[one_of(n, "random.choices")] for _ in range(k)]
    if n == 0 or isinstance(weights, int) or k < 1:
        return original(self, population, weights, cum_weights=cum_weights, k=k)  # type: ignore[no-any-return]
    weights = None if weights is None else [*weights]
    original(self, population, weights, cum_weights=cum_weights, k=0)  # raises the errors
    if weights is None:
        weights = [after - before for before, after in pairwise([0, *cum_weights])]
    weights = [float(weight) for weight in weights]
    return [population[asked().choose(weights)] for _ in range(k)]


def _noted(original: Method, self: Any, *args: Any) -> Any:
    if asked().noise is not None:
        return original(self, *args)
    _drawn.append(f"{place()}: random.Random.{original.__name__}")
    return original(self, *args)


def _refused(original: Method, self: Any, *args: Any) -> Any:
    if asked().noise is not None:
        return original(self, *args)
    asked().refuse(
        f"{place()}: random.SystemRandom.{original.__name__} draws from the operating system: "
        "no other run can draw the same; use random.Random with a seed"
    )


def _is_of_the_library(frame: FrameType | None) -> bool:
    """Whether a module of the standard library draws for itself, and not random on behalf of its caller."""
    while frame is not None and frame.f_code.co_filename in (_OF_SAMPLE.co_filename, __file__):
        frame = frame.f_back
    return frame is not None and _is_library(frame.f_code.co_filename)


@functools.lru_cache(maxsize=4096)
def _is_library(file: str) -> bool:
    """Whether a file is one of the standard library's that makes names for itself, of files and messages."""
    return file.startswith(_NAMING)
