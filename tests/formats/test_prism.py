"""Explicit models of PRISM become the models that they are, and say what was taken for granted."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pgcheck import MDP, ModelError, UsageError, exact_gradient, load, load_model
from tests import oracles
from tests.formats.explicit_models import ACTIONS, FOLDER, PROB, assert_same, rover

STATES = ("(base,false)", "(field,false)", "(lake,false)", "(pit,true)", "(base,true)")


def copied(folder: Path, *names: str) -> Path:
    """The folder, with these files in it."""
    for name in names:
        shutil.copy(FOLDER / name, folder)
    return folder


def note(path: Path, **options: str) -> str:
    return load_model(path, horizon=9, gamma=0.9, **options).notes[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("rewards", ["fuel", "samples"])
def test_the_arrays_are_those_written_by_hand(rewards: str) -> None:
    mdp, policy = load(FOLDER / "rover.tra", rewards=rewards, horizon=9, gamma=0.9)
    assert_same(mdp, rover(rewards, STATES, (2, 3, 4) if rewards == "samples" else (2, 4), of_prism=True))
    assert_allclose(exact_gradient(mdp, policy).gradient, oracles.complex_step(mdp, policy), rtol=1e-12, atol=1e-14)


def test_a_label_ends_episodes_and_its_rewards_are_not_paid() -> None:
    path = FOLDER / "rover.tra"
    mdp, policy = load(path, rewards="fuel", terminal="over", gamma=1)
    assert_same(load(path, rewards="fuel", terminal="over", horizon=9, gamma=0.9)[0],
                rover("fuel", STATES, (2, 3, 4), of_prism=True))  # fmt: skip
    # V = r + P V over the states that do not end episodes, with the uniform policy.
    states, offered = [0, 1], {0: [0, 1], 1: [0, 2, 3]}
    paid = rover("fuel", STATES, (2, 3, 4), of_prism=True)
    reward = [
        sum(paid.prob[k] * paid.reward[k] for k in np.flatnonzero(paid.state == s)) / len(offered[s]) for s in states
    ]
    moves = [[np.mean([PROB[s, a, t] for a in offered[s]]) for t in states] for s in states]
    value = np.linalg.solve(np.eye(2) - moves, reward)[0]
    assert exact_gradient(mdp, policy).value == pytest.approx(value, rel=1e-12)
    assert "entering 2 states with the label over ends an episode" in note(path, rewards="fuel", terminal="over")
    assert "rewards in 1 state where episodes end are not paid" in note(path, rewards="fuel", terminal="over")
    assert "not paid" not in note(path, rewards="fuel")


def test_an_absorbing_state_that_pays_goes_on() -> None:
    mdp, _ = load(FOLDER / "rover.tra", rewards="fuel", horizon=9, gamma=0.9)
    assert np.flatnonzero(mdp.terminal).tolist() == [2, 4]  # not the pit
    assert "1 state without choices: terminal" in note(FOLDER / "rover.tra", rewards="fuel")


def test_a_chain_has_a_known_expected_number_of_flips_and_no_gradient() -> None:
    model = load_model(FOLDER / "dice.tra", gamma=1)
    answer = exact_gradient(model.mdp, model.policy)
    assert answer.value == pytest.approx(11 / 3, rel=1e-12)  # Knuth and Yao (1976)
    assert not answer.gradient.any()
    assert model.mdp.actions == ("0",)
    for clause in ("a DTMC has one action", "the gradient is 0", "episodes start in the first state", "rewards: 1"):
        assert clause in model.notes[0]


def test_choices_without_labels_are_numbered(tmp_path: Path) -> None:
    copied(tmp_path, "rover.tra", "rover.lab", "rover2.trew")
    path = tmp_path / "rover.tra"
    assert load(path, gamma=0.9)[0].actions == ACTIONS[:4]
    path.write_text(path.read_text().replace("1 2 0 1 back", "1 2 0 1"))
    assert load(path, gamma=0.9)[0].actions == (*ACTIONS[:3], "0")
    assert "not every choice has a label: those without one are numbered" in note(path)
    # The label of a state that is never left does not count: PRISM writes none there.
    copied(tmp_path, "rover.tra")
    path.write_text(path.read_text().replace("2 0 2 1 stay", "2 0 2 1").replace("3 0 3 1 stay", "3 0 3 1"))
    assert load(path, gamma=0.9)[0].actions == ACTIONS[:4]


def test_several_rewards_need_a_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2 reward structures: fuel, samples\n  Add --rewards fuel"):
        load(FOLDER / "rover.tra")
    with pytest.raises(UsageError, match="no such reward structure; the reward structures are fuel, samples"):
        load(FOLDER / "rover.tra", rewards="time")
    copied(tmp_path, "rover.tra", "rover.lab")
    with pytest.raises(UsageError, match="no such reward structure; it has no rewards"):
        load(tmp_path / "rover.tra", rewards="fuel")
    assert "no rewards: all are 0" in note(tmp_path / "rover.tra")
    copied(tmp_path, "rover1.srew", "rover1.trew")
    assert "rewards: fuel;" in note(tmp_path / "rover.tra")
    text = (tmp_path / "rover1.srew").read_text()
    (tmp_path / "rover1.srew").write_text(text.replace("fuel", "time"))
    (tmp_path / "rover1.trew").unlink()
    assert "rewards: time (it sounds like a cost, and is maximised)" in note(tmp_path / "rover.tra")


def test_rewards_of_another_model_are_left_alone(tmp_path: Path) -> None:
    copied(tmp_path, "rover.tra", "rover.lab", "rover1.srew", "rover1.trew", "rover2.trew")
    shutil.copy(FOLDER / "rover.tra", tmp_path / "rover1.tra")
    assert "rewards: samples" in note(tmp_path / "rover.tra")
    (tmp_path / "rover2.trew").unlink()
    shutil.copy(FOLDER / "rover1.srew", tmp_path / "rover.srew")
    assert "rewards: fuel" in note(tmp_path / "rover.tra")


def test_rewards_of_an_earlier_export_are_not_taken_for_all(tmp_path: Path) -> None:
    copied(tmp_path, "rover.tra", "rover.lab", "rover1.srew", "rover1.trew", "rover2.trew")
    path = tmp_path / "rover.srew"
    path.write_text("5 1\n0 7\n")
    with pytest.raises(UsageError, match="3 reward structures: rover, fuel, samples\n  Add --rewards rover"):
        load(tmp_path / "rover.tra")
    assert load(tmp_path / "rover.tra", rewards="rover", horizon=1)[0].reward[0] == 7
    path.write_text('# Reward structure "fuel"\n5 1\n0 7\n')
    with pytest.raises(ModelError, match="another reward structure is called 'fuel', too; rename one"):
        load(tmp_path / "rover.tra", rewards="fuel")


def test_first_states_come_from_their_label(tmp_path: Path) -> None:
    copied(tmp_path, "rover.tra", "rover.lab")
    path = tmp_path / "rover.lab"
    path.write_text(path.read_text().replace("2: 2 3", "1: 0\n2: 2 3"))
    with pytest.raises(UsageError, match="2 first states: 0, 1\n  Add --start 0"):
        load(tmp_path / "rover.tra", gamma=0.9)
    assert load(tmp_path / "rover.tra", start="1", gamma=0.9)[0].start.tolist() == [0, 1, 0, 0, 0]
    path.write_text(path.read_text().replace("0: 0\n1: 0\n", ""))
    with pytest.raises(UsageError, match="does not say where episodes start"):
        load(tmp_path / "rover.tra", gamma=0.9)
    with pytest.raises(UsageError, match="no such label; the labels are deadlock, goal, init, over"):
        load(tmp_path / "rover.tra", gamma=0.9, terminal="gaol")
    path.unlink()
    with pytest.raises(UsageError, match="no such label; it has no labels"):
        load(tmp_path / "rover.tra", gamma=0.9, terminal="goal")


def test_what_is_seen_gives_observations() -> None:
    prob, reward = np.zeros((4, 3, 4)), np.zeros((4, 3))
    prob[0, 0, [1, 2]] = 0.5
    prob[1, 1, 3] = prob[1, 2, 1] = prob[2, 1, 2] = prob[2, 2, 3] = 1
    reward[1, 1], reward[2, 2] = 1, 2
    by_hand = MDP.from_arrays(
        prob, reward, horizon=9, gamma=0.9, terminal=[3], actions=("0", "left", "right"),
        observations=("0", "3", "3", "1"),
    )  # fmt: skip
    assert_same(load(FOLDER / "maze.tra", horizon=9, gamma=0.9)[0], by_hand)
    assert_same(load(FOLDER / "maze.drn", horizon=9, gamma=0.9, rewards="rew0")[0], by_hand)


def test_rounded_probabilities_are_normalised(tmp_path: Path) -> None:
    copied(tmp_path, "rover.tra", "rover.lab")
    path = tmp_path / "rover.tra"
    path.write_text(path.read_text().replace("0 0 0 0.3 go", "0 0 0 0.2999 go"))
    assert "the probabilities of 1 row miss 1 by up to 0.0001" in note(path)


@pytest.mark.parametrize(
    ("name", "commands"),
    [
        ("a/x.prism", ["prism x.prism -exporttrans x.tra", "storm --prism x.prism", "--exportbuild x.drn"]),
        ("x.nm", ["prism x.nm -exporttrans x.tra"]),
        ("x.umb", ["prism -importmodel x.umb -exporttrans", "storm --explicit-umb x.umb"]),
        ("x.jani", ["storm --jani x.jani"]),
    ],
)
def test_what_is_not_explicit_is_refused_with_the_export(name: str, commands: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        load(name)
    assert all(command in str(caught.value) for command in commands)
