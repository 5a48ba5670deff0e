"""Exploring Gymnasium's own environments, whose tables are known, and users' with Gymnasium's wrappers."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numpy.testing import assert_allclose

from pgcheck import ModelError
from pgcheck.formats.exploring.search import explored
from tests.conftest import Run
from tests.formats.explorable import value
from tests.formats.lotteries import value_of

pytestmark = pytest.mark.gymnasium


@pytest.mark.parametrize("horizon", [4, 9])
def test_a_lake_without_slipping_is_what_its_table_says(horizon: int) -> None:
    import gymnasium

    lake = gymnasium.make("FrozenLake-v1", desc=["SFF", "FHF", "FFG"], is_slippery=False, max_episode_steps=20)
    given = explored(lake, source="lake")
    assert (given.horizon, given.reach) == (20, None)
    assert any(text.startswith("steps draw random numbers, on which nothing depended") for text in given.assumed)
    inner: Any = lake.unwrapped
    assert_allclose(value(given, horizon, 0.9), value_of(inner.P, {0: 1.0}, horizon, 0.9), rtol=1e-12)


def test_a_lake_with_slipping_is_refused() -> None:
    import gymnasium

    with pytest.raises(
        ModelError, match=r"lake: error: after reset\(seed=0\) and 0: a step does not always do the same"
    ):
        explored(gymnasium.make("FrozenLake-v1", is_slippery=True), source="lake")


OWN = """
import gymnasium
from gymnasium import spaces

class Climb(gymnasium.Env):
    action_space, observation_space = spaces.Discrete(2), spaces.Discrete(1)

    def __init__(self, drawn=False):
        self.drawn = drawn

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.height = self.steps = 0
        return 0, {}

    def step(self, action):
        self.height += int(action)
        self.steps += 1
        reward = float(self.height) + (self.np_random.random() if self.drawn else 0.0)
        return 0, reward, False, False, {}

gymnasium.register("own/Climb-v0", Climb, max_episode_steps=5)
double = lambda: gymnasium.wrappers.TransformReward(gymnasium.make("own/Climb-v0"), lambda reward: 2 * reward)
"""


@pytest.fixture
def climb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder with a module that registers an environment."""
    import gymnasium

    (tmp_path / "climbing.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    gymnasium.registry.pop("own/Climb-v0", None)
    sys.modules.pop("climbing", None)


def exact_value(run: Run, *words: str) -> tuple[float, str]:
    result = run("exact", *words, "--explore", "--format", "json")
    assert result.returncode == 0, result.stderr
    return float(json.loads(result.stdout)["value"]), result.stderr


# Under a uniform policy the height is t / 2 in the mean after t steps.
RISE: Callable[[int], float] = lambda steps: sum(t / 2 for t in range(1, steps + 1))  # noqa: E731


def test_what_never_ends_is_explored_up_to_its_time_limit(run: Run, climb: Any) -> None:
    found, notes = exact_value(run, "gym:climbing:own/Climb-v0")
    assert_allclose(found, RISE(5), rtol=1e-12)
    assert "the time limit of 5 steps is the horizon" in notes
    assert_allclose(exact_value(run, "gym:climbing:own/Climb-v0", "--horizon", "3")[0], RISE(3), rtol=1e-12)
    assert_allclose(exact_value(run, "gym:climbing:own/Climb-v0?max_episode_steps=7")[0], RISE(7), rtol=1e-12)
    longer = run("exact", "gym:climbing:own/Climb-v0", "--explore", "--horizon", "6")
    assert longer.returncode == 2
    assert "--horizon 6: gym:climbing:own/Climb-v0 was explored for 5 steps" in longer.stderr


def test_wrappers_that_change_rewards_are_part_of_it(run: Run, climb: Any) -> None:
    assert_allclose(exact_value(run, "climbing.py:double")[0], 2 * RISE(5), rtol=1e-12)


def test_rewards_that_are_drawn_are_refused(run: Run, climb: Any) -> None:
    result = run("exact", "gym:climbing:own/Climb-v0?drawn=True", "--explore")
    assert result.returncode == 2
    assert "error: after reset(seed=0) and 0: a step does not always do the same (reward 0." in result.stderr
    assert "Traceback" not in result.stderr
