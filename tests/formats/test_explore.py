"""Exploring environments without a table: what is found is what walking through them shows."""

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pgcheck import ModelError
from pgcheck.formats.environments.environment import given_of
from pgcheck.formats.exploring.search import explored
from tests.conftest import Run
from tests.formats.explorable import Corridor, Keys, Step, outcomes, value, value_by_walking
from tests.report.terminals import lines_of, seen_on_terminal


def test_a_corridor_is_found_step_by_step() -> None:
    given = explored(Corridor(), source="own.py:Corridor")
    assert outcomes(given) == {
        (0, "0"): (0, 0.0, False), (0, "1"): (1, 0.0, False),
        (1, "0"): (0, 0.0, False), (1, "1"): (2, 1.0, True),
    }  # fmt: skip
    assert given.states == ("0", "1", "2")
    assert given.terminal.tolist() == [False, False, True]
    assert given.start is not None
    assert given.start.tolist() == [1, 0, 0]
    assert given.horizon is given.reach is None
    assert given.assumed == ("it was explored, so that the policy sees the environment's whole state",)


@pytest.mark.parametrize(("horizon", "gamma"), [(3, 1.0), (6, 0.9), (8, 0.5)])
def test_what_is_carried_and_counted_is_state_though_nobody_sees_it(horizon: int, gamma: float) -> None:
    given = explored(Keys(), source="keys")
    assert given.actions == ("back", "forward", "take")
    assert "where step says truncated, the episode ends" in given.assumed
    expected = value_by_walking(Keys, horizon, gamma)
    assert expected != 0 or horizon < 4
    assert_allclose(value(given, horizon, gamma), expected, rtol=1e-12)


class Turn(Corridor):
    """Cell 1 is entered with an end from the left by action 1, and without one from the right."""

    def __init__(self, ends: bool) -> None:
        super().__init__()
        self.ends = ends

    def step(self, action: Any) -> Step:
        before, self.cell = self.cell, {0: (3, 1), 1: (0, 0), 3: (1, 3)}[self.cell][int(action)]
        done = self.cell == 1 and (before == 0 or self.ends)
        return self.cell, float(self.cell), done, False, {}


def test_an_end_belongs_to_the_step() -> None:
    goes_on = explored(Turn(False), source="turn")
    # 0: start; 1: cell 3; 2: cell 1, which is expanded, since cell 3 leads there without an end.
    assert outcomes(goes_on)[0, "1"] == (2, 1.0, True)
    assert outcomes(goes_on)[1, "0"] == (2, 1.0, False)
    assert not goes_on.terminal.any()
    assert_allclose(value(goes_on, 5, 0.9), value_by_walking(lambda: Turn(False), 5, 0.9), rtol=1e-12)
    ends = explored(Turn(True), source="turn")
    assert ends.terminal.tolist() == [False, False, True]
    assert (2, "0") not in outcomes(ends)
    assert_allclose(value(ends, 5, 0.9), value_by_walking(lambda: Turn(True), 5, 0.9), rtol=1e-12)


