"""Whether an environment does what its table says: right ones are never refused, wrong ones are."""

import copy
import itertools
import math
import re
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import pgcheck
from pgcheck import ModelError, UsageError
from pgcheck.exact.gradient import exact_gradient
from pgcheck.formats.assembling import assembled
from pgcheck.formats.environments.environment import given_of
from pgcheck.formats.environments.held import evidence
from pgcheck.formats.given import Given, Options
from tests.formats.lotteries import Lottery, Space, random_table, value_of


def given(environment: Any, **options: Any) -> Given:
    return given_of(environment, "env", "env", Options(**options))  # type: ignore[typeddict-item]


@pytest.mark.parametrize("seed", range(8))
def test_a_right_environment_passes_and_its_value_is_that_of_its_table(seed: int) -> None:
    table = random_table(np.random.default_rng(seed))
    model = assembled(given(Lottery(table)), horizon=6, gamma=0.8)
    exact = exact_gradient(model.mdp, model.policy)
    assert_allclose(exact.value, value_of(table, {0: 1.0}, 6, 0.8), rtol=1e-12)


@pytest.mark.parametrize(
    "altered",
    [
        (0.5, 2, 1.0, False),  # another next state
        (0.5, 1, 1.5, False),  # another reward
        (0.5, 1, 1.0, True),  # it ends
    ],
)
def test_an_outcome_that_the_table_does_not_have_is_refused(altered: tuple[float, int, float, bool]) -> None:
    rest = {0: [(1.0, 0, 0.0, True)]}
    table = {0: {0: [(0.5, 0, 0.0, False), (0.5, 1, 1.0, False)]}, 1: rest, 2: rest}
    drawn = copy.deepcopy(table)
    drawn[0][0][1] = altered
    assert given(Lottery(table)).states == ("0", "1", "2")
    with pytest.raises(ModelError) as caught:
        given(Lottery(table, drawn))
    text = str(caught.value)
    assert text.startswith("env: error: step() does something else than the table P says: ")
    end = " and the end" if altered[3] else ""
    assert f"state 0, action 0: step() led to {altered[1]} with reward {altered[2]:g}{end}; P: " in text
    assert "1 with reward 1 (probability 0.5)" in text


def test_a_rare_outcome_of_the_table_may_stay_unseen() -> None:
    table = {0: {0: [(1 - 1e-9, 0, 0.0, False), (1e-9, 1, 1.0, True)]}, 1: {0: [(1.0, 1, 0.0, True)]}}
    assert len(given(Lottery(table)).prob) == 3


def test_other_frequencies_in_one_row_are_refused() -> None:
    table = {0: {0: [(0.5, 0, 0.0, False), (0.5, 1, 1.0, True)]}, 1: {0: [(1.0, 1, 0.0, True)]}}
    drawn = {**table, 0: {0: [(0.6, 0, 0.0, False), (0.4, 1, 1.0, True)]}}
    with pytest.raises(
        ModelError, match=r"state 0, action 0: frequencies in [\d,]+ tries: 0\.6\d* \(probability 0\.5"
    ):
        given(Lottery(table, drawn))


def test_frequencies_that_are_a_little_off_in_many_rows_are_refused() -> None:
    size = 400  # each state is seen some 25 times

    def ring(p: float) -> dict[int, dict[int, list[tuple[float, int, float, bool]]]]:
        return {s: {0: [(p, (s + 1) % size, 0.0, False), (1 - p, (s + 7) % size, 1.0, False)]} for s in range(size)}

    assert len(given(Lottery(ring(0.8))).states) == size
    with pytest.raises(ModelError, match="pairs of state and action with the same probabilities: frequencies"):
        given(Lottery(ring(0.8), ring(0.7)))


def test_what_a_step_remembers_is_seen() -> None:
    class Fickle(Lottery):
        """The second step of one episode in ten leads elsewhere."""

        def reset(self, **settings: Any) -> tuple[Any, dict[str, Any]]:
            self.fickle, self.steps = self.rng.random() < 0.1, 0
            return super().reset(**settings)

        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            self.steps += 1
            observation, *rest = super().step(action)
            if self.fickle and self.steps == 2:
                self.state = observation = 3
            return (observation, *rest)

    table = {s: {0: [(0.9, (s + 1) % 3, 0.0, False), (0.1, s, 1.0, True)]} for s in range(3)}
    table[3] = {0: [(1.0, 3, 0.0, True)]}
    assert given(Lottery(table)).states
    with pytest.raises(ModelError, match="led to 3 with reward"):
        given(Fickle(table))


