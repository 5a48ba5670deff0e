"""The environments in the checkers and the vectorised loops of Gymnasium and stable-baselines3."""

import warnings
from collections import defaultdict
from typing import Any

import numpy as np
import pytest

import pgcheck
from pgcheck import MDP, Policy
from pgcheck.external.draws.answers import asked, under_way
from pgcheck.formats.bundled import bundled_models
from pgcheck.formats.sources import bundled_names
from tests.external.loops import Path, apart, every_run, exact_law, path_of, seen_probs

GYMNASIUM, SB3 = pytest.mark.gymnasium, pytest.mark.sb3
RAGGED = {bundled.name for bundled in bundled_models() if not bundled.mdp.available[~bundled.mdp.terminal].all()}
FORMS = [
    *((name, observation) for name in bundled_names() for observation in ("index", "one-hot")),
    ("short_corridor_linear", "features"),
]


def checked(name: str, observation: str, **settings: Any) -> Any:
    """An environment whose action is an offered one, whatever the checker takes."""
    import gymnasium

    pgcheck.env(name)
    env: Any = gymnasium.make(f"pgcheck/{name}-v0", observation=observation, **settings).unwrapped
    if name in RAGGED:
        step = env.step
        env.step = lambda action: step(np.roll(np.flatnonzero(env.action_masks()), action)[0])
    return env


@GYMNASIUM
@pytest.mark.parametrize(("name", "observation"), FORMS)
def test_gymnasium_checks_the_environment_without_a_warning(name: str, observation: str) -> None:
    from gymnasium.utils.env_checker import check_env

    check_env(checked(name, observation))
    check_env(checked(name, observation, time_limit="terminated"))
    check_env(checked(name, observation, pad=True, time_limit="terminated"))


@GYMNASIUM
def test_the_check_fails_for_observations_in_double_precision() -> None:
    from gymnasium.utils.env_checker import check_env

    env = checked("two_state", "one-hot")
    env.observation_rows = env.observation_rows.astype(np.float64)
    with pytest.raises(AssertionError, match="not within the observation space"):
        check_env(env)


@SB3
@pytest.mark.parametrize(("name", "observation"), FORMS)
def test_stable_baselines3_checks_the_environment_without_a_warning(name: str, observation: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the import
        from stable_baselines3.common.env_checker import check_env

    check_env(checked(name, observation), skip_render_check=False)
    check_env(checked(name, observation, pad=True), skip_render_check=False)


def made(kind: str, mdp: MDP) -> Any:
    """Two environments, vectorised in one of the ways."""
    functions: list[Any] = [lambda: pgcheck.env(mdp), lambda: pgcheck.env(mdp)]
    if kind == "sb3":
        from stable_baselines3.common.vec_env import DummyVecEnv

        return DummyVecEnv(functions)
    from gymnasium.vector import AutoresetMode, SyncVectorEnv

    return SyncVectorEnv(functions, autoreset_mode=AutoresetMode[kind])


def stepped(kind: str, envs: Any, probs: list[list[float]], steps: int) -> list[list[int]]:
    """Steps two environments with actions that the answers choose: after how many steps each episode ended."""
    seen = envs.reset() if kind == "sb3" else envs.reset()[0]
    ends: list[list[int]] = [[], []]
    for t in range(1, steps + 1):
        results = envs.step(np.array([asked().choose(probs[observation]) for observation in seen]))
        seen = results[0]
        over = results[2] if kind == "sb3" else results[2] | results[3]
        for number in np.flatnonzero(over):
            ends[number].append(t)
    return ends


KINDS = [
    pytest.param("NEXT_STEP", marks=GYMNASIUM), pytest.param("SAME_STEP", marks=GYMNASIUM),
    pytest.param("sb3", marks=SB3),
]  # fmt: skip


def joint_law(kind: str, mdp: MDP, policy: Policy) -> dict[tuple[Path, Path], float]:
    """The law of the first episodes of two environments; the record of each run is compared with what it saw."""
    envs, probs, count = made(kind, mdp), seen_probs(mdp, policy), mdp.horizon
    law: dict[tuple[Path, Path], float] = defaultdict(float)
    ends: list[list[list[int]]] = []
    for prob, answers in every_run(lambda: ends.append(stepped(kind, envs, probs, count))):
        firsts = []
        for number in (0, 1):
            recorded = [
                steps for steps, of in zip(answers.episodes, answers.environment, strict=True) if of == number
            ]
            begins, expected = 0, []
            for end in ends[-1][number]:
                expected.append(end - begins)
                begins = end + (kind == "NEXT_STEP")  # whose next step is the reset, and takes no action
            if begins <= count:  # one is under way, or begins with the last step
                expected.append(count - begins)
            assert [len(outcomes) - 1 for outcomes in recorded] == expected
            firsts.append(path_of(mdp, recorded[0]))
        law[firsts[0], firsts[1]] += prob
    return dict(law)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["two_state", "early_exit"])
def test_each_of_several_environments_has_the_law_and_its_own_record(kind: str, name: str) -> None:
    mdp, policy = pgcheck.load(name, horizon=2 if name == "two_state" else 1)
    one = exact_law(mdp, policy)
    law = joint_law(kind, mdp, policy)
    assert apart(law, {(a, b): one[a] * one[b] for a in one for b in one}) < 1e-12
    same = {(a, b): one[a] * (a == b) for a in one for b in one}
    assert apart(law, same) > 0.01
    assert under_way() is None


@SB3
def test_a_vectorised_loop_reads_masks_and_the_model() -> None:
    from stable_baselines3.common.vec_env import DummyVecEnv

    mdp, _ = pgcheck.load("early_exit")
    envs = DummyVecEnv([lambda: pgcheck.env(mdp), lambda: pgcheck.env(mdp)])
    seen = envs.reset()
    assert isinstance(seen, np.ndarray)
    for observation, mask in zip(seen, envs.env_method("action_masks"), strict=True):
        assert mask.tolist() == mdp.available[mdp.observation == observation][0].tolist()
    assert envs.get_attr("mdp") == [mdp, mdp]
    assert envs.get_attr("horizon") == [5, 5]
