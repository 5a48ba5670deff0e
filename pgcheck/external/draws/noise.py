"""The seeds of what draws for itself in a sampled run: other ones in each run, the same whenever it is repeated.

A generator that kept the seed which the agent gives it would draw the same numbers in every run. The mean over runs
would then not be the expectation over that noise, however many runs there are, but a value for one outcome of it.
"""

import hashlib
import random
from typing import Any

import numpy as np

_C_RANDOM = random.Random.__mro__[1]  # whose methods are never replaced


class Noise:
    """Where a run's seeds come from.

    Args:
      seed: of all runs.
      number: of the run.
    """

    def __init__(self, seed: int, number: int) -> None:
        self._start = hashlib.blake2b(f"{seed} {number}".encode(), digest_size=8)
        self._unseeded = 0

    def derived(self, state: bytes) -> int:
        """Returns the seed, 0 to 2^64 − 1, that stands in for a state: equal states have equal ones in a run."""
        digest = self._start.copy()
        digest.update(state)
        return int.from_bytes(digest.digest(), "big")

    def unseeded(self) -> int:
        """Returns the seed of a generator that the code seeds from the operating system: each has another one."""
        self._unseeded += 1
        return self.derived(b"unseeded %d" % self._unseeded)


def state_of(thing: Any) -> Any:
    """Returns the state of a generator of NumPy, random or torch, for `set_state`."""
    if isinstance(thing, random.Random):
        return thing.getstate()
    if hasattr(thing, "bit_generator"):
        return thing.bit_generator.state
    return thing.get_state(legacy=False) if isinstance(thing, _legacy()) else thing.get_state()


def set_state(thing: Any, state: Any) -> None:
    """Gives a generator a state that it had."""
    if isinstance(thing, random.Random):
        thing.setstate(state)
    elif hasattr(thing, "bit_generator"):
        thing.bit_generator.state = state
    elif isinstance(thing, _legacy()):
        thing.set_state(state)
    else:
        _plain_torch(thing).set_state(thing, state)


def seed(thing: Any, number: int) -> None:
    """Seeds a generator, 0 to 2^64 − 1, and lets it forget a normal number that it holds back."""
    if isinstance(thing, random.Random):
        _C_RANDOM.seed(thing, number)  # type: ignore[attr-defined]
        thing.gauss_next = None  # type: ignore[attr-defined]
    elif hasattr(thing, "bit_generator"):
        bits = thing.bit_generator
        bits.state = type(bits)(number).state
    elif isinstance(thing, _legacy()):
        if isinstance(thing._bit_generator, np.random.MT19937):
            _legacy().seed(thing, number % 2**32)  # by far the quickest
        else:
            thing.set_state({**type(thing._bit_generator)(number).state, "has_gauss": 0, "gauss": 0.0})
    else:
        _plain_torch(thing).manual_seed(thing, number)


def reseed(thing: Any, noise: Noise, state: bytes | None = None) -> None:
    """Seeds a generator by its state, or by another one as `digest_of` gives it."""
    seed(thing, noise.derived(digest_of(state_of(thing)) if state is None else state))


def digest_of(state: Any) -> bytes:
    """Returns a state as bytes."""
    if isinstance(state, dict):
        return b"".join(key.encode() + digest_of(value) for key, value in state.items())
    if isinstance(state, np.ndarray):
        return state.tobytes()
    return bytes(state.numpy()) if hasattr(state, "numpy") else repr(state).encode()


def _legacy() -> Any:
    """NumPy's own RandomState: during a run its name stands for another class."""
    return type(np.random.get_state.__self__)  # type: ignore[attr-defined]


def _plain_torch(thing: Any) -> Any:
    """The class of torch itself, whose methods are not replaced."""
    return next(kind for kind in type(thing).__mro__ if kind.__module__.startswith("torch"))