def test_evidence_is_a_mean_of_likelihood_ratios() -> None:
    # K = 2, after one draw of each kind: the integral of q(1 − q) over q is 1/6; against 1/2 · 1/2.
    assert_allclose(evidence([1, 1], [0.5, 0.5]), np.log((1 / 6) / (1 / 4)), rtol=1e-12)
    assert_allclose(evidence([0, 3], [0.2, 0.8]), np.log((1 / 4) / 0.8**3), rtol=1e-12)
    assert evidence([0, 0], [0.5, 0.5]) == 0
    # Its mean under p is 1, over all ways in which three draws come out.
    p = [0.3, 0.7]
    draws = itertools.product((0, 1), repeat=3)
    mean = sum(math.prod(p[k] for k in drawn) * np.exp(evidence([3 - sum(drawn), sum(drawn)], p)) for drawn in draws)
    assert_allclose(mean, 1, rtol=1e-12)


def test_rewards_in_single_precision_are_the_same_rewards() -> None:
    class Single(Lottery):
        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            observation, reward, *rest = super().step(action)
            return (observation, np.float32(reward), *rest)

    table = {0: {0: [(0.5, 0, 0.1, False), (0.5, 0, 100.7, True)]}}
    assert given(Single(table)).reward.tolist() == [0.1, 100.7]


def test_where_all_resets_lead_to_one_state_that_is_the_start() -> None:
    table = random_table(np.random.default_rng(3))
    found = given(Lottery(table, first=(2,)))
    assert found.start is not None
    assert found.start.tolist() == [0, 0, 1, 0, 0]
    assert "all resets start in 2" in found.assumed


def test_several_first_states_need_probabilities_or_the_option() -> None:
    table = random_table(np.random.default_rng(3))
    with pytest.raises(UsageError, match=r"env: its episodes start in 2 states \(1, 3\), and it does not say"):
        given(Lottery(table, first=(1, 3)))
    assert given(Lottery(table, first=(1, 3)), start="uniform").start is None
    right, wrong, impossible = (Lottery(table, first=(1, 3)) for _ in range(3))
    right.initial_state_distrib = [0, 0.5, 0, 0.5, 0]  # type: ignore[attr-defined]
    found = given(right).start
    assert found is not None
    assert found.tolist() == [0, 0.5, 0, 0.5, 0]
    wrong.initial_state_distrib = np.array([0, 0.8, 0, 0.2, 0])  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match=r"env: error: reset\(\) does something else than initial_state_distrib"):
        given(wrong)
    impossible.initial_state_distrib = [0, 1, 0, 0, 0]  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="it led to state 3, which has probability 0"):
        given(impossible)
    impossible.initial_state_distrib = np.ones((5, 2))  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match=r"initial_state_distrib has shape \[5, 2\]; expected 5 probabilities"):
        given(impossible)


class Limited(Lottery):
    """Says truncated after some steps, by itself."""

    limits: tuple[int, ...] = (4,)

    def reset(self, **settings: Any) -> tuple[Any, dict[str, Any]]:
        result = super().reset(**settings)
        self.left = self.limits[self.rng.integers(len(self.limits))]
        return result

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.left -= 1
        observation, reward, done, _, info = super().step(action)
        return observation, reward, done, self.left == 0, info


LOOP = {0: {0: [(0.9, 0, 1.0, False), (0.1, 0, 0.0, True)]}}


def test_a_time_limit_of_the_environments_own_is_the_horizon() -> None:
    found = given(Limited(LOOP))
    assert (found.horizon, found.limit) == (4, "the time limit of 4 steps is the horizon")
    assert given(Lottery(LOOP)).horizon is None


def test_episodes_that_are_cut_here_and_there_are_refused() -> None:
    environment = Limited(LOOP)
    environment.limits = (3, 5)
    with pytest.raises(ModelError, match=r"env: error: step\(\) says truncated after 3, 5 steps"):
        given(environment)


def test_horizon_gamma_and_names_may_be_attributes() -> None:
    environment: Any = Lottery(random_table(np.random.default_rng(0), size=3, actions=2))
    environment.horizon, environment.gamma = 9, 0.5
    environment.state_names, environment.action_names = ["a", "b", "c"], ("stay", "go")
    found = given(environment)
    assert (found.horizon, found.gamma, found.states, found.actions) == (9, 0.5, ("a", "b", "c"), ("stay", "go"))
    environment.horizon, environment.gamma = 0, 2
    environment.state_names, environment.action_names = ["a", "a", "c"], ("stay",)
    found = given(environment)
    assert (found.horizon, found.gamma, found.states, found.actions) == (None, None, ("0", "1", "2"), ("0", "1"))


