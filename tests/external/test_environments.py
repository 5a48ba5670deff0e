"""Environments by name, what they show, and the model that runs are about."""

import importlib
import math
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import pgcheck
from pgcheck import MDP, EstimatorError, Linear, Model, TooLargeError, UsageError
from pgcheck.external.environments import use_model
from pgcheck.external.observations import observations_of
from pgcheck.formats.bundled import bundled_models
from pgcheck.formats.environments.registry import register
from tests.conftest import ROOT
from tests.problems import random_linear

GYMNASIUM = pytest.mark.gymnasium

LINEAR = next(problem for problem in map(random_linear, range(20)) if 1 < len(problem[0].observations) < 3)


def python(code: str) -> "subprocess.CompletedProcess[str]":
    """Runs a piece of code in a process of its own, with all warnings as errors."""
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_without_gymnasium_pgcheck_imports_and_the_error_says_what_to_install() -> None:
    done = python("import sys; sys.modules['gymnasium'] = None\nimport pgcheck\npgcheck.env('two_state')")
    assert done.stderr.endswith("UsageError: an environment needs gymnasium: pip install 'pgcheck[gymnasium]'\n")
    block = "from pgcheck.external.environments import use_model\nwith use_model(pgcheck.load('two_state')[0]): 0"
    done = python(f"import sys; sys.modules['gymnasium'] = None\nimport pgcheck\n{block}")
    assert done.stderr.endswith("UsageError: an environment needs gymnasium: pip install 'pgcheck[gymnasium]'\n")


def test_the_library_imports_no_gymnasium_by_itself() -> None:
    done = python("import sys, pgcheck\npgcheck.exact_gradient(*pgcheck.load('two_state'))\nprint(*sys.modules)")
    assert "pgcheck.exact.gradient" in done.stdout.split()
    assert "gymnasium" not in done.stdout.split()


@GYMNASIUM
@pytest.mark.parametrize(
    "script",
    [
        "import gymnasium, pgcheck",
        "import pgcheck, gymnasium; pgcheck.env('bandit')",
        "import gymnasium; gymnasium.make('pgcheck:pgcheck/bandit-v0')",
    ],
)
def test_a_script_makes_a_bundled_model_by_its_name(script: str) -> None:
    done = python(
        f"{script}\nenv = gymnasium.make('pgcheck/two_state-v0')\n"
        "print(env.spec.id, env.reset(seed=0)[0], env.step(1)[:4], env.unwrapped.mdp.name, env.unwrapped.horizon)"
    )
    assert done.stdout == "pgcheck/two_state-v0 1 (np.int64(2), 2.0, True, False) two-state 3\n", done.stderr


@GYMNASIUM
def test_the_code_of_the_guide_runs() -> None:
    page = (ROOT / "docs" / "how-to" / "environment.md").read_text()
    code = re.search(r"```python\n(import gymnasium.*?)```", page, re.DOTALL)
    assert code is not None
    done = python(f"{code[1]}\nprint(observation, reward, terminated, truncated, env.unwrapped.horizon)")
    assert done.stdout == "[0. 0. 1.] 2.0 True False 5\n", done.stderr


@GYMNASIUM
def test_importing_pgcheck_after_gymnasium_loads_no_more_than_names() -> None:
    done = python("import gymnasium, sys, pgcheck\nprint(*sys.modules)")
    loaded = {name for name in done.stdout.split() if name.startswith("pgcheck")}
    assert "pgcheck.formats.environments.registry" in loaded
    assert not loaded & {"pgcheck.model.mdp", "pgcheck.external.environment", "pgcheck.formats.modelfile"}


@GYMNASIUM
def test_gymnasium_knows_each_bundled_model_with_all_settings() -> None:
    import gymnasium

    pgcheck.env("two_state")  # registers; once more does not warn
    for bundled in bundled_models():
        identity = f"pgcheck/{bundled.name}-v0"
        env: Any = gymnasium.make(identity, observation="one-hot", pad=True, horizon=2, gamma=0.5, render_mode="ansi")
        assert env.unwrapped.mdp.states == bundled.mdp.states
        assert (env.unwrapped.horizon, env.unwrapped.gamma) == (2, 0.5)
        assert env.observation_space.shape == (len(bundled.mdp.observations),)
        env.reset()
        assert env.render() in bundled.mdp.states
    with pytest.raises(gymnasium.error.NameNotFound):
        gymnasium.make("pgcheck/no_such_model-v0")


@GYMNASIUM
def test_a_model_may_be_given_in_each_form() -> None:
    model = pgcheck.load_model("short_corridor_linear")
    forms: list[Any] = ["short_corridor_linear", model, model.mdp, (model.mdp, model.policy)]
    for form in forms:
        assert pgcheck.env(form, horizon=7).mdp.horizon == 7
        assert pgcheck.env(form).mdp.states == model.mdp.states
    with pytest.raises(UsageError, match="an int as the model of an environment; expected a name or a path"):
        pgcheck.env(3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a tuple as the model"):
        pgcheck.env((model.policy, model.mdp))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="did you mean the bundled model two_state"):
        pgcheck.env("two_stat")


