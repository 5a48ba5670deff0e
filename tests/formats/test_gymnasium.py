"""`gym:ID?key=value`: the environments that come with Gymnasium, and users' own."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import pgcheck
from pgcheck import ModelError, UsageError
from pgcheck.exact.gradient import exact_gradient
from pgcheck.formats.environments.gymnasium import _parsed
from pgcheck.formats.sources import bundled_names
from tests import oracles
from tests.conftest import Run
from tests.formats.lotteries import value_of

GYMNASIUM = pytest.mark.gymnasium


@pytest.fixture
def registry() -> Iterator[dict[str, Any]]:
    """Gymnasium's registry, as it was before afterwards."""
    import gymnasium

    before = dict(gymnasium.registry)
    yield gymnasium.registry
    gymnasium.registry.clear()
    gymnasium.registry.update(before)


def test_a_query_holds_python_literals_and_texts() -> None:
    identity, keys = _parsed(
        "gym:a/B-v0?text=8x8&number=-1e-3&flag=true&no=False&nothing=None&null=null&pair=(1,0)&list=%5B%22S+F%22%5D"
        "&empty=&zero=007&quoted='1'&"
    )
    assert identity == "a/B-v0"
    assert keys == {
        "text": "8x8", "number": -1e-3, "flag": True, "no": False, "nothing": None, "null": None, "pair": (1, 0),
        "list": ["S F"], "empty": "", "zero": "007", "quoted": "1",
    }  # fmt: skip
    assert _parsed("gym:A-v0?") == ("A-v0", {})
    assert _parsed("gym:A-v0") == ("A-v0", {})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("gym:", "gym:: expected gym:ID, like gym:FrozenLake-v1"),
        ("gym:A-v0?slippery", "'slippery' after the question mark; expected key=value"),
        ("gym:A-v0?a=1&a=2", "a stands there twice"),
        ("gym:A-v0?1=2", "'1=2' after the question mark"),
    ],
)
def test_a_spec_that_is_none_is_refused(spec: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        _parsed(spec)
    assert message in str(caught.value)


def test_without_gymnasium_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(UsageError, match=r"gym:FrozenLake-v1 needs gymnasium: pip install 'pgcheck\[gymnasium\]'"):
        pgcheck.load("gym:FrozenLake-v1")


@GYMNASIUM
@pytest.mark.parametrize(
    ("identity", "keys", "horizon", "gamma"),
    [
        ("FrozenLake-v1", {}, 12, 0.9),
        ("FrozenLake-v1", {"map_name": "8x8"}, 9, 1.0),
        ("FrozenLake-v1", {"is_slippery": False, "reward_schedule": (5, -1, 0.5)}, 8, 1.0),
        ("CliffWalking-v1", {}, 6, 0.9),
        ("CliffWalkingSlippery-v1", {}, 7, 1.0),
        ("Taxi-v4", {}, 4, 0.95),
        ("Taxi-v4", {"is_rainy": True}, 3, 1.0),
    ],
)
def test_gymnasiums_tables_have_the_value_and_the_gradient_of_other_sources(
    identity: str, keys: dict[str, Any], horizon: int, gamma: float
) -> None:
    import gymnasium

    query = "&".join(f"{key}={value}" for key, value in keys.items())
    mdp, policy = pgcheck.load(f"gym:{identity}?{query}", horizon=horizon, gamma=gamma)
    exact = exact_gradient(mdp, policy)
    plain: Any = gymnasium.make(identity, **keys).unwrapped
    start = {s: p for s, p in enumerate(plain.initial_state_distrib.tolist()) if p}
    assert_allclose(exact.value, value_of(plain.P, start, horizon, gamma), rtol=1e-12)
    if mdp.num_states < 100:
        assert_allclose(exact.gradient, oracles.complex_step(mdp, policy), rtol=1e-11, atol=1e-14)


@GYMNASIUM
def test_the_value_is_the_mean_of_the_environments_own_episodes() -> None:
    import gymnasium

    spec = "gym:CliffWalkingSlippery-v1?max_episode_steps=10"
    model = pgcheck.load_model(spec)
    environment: Any = gymnasium.make("CliffWalkingSlippery-v1", max_episode_steps=10)
    rng, returns = np.random.default_rng(5), []
    environment.reset(seed=11)
    for _ in range(3000):
        environment.reset()
        total, over = 0.0, False
        while not over:
            _, reward, ended, cut, _ = environment.step(int(rng.integers(4)))
            total, over = total + reward, ended or cut
        returns.append(total)
    error = np.std(returns) / np.sqrt(len(returns))
    assert abs(np.mean(returns) - exact_gradient(model.mdp, model.policy).value) < 5 * error
    assert model.notes == (f"{spec}: the time limit of 10 steps is the horizon; it has no discount: gamma 1",)


@GYMNASIUM
def test_what_the_table_of_taxi_does_not_say_is_refused() -> None:
    with pytest.raises(ModelError) as caught:
        pgcheck.load("gym:Taxi-v4?fickle_passenger=True")
    text = str(caught.value)
    assert text.startswith(
        "gym:Taxi-v4?fickle_passenger=True: error: step() does something else than the table P says: "
    )
    assert "steps gave what has probability 0 there\n  state " in text
    assert pgcheck.load("gym:Taxi-v4?fickle_passenger=False")[0].num_states == 500


@GYMNASIUM
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("gym:FrozenLke-v1", "gymnasium has no environment FrozenLke-v1; did you mean FrozenLake-v1"),
        ("gym:frozenlake-v1", "did you mean FrozenLake-v1"),
        ("gym:FrozenLake-v9", "did you mean FrozenLake-v1?"),
        ("gym:FrozenLake-v1?mapname=8x8", "FrozenLake-v1 has no key 'mapname'; did you mean map_name?"),
        ("gym:CliffWalking-v1?x=8x8", "has no key 'x'; it takes is_slippery, max_episode_steps, render_mode"),
        ("gym:FrozenLake-v1?map_name=9x9", "gym:FrozenLake-v1?map_name=9x9 raised KeyError: '9x9'\n"),
        ("gym:no_such_module:A-v0", "no module 'no_such_module', which is to know A-v0"),
        ("gym:nobody/A-v0", "Name the module that registers nobody/..., like gym:module:nobody/A-v0"),
        ("gym:xqz-v0", "Where a module registers it, put that in front, like gym:module:ID"),
        ("gym:Blackjack-v1", "it has no table of transitions (env.unwrapped.P)\n  With --explore"),
    ],
)
def test_what_cannot_be_made_is_told(spec: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        pgcheck.load(spec)
    assert message in str(caught.value)


@GYMNASIUM
def test_a_module_in_front_of_the_id_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: dict[str, Any]
) -> None:
    (tmp_path / "lake_house.py").write_text(
        "import gymnasium\n"
        "gymnasium.register('House-v0', 'gymnasium.envs.toy_text.frozen_lake:FrozenLakeEnv', max_episode_steps=7)\n"
    )
    (tmp_path / "broken_house.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert pgcheck.load("gym:lake_house:House-v0?map_name=4x4")[0].horizon == 7
    assert "House-v0" in registry
    with pytest.raises(UsageError, match=r'raised ZeroDivisionError: division by zero\n.*broken_house\.py", line 1'):
        pgcheck.load("gym:broken_house:House-v0")


@GYMNASIUM
def test_wrappers_that_are_registered_with_an_environment_are_named(registry: dict[str, Any]) -> None:
    import gymnasium

    def make(**keys: Any) -> Any:
        return gymnasium.wrappers.TransformReward(gymnasium.make("FrozenLake-v1", **keys), lambda reward: 2 * reward)

    gymnasium.register("Double-v0", make)
    assert "Double-v0" in registry
    note = pgcheck.load_model("gym:Double-v0").notes[0]
    assert "the table is that of the environment without its wrappers TransformReward" in note


@GYMNASIUM
@pytest.mark.parametrize("name", bundled_names())
def test_a_bundled_model_comes_back_from_its_environment(name: str) -> None:
    mdp, _ = pgcheck.load(name)
    back, _ = pgcheck.load(f"gym:pgcheck/{name}-v0")
    for attribute in ("states", "actions", "observations", "horizon", "gamma", "is_endless"):
        assert getattr(back, attribute) == getattr(mdp, attribute), attribute
    for attribute in ("start", "observation", "state", "action", "next_state", "prob", "reward", "ends"):
        assert_array_equal(getattr(back, attribute), getattr(mdp, attribute), attribute)
    assert_array_equal(back.terminal[back.state], False)
    assert_array_equal(back.terminal | ~mdp.terminal, True)


@GYMNASIUM
def test_the_command_line_takes_environments(run: Run) -> None:
    done = run("exact", "gym:FrozenLake-v1?map_name=8x8", "--horizon", "inf", "--gamma", "0.99", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("note: gym:FrozenLake-v1?map_name=8x8: 11 absorbing states without rewards are ")
    done = run("verify", "reinforce", "gym:FrozenLake-v1", "--horizon", "6", "--gamma", "0.9", "--quiet")
    assert done.returncode == 0, done.stderr
    done = run("exact", "gym:Taxi-v3")
    assert done.returncode == 2
    assert done.stderr == "error: gym:Taxi-v3: gymnasium has no environment Taxi-v3; did you mean Taxi-v4?\n"


@GYMNASIUM
def test_a_map_of_a_users_own() -> None:
    description = quote(repr(["SF", "HG"]))
    mdp, policy = pgcheck.load(f"gym:FrozenLake-v1?desc={description}&is_slippery=false", horizon=2)
    # Right, then down reaches the goal: 1/16. No other two steps do.
    assert_allclose(exact_gradient(mdp, policy).value, 1 / 16, rtol=1e-14)
