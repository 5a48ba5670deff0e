"""Dense tables as they stand in textbooks and other tools → the MDP."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import pgcheck
from pgcheck import MDP, ModelError, TabularSoftmax, UsageError

# Two states and a goal: from 0, action 0 stays or moves on alike, action 1 moves on; 1 offers action 0 alone.
P = np.array([[[0.5, 0.5, 0], [0, 1, 0]], [[0, 0, 1], [0, 0, 0]], [[0, 0, 1], [0, 0, 1]]])
BY_PAIR = np.array([[0.0, 1.0], [2.0, 0.0], [7.0, 7.0]])


def gradient(mdp: MDP) -> np.ndarray:
    return pgcheck.exact_gradient(mdp, TabularSoftmax.of(mdp)).gradient


def model(transitions: object = P, rewards: object = BY_PAIR, **options: object) -> MDP:
    settings: dict[str, object] = {"horizon": 3, "gamma": 0.5, "terminal": [2], **options}
    return MDP.from_arrays(transitions, rewards, **settings)  # type: ignore[arg-type]


def test_it_is_the_model_that_a_file_would_describe() -> None:
    text = """
      {name: arrays, horizon: 3, gamma: 0.5, states: 3, actions: 2, start: 0, terminal: [2], transitions: {
        0: {0: [{to: 0, p: 0.5}, {to: 1, p: 0.5}], 1: {to: 1, reward: 1}}, 1: {0: {to: 2, reward: 2}}}}
    """
    mdp, written = model(), pgcheck.loads(text).mdp
    for name in ("start", "terminal", "observation", "state", "action", "next_state", "prob", "reward", "done"):
        assert_array_equal(getattr(mdp, name), getattr(written, name))
    assert (mdp.name, mdp.states, mdp.actions, mdp.observations) == (
        "arrays", written.states, written.actions, written.observations,
    )  # fmt: skip


@pytest.mark.parametrize("axes", ["sat", "ast", "tsa", "sta", "ats"])
def test_every_order_of_the_axes_is_the_same_model(axes: str) -> None:
    order = ["sat".index(axis) for axis in axes]
    by_outcome = np.broadcast_to(BY_PAIR[:, :, None], P.shape)
    moved = model(P.transpose(order), by_outcome.transpose(order), axes=axes)
    assert_array_equal(gradient(moved), gradient(model()))
    assert_array_equal(moved.reward, model().reward)


def test_a_reward_of_a_state_belongs_to_the_step_that_leaves_or_enters_it() -> None:
    of_state = np.array([3.0, 5.0, 7.0])
    assert_array_equal(model(rewards=of_state).reward, [3, 3, 3, 5])
    entered = model(rewards=of_state, rewards_on="enter")
    assert_array_equal(entered.reward, of_state[entered.next_state])


def test_start_and_terminal_are_numbers_or_arrays() -> None:
    assert_array_equal(model(start=1).start, [0, 1, 0])
    assert_array_equal(model(start=[0.25, 0.75, 0]).start, [0.25, 0.75, 0])
    assert_array_equal(model(terminal=np.array([False, False, True])).terminal, model().terminal)


def test_names_and_observations() -> None:
    mdp = model(states=["a", "b", "end"], actions=["x", "y"], terminal=[2], name="mine")
    assert (mdp.name, mdp.states, mdp.actions) == ("mine", ("a", "b", "end"), ("x", "y"))
    alike = model(np.delete(P, 1, axis=1), BY_PAIR[:, :1], observations=["hall", "hall", "end"])
    assert alike.observations == ("hall", "end")
    assert_array_equal(alike.observation, [0, 0, 1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"transitions": P.transpose(1, 0, 2)},
            r"axes='sat' expects \[S, A, S\]; this shape fits axes='ast' or 'ats'",
        ),
        ({"transitions": P[0]}, "shape"),
        ({"transitions": [["x"]]}, "not an array of numbers"),
        ({"transitions": P * np.nan}, "not finite"),
        ({"transitions": P * 0.9}, "do not sum to 1"),
        ({"rewards": [1.0, 2.0]}, r"expected \[S\] = \(3,\)"),
        ({"start": 3}, r"start \[3\]; expected numbers of states, 0 to 2"),
        ({"start": -1}, r"start \[-1\]"),
        ({"start": [0.5, 0.6, 0]}, "start does not sum to 1"),
        ({"terminal": [3]}, r"terminal \[3\]"),
        ({"terminal": [0.5]}, r"terminal \[0.5\]"),
        ({"states": ["a"]}, "one entry a state"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        model(**options)


@pytest.mark.parametrize("options", [{"axes": "xyz"}, {"rewards_on": "stay"}])
def test_an_unknown_word_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="expected"):
        model(**options)


def test_reprs_are_short() -> None:
    mdp, policy = pgcheck.load("frozen_lake")
    assert repr(mdp) == "MDP('frozen-lake': 16 states, 4 actions, 128 outcomes, horizon 100, gamma 1)"
    assert repr(policy) == "TabularSoftmax(44 preferences of 16 states, theta=array[44])"
