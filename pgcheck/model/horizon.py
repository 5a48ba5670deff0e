"""The greatest number of steps of an episode, where there is one, and where there is none."""

import math

MAX_HORIZON = 10**15


class Cut(int):
    """The steps after which an episode without a horizon is cut: nothing above rounding is left beyond.

    As an int it is a horizon like any other. It depends on the policy (`model.endless.cut`); before it is worked out
    it is the longest horizon, `MAX_HORIZON`.
    """


def horizon_of(given: float) -> int:
    """Returns a horizon as an MDP holds it: math.inf is a `Cut` that is still to be worked out.

    A float that is whole becomes an int; what is no horizon stays as it is, for the MDP to refuse.
    """
    if given == math.inf:
        return Cut(MAX_HORIZON)
    return int(given) if isinstance(given, float) and given.is_integer() else given  # type: ignore[return-value]
