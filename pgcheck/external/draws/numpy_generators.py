"""Generators of NumPy whose draws from finite sets are answered.

The types of NumPy's generators cannot be changed, so a run gets subclasses of them. Normal numbers and the like are
drawn as ever, and the states of the generators tell of it.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pgcheck.external.draws.answers import under_way
from pgcheck.external.draws.noise import reseed
from pgcheck.external.draws.numpy_arrays import (
    SPARE,
    SPARE_LEGACY,
    choice,
    each,
    one_binomial,
    one_hypergeometric,
    one_integer,
    one_number,
    permutation,
    permuted,
    rows,
    shuffle,
)  # fmt: skip

Method = Callable[..., Any]


@dataclass(eq=False)
class Watched:
    """A generator during a run.

    Attributes:
      name: for messages.
      generator: kept alive: one that is gone could not tell that it has drawn.
      state: gives its state, for comparisons.
      before: the state when it was made or seeded.
      has_drawn: whether it had another state when it was seeded anew.
    """

    name: str
    generator: Any
    state: Callable[[], object]
    before: object = None
    has_drawn: bool = False

    def seeded(self, seed: Method, *args: Any, **kwargs: Any) -> Any:
        """Calls a method that seeds the generator: no draw."""
        self.has_drawn = self.drawn()
        result = seed(*args, **kwargs)
        self.before = self.state()
        return result

    def drawn(self) -> bool:
        """Whether it has drawn for itself."""
        return self.has_drawn or self.state() != self.before


watched: list[Watched] = []


def _during_a_run(original: Any) -> Callable[[Method], Method]:
    """Makes a method that is NumPy's own one where no run is under way."""

    def of(method: Method) -> Method:
        @functools.wraps(original, assigned=("__name__", "__doc__"), updated=())
        def either(self: Any, *args: Any, **kwargs: Any) -> Any:
            return (original if under_way() is None else method)(self, *args, **kwargs)

        return either

    return of


class _StandsIn(type):
    """Lets every generator of NumPy be an instance of the class that stands in for its own during a run."""

    def __instancecheck__(cls, instance: object) -> bool:
        return cls.__subclasscheck__(type(instance))

    def __subclasscheck__(cls, subclass: type) -> bool:
        return (
            issubclass(subclass, vars(cls)["stands_for"])
            if "stands_for" in vars(cls)
            else super().__subclasscheck__(subclass)
        )


class AnsweringGenerator(np.random.Generator, metaclass=_StandsIn):
    """A Generator of NumPy whose draws from finite sets are answered while a run is under way."""

    stands_for = np.random.Generator

    def __init__(self, bit_generator: Any) -> None:
        super().__init__(bit_generator)
        if under_way() is not None:
            watch("numpy.random.Generator", self, lambda: repr(bit_generator.state))

    def __reduce__(self) -> Any:
        return type(self), (self.bit_generator,)

    def spawn(self, n_children: int) -> Any:
        return [type(self)(child.bit_generator) for child in super().spawn(n_children)]

    @_during_a_run(np.random.Generator.choice)
    def choice(self, a: Any, size: Any = None, replace: Any = True, p: Any = None, axis: int = 0,
               shuffle: bool = True) -> Any:  # fmt: skip
        settings = {} if axis == 0 and shuffle else {"axis": axis, "shuffle": shuffle}
        return choice(SPARE.choice, a, size, replace, p, settings)

    @_during_a_run(np.random.Generator.integers)
    def integers(self, low: Any, high: Any = None, size: Any = None, dtype: Any = np.int64,
                 endpoint: bool = False) -> Any:  # fmt: skip
        first, last = (0, low) if high is None else (low, high)
        if size is None and (number := one_number(first, last, dtype, int(endpoint))) is not None:
            return number
        return each(SPARE.integers(low, high, size, dtype, endpoint), one_integer, first, last, int(endpoint))

    @_during_a_run(np.random.Generator.permutation)
    def permutation(self, x: Any, axis: int = 0) -> Any:
        return permutation(SPARE.permutation(x, axis), x, axis)

    @_during_a_run(np.random.Generator.permuted)
    def permuted(self, x: Any, *, axis: int | None = None, out: Any = None) -> Any:
        source = np.array(x)
        return permuted(SPARE.permuted(x, axis=axis, out=out), source, axis)

    @_during_a_run(np.random.Generator.shuffle)
    def shuffle(self, x: Any, axis: int = 0) -> None:
        shuffle(SPARE.shuffle, x, axis)

    @_during_a_run(np.random.Generator.binomial)
    def binomial(self, n: Any, p: Any, size: Any = None) -> Any:
        return each(SPARE.binomial(n, p, size), one_binomial, n, p)

    @_during_a_run(np.random.Generator.multinomial)
    def multinomial(self, n: Any, pvals: Any, size: Any = None) -> Any:
        return rows(SPARE.multinomial(n, pvals, size), n, pvals)

    @_during_a_run(np.random.Generator.hypergeometric)
    def hypergeometric(self, ngood: Any, nbad: Any, nsample: Any, size: Any = None) -> Any:
        return each(SPARE.hypergeometric(ngood, nbad, nsample, size), one_hypergeometric, ngood, nbad, nsample)


