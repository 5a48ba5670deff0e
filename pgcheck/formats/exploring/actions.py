"""The actions of an environment, and the environment without what limits or watches its steps."""

import itertools
import math
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from pgcheck.errors import ModelError
from pgcheck.formats.exploring.state import layers
from pgcheck.formats.problems import visible

MAX_ACTIONS = 10_000
# Wrappers of Gymnasium that change neither observations, nor rewards, nor what follows, but count, check or watch.
WATCHING = frozenset({
    "TimeLimit", "OrderEnforcing", "PassiveEnvChecker", "RecordEpisodeStatistics", "RecordVideo", "HumanRendering",
    "RenderCollection",
})  # fmt: skip


@dataclass(frozen=True)
class Actions:
    """What can be done: the values that `step` takes, and their names."""

    values: tuple[Any, ...]
    names: tuple[str, ...]


def without_watchers(environment: Any) -> tuple[Any, int | None]:
    """Returns the environment without its time limit and without wrappers that only watch, and that limit in steps.

    The wrappers between others are taken out in place: the environment is a copy that nobody else uses.
    """
    limits = [layer._max_episode_steps for layer in layers(environment) if _kind(layer) == "TimeLimit"]
    outermost = watched(environment)
    for layer in layers(outermost)[:-1]:
        if not _watches(layer) and hasattr(layer, "env"):
            layer.env = watched(layer.env)
    return outermost, min((limit for limit in limits if limit is not None), default=None)


def watched(environment: Any) -> Any:
    """Returns the environment without its outermost wrappers that only limit or watch, which stay as they are."""
    while _watches(environment):
        environment = environment.env
    return environment


def _watches(layer: Any) -> bool:
    return _kind(layer) in WATCHING


def _kind(layer: Any) -> str:
    """The name of a wrapper of Gymnasium; empty for other people's."""
    kind = type(layer)
    return kind.__name__ if kind.__module__.split(".")[0] in ("gymnasium", "gym") else ""


def actions_of(environment: Any, source: str) -> Actions:
    """Returns the actions of an environment: numbers, or what an Enum called `actions` calls them.

    Raises:
      ModelError: its actions are not finitely many.
    """
    space: Any = getattr(environment, "action_space", None)
    kinds = {kind.__name__ for kind in type(space).__mro__}
    if kinds & {"MultiDiscrete", "MultiBinary"}:
        shape = np.shape(space.nvec) if hasattr(space, "nvec") else tuple(space.shape)
        sizes = np.ravel(space.nvec).tolist() if hasattr(space, "nvec") else [2] * math.prod(shape)
        _counted(math.prod(sizes), source)
        lowest = np.broadcast_to(np.asarray(getattr(space, "start", 0)), shape)
        rows = [np.reshape(row, shape) + lowest for row in itertools.product(*(range(size) for size in sizes))]
        return Actions(
            tuple(row.astype(space.dtype) for row in rows), tuple(",".join(map(str, np.ravel(row))) for row in rows)
        )
    if isinstance(getattr(space, "n", None), int | np.integer):
        first = int(getattr(space, "start", 0))
        values = [np.int64(first + number) for number in range(_counted(int(space.n), source))]
        return Actions(tuple(values), _enumerated(environment, values) or tuple(str(value) for value in values))
    raise ModelError(
        f"{visible(source)}: error: its action space is {type(space).__name__}; "
        "exploring needs finitely many actions: Discrete, MultiDiscrete or MultiBinary"
    )


def _counted(count: int, source: str) -> int:
    if not 1 <= count <= MAX_ACTIONS:
        raise ModelError(f"{visible(source)}: error: {count:,} actions; exploring takes 1 to {MAX_ACTIONS:,}")
    return count


def _enumerated(environment: Any, values: list[Any]) -> tuple[str, ...] | None:
    """The names that the environment's own Enum gives these actions; None where it gives none or others."""
    stack = layers(environment)
    if any(kind.__name__ == "ActionWrapper" for layer in stack for kind in type(layer).__mro__):
        return None
    for name in ("actions", "Actions"):
        members = getattr(stack[-1], name, None)
        if isinstance(members, type) and issubclass(members, Enum):
            names = {member.value: member.name for member in members}
            if len(names) == len(values) and all(value in names for value in values):
                return tuple(names[value] for value in values)
    return None
