"""What an environment says of itself in attributes, beside its table: starts, names, a horizon and a discount."""

import enum
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.formats.environments.tables import Table, names_of, plain_key
from pgcheck.formats.problems import fault, hidden
from pgcheck.model.horizon import MAX_HORIZON, Cut

STARTS = ("initial_state_distrib", "isd")  # attributes: the probability of each state to be the first
STATE_NAMES, ACTION_NAMES, SEEN = "state_names", "action_names", "state_observations"  # attributes, a name for each
ACTIONS = ("Actions", "actions")  # attributes: an Enum whose values are the actions


def start_of(inner: Any, table: Table, source: str) -> Floats | None:
    """Returns the probability of each state to be the first `[S]`; None where the environment does not have it.

    Raises:
      ModelError: it is no list of probabilities.
    """
    for name in STARTS:
        given = getattr(inner, name, None)
        if given is None:
            continue
        if isinstance(given, Mapping):
            given = [given.get(key, 0.0) for key in table.states]
        try:
            start = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError):
            start = np.empty(0)
        if start.ndim != 1 or not 1 <= len(start) <= len(table.states):
            shape = f"{len(table.states):,} probabilities, one for each state"
            raise fault(source, f"{name} has shape {list(np.shape(given))}; expected {shape}")
        return np.pad(start, (0, len(table.states) - len(start)))  # states without a row come last
    return None


def horizon_of(inner: Any) -> float | None:
    """Returns the greatest number of steps of an episode, or math.inf; None where it is no attribute."""
    steps = getattr(inner, "horizon", None)
    if isinstance(steps, Cut):
        return math.inf
    return int(steps) if isinstance(steps, int) and 1 <= steps <= MAX_HORIZON else None


def discount_of(inner: Any) -> float | None:
    """Returns the environment's gamma, if that is a discount."""
    gamma = getattr(inner, "gamma", None)
    if isinstance(gamma, bool) or not isinstance(gamma, int | float):
        return None
    return float(gamma) if 0 <= gamma <= 1 else None


def state_names(inner: Any, table: Table) -> tuple[str, ...]:
    """Returns the names of the states: the environment's, or their keys."""
    return _names(inner, STATE_NAMES, len(table.states)) or names_of(table.states)


def action_names(inner: Any, table: Table) -> tuple[str, ...]:
    """Returns the names of the actions: the environment's, those of an Enum whose values they are, or their keys."""
    names = _names(inner, ACTION_NAMES, len(table.actions))
    if names is not None:
        return names
    for attribute in ACTIONS:
        kind = getattr(inner, attribute, None)
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            member = {plain_key(action.value): action.name for action in kind}
            if all(action in member for action in table.actions):
                return tuple(member[action] for action in table.actions)
    return names_of(table.actions)


def observations_of(inner: Any, table: Table) -> tuple[str, ...] | None:
    """Returns the name of what the policy sees in each state; None where the environment does not say."""
    return _names(inner, SEEN, len(table.states), unique=False)


def _names(inner: Any, attribute: str, size: int, *, unique: bool = True) -> tuple[str, ...] | None:
    """The names that an environment has for its states or actions; None if there are none that can be used."""
    given = getattr(inner, attribute, None)
    if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != size:
        return None
    if not all(isinstance(name, str) and name and hidden(name) is None for name in given):
        return None
    return None if unique and len(set(given)) < size else tuple(given)
