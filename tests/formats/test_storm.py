"""Explicit models of Storm become the models that they are, and say what was taken for granted."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pgcheck import UsageError, exact_gradient, load, load_model
from tests import oracles
from tests.formats.explicit_models import FOLDER, assert_same, rover

ROVER = FOLDER / "rover.drn"


@pytest.mark.parametrize("rewards", ["fuel", "samples"])
def test_the_arrays_are_those_written_by_hand(rewards: str) -> None:
    mdp, policy = load(ROVER, rewards=rewards, horizon=9, gamma=0.9)
    assert_same(mdp, rover(rewards, None, (2, 3, 4) if rewards == "samples" else (2, 4), of_prism=False))
    assert_allclose(exact_gradient(mdp, policy).gradient, oracles.complex_step(mdp, policy), rtol=1e-12, atol=1e-14)


def test_labels_end_episodes() -> None:
    by_hand = rover("fuel", None, (2, 3, 4), of_prism=False)
    assert_same(load(ROVER, rewards="fuel", terminal="over", horizon=9, gamma=0.9)[0], by_hand)
    assert_same(load(ROVER, rewards="fuel", terminal="in the pit", horizon=9, gamma=0.9)[0], by_hand)
    with pytest.raises(UsageError, match="no such label; the labels are deadlock, goal, in the pit, init, over"):
        load(ROVER, rewards="fuel", terminal="gaol")


def test_several_rewards_need_a_name() -> None:
    with pytest.raises(UsageError, match="2 reward structures: fuel, samples\n  Add --rewards fuel"):
        load(ROVER)


@pytest.mark.parametrize(("names", "column"), [(" a ", 1), ("a  ", 0), ("a b ", 0), ("\ta  b", 0), ("b a", 1)])
def test_rewards_without_a_name_keep_their_place(names: str, column: int, tmp_path: Path) -> None:
    # Storm writes a blank after each name, and rewards of PRISM's language may have an empty one.
    path = tmp_path / "names.drn"
    path.write_text(
        f"@type: MDP\n@reward_models\n{names}\n@nr_states\n2\n@nr_choices\n1\n@model\n"
        "state 0 [0, 0] init\naction go [1, 5]\n1 : 1\nstate 1 [0, 0]\n"
    )
    model = load_model(path, rewards="a", horizon=3, gamma=1)
    assert exact_gradient(model.mdp, model.policy).value == (1, 5)[column]
    other = load_model(path, rewards="b" if "b" in names else f"rew{1 - column}", horizon=3, gamma=1)
    assert exact_gradient(other.mdp, other.policy).value == (5, 1)[column]


def test_numbers_of_choices_are_no_labels(tmp_path: Path) -> None:
    path = tmp_path / "rover.drn"
    text = ROVER.read_text().replace("action wait", "action 1").replace("action back", "action 2")
    path.write_text(text.replace("action go\n", "action 1\n").replace("go", "0", 1).replace("go [3", "0 [3"))
    text = path.read_text().replace("action stay", "action 0")
    path.write_text(text)
    model = load_model(path, rewards="fuel", horizon=9, gamma=0.9)
    assert model.mdp.actions == ("0", "1", "2")
    assert "not every choice has a label" in model.notes[0]
    assert "not every choice" not in load_model(ROVER, rewards="fuel", horizon=9, gamma=0.9).notes[0]


def test_a_choice_without_label_does_not_take_the_labels_of_others(tmp_path: Path) -> None:
    # States 1 and 2 look alike and have the same actions in another order; left pays 1, right nothing.
    path = tmp_path / "order.drn"
    left, right = "action left [1]\n3 : 1\n", "action right [0]\n3 : 1\n"
    path.write_text(
        "@type: POMDP\n@reward_models\nr\n@nr_states\n4\n@nr_choices\n6\n@model\n"
        "state 0 {0} [0] init\naction __NOLABEL__ [0]\n1 : 0.5\n2 : 0.5\n"
        f"state 1 {{1}} [0]\n{left}{right}state 2 {{1}} [0]\n{right}{left}"
        "state 3 {2} [0]\naction __NOLABEL__ [0]\n3 : 1\n"
    )
    model = load_model(path, gamma=1)
    answer = exact_gradient(model.mdp, model.policy)
    assert model.mdp.actions == ("0", "left", "right")
    assert answer.gradient.tolist() == [0, 0.25, -0.25]  # pi(left) (1 - pi(left))
    assert "those without one are numbered" in model.notes[0]


def test_a_chain_may_leave_actions_out(tmp_path: Path) -> None:
    path = tmp_path / "chain.drn"
    path.write_text("@type: DTMC\n@nr_states\n2\n@model\nstate 0 [3]init\n0 : 0.5\n1 : 1/2\nstate 1 goal\n1 : 1\n")
    model = load_model(path, gamma=1)
    answer = exact_gradient(model.mdp, model.policy)
    assert answer.value == pytest.approx(6, rel=1e-12)  # 3 for each of 2 steps
    assert not answer.gradient.any()
    assert "a DTMC has one action; rewards: rew0" in model.notes[0]


def test_states_that_look_alike_need_the_same_actions(tmp_path: Path) -> None:
    path = tmp_path / "maze.drn"
    path.write_text((FOLDER / "maze.drn").read_text().replace("action right [2]", "action up [2]"))
    assert np.unique(load(FOLDER / "maze.drn", rewards="rew0", gamma=0.9)[0].observation).tolist() == [0, 1, 2]
    path.write_text(path.read_text().replace("__NOLABEL__", "begin"))
    with pytest.raises(Exception, match="states that look alike need the same actions"):
        load(path, rewards="rew0", gamma=0.9)
