"""Draws of gymnasium: samples of its discrete spaces, and the generators that it makes."""

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pgcheck.external.draws.answers import asked, under_way
from pgcheck.external.draws.finite import one_of
from pgcheck.external.draws.numpy_arrays import SPARE
from pgcheck.external.draws.numpy_generators import AnsweringGenerator, seed_of
from pgcheck.external.draws.patches import Patch

Method = Callable[..., Any]
_ANSWERING = AnsweringGenerator(np.random.PCG64(0))


def patches() -> list[Patch]:
    """Returns what stands in for methods of gymnasium's spaces; nothing where gymnasium has not been imported."""
    spaces, seeding = (sys.modules.get(f"gymnasium.{name}") for name in ("spaces", "utils.seeding"))
    if spaces is None or seeding is None:
        return []
    methods = {"Discrete": _discrete, "MultiDiscrete": _multi_discrete, "MultiBinary": _multi_binary}
    kinds = {getattr(spaces, name): method for name, method in methods.items()}
    return [
        *(Patch(kind, "sample", _answered(method, kind.sample)) for kind, method in kinds.items()),
        Patch(seeding, "np_random", _made_answering(seeding.np_random)),
    ]


def _answered(method: Method, original: Method) -> Method:
    """Returns a method that is gymnasium's own one where no run is under way."""

    @functools.wraps(original)
    def either(self: Any, *args: Any, **kwargs: Any) -> Any:
        if under_way() is None:
            return original(self, *args, **kwargs)
        return method(original, self, *args, **kwargs)

    return either


def _made_answering(original: Method) -> Method:
    @functools.wraps(original)
    def np_random(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        seeds = [seed_of(value) for value in (*args, *kwargs.values()) or (None,)]
        generator, seed = original(*seeds)
        is_answering = type(generator) is AnsweringGenerator
        return (generator if is_answering else AnsweringGenerator(generator.bit_generator)), seed

    return np_random


def _discrete(original: Method, self: Any, *args: Any, **kwargs: Any) -> Any:
    if _is_masked(args, kwargs):
        return original(_with(self, _ANSWERING), *args, **kwargs)
    return self.start + self.dtype.type(one_of(int(self.n), "Discrete.sample"))


def _multi_discrete(original: Method, self: Any, *args: Any, **kwargs: Any) -> Any:
    if _is_masked(args, kwargs):
        return original(_with(self, _ANSWERING), *args, **kwargs)
    drawn = np.zeros_like(original(_with(self, SPARE)))
    for place, n in np.ndenumerate(self.nvec):
        drawn[place] = one_of(int(n), "MultiDiscrete.sample")
    return drawn + getattr(self, "start", 0)


def _multi_binary(original: Method, self: Any, mask: Any = None, probability: Any = None) -> Any:
    settings = {"mask": mask, "probability": probability}
    known = {name: value for name, value in settings.items() if value is not None}
    drawn = original(_with(self, SPARE), **known)  # gymnasium's own checks; what it drew is replaced
    for place in np.ndindex(drawn.shape):
        if mask is None or mask[place] == 2:
            prob = 0.5 if probability is None else float(probability[place])
            drawn[place] = asked().choose([1 - prob, prob])
    return drawn


def _is_masked(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    return any(value is not None for value in (*args, *kwargs.values()))


def _with(space: Any, generator: Any) -> Any:
    """Returns a space like it that draws from another generator."""
    like = object.__new__(type(space))
    vars(like).update(vars(space), _np_random=generator)
    return like