class Sea(Corridor):
    """The deep sea: left or right, one row down at each step; the prize is at the end of the diagonal."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.row = size, 0

    def restart(self) -> None:
        self.row = 0

    def step(self, action: Any) -> Step:
        self.row += 1
        prize = action == 1 and self.cell == self.row - 1 == self.size - 1
        self.cell = min(self.cell + 1, self.size - 1) if action == 1 else max(self.cell - 1, 0)
        return self.cell, float(prize) - 0.01 * (action == 1) / self.size, self.row == self.size, False, {}


@pytest.mark.parametrize("size", [1, 2, 5, 10])
def test_the_deep_sea_has_its_known_value(size: int) -> None:
    given = explored(Sea(size), source="sea")
    # The prize with probability 2^-size, and half of the steps cost 0.01 / size each.
    assert_allclose(value(given, size, 1.0), 2.0**-size - 0.005, rtol=1e-12)


def test_shared_generators_stay_as_they_are() -> None:
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    expected = random.random(), np.random.random()  # noqa: NPY002
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    explored(Keys(), source="keys")
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002


class Layouts(Corridor):
    """The first cell depends on the seed."""

    def restart(self) -> None:
        self.cell = int(self.np_random.integers(2))


def test_one_seed_is_one_layout() -> None:
    given = explored(Layouts(), source="maze")
    assert "one seed is one layout: that of reset(seed=0) was taken" in given.assumed
    assert_allclose(value(given, 5, 0.9), value_by_walking(Layouts, 5, 0.9), rtol=1e-12)
    assert not any("layout" in text for text in explored(Corridor(), source="maze").assumed)


class Masked(Corridor):
    """Going back is not offered in the first cell."""

    def step(self, action: Any) -> Step:
        assert action == 1 or self.cell > 0
        observation, reward, ends, cut, _ = super().step(action)
        return observation, reward, ends, cut, {"action_mask": np.array([self.cell > 0, True])}

    def reset(self, **options: Any) -> Any:
        observation, _ = super().reset(**options)
        return observation, {"action_mask": np.array([False, True])}


def test_actions_that_are_masked_are_not_offered() -> None:
    assert set(outcomes(explored(Masked(), source="m"))) == {(0, "1"), (1, "0"), (1, "1")}
    with pytest.raises(ModelError, match="step raised AssertionError"):
        explored(type("Unmasked", (Masked,), {"reset": Corridor.reset})(), source="m")


def test_progress_is_told() -> None:
    told: list[tuple[str, float]] = []
    explored(Corridor(), source="c", max_states=4, progress=lambda label, fraction: told.append((label, fraction)))
    assert told[0] == ("exploring: 2 states", 0.5)
    assert told[-1] == ("replaying: 1,000 of 1,000 steps", 1.0)
    assert all(0 < fraction <= 1 for _, fraction in told)


def test_gamma_and_the_name_are_the_environments() -> None:
    environment = Corridor()
    environment.gamma = 0.75  # type: ignore[attr-defined]
    given = given_of(environment, "own.py:env", "env", {"explore": True})
    assert (given.name, given.gamma) == ("env", 0.75)
    assert "gamma 0.75 is the environment's attribute" in given.assumed


OWN = """
class Space:
    n = 2

class Walk:
    action_space = Space()
    def __init__(self): self.cell = 0
    unwrapped = property(lambda self: self)
    def reset(self, *, seed=None, options=None):
        self.cell = 0
        print("reset")
        return 0, {}
    def step(self, action):
        print("step")
        self.cell += 1 if action else 0
        return self.cell, 1.0, self.cell == 3, False, {}
"""


def test_the_command_line_explores_what_a_file_has(run: Run, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    result = run("exact", "own.py:Walk", "--explore", "--horizon", "4", "--format", "json")
    assert result.returncode == 0
    assert "note: own.py:Walk: it was explored" in result.stderr
    # An episode is shorter than 4 steps only after three steps forward: 4 - 1/8 steps are expected.
    assert_allclose(json.loads(result.stdout)["value"], 4 - 1 / 8, rtol=1e-12)
    alone = run("exact", "own.py:Walk", "--max-states", "3")
    assert (alone.returncode, "add --explore" in alone.stderr) == (2, True)
    few = run("exact", "own.py:Walk", "--explore", "--max-states", "3")
    assert few.returncode == 2
    assert "error: own.py:Walk: more than 3 states" in few.stderr
    assert "cell takes 4 values" in few.stderr
    without = run("exact", "own.py:Walk")
    assert without.returncode == 2
    assert "With --explore" in without.stderr
    other = run("exact", "two_state", "--explore")
    assert other.returncode == 2
    assert "--explore is not for a model file, which two_state is" in other.stderr


WATCHED = """
import sys
from pgcheck.cli.main import run
from pgcheck.report.progress import ProgressBar
ProgressBar.SHOWN_AFTER = ProgressBar.DRAWN_EVERY = 0
run(sys.argv[1:])
"""


@pytest.mark.parametrize("quiet", [False, True])
def test_a_bar_is_drawn_while_a_person_watches(quiet: bool, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    words = ["exact", f"{tmp_path / 'own.py'}:Walk", "--explore", *(["--quiet"] if quiet else [])]
    lines = lines_of(seen_on_terminal([sys.executable, "-c", WATCHED, *words], 100, dict(os.environ)))
    drawn = [line for line in lines if line.rstrip().endswith("%")]
    assert any(line.startswith("exploring: 4 states") for line in drawn) != quiet
    assert any(line.startswith("replaying: 1,000 of 1,000 steps") for line in drawn) != quiet
    assert any("horizon inf, cut at" in line for line in lines)
