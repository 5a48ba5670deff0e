"""Cassandra's format: each form of a line against arrays written by hand, and every fault with its place."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pgcheck import MDP, ModelError, load
from pgcheck.errors import PgcheckError, TooLargeError, UsageError
from pgcheck.formats.loading import load_model

FOLDER = Path(__file__).parent / "pomdp"
HEAD = "discount: 0.9\nvalues: reward\nstates: a b\nactions: x y\nobservations: o q\nstart: a\n"
BODY = "T: * identity\nO: * uniform\nR: * : * : * : * 1\n"

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of the format and returns its path."""

    def written(text: str) -> str:
        path = tmp_path / "m.POMDP"
        path.write_text(text, newline="")
        return str(path)

    return written


def assert_equal(mdp: MDP, other: MDP) -> None:
    for name in ("states", "actions", "horizon", "gamma", "observations"):
        assert getattr(mdp, name) == getattr(other, name), name
    for name in ("start", "terminal", "observation", "state", "action", "next_state", "prob", "reward", "done"):
        assert_array_equal(getattr(mdp, name), getattr(other, name), err_msg=name)


def test_the_tiger_is_the_one_written_by_hand() -> None:
    half = np.full((2, 2), 0.5)
    rewards = [[-1, -100, 10], [-1, 10, -100]]
    by_hand = MDP.from_arrays(
        [np.eye(2), half, half], rewards, axes="ast", horizon=np.inf, gamma=0.95, start=[0.5, 0.5],
        states=["tiger-left", "tiger-right"], actions=["listen", "open-left", "open-right"],
    )  # fmt: skip
    model = load_model(FOLDER / "growl.POMDP", horizon=np.inf)
    assert_equal(model.mdp, load_again(by_hand, model.mdp.horizon))
    assert "the policy sees the state; what is observed is not sure, and ignored" in model.notes[0]
    assert "no horizon" not in model.notes[0]


def load_again(mdp: MDP, horizon: int) -> MDP:
    """The same with another horizon."""
    from dataclasses import replace

    return replace(mdp, horizon=horizon)


def test_every_form_of_a_line() -> None:
    probs = np.array([
        [[1 / 3, 1 / 3, 1 / 3], [0, 0.5, 0.5], [0.5, 0.5, 0]],
        [[1, 0, 0], [1, 0, 0], [0, 1, 0]],
    ])  # fmt: skip
    observed = np.array([[[0.25, 0.75], [1, 0], [0.1, 0.9]], [[0.25, 0.75], [0.5, 0.5], [0, 1]]])
    cost = np.full((2, 3, 3, 2), 2.0)
    cost[0, 0, 1] = 3, -4
    cost[1, 2] = [[1, 2], [3, 4], [5, -6]]
    cost[0, :, 2, 1] = 0
    mean = np.einsum("asto,ato->ast", cost, observed)
    by_hand = MDP.from_arrays(
        probs,
        -mean,
        axes="ast",
        horizon=4,
        gamma=0.95,
        start=[0.5, 0.5, 0],
        states=["a", "b", "c"],
        actions=["0", "1"],
    )
    model = load_model(FOLDER / "forms.POMDP", horizon=4)
    assert_equal(model.mdp, by_hand)
    assert "costs were negated" in model.notes[0]
    assert "right for the gradient and wrong for variances" in model.notes[0]


def test_an_mdp_has_no_observations_and_its_rests_are_terminal() -> None:
    model = load_model(FOLDER / "chain.MDP", horizon=5)
    by_hand = MDP.from_arrays(
        np.array([[[0, 1, 0], [0, 0, 1], [0, 0, 1]], np.eye(3).tolist()]),
        [[[0, -2, 0], [0, 0, 3], [0, 0, 0]], [[-1, 0, 0], [0, -4, 0], [0, 0, 0]]],
        axes="ast", horizon=5, start=1, terminal=[2], actions=["go", "stay"],
    )  # fmt: skip
    assert_equal(model.mdp, by_hand)
    assert "costs were negated; 1 absorbing state without rewards is terminal (2)" in model.notes[0]
    assert "it has no discount: gamma 1" in model.notes[0]
    with pytest.raises(UsageError, match="has no observations"):
        load(FOLDER / "chain.MDP", observe="memoryless")


def test_a_state_that_goes_on_paying_is_not_terminal(write: Write) -> None:
    mdp, _ = load(write(HEAD + BODY), horizon=3)
    assert not mdp.terminal.any()
    mdp, _ = load(write(HEAD + BODY + "R: * : b : * : * 0"), horizon=3)
    assert_array_equal(mdp.terminal, [False, True])


