"""Twin copies of an environment, which differ in their random numbers alone: a step must do the same to both.

A copy has the random generators of its original in the same state, so that a random environment repeats itself.
"""

import pickle
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from pgcheck.formats.exploring.actions import Actions
from pgcheck.formats.exploring.calls import Seen, Where, stepped
from pgcheck.formats.exploring.copies import Copies

MORE_TWINS = 15  # of a step that draws random numbers
MOST_TWINS = 20_000  # after so many of them there are no more than one a step
NOT_A_FUNCTION = (
    "exploring needs steps that depend on the state and the action alone, not on random numbers, the clock, or what "
    "copies of an environment share"
)


class Twins:
    """Takes steps in twin copies.

    Attributes:
      drawn: the number of twins that drew random numbers, from the environment's generators or from those of
        `random` and `numpy.random`.
    """

    def __init__(self, actions: Actions, rng: np.random.Generator) -> None:
        self.drawn = 0
        self._actions, self._rng = actions, rng

    def stepped(self, copies: Copies, action: int, where: Where) -> tuple[Any, Seen]:
        """Returns a copy of an environment after a step, and what the step gave.

        Raises:
          ModelError: the step did something else to a copy with other random numbers, or cannot be taken.
        """
        first, seen, drew = self._tried(copies, action, where, other_numbers=False)
        more = MORE_TWINS if drew and self.drawn < MOST_TWINS else 0
        for _ in range(1 + more):
            _, other, also = self._tried(copies, action, where, other_numbers=True)
            if difference := seen.differences(other):
                raise where().fault(f"a step does not always do the same ({difference}); {NOT_A_FUNCTION}")
            self.drawn += drew or also
        return first, seen

    def _tried(self, copies: Copies, action: int, where: Where, *, other_numbers: bool) -> tuple[Any, Seen, bool]:
        """A copy after a step, what the step gave, and whether random numbers were drawn."""
        twin, own = copies.made()
        if other_numbers:
            reseed(own, self._rng)
        earlier = [_saved(generator) for generator in own]
        with _watched_shared_generators(int(self._rng.integers(2**32))) as drew:
            seen = stepped(twin, self._actions.values[action], len(self._actions.values), where)
        return twin, seen, bool(drew) or [_saved(generator) for generator in own] != earlier


def reseed(generators: Sequence[Any], rng: np.random.Generator) -> None:
    """Gives random generators other numbers."""
    for generator in generators:
        seed = int(rng.integers(2**32))
        if isinstance(generator, np.random.Generator):
            generator = generator.bit_generator
        elif isinstance(generator, np.random.RandomState):
            generator = generator._bit_generator
        if isinstance(generator, np.random.BitGenerator):
            other: Any = type(generator)(seed)
            generator.__setstate__(other.__getstate__())  # type: ignore[attr-defined] # with what it spawns
        elif isinstance(generator, np.random.SeedSequence):
            generator.spawn(1 + seed % 32)  # the next child is another one
        elif isinstance(generator, random.Random):
            generator.seed(seed)


def reseed_shared(seed: int) -> None:
    """Gives the generators of `random` and `numpy.random` other numbers."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - environments may draw from it


@contextmanager
def shared_generators_restored() -> Iterator[None]:
    """Leaves the generators of `random` and `numpy.random` as they were."""
    ours, theirs = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(ours)
        np.random.set_state(theirs)  # noqa: NPY002


@contextmanager
def _watched_shared_generators(seed: int) -> Iterator[list[None]]:
    """Seeds the generators of `random` and `numpy.random`; what it yields stays empty unless they are drawn from."""
    reseed_shared(seed)
    first = random.random(), np.random.random()  # noqa: NPY002
    reseed_shared(seed)
    drew: list[None] = []
    yield drew
    if (random.random(), np.random.random()) != first:  # noqa: NPY002
        drew.append(None)


def _saved(generator: Any) -> tuple[bytes, int] | None:
    """What changes where a generator is drawn from; None for those that keep nothing, as SystemRandom."""
    seeds = getattr(getattr(generator, "bit_generator", generator), "seed_seq", generator)
    try:
        return pickle.dumps(generator), getattr(seeds, "n_children_spawned", 0)  # numpy 1 does not pickle these
    except Exception:
        return None
