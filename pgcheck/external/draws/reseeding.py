"""What lets all generators draw other numbers in each sampled run, although the agent begins alike.

Once the agent is made, generators are seeded anew by their states and by the run: the global ones, those that exist,
and those that the agent has made. What seeds one later is followed by that too. Weights that are initialised during
the update come from a stream of their own, which is the same in each run.
"""

import random
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pgcheck.external.draws import of_numpy, of_random
from pgcheck.external.draws.noise import Noise, digest_of, reseed, set_state, state_of
from pgcheck.external.draws.torch_generators import Generators

SEEDING = ("seed", "manual_seed")  # the functions that seed a global generator; the others give it a state back

_RANDOM: Any = random.seed.__self__  # type: ignore[attr-defined]
_NUMPY: Any = np.random.get_state.__self__  # type: ignore[attr-defined]


class Reseeding:
    """Reseeds generators in sampled runs.

    Args:
      existing: those that exist, other than the global ones.
      of_torch: those of torch that a run makes.
    """

    def __init__(self, existing: Sequence[Any], of_torch: Generators) -> None:
        own = {id(_bits(thing)): thing for thing in existing}  # several generators of NumPy may share their state
        own.pop(id(_bits(_NUMPY)), None)
        states = [state_of(thing) for thing in own.values()]
        self._existing = [(it, state, digest_of(state)) for it, state in zip(own.values(), states, strict=True)]
        self._of_torch = of_torch
        self._noise: Noise | None = None
        self._initial: Any = None  # the state of torch's generator for weights

    @property
    def is_under_way(self) -> bool:
        """Whether the update of a sampled run is under way."""
        return self._noise is not None

    def end(self) -> None:
        """Ends a run; the next one makes its agent first."""
        self._noise = None

    def restore(self) -> None:
        """Gives the generators that exist the states back which they had before all runs."""
        for thing, state, _ in self._existing:
            set_state(thing, state)

    def begin(self, noise: Noise) -> None:
        """Begins the update of a sampled run."""
        self._noise = noise
        for thing in (_RANDOM, _NUMPY):
            reseed(thing, noise, b"global")
        if (torch := _torch()) is not None:
            self._initial = torch.default_generator.get_state()
            reseed(torch.default_generator, noise, b"global")
        for thing, _, digest in self._existing:
            reseed(thing, noise, digest)
        of_random.reseeded(noise)
        of_numpy.reseeded(noise)
        self._of_torch.reseed(noise)

    def called(self, function: Callable[..., Any], owner: Any, *args: Any, **kwargs: Any) -> Any:
        """Calls a function that seeds a global generator or gives it a state, and returns what that returns."""
        result = function(*args, **kwargs)
        if self._noise is not None and getattr(function, "__name__", "") in SEEDING:
            if owner is random or owner is np.random:
                reseed(_RANDOM if owner is random else _NUMPY, self._noise)
            elif (torch := _torch()) is not None:
                self._initial = torch.default_generator.get_state()
                reseed(torch.default_generator, self._noise)
        return result

    def initialised(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls a function that initialises weights."""
        generator = sys.modules["torch"].default_generator
        noisy = generator.get_state()
        generator.set_state(self._initial)
        try:
            return function(*args, **kwargs)
        finally:
            self._initial = generator.get_state()
            generator.set_state(noisy)


def _bits(thing: Any) -> Any:
    """What holds a generator's state: of NumPy's, an object that others may use too."""
    return getattr(thing, "_bit_generator", thing)


def _torch() -> Any:
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "default_generator") else None