class AnsweringRandomState(np.random.RandomState, metaclass=_StandsIn):
    """A RandomState of NumPy whose draws from finite sets are answered while a run is under way."""

    stands_for = np.random.RandomState

    def __init__(self, seed: Any = None) -> None:
        super().__init__(seed_of(seed))
        if under_way() is not None:
            watch("numpy.random.RandomState", self, lambda: state_of_legacy(self))

    def __reduce__(self) -> Any:
        return type(self), (self._bit_generator,), self.get_state(legacy=False)

    def seed(self, *args: Any, **kwargs: Any) -> None:
        seeded(self, super().seed, *args, **kwargs)

    @_during_a_run(np.random.RandomState.choice)
    def choice(self, a: Any, size: Any = None, replace: Any = True, p: Any = None) -> Any:
        return choice(SPARE_LEGACY.choice, a, size, replace, p, {})

    @_during_a_run(np.random.RandomState.randint)
    def randint(self, low: Any, high: Any = None, size: Any = None, dtype: Any = int) -> Any:
        first, last = (0, low) if high is None else (low, high)
        if size is None and (number := one_number(first, last, dtype, 0)) is not None:
            return number
        return each(SPARE_LEGACY.randint(low, high, size, dtype), one_integer, first, last, 0)

    @_during_a_run(getattr(np.random.RandomState, "random_integers", None))  # deprecated since NumPy 1.11
    def random_integers(self, low: Any, high: Any = None, size: Any = None) -> Any:
        first, last = (1, low) if high is None else (low, high)
        return each(SPARE_LEGACY.random_integers(low, high, size), one_integer, first, last, 1)

    @_during_a_run(np.random.RandomState.permutation)
    def permutation(self, x: Any) -> Any:
        return permutation(SPARE_LEGACY.permutation(x), x, 0)

    @_during_a_run(np.random.RandomState.shuffle)
    def shuffle(self, x: Any) -> None:
        shuffle(SPARE_LEGACY.shuffle, x, 0)

    @_during_a_run(np.random.RandomState.binomial)
    def binomial(self, n: Any, p: Any, size: Any = None) -> Any:
        return each(SPARE_LEGACY.binomial(n, p, size), one_binomial, n, p)

    @_during_a_run(np.random.RandomState.multinomial)
    def multinomial(self, n: Any, pvals: Any, size: Any = None) -> Any:
        return rows(SPARE_LEGACY.multinomial(n, pvals, size), n, pvals)

    @_during_a_run(np.random.RandomState.hypergeometric)
    def hypergeometric(self, ngood: Any, nbad: Any, nsample: Any, size: Any = None) -> Any:
        real = SPARE_LEGACY.hypergeometric(ngood, nbad, nsample, size)
        return each(real, one_hypergeometric, ngood, nbad, nsample)


def seed_of(seed: Any) -> Any:
    """Returns a seed; in a sampled run one of that run in place of the operating system's."""
    answers = under_way()
    is_sampled = seed is None and answers is not None and answers.noise is not None
    return answers.noise.unseeded() % 2**32 if is_sampled else seed  # type: ignore[union-attr]


def state_of_legacy(generator: Any) -> object:
    """Returns the state of a RandomState, so that it can be compared."""
    name, key, *rest = generator.get_state()
    return name, key.tobytes(), *rest


def watch(name: str, generator: Any, state: Callable[[], object]) -> None:
    """Keeps a generator and its present state, to find later whether it has drawn; a sampled run reseeds it."""
    answers = under_way()
    if answers is not None and answers.noise is not None and not answers.is_making:
        reseed(generator, answers.noise)
    watched.append(Watched(name, generator, state, state()))


def seeded(generator: Any, seed: Method, *args: Any, **kwargs: Any) -> Any:
    """Calls a method that seeds a generator, which may be watched; a sampled run reseeds it."""
    answers = under_way()
    if answers is not None and answers.noise is not None and not answers.is_making:
        result = seed(*args, **kwargs)
        reseed(generator, answers.noise)
        return result
    for entry in watched:
        if entry.generator is generator:
            return entry.seeded(seed, *args, **kwargs)
    return seed(*args, **kwargs)
