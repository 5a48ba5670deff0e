"""What bounds exploring: the number of states, time limits, and the actions that can be taken."""

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pgcheck import ModelError, UsageError
from pgcheck.errors import TooLargeError
from pgcheck.formats.assembling import assembled
from pgcheck.formats.exploring import actions
from pgcheck.formats.exploring.search import explored
from tests.formats.explorable import Corridor, Step, TimeLimit, outcomes, value, value_by_walking
from tests.formats.lotteries import Space


class Counter(Corridor):
    """Counts all its steps, without end."""

    total = 0

    def pay(self, action: int) -> float:
        self.total += 1
        self.log = [*getattr(self, "log", []), action][-2:]
        return super().pay(action)


def test_too_many_states_name_what_counts() -> None:
    with pytest.raises(TooLargeError) as caught:
        explored(Counter(), source="count", max_states=50)
    text = str(caught.value)
    assert text.startswith("count: more than 50 states; the limit is 50.\n  total takes ")
    assert "log takes 6 values" in text  # one or two actions: 2 + 4
    assert "np_random" not in text
    assert len(explored(Corridor(), source="count", max_states=3).states) == 3
    with pytest.raises(TooLargeError):
        explored(Corridor(), source="count", max_states=2)


def test_a_time_limit_is_the_horizon_and_ends_what_counts() -> None:
    given = explored(TimeLimit(Counter(), 4), source="count", max_states=100)
    assert (given.horizon, given.reach) == (4, 4)
    assert given.limit == "the time limit of 4 steps is the horizon, beyond which nothing was explored"
    expected = value_by_walking(Counter, 4, 0.9)
    assert_allclose(value_by_walking(lambda: TimeLimit(Counter(), 4), 6, 0.9), expected, rtol=1e-12)
    assert_allclose(value(given, 4, 0.9), expected, rtol=1e-12)
    assert_allclose(value(given, 3, 0.9), value_by_walking(Counter, 3, 0.9), rtol=1e-12)
    with pytest.raises(UsageError, match="--horizon 5: count was explored for 4 steps from where it starts"):
        assembled(given, horizon=5)
    with pytest.raises(UsageError, match="--start: count was explored for 4 steps from where it starts alone"):
        assembled(given, start="1")
    assert assembled(given, start="0").mdp.horizon == 4


def test_a_time_limit_that_cuts_nothing_may_be_overridden() -> None:
    given = explored(TimeLimit(Corridor(), 4), source="cut")
    assert (given.horizon, given.reach) == (4, None)
    assert given.limit == "the time limit of 4 steps is the horizon"
    assert_allclose(value(given, 7, 0.9), value_by_walking(Corridor, 7, 0.9), rtol=1e-12)
    assert assembled(given, start="1").mdp.start.tolist() == [0, 1, 0]


class MultiDiscrete:
    def __init__(self, sizes: list[int]) -> None:
        self.nvec, self.dtype, self.shape = np.array(sizes), np.dtype(np.int64), (len(sizes),)


class Pairs(Corridor):
    def __init__(self) -> None:
        super().__init__()
        self.action_space = MultiDiscrete([2, 3])

    def step(self, action: Any) -> Step:
        return super().step(int(action[0] == 1 and action[1] == 2))


def test_actions_of_several_parts_are_named_by_them() -> None:
    given = explored(Pairs(), source="pairs")
    assert given.actions == tuple(f"{i},{j}" for i, j in itertools.product(range(2), range(3)))
    assert outcomes(given)[0, "1,2"] == (1, 0.0, False)
    assert all(outcomes(given)[0, name] == (0, 0.0, False) for name in given.actions if name != "1,2")


def test_actions_may_start_at_another_number_and_must_be_few() -> None:
    environment = Corridor()
    environment.action_space.start = 1
    assert explored(environment, source="c").actions == ("1", "2")
    for space, message in (
        (object(), r"c: error: its action space is object; exploring needs finitely many actions"),
        (Space(actions.MAX_ACTIONS + 1), "c: error: 10,001 actions; exploring takes 1 to 10,000"),
        (Space(0), "c: error: 0 actions"),
    ):
        environment.action_space = space
        with pytest.raises(ModelError, match=message):
            explored(environment, source="c")
