"""Which state an environment is in: what finds it among the keys of its table."""

from collections.abc import Callable, Collection, Hashable
from typing import Any

from pgcheck.formats.environments.tables import plain_key

ATTRIBUTES = ("s", "state")  # of environments, that hold the present state


class AmbiguousError(Exception):
    """Two ways of finding the state disagree."""


class Observer:
    """Finds the key of the state that an environment is in.

    Args:
      environment: without wrappers, reset.
      observation: what the reset returned.
      keys: of the states.

    Attributes:
      found: whether the state can be found.
    """

    def __init__(self, environment: Any, observation: Any, keys: Collection[Hashable]) -> None:
        shown = getattr(getattr(environment, "observation_space", None), "n", None)
        ways = [_attribute(environment, name) for name in ATTRIBUTES if hasattr(environment, name)]
        if shown is None or int(shown) == len(keys):  # fewer observations than states are not the states
            ways.append(lambda observation: observation)
        self._ways = [way for way in ways if _is_key(plain_key(way(observation)), keys)]
        self.found = bool(self._ways)

    def state(self, observation: Any) -> Any:
        """Returns the key of the present state, where `observation` was shown; it may be none of the table's.

        Raises:
          AmbiguousError: the environment says two states.
        """
        states = [plain_key(way(observation)) for way in self._ways]
        if any(state != states[0] for state in states[1:]):
            raise AmbiguousError
        return states[0]


def _attribute(environment: Any, name: str) -> Callable[[Any], Any]:
    return lambda observation: getattr(environment, name)


def _is_key(state: Any, keys: Collection[Hashable]) -> bool:
    try:
        return state in keys
    except TypeError:
        return False
