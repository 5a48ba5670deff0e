"""Models in arrays: what P, R and columns mean, held against J and ∇J of dense tables by plain NumPy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from pgcheck import UsageError, exact_gradient
from pgcheck.formats.loading import load_model
from pgcheck.formats.modelfile import Model
from pgcheck.model.dense import AXES
from tests.conftest import Run

S, A, GAMMA, HORIZON = 4, 2, 0.9, 6
RNG = np.random.default_rng(0)
PROB = RNG.dirichlet(np.ones(S), size=(S, A))  # [s, a, t]
REWARD = RNG.normal(size=(S, A, S))
START = np.array([0.5, 0.25, 0.25, 0.0])
COMMON: dict[str, Any] = {"start": START, "gamma": GAMMA, "horizon": HORIZON}


def saved(folder: Path, **arrays: Any) -> Path:
    path = folder / "m.npz"
    np.savez(path, **arrays)
    return path


def dense(
    prob: NDArray[Any],
    reward: NDArray[Any],
    *,
    start: NDArray[Any] = START,
    gamma: float = GAMMA,
    horizon: int = HORIZON,
    terminal: tuple[int, ...] = (),
    closed: tuple[tuple[int, int], ...] = (),
    theta: NDArray[Any] | None = None,
) -> tuple[float, NDArray[Any]]:
    """J and ∇J `[s, a]` of tables `[s, a, t]`: sweeps over time, and their derivative by complex step.

    Entering a terminal state ends an episode; pairs that are closed are not offered.
    """

    def value(x: NDArray[Any]) -> complex:
        odds = np.exp(x)
        for pair in closed:
            odds[pair] = 0
        pi = odds / odds.sum(axis=1, keepdims=True)
        v = np.zeros(len(prob), dtype=complex)
        for _ in range(horizon):
            v = np.einsum("sa,sat,sat->s", pi, prob, reward + gamma * v)
            v[list(terminal)] = 0
        return complex(start @ v)

    theta = np.zeros(prob.shape[:2]) if theta is None else theta
    gradient = np.zeros(theta.shape)
    for pair in np.ndindex(*theta.shape):
        x = theta.astype(complex)
        x[pair] += 1e-30j
        gradient[pair] = value(x).imag / 1e-30
    return value(theta.astype(complex)).real, gradient


def assert_is(model: Model, expected: tuple[float, NDArray[Any]]) -> None:
    """The model's J and ∇J are these; components of pairs that are not offered stand nowhere and have to be 0."""
    mdp, policy = model.mdp, model.policy
    found = exact_gradient(mdp, policy)
    assert_allclose(found.value, expected[0], rtol=1e-12)
    gradient = np.zeros((mdp.num_states, mdp.num_actions))
    for (state, action), x in zip(policy.parameters, found.gradient, strict=True):
        gradient[mdp.states.index(str(state)), mdp.actions.index(str(action))] = x
    assert_allclose(gradient, expected[1], rtol=1e-11, atol=1e-14)


def in_order(table: NDArray[Any], axes: str) -> NDArray[Any]:
    return table.transpose(["sat".index(axis) for axis in axes])


@pytest.mark.parametrize("axes", AXES)
def test_the_axes_are_known_from_the_shape_and_the_sums(axes: str, tmp_path: Path) -> None:
    path = saved(tmp_path, P=in_order(PROB, axes), R=in_order(REWARD, axes), **COMMON)
    model = load_model(path)
    assert_is(model, dense(PROB, REWARD))
    assert any(f"(axes {axes})" in note and "P is read as [" in note for note in model.notes)
    told = load_model(path, axes=axes)
    assert_is(told, dense(PROB, REWARD))
    assert not told.notes


@pytest.mark.parametrize("axes", AXES)
def test_as_many_actions_as_states_leave_several_readings_or_one(axes: str, tmp_path: Path) -> None:
    prob, reward = RNG.dirichlet(np.ones(S), size=(S, S)), RNG.normal(size=(S, S, S))
    path = saved(tmp_path, P=in_order(prob, axes), R=in_order(reward, axes), **COMMON)
    if axes == "tsa":  # the only order whose sums run over the first axis
        assert "(axes tsa)" in load_model(path).notes[0]
    else:  # s and a may change places without a change in the sums
        with pytest.raises(UsageError, match=r"may be (sat or ast|sta or ats)\n  Add one, like --axes"):
            load_model(path)
    assert_is(load_model(path, axes=axes), dense(prob, reward))
    other = {"sat": "ast", "ast": "sat", "sta": "ats", "ats": "sta"}.get(axes)
    if other is not None:
        with pytest.raises(AssertionError):
            assert_is(load_model(path, axes=other), dense(prob, reward))


