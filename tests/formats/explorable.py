"""Environments without a table that need no gymnasium, and what is true of them, found without copies."""

import itertools
import random
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import numpy as np
import pytest

from pgcheck import ModelError
from pgcheck.exact.gradient import exact_gradient
from pgcheck.formats.assembling import assembled
from pgcheck.formats.exploring.search import explored
from pgcheck.formats.given import Given
from tests.formats.lotteries import Space

Step = tuple[Any, float, bool, bool, dict[str, Any]]


class Corridor:
    """Three cells; at the last one an episode ends, with a reward. Attributes are all its state."""

    def __init__(self, actions: int = 2) -> None:
        self.action_space: Any = Space(actions)
        self.observation_space: Any = Space(3)
        self.np_random = np.random.default_rng(5)
        self.cell = 0

    @property
    def unwrapped(self) -> Any:
        return self

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        if seed is not None:
            self.np_random = np.random.default_rng(seed)
        self.cell = 0
        self.restart()
        return self.cell, {}

    def step(self, action: Any) -> Step:
        self.cell = min(max(self.cell + (1 if action == 1 else -1), 0), 2)
        reward = self.pay(int(action))
        return self.cell, reward, self.cell == 2, False, {}

    def restart(self) -> None:
        """What a reset does besides."""

    def pay(self, action: int) -> float:
        """The reward, and what a step does besides."""
        return 1.0 if self.cell == 2 else 0.0


class Keys(Corridor):
    """A step forward from the last cell ends the episode, and pays where the key of the first cell is carried.

    What is carried is not observed. The reward falls with the number of steps, of which there are six at most.
    """

    class Actions(IntEnum):
        back = 0
        forward = 1
        take = 2

    def __init__(self) -> None:
        super().__init__(3)
        self.carrying: Any = None
        self.steps = 0

    def restart(self) -> None:
        self.carrying, self.steps = None, 0

    def step(self, action: Any) -> Step:
        self.steps += 1
        if action == 2 and self.cell == 0:
            self.carrying = {"colour": "red", "key": np.array([1, 2])}
        ends = action == 1 and self.cell == 2
        self.cell = min(self.cell + 1, 2) if action == 1 else max(self.cell - 1, 0) if action == 0 else self.cell
        reward = 1 - 0.1 * self.steps if ends and self.carrying is not None else 0.0
        return self.cell, reward, ends, self.steps == 6 and not ends, {}


class TimeLimit:
    """As that of gymnasium."""

    __module__ = "gymnasium.wrappers.common"

    def __init__(self, env: Any, limit: int) -> None:
        self.env, self._max_episode_steps, self._elapsed_steps = env, limit, 0
        self.action_space = env.action_space

    @property
    def unwrapped(self) -> Any:
        return self.env.unwrapped

    def reset(self, **options: Any) -> Any:
        self._elapsed_steps = 0
        return self.env.reset(**options)

    def step(self, action: Any) -> Step:
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._elapsed_steps += 1
        return observation, reward, terminated, truncated or self._elapsed_steps >= self._max_episode_steps, info


class Drawing(Corridor):
    """A random number is drawn at each step forward; with probability `slip` the reward depends on it."""

    def __init__(self, draw: Callable[[Any], float], slip: float = 0.5) -> None:
        super().__init__()
        self.draw, self.slip = draw, slip
        self.own, self.legacy = random.Random(3), np.random.RandomState(3)
        self.seeds = np.random.SeedSequence(3)

    def pay(self, action: int) -> float:
        return super().pay(action) + (5.0 if action == 1 and self.draw(self) < self.slip else 0.0)


MODULE_RNG = np.random.default_rng(8)


def _of_numpy(env: Any) -> float:
    return float(np.random.random())  # noqa: NPY002


DRAWS: dict[str, Callable[[Any], float]] = {
    "np_random": lambda env: env.np_random.random(),
    "an attribute of random.Random": lambda env: env.own.random(),
    "an attribute of RandomState": lambda env: env.legacy.random_sample(),
    "a spawned seed": lambda env: np.random.default_rng(env.seeds.spawn(1)[0]).random(),
    "a spawned generator": lambda env: env.np_random.spawn(1)[0].random(),
    "the module random": lambda env: random.random(),
    "numpy.random": _of_numpy,
    "a generator of a module": lambda env: MODULE_RNG.random(),
    "a new generator": lambda env: np.random.default_rng().random(),
    "random.SystemRandom": lambda env: random.SystemRandom().random(),
}


def value(given: Given, horizon: int, gamma: float) -> float:
    """J of the uniform policy in a model."""
    model = assembled(given, horizon=horizon, gamma=gamma)
    return exact_gradient(model.mdp, model.policy).value


def refusal(environment: Any) -> str:
    """What is said when an environment is refused."""
    with pytest.raises(ModelError) as caught:
        explored(environment, source="env")
    assert str(caught.value).startswith("env: error: ")
    return str(caught.value).removeprefix("env: error: ")


def outcomes(given: Given) -> dict[tuple[int, str], tuple[int, float, bool]]:
    """What each action leads to: a state, a reward, and whether the episode ends."""
    return {
        (s, given.actions[a]): (t, r, d)
        for s, a, t, r, d in zip(
            given.state.tolist(), given.action.tolist(), given.next_state.tolist(), given.reward.tolist(),
            given.done.tolist(), strict=True,
        )
    }  # fmt: skip


def value_by_walking(make: Callable[[], Any], horizon: int, gamma: float, **reset: Any) -> float:
    """J of the uniform policy: all sequences of actions, each walked in an environment of its own."""
    count = int(make().action_space.n)
    total = 0.0
    for actions in itertools.product(range(count), repeat=horizon):
        environment = make()
        environment.reset(seed=0, **reset)
        for t, action in enumerate(actions):
            _, reward, terminated, truncated, _ = environment.step(action)
            total += gamma**t * float(reward)
            if terminated or truncated:
                break
    return float(total / count**horizon)