@GYMNASIUM
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"observation": "onehot"}, "observation 'onehot'; expected one of index, one-hot, features"),
        ({"observation": "features"}, "two-state: the model has no features, because its policy is not linear"),
        ({"time_limit": "done"}, "time_limit 'done'; expected truncated or terminated"),
        ({"render_mode": "human"}, "render_mode 'human'; expected None or ansi"),
        ({"horizon": 0}, "horizon 0; expected 1 to"),
        ({"gamma": 2.0}, "gamma 2.0; expected 0 to 1"),
    ],
)
def test_a_setting_that_does_not_exist_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        pgcheck.env("two_state", **settings)


def test_states_that_share_an_observation_show_the_same() -> None:
    mdp, policy = LINEAR
    features = policy.features
    by_number, one_hot = observations_of(mdp, "index"), observations_of(mdp, "one-hot")
    shown = observations_of(mdp, "features", features)
    assert shown.rows.dtype == one_hot.rows.dtype == np.float32
    for s, seen in enumerate(mdp.observation.tolist()):
        assert by_number.rows[s] == seen
        assert one_hot.rows[s].tolist() == [float(o == seen) for o in range(len(mdp.observations))]
        first = next((t for t in range(mdp.num_states) if mdp.observation[t] == seen and not mdp.terminal[t]), s)
        assert_allclose(shown.rows[s], features[first].ravel(), rtol=1e-6)
    assert np.float32(shown.low) <= shown.rows.min() < 0 < shown.rows.max() <= np.float32(shown.high)
    assert not any(rows.flags.writeable for rows, _, _ in (by_number, one_hot, shown))


def test_features_beyond_single_precision_and_rows_beyond_memory_are_refused() -> None:
    mdp, _ = pgcheck.load("bandit")
    with pytest.raises(UsageError, match=r"bandit: a feature of 1e\+40 in size is too large for single precision"):
        observations_of(mdp, "features", np.full((1, 4, 2), -1e40))
    numbers, zeros = np.arange(5000), np.zeros(5000, dtype=np.int64)
    names, no = tuple(map(str, numbers)), np.zeros(5000, dtype=np.bool_)
    big = MDP(
        "big", names, ("stay",), 1, 1.0, np.eye(1, 5000)[0], no, names, numbers, numbers, zeros, numbers,
        np.ones(5000), np.zeros(5000), no,
    )  # fmt: skip
    with pytest.raises(TooLargeError, match="big: rows of 5,000 numbers for 5,000 states; the limit is"):
        observations_of(big, "one-hot")
    assert observations_of(big, "index").rows.shape == (5000,)


@GYMNASIUM
def test_what_is_shown_may_be_kept_and_changed() -> None:
    env = pgcheck.env(LINEAR, observation="features", pad=True)
    for _ in range(20):
        observation, info = env.reset()
        rows, offered = env.observation_rows[env._state].copy(), env.action_masks().copy()
        observation[:], info["action_mask"][:] = 7, 7
        assert_array_equal(env.observation_rows[env._state], rows)
        assert_array_equal(env.action_masks(), offered)


@GYMNASIUM
def test_in_a_run_every_name_of_the_model_gives_the_model_of_the_run() -> None:
    import gymnasium

    model = pgcheck.load_model("short_corridor_linear")
    doubled = replace(model.mdp.with_rewards(2 * model.mdp.reward), horizon=5)
    forms: list[Any] = ["short_corridor_linear", model, model.mdp, (model.mdp, model.policy)]
    with use_model(doubled, observation="one-hot", time_limit="terminated"):
        made: list[Any] = [*map(pgcheck.env, forms), gymnasium.make("pgcheck/short_corridor_linear-v0").unwrapped]
        own = gymnasium.make("pgcheck/short_corridor_linear-v0", observation="features", horizon=5).unwrapped
        with use_model(model.mdp):  # the innermost counts
            assert pgcheck.env("short_corridor_linear").mdp is model.mdp
        assert pgcheck.env("short_corridor_linear").mdp is doubled
    assert all(env.mdp is doubled and env.observation_space.shape == (2,) for env in made)
    assert own.observation_space.shape == (4,)
    for env in made:
        env.reset(seed=0)
        flags = [env.step(0)[2:4] for _ in range(5)]
        assert flags == [(False, False)] * 4 + [(True, False)]
    assert pgcheck.env("short_corridor_linear").mdp.horizon == 1000


@GYMNASIUM
def test_in_a_run_features_may_come_from_the_run() -> None:
    model = pgcheck.load_model("short_corridor_linear")
    assert isinstance(model.policy, Linear)
    plain = Model(model.mdp, pgcheck.TabularSoftmax.of(model.mdp), None)
    with use_model(model.mdp, features=3 * model.policy.features, observation="features"):
        assert pgcheck.env(plain).observation_rows.max() == 3
        assert pgcheck.env(model).observation_rows.max() == 1


