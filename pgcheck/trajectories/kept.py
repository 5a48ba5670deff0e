"""What depends on an MDP alone is found once, and kept with the MDP."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from pgcheck.model.mdp import MDP

_Result = TypeVar("_Result")


def kept(function: Callable[[MDP], _Result]) -> Callable[[MDP], _Result]:
    """Returns the function, which is computed once for each MDP; the MDP holds the result, and a copy in
    another process works it out again."""
    name = f"{function.__module__}.{function.__qualname__}"

    @wraps(function)
    def keeping(mdp: MDP) -> _Result:
        if name not in mdp.__dict__:
            mdp.__dict__[name] = function(mdp)
        result: _Result = mdp.__dict__[name]
        return result

    return keeping