@pytest.mark.parametrize("axes", ["sat", "ast"])
def test_rewards_have_one_of_three_shapes(axes: str, tmp_path: Path) -> None:
    prob, of_state, of_pair = in_order(PROB, axes), REWARD[:, 0, 0], REWARD[:, :, 0]
    spread = np.broadcast_to(of_pair[:, :, None], PROB.shape)
    assert_is(load_model(saved(tmp_path, P=prob, R=of_pair, **COMMON)), dense(PROB, spread))
    path = saved(tmp_path, P=prob, R=of_state, **COMMON)
    leave, enter = np.empty_like(PROB), np.empty_like(PROB)
    leave[:], enter[:] = of_state[:, None, None], of_state[None, None, :]
    assert_is(load_model(path, rewards_on="leave"), dense(PROB, leave))
    assert_is(load_model(path, rewards_on="enter"), dense(PROB, enter))
    assert abs(dense(PROB, leave)[0] - dense(PROB, enter)[0]) > 0.1  # so that the wrong reading would be seen
    with pytest.raises(UsageError, match=r"R has one reward a state.*\n  Add --rewards-on leave"):
        load_model(path)
    path = saved(tmp_path, P=prob, R=of_pair, **COMMON)
    with pytest.raises(UsageError, match=r"--rewards-on is for R with one reward a state.*has shape \(4, 2\)"):
        load_model(path, rewards_on="leave")


@pytest.mark.parametrize(("row", "paid"), [(7.0, -np.inf), (0.0, 1.0)])
def test_an_action_with_a_reward_of_minus_infinity_or_a_row_of_zeros_is_not_offered(
    row: float, paid: float, tmp_path: Path
) -> None:
    prob, reward = PROB.copy(), REWARD[:, :, 0].copy()
    expected = dense(PROB, np.broadcast_to(reward[:, :, None], PROB.shape), closed=((2, 1),))
    prob[2, 1], reward[2, 1] = row, paid
    model = load_model(saved(tmp_path, P=prob, R=reward, **COMMON))
    assert not model.mdp.available[2, 1]
    assert ("1 action with reward -inf is not offered" in model.notes[0]) == (row > 0)
    assert_is(model, expected)


def columns() -> dict[str, Any]:
    """The tables as columns, each outcome in two halves and all of them shuffled."""
    index = np.concatenate([np.arange(PROB.size), np.arange(PROB.size)])
    np.random.default_rng(1).shuffle(index)
    state, action, next_state = np.unravel_index(index, PROB.shape)
    parts = {"prob": PROB.ravel()[index] / 2, "reward": REWARD.ravel()[index]}
    return {"state": state, "action": action, "next_state": next_state, **parts}


def test_columns_are_the_same_model_and_duplicates_add(tmp_path: Path) -> None:
    model = load_model(saved(tmp_path, **columns(), **COMMON))
    assert_is(model, dense(PROB, REWARD))
    assert len(model.mdp.prob) == PROB.size
    assert not model.notes


def test_columns_that_are_left_out_are_certain_and_unpaid(tmp_path: Path) -> None:
    moves = {"state": [0, 0, 1, 2], "action": [0, 1, 0, 0], "next_state": [1, 2, 2, 0]}
    path = saved(tmp_path, **moves, reward=[1.0, 0, 0, 2], start=0, gamma=GAMMA, horizon=3)
    prob, reward = np.zeros((3, 2, 3)), np.zeros((3, 2, 3))
    prob[moves["state"], moves["action"], moves["next_state"]] = 1
    reward[0, 0, 1], reward[2, 0, 0] = 1, 2
    closed = ((1, 1), (2, 1))
    assert_is(load_model(path), dense(prob, reward, start=np.eye(3)[0], horizon=3, closed=closed))
    ended = saved(tmp_path, **moves, reward=[1.0, 0, 0, 2], done=[0, 1, 0, 0], start=0, gamma=GAMMA, horizon=3)
    # With `done` the step 0 -> 2 ends there: J = 1/2 (r_0 + γ² 2) of the other action alone.
    model = load_model(ended)
    assert exact_gradient(model.mdp, model.policy).value == pytest.approx((1 + 2 * GAMMA**2) / 2, rel=1e-14)


