"""Many copies of one environment, each with its random generators."""

import pickle
from collections.abc import Sequence
from typing import Any

from pgcheck.formats.exploring.calls import Where, copied
from pgcheck.formats.exploring.state import layers, snapshot


class Copies:
    """Makes copies of an environment that share nothing with it.

    An environment that can be pickled is pickled once, which copies four times as fast as `copy.deepcopy`. Either may
    heed a `__reduce__` or `__getstate__` that leaves something out: the first copy of each state is to be compared.
    """

    def __init__(self, environment: Any, generators: Sequence[Any], where: Where) -> None:
        self._environment, self._generators, self._where = environment, generators, where
        self._pickled = None if _has_own_way(environment) else _pickled((environment, tuple(generators)))

    def made(self) -> tuple[Any, Sequence[Any]]:
        """Returns a copy, and those of its random generators; raises ModelError where there is no way to copy it."""
        if self._pickled is not None:
            made: tuple[Any, Sequence[Any]] = pickle.loads(self._pickled)
            return made
        memo: dict[int, Any] = {}
        twin = copied(self._environment, self._where, memo)
        own = [memo.get(id(generator)) for generator in self._generators]
        if any(generator is None for generator in own):  # copied in a way of its own
            own = list(snapshot(twin).generators)
        return twin, own


def _has_own_way(environment: Any) -> bool:
    """Whether an environment says how it is copied, which `pickle` does not heed."""
    return any(hasattr(type(layer), "__deepcopy__") for layer in layers(environment))


def _pickled(value: Any) -> bytes | None:
    """A value that can be pickled, if it can be restored too."""
    try:
        saved = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        pickle.loads(saved)
    except Exception:
        return None
    return saved
