"""Draws of NumPy: by its global generator, by those made during a run, and by those in variables of modules."""

import functools
import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from pgcheck.external.draws.noise import Noise, reseed
from pgcheck.external.draws.numpy_generators import (
    AnsweringGenerator,
    AnsweringRandomState,
    seed_of,
    seeded,
    state_of_legacy,
    watch,
    watched,
)  # fmt: skip
from pgcheck.external.draws.patches import Patch

# In an object, since variables of modules that hold it are replaced during a run.
_NUMPYS = SimpleNamespace(default_rng=np.random.default_rng, seed=np.random.seed)
_twins: list[AnsweringRandomState] = []  # of generators that exist

_FUNCTIONS = (
    "choice", "randint", "random_integers", "permutation", "shuffle", "binomial", "multinomial", "hypergeometric",
)  # fmt: skip


def default_rng(seed: Any = None) -> np.random.Generator:
    """Stands in for numpy.random.default_rng; what it makes of a generator that exists shares that one's state."""
    if type(seed) is AnsweringGenerator:
        return seed
    return AnsweringGenerator(_NUMPYS.default_rng(seed_of(seed)).bit_generator)


def patches() -> list[Patch]:
    """Returns what stands in for NumPy's functions, its generators and those in variables of modules."""
    answering = AnsweringRandomState(_global()._bit_generator)
    _twins[:] = [answering]
    return [
        *(Patch(np.random, name, getattr(answering, name)) for name in _FUNCTIONS if hasattr(np.random, name)),
        Patch(np.random, "seed", functools.partial(seeded, _global(), _NUMPYS.seed)),
        Patch(np.random, "default_rng", default_rng),
        Patch(np.random, "Generator", AnsweringGenerator),
        Patch(np.random, "RandomState", AnsweringRandomState),
        *(Patch(module, name, _twin(value, answering)) for module, name, value in _in_modules()),
    ]


def generators() -> list[tuple[str, Callable[[], object]]]:
    """Returns the name of each generator, and what gives its state: the global one, then those of this run."""
    made = [(entry.name, entry.state) for entry in watched if entry.generator is not _global()]
    return [("numpy.random", functools.partial(state_of_legacy, _global())), *made]


def drawn() -> list[str]:
    """Returns the names of the generators that have drawn for themselves in this run; seeding one is no draw."""
    return [entry.name for entry in watched if entry.drawn()]


def forget() -> None:
    """Begins a new run: no generator has been made yet, and the global one has not drawn."""
    watched.clear()
    watch("numpy.random", _global(), functools.partial(state_of_legacy, _global()))


def reseeded(noise: Noise) -> None:
    """Lets the generators that a sampled run has made so far draw other numbers."""
    done: list[Any] = [_global()._bit_generator]
    for entry in watched:
        bits = getattr(entry.generator, "_bit_generator", None)
        if all(bits is not it for it in done):
            reseed(entry.generator, noise)
            done.append(bits)
    for twin in _twins:  # it holds a normal number back of its own
        if (state := twin.get_state(legacy=False))["has_gauss"]:
            twin.set_state({**state, "has_gauss": 0, "gauss": 0.0})


def _global() -> Any:
    return np.random.get_state.__self__  # type: ignore[attr-defined]


def _in_modules() -> Iterator[tuple[ModuleType, str, Any]]:
    for module in [*sys.modules.values()]:
        if isinstance(module, ModuleType) and not module.__name__.startswith("pgcheck."):
            for name, value in [*vars(module).items()]:
                if type(value) in (AnsweringGenerator.stands_for, AnsweringRandomState.stands_for):
                    yield module, name, value


def _twin(value: Any, answering: AnsweringRandomState) -> Any:
    """Returns a generator that shares the state of one that exists, and whose draws are answered."""
    if value is _global():
        return answering
    if isinstance(value, AnsweringGenerator):
        return AnsweringGenerator(value.bit_generator)
    _twins.append(AnsweringRandomState(value._bit_generator))
    return _twins[-1]