@pytest.mark.parametrize(
    ("start", "said", "expected"),
    [
        (2, None, [0, 0, 1, 0]), ("c", None, [0, 0, 1, 0]), (START, None, START), (["c"], None, [0, 0, 1, 0]),
        (None, "b", [0, 1, 0, 0]), (None, "uniform", [0.25] * 4), (2, "a", [1, 0, 0, 0]), (None, None, None),
    ],
)  # fmt: skip
def test_start_is_a_number_a_name_a_vector_or_what_is_said(
    start: Any, said: str | None, expected: Any, tmp_path: Path
) -> None:
    given = {} if start is None else {"start": start}
    path = saved(tmp_path, P=PROB, R=REWARD, states=list("abcd"), gamma=GAMMA, horizon=HORIZON, **given)
    options: Any = {} if said is None else {"start": said}
    if expected is None:
        with pytest.raises(UsageError, match=r"does not say where episodes start\n  Add --start a .*uniform"):
            load_model(path, **options)
    else:
        assert_is(load_model(path, **options), dense(PROB, REWARD, start=np.array(expected)))


@pytest.mark.parametrize("terminal", [[3], ["d"], [False, False, False, True], None])
def test_episodes_end_on_entering_a_terminal_state(terminal: Any, tmp_path: Path) -> None:
    given = {"goal" if terminal is None else "terminal": np.array(terminal or [3])}
    path = saved(tmp_path, P=PROB, R=REWARD, states=list("abcd"), actions=["go", "stay"], **COMMON, **given)
    model = load_model(path, terminal="goal") if terminal is None else load_model(path)
    assert model.mdp.states == ("a", "b", "c", "d")
    assert model.mdp.actions == ("go", "stay")
    assert_is(model, dense(PROB, REWARD, terminal=(3,)))
    if terminal is None:  # without the option the array means nothing, which is said
        assert "not read: goal" in load_model(path).notes[0]
        assert_is(load_model(path), dense(PROB, REWARD))


def test_an_absorbing_state_is_terminal_only_where_it_does_not_pay(tmp_path: Path) -> None:
    prob, reward = PROB.copy(), REWARD.copy()
    prob[3], reward[3] = np.eye(S)[3], 0
    model = load_model(saved(tmp_path, P=prob, R=reward, **COMMON))
    assert model.mdp.terminal.tolist() == [False, False, False, True]
    assert "1 absorbing state without rewards is terminal (3)" in model.notes[0]
    reward[3] = 1
    assert not load_model(saved(tmp_path, P=prob, R=reward, **COMMON)).mdp.terminal.any()


def test_what_the_arrays_do_not_say_is_noted_and_options_override(tmp_path: Path) -> None:
    path = saved(tmp_path, P=PROB, R=REWARD, start=START)
    model = load_model(path, gamma=0.5)
    assert "it has no horizon: inf" in model.notes[0]
    assert_is(model, dense(PROB, REWARD, gamma=0.5, horizon=100))  # 0.5^100 is far below rounding
    short = load_model(path, horizon=2)
    assert "it has no discount: gamma 1" in short.notes[0]
    assert_is(short, dense(PROB, REWARD, gamma=1, horizon=2))


def test_a_policy_in_the_arrays_is_the_point_of_the_gradient(tmp_path: Path) -> None:
    theta = RNG.normal(size=(S, A))
    model = load_model(saved(tmp_path, P=PROB, R=REWARD, policy_softmax=theta, **COMMON))
    assert_is(model, dense(PROB, REWARD, theta=theta))
    assert abs(dense(PROB, REWARD, theta=theta)[0] - dense(PROB, REWARD)[0]) > 1e-3


def test_rows_that_miss_1_a_little_are_normalised_and_said(tmp_path: Path) -> None:
    prob = PROB.copy()
    prob[1, 0] *= 1.0005
    model = load_model(saved(tmp_path, P=prob, R=REWARD, **COMMON))
    assert "the probabilities of 1 row miss 1 by up to 0.0005 and were normalised" in model.notes[0]
    assert_is(model, dense(PROB, REWARD))
    single = load_model(saved(tmp_path, P=PROB.astype(np.float32), R=REWARD, **COMMON))
    rows = PROB.astype(np.float32).astype(float)
    assert_array_equal(np.bincount(single.mdp.state, single.mdp.prob).round(12), np.full(S, A))
    assert_is(single, dense(rows / rows.sum(axis=2, keepdims=True), REWARD))


def test_the_command_line_takes_the_options_and_says_what_it_took(run: Run, tmp_path: Path) -> None:
    saved(tmp_path, P=PROB, R=REWARD[:, 0, 0], gamma=GAMMA, horizon=HORIZON)
    words = ("exact", "m.npz", "--rewards-on", "leave", "--start", "uniform", "--format", "json")
    done = run(*words)
    assert done.returncode == 0
    assert done.stderr.startswith("note: m.npz: P is read as [state, action, next state] (axes sat)\n")
    assert "note" not in run(*words, "--axes", "sat").stderr
    assert run("exact", "m.npz", "--rewards-on", "leave").returncode == 2