class Dim(Lottery):
    """Shows which third of six states it is in."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.observation_space = Space(3)

    def reset(self, **settings: Any) -> tuple[Any, dict[str, Any]]:
        return super().reset(**settings)[0] // 2, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, *rest = super().step(action)
        return (observation // 2, *rest)


def test_where_fewer_observations_than_states_are_shown_an_attribute_tells_the_state() -> None:
    table = random_table(np.random.default_rng(1), size=6)
    assert given(Dim(table)).assumed == ("all resets start in 0",)
    with pytest.raises(ModelError, match="something else"):
        given(Dim(table, random_table(np.random.default_rng(2), size=6)))


def test_where_the_state_is_not_told_a_note_says_that_nothing_was_held() -> None:
    class Silent(Lottery):
        @property
        def state(self) -> Any:
            return "somewhere"

        @state.setter
        def state(self, value: Any) -> None:
            self.where = value

    table = random_table(np.random.default_rng(1), size=6)
    environment = Silent(table)
    environment.reset = lambda **_: ("nowhere", {})  # type: ignore[method-assign]
    found = given(environment, start="0")
    assert found.assumed == ("its steps could not be held against its table P, because it does not tell its state",)


def test_where_an_attribute_and_the_observation_disagree_nothing_is_held() -> None:
    class Turned(Lottery):
        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            observation, *rest = super().step(action)
            return (4 - observation, *rest)

    found = given(Turned(random_table(np.random.default_rng(1))), start="0")
    assert "its steps could not be held" in found.assumed[0]


@pytest.mark.parametrize(
    ("method", "result", "message"),
    [
        ("reset", 0, r"reset\(\) returned 0; expected \(observation, info\)"),
        ("step", (0, 0.0, False, {}), r"step\(\) returned \(0, 0\.0, False, \{\}\); expected \(observation, reward,"),
    ],
)
def test_the_older_interface_is_told_from_gymnasiums(method: str, result: Any, message: str) -> None:
    environment = Lottery(LOOP)
    setattr(environment, method, lambda *arguments, **settings: result)
    with pytest.raises(ModelError, match=message):
        given(environment)


def test_an_error_of_the_environment_is_told_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(Lottery):
        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            print("stepping")
            raise ZeroDivisionError("by hand")

    with pytest.raises(ModelError) as caught:
        given(Broken(LOOP))
    assert str(caught.value).startswith("env: error: it raised ZeroDivisionError: by hand\n")
    assert re.search(r'test_stepping\.py", line \d+, in step', str(caught.value))
    assert capsys.readouterr().out == ""


class TimeLimit:
    def __init__(self, env: Any, steps: int) -> None:
        self.env, self._max_episode_steps, self.unwrapped = env, steps, env.unwrapped
        self.reset, self.step, self.action_space = env.reset, env.step, env.action_space


class DoubleReward(TimeLimit):
    pass


def test_wrappers_that_change_something_are_named() -> None:
    assert given(TimeLimit(Lottery(LOOP), 7)).horizon == 7
    assert not any("wrappers" in text for text in given(TimeLimit(Lottery(LOOP), 7)).assumed)
    found = given(DoubleReward(TimeLimit(Lottery(LOOP), 7), 9))
    assert found.horizon == 7
    assert "the table is that of the environment without its wrappers DoubleReward" in found.assumed


def test_an_environment_that_has_a_table_is_not_explored() -> None:
    found = given_of(Lottery(LOOP), "env", "env", {"explore": True})
    assert "it has a table, so that it was not explored" in found.assumed


def test_without_a_table_exploring_is_offered() -> None:
    environment = Lottery(LOOP)
    del environment.P
    with pytest.raises(
        UsageError, match=r"env: it has no table of transitions \(env\.unwrapped\.P\)\n  With --explore"
    ):
        given(environment)


def test_terminal_states_without_a_row_stay_terminal() -> None:
    table: Any = {"a": {0: [(0.5, "a", 0.0, False), (0.5, "end", 1.0, True)]}}
    environment = Lottery(table, first=("a",))
    model = assembled(given(environment), horizon=3)
    assert model.mdp.terminal.tolist() == [False, True]
    assert_allclose(pgcheck.exact_gradient(model.mdp, model.policy).value, 1 - 0.5**3, rtol=1e-14)