@GYMNASIUM
def test_in_a_run_another_model_or_horizon_is_refused() -> None:
    import gymnasium

    mdp, _ = pgcheck.load("two_state", horizon=2)
    with use_model(mdp):
        makers: list[Callable[[], object]] = [
            lambda: pgcheck.env("bandit"), lambda: gymnasium.make("pgcheck/bandit-v0"),
        ]  # fmt: skip
        for make in makers:
            with pytest.raises(EstimatorError) as caught:
                make()
            assert str(caught.value) == (
                "this run is about the model two-state, with the states left, right, goal; an environment over "
                "bandit, with the states machine, was asked for.\n"
                "  Take the environment that the agent is given, or check the agent on the model that it names."
            )
        with pytest.raises(EstimatorError, match="about two-state with horizon 2; an environment with horizon 3"):
            pgcheck.env("two_state", horizon=3)
        with pytest.raises(EstimatorError, match=r"with gamma 0\.9; an environment with gamma 1\.0 was asked for"):
            gymnasium.make("pgcheck/two_state-v0", gamma=1.0)
        assert pgcheck.env("two_state", horizon=2, gamma=0.9).mdp is mdp
    with pytest.raises(UsageError, match="setting 'padding' of an environment; expected observation,"):
        use_model(mdp, padding=True).__enter__()
    assert pgcheck.env("bandit").mdp.name == "bandit"


@GYMNASIUM
@pytest.mark.parametrize("bundled", bundled_models(), ids=lambda bundled: bundled.name)
def test_gymnasiums_own_checker_has_no_complaint(bundled: Any) -> None:
    import gymnasium
    from gymnasium.utils.env_checker import check_env

    if not (bundled.mdp.available | bundled.mdp.terminal[:, None]).all():
        pytest.skip("the checker takes actions that a state does not offer")
    for observation in ("index", "one-hot"):
        check_env(pgcheck.env(bundled.name, observation=observation))  # warnings are errors
    check_env(gymnasium.make(f"pgcheck/{bundled.name}-v0").unwrapped)
    check_env(pgcheck.env(bundled.mdp))


@GYMNASIUM
def test_the_checker_would_complain(two_state: tuple[MDP, Any]) -> None:
    from gymnasium.utils.env_checker import check_env

    environment = pgcheck.env(two_state)
    environment.reset = lambda **_: (7, {})  # type: ignore[method-assign]
    with pytest.raises(AssertionError):
        check_env(environment)


@GYMNASIUM
def test_the_spec_makes_the_same_environment_again() -> None:
    environment = pgcheck.env("two_state", observation="one-hot", horizon=5, gamma=0.5)
    assert environment.spec is not None
    again: Any = environment.spec.make().unwrapped
    assert (again.horizon, again.gamma, again.observation_space.shape) == (5, 0.5, (3,))
    assert again.mdp.states == environment.mdp.states


@GYMNASIUM
def test_the_table_is_that_of_the_model() -> None:
    environment = pgcheck.env("two_state")
    assert environment.P == {
        0: {0: [(1.0, 0, 0.0, False)], 1: [(0.2, 0, 0.0, False), (0.8, 1, 1.0, False)]},
        1: {0: [(1.0, 1, 0.5, False)], 1: [(1.0, 2, 2.0, True)]},
        2: {0: [(1.0, 2, 0.0, True)], 1: [(1.0, 2, 0.0, True)]},
    }
    assert environment.initial_state_distrib.tolist() == [0.5, 0.5, 0]
    assert environment.s == -1
    observation, _ = environment.reset(seed=0)
    assert environment.s == observation
    corridor = pgcheck.env("short_corridor")
    assert len(corridor.P) == 4
    assert set(corridor.state_observations) == set(corridor.mdp.observations)


@GYMNASIUM
def test_any_source_makes_an_environment_and_without_a_horizon_it_is_cut(tmp_path: Path) -> None:
    frozen = pgcheck.env("gym:FrozenLake-v1", horizon=math.inf, gamma=0.5)
    assert frozen.mdp.is_endless
    assert 10 < frozen.horizon < 200
    stays = MDP.from_arrays(np.ones((1, 1, 1)), [1.0], horizon=math.inf, gamma=0.5)
    environment = pgcheck.env(stays)
    environment.reset(seed=0)
    flags = [environment.step(0)[2:4] for _ in range(environment.horizon)]
    assert flags == [(False, False)] * (environment.horizon - 1) + [(False, True)]
    # What is left after n steps is 2^-n of J = 2; the gradient is 0, so that 26 more bits of it are asked for.
    assert 53 <= environment.horizon <= 53 + 26 + 10
    table = tmp_path / "tables_for_environments.py"
    table.write_text("def walk():\n    return [[[(1.0, 0, 1.0, True)]]]\n")
    assert pgcheck.env(pgcheck.load_model(f"{table}:walk", start="0", horizon=3)).horizon == 3


def test_the_models_are_registered_by_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, name = project["entry-points"]["gymnasium.envs"]["pgcheck"].partition(":")
    assert getattr(importlib.import_module(module), name) is register