def test_a_sure_observation_is_what_the_policy_sees() -> None:
    for options in ({}, {"observe": "observation"}):
        model = load_model(FOLDER / "maze.POMDP", **options)  # type: ignore[arg-type]
        assert model.mdp.observations == ("wall", "floor", "end")
        assert_array_equal(model.mdp.observation, [0, 1, 0, 2])
        assert "the policy sees the observation, one of 3, which each state shows surely" in model.notes[0]
    assert load(FOLDER / "maze.POMDP", observe="state")[0].observations == ("west", "middle", "east", "goal")


def test_an_unsure_observation_is_refused_with_state_and_action(write: Write) -> None:
    with pytest.raises(
        UsageError, match="state 'tiger-left' is not sure: 'growl-left' or 'growl-right' after action"
    ):
        load(FOLDER / "growl.POMDP", observe="observation")
    text = HEAD + "T: * uniform\nO: x : * : o 1\nO: y : a : o 1\nO: y : b : q 1\n"
    with pytest.raises(UsageError, match="'b' is not sure: 'o' after action 'x' or 'q' after action 'y'"):
        load(write(text), observe="observation")


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("start: 0.2 0.8 0", [0.2, 0.8, 0]), ("start: uniform", [1 / 3] * 3), ("start: b", [0, 1, 0]),
        ("start: 2", [0, 0, 1]), ("start include: a 2", [0.5, 0, 0.5]), ("start exclude: c", [0.5, 0.5, 0]),
        ("start\ninclude\n:\na\n", [1, 0, 0]), ("start: a c", [0.5, 0, 0.5]), ("start: a start: b", [0, 1, 0]),
        ("", [1 / 3] * 3),
    ],
)  # fmt: skip
def test_each_form_of_start(write: Write, start: str, expected: list[float]) -> None:
    text = f"discount: 0.5\nvalues: reward\nstates: a b c\nactions: 2\n{start}\nT: * uniform\nR: 0 : a : * 1\n"
    model = load_model(write(text))
    assert_array_equal(model.mdp.start, expected)
    assert ("it has no start: uniform over all states" in model.notes[0]) == (start == "")
    assert_array_equal(load(write(text), start="c")[0].start, [0, 0, 1])


def test_later_lines_override_also_with_zero(write: Write) -> None:
    text = (
        HEAD
        + BODY
        + "T: x : a : b 1\nT: x : a : a 0\nR: * : a : * : * 5\nR: x : a : b : * 0\nT: y uniform\nT: y identity"
    )
    mdp, _ = load(write(text), horizon=2)
    by_hand = MDP.from_arrays(
        np.array([[[0, 1], [0, 1]], np.eye(2).tolist()]), [[[0, 0], [1, 1]], [[5, 5], [1, 1]]], axes="ast", horizon=2,
        gamma=0.9, states=["a", "b"], actions=["x", "y"],
    )  # fmt: skip
    assert_equal(mdp, by_hand)


def test_ends_of_lines_and_where_they_stand_do_not_matter(write: Write) -> None:
    text = re.sub("#.*", "", (FOLDER / "forms.POMDP").read_text())
    first, _ = load(write(text), horizon=3)
    for other in (text.replace("\n", "\r\n"), text.replace(" ", " \t\n\n "), text.replace(":", "#:\n :")):
        assert_equal(load(write(other), horizon=3)[0], first)


def test_names_may_be_words_of_the_format(write: Write) -> None:
    text = "states: T R\nactions: O start\nstart: R\ndiscount: 0.5\n"
    text += "T: O : T : R 1\nT: O : R : T 1\nT: start identity\nR: O : T : * 1"
    mdp, _ = load(write(text))
    assert mdp.states == ("T", "R")
    assert_array_equal(mdp.start, [0, 1])


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "1:1", "no states; expected"),
        ("nonsense", "1:1", "found 'nonsense'; expected discount"),
        ("T: x", "1:1", "T before states and actions"),
        ("states:", "1:8", "states: found the end of the file"),
        ("states: 0", "1:9", "states: '0'; expected states by name, or how many"),
        ("states: a b a", "1:13", "state 'a' appears twice"),
        ("states: a 7", "1:11", "state '7' is a number, and not its own, 1"),
        ("states: a\nstates: b", "2:1", "states are said twice"),
        ("discount: 2", "1:11", "discount: found '2'; expected one number, 0 to 1"),
        ("values: money", "1:9", "values: found 'money'; expected reward or cost"),
        (HEAD + "start: c", "7:8", "unknown state 'c'"),
        (HEAD + "start: 0.5 0.4", "7:8", "start: probabilities sum to 0.9, not 1"),
        (HEAD + "start: 1 0 0", "7:8", "start: 3 numbers; expected 2"),
        (HEAD + "start exclude: a b", "7:16", "no state is left"),
        (HEAD + "T: z identity", "7:4", "unknown action 'z'"),
        (HEAD + "T: x : a : b 1.5", "7:14", "T: x : a : b: expected a probability, 0 to 1"),
        (HEAD + "T: x : a 0.5", "7:13", "T: x : a: found 1 number, and then the end of the file; expected 2"),
        (HEAD + "T: x 1 0\n0 1\n1", "9:1", "T: x: 5 numbers; expected 4"),
        (HEAD + "T: x : a identity", "7:10", "identity is not for this"),
        (HEAD + "T: x : a : b : 1", "7:16", "leave out the colon before it"),
        (HEAD + "T: x nan", "7:6", "T: x: found 'nan'; expected 4 numbers, 2 rows of 2"),
        (HEAD + "R: x : a : b 5", "7:15", "* gives all of them one number"),
        (HEAD + "R: x 1", "7:1", "R: x: no state"),
        (HEAD + "R: x : a : b : o 1e101", "7:18", "expected a number up to 1e100 in size"),
        (HEAD + BODY + "T: x : a\n0.5 0.45", "10:1", "T: x : a: probabilities sum to 0.95, not 1; add the mis"),
        (HEAD + BODY + "O: * : b : q 0", "10:1", "O: x : b: probabilities sum to 0.5, not 1; add the missing 0.5"),
        (HEAD + "T: x identity\nO: * uniform", "4:12", "T: y: no probabilities for a, b"),
        ("states: 2\nactions: 1\nO: 0 uniform", "3:1", "O without observations"),
    ],
)  # fmt: skip
def test_each_fault_is_shown_at_its_place(write: Write, text: str, place: str, message: str) -> None:
    path = write(text)
    with pytest.raises(ModelError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}:{place}: error: ")
    assert message in str(caught.value).splitlines()[0]


def test_many_faults_are_shown_at_once(write: Write) -> None:
    with pytest.raises(ModelError) as caught:
        load(write(HEAD + "T: z : a : b 1\n" * 30))
    assert str(caught.value).count(": error: ") == 20
    assert str(caught.value).endswith("... and 10 more errors")


def test_a_row_that_misses_1_by_little_is_normalised(write: Write) -> None:
    model = load_model(write(HEAD + BODY + "T: x : a 0.333 0.6675"), horizon=2)
    assert "the probabilities of 1 row miss 1 by up to 0.0005" in model.notes[0]
    assert_array_equal(model.mdp.prob[:2], np.array([0.333, 0.6675]) / (0.333 + 0.6675))


def test_what_is_large_is_refused_before_it_is_built(write: Write) -> None:
    begun = time.process_time()
    for text in (
        "states: 1000000\nactions: 2\nT: * uniform\n",
        "states: 1000000\nactions: 21\nT: * identity\n",
        "states: 100000\nactions: 9\nobservations: 9\nT: * identity\nO: * uniform\nT: 0 uniform",
    ):
        with pytest.raises(TooLargeError, match="the limit is 20,000,000"):
            load(write(text))
    assert time.process_time() - begun < 20


def test_many_lines_are_read_as_one_by_one(write: Write) -> None:
    rng = np.random.default_rng(3)
    words = [["T", "T", "R"][i] for i in rng.integers(3, size=3000)]
    lines = []
    for word in words:
        cell = [rng.choice(["0", "1", "*"]), *(rng.choice(["0", "1", "2", "*"]) for _ in "st")]
        lines.append(f"{word}: " + " : ".join(cell) + f" {rng.integers(2) if word == 'T' else rng.integers(9)}")
    head = "discount: 0.9\nvalues: reward\nstates: 3\nactions: 2\nstart: 0\n"
    rows = "".join(f"\nT: {a} : {s} 0 0.5 0.5" for a in range(2) for s in range(2))
    end = rows + "\nT: * : 2 uniform\nT: 1 : 2 : * 0\nT: 1 : 2 : 0 1\nR: 0 : 0 : 0 7"
    together = load(write(head + "\n".join(lines) + end), horizon=2)[0]
    # A word between them that stands for nothing new ends each run of lines.
    apart = load(write(head + "\nvalues: reward\n".join(lines) + end), horizon=2)[0]
    assert_equal(together, apart)
    reward = np.zeros((2, 3, 3))
    for line in lines:
        word, *cell, value = line.replace(":", "").split()
        if word == "R":
            reward[tuple(slice(None) if index == "*" else int(index) for index in cell)] = float(value)
    reward[0, 0, 0] = 7
    assert_array_equal(together.reward, reward[together.action, together.state, together.next_state])


def test_wildcards_take_no_memory(write: Write) -> None:
    text = "discount: 0.5\nstates: 3000\nactions: 2\nobservations: 500\n" + "T: * : * : * 0\n" * 1000
    text += "T: * identity\nO: * : * : 3 1\nR: * : * : * : * 1\n"
    mdp, _ = load(write(text))
    assert len(mdp.prob) == 6000


def test_the_command_line_converges_on_a_tiger() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pgcheck", "converge", f"{FOLDER}/growl.POMDP", "--horizon", "3", "--format", "json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"slope": -0.' in done.stdout
    assert issubclass(UsageError, PgcheckError)
