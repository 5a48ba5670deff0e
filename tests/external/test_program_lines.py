"""The lines that programs get and give, without a process."""

import json
import threading
import time
from typing import Any

import numpy as np
import pytest

import pgcheck
from pgcheck import Batch
from pgcheck.errors import EstimatorError
from pgcheck.external.inbox import MOST_WAITING, Inbox
from pgcheck.external.program_answers import Answers, Reader, Shapes
from pgcheck.external.program_digits import digits_of
from pgcheck.external.program_lines import (
    CROPPED,
    WrongLineError,
    array_of,
    batch_line,
    episode_texts,
    list_in,
    quoted,
)
from pgcheck.external.program_trial import other_model
from pgcheck.trajectories.paths import listed
from pgcheck.verification.alterations import all_cut_off, next_states_moved, rewards_times
from tests.problems import random_problem


def told(batch: Batch) -> list[dict[str, Any]]:
    (line,) = batch_line(episode_texts(batch, np.arange(len(batch)))).splitlines()
    message = json.loads(line)
    assert list(message) == ["episodes"]
    return list(message["episodes"])


@pytest.mark.parametrize("seed", range(12))
def test_the_episodes_of_a_line_are_those_of_the_batch(seed: int) -> None:
    """Of length 0, of different lengths, terminated and cut off."""
    batch, _ = listed(*random_problem(seed), most=3000)
    for episode, start, wanted in zip(told(batch), batch.starts.tolist(), batch, strict=True):
        assert episode == {
            "states": [start, *wanted.next_states.tolist()], "actions": wanted.actions.tolist(),
            "rewards": wanted.rewards.tolist(), "terminated": wanted.terminated,
        }  # fmt: skip
        assert episode["states"][:-1] == wanted.states.tolist()


def test_some_episodes_come_in_the_order_in_which_they_are_asked_for() -> None:
    batch, _ = listed(*pgcheck.load("two_state"))
    everything = episode_texts(batch, np.arange(len(batch)))
    assert episode_texts(batch, np.array([7, 0, 7, 3])) == [everything[k] for k in (7, 0, 7, 3)]


def test_altered_arrays_are_sent() -> None:
    batch, _ = listed(*pgcheck.load("two_state"))
    plain = told(batch)
    for before, after in zip(plain, told(all_cut_off(rewards_times(-3.0)(batch))), strict=True):
        assert after["rewards"] == [-3 * reward for reward in before["rewards"]]
        assert after["terminated"] is False
        assert (after["states"], after["actions"]) == (before["states"], before["actions"])
    for before, after in zip(plain, told(next_states_moved(batch)), strict=True):
        *path, last = before["states"]
        assert after["states"] == [*path, (last + 1) % batch.num_states]


@pytest.mark.parametrize(
    ("line", "values"),
    [
        (b"[1, 2.5, -3e-2]", [1.0, 2.5, -0.03]),
        (b" [[1],[2]]\t\r", [[1.0], [2.0]]),
        (b"[" + b"9" * 5000 + b", 0]", [np.inf, 0.0]),
        (b"[NaN, nan, -nan, null, Infinity, -Infinity, inf, -inf]", [np.nan] * 4 + [np.inf, -np.inf] * 2),
        (b"[-nan(0x8000000000000), 1]", [np.nan, 1.0]),
        (b"[]", []),
    ],
)
def test_numbers_are_read_with_those_that_are_not_finite(line: bytes, values: list[float]) -> None:
    np.testing.assert_array_equal(array_of(list_in(line)), np.array(values))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"", "is empty"),
        (b"[1, 2", "is no list of numbers in JSON"),
        (b"[01]", "is no list of numbers in JSON"),
        (b"[1], [2]", "is no list of numbers"),
        (b"[1, true]", "holds true or false, where numbers are expected"),
        (b'[["1"]]', "holds a string, where numbers are expected"),
        (b'["NaN"]', "holds a string, where numbers are expected"),
        (b'[1, {"a": 2}]', "holds an object, where numbers are expected"),
        (b"nan", "is no list of numbers"),
        (b"banana", "is no list of numbers in JSON"),
        (b"[\xff]", "is not UTF-8"),
        (b"[" * 10**5, "is no list of numbers in JSON"),
    ],
)
def test_what_is_no_list_of_numbers_is_named(line: bytes, fault: str) -> None:
    with pytest.raises(WrongLineError) as error:
        list_in(line)
    assert str(error.value) == fault


def test_lists_of_different_lengths_are_refused() -> None:
    for values in ([[1.0], [1.0, 2.0]], [1.0, [2.0]]):
        with pytest.raises(WrongLineError, match="different lengths"):
            array_of(values)


def test_a_quotation_is_short_and_harmless() -> None:
    assert quoted(b"short") == "short"
    assert quoted(b"x" * 1000) == "x" * CROPPED + "..."
    assert quoted(b"\x1b[2J\x00") == "\\x1b[2J\\x00"
    assert quoted("é".encode() * CROPPED) == "é" * CROPPED


@pytest.mark.parametrize("whole", [False, True])
def test_an_answer_of_two_readings_is_read_as_the_last_one_of_one_reading(whole: bool) -> None:
    """On a bandit of two actions and a terminal state, two gradients [2] look like one table [2, 2]."""
    mdp, policy = random_problem(3, full=True)
    while not (mdp.num_states == mdp.num_actions == 2 and len(policy.theta) == 2):
        mdp, policy = random_problem(int(mdp.name.removeprefix("random-")) + 1, full=True)
    batch, _ = listed(mdp, policy, most=4000)
    acting = int(np.flatnonzero(~mdp.terminal)[0])
    reader = Reader("cmd:mine")

    def read(line: bytes, episodes: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
        lengths = np.ones((1, episodes), dtype=np.int64)
        return reader.gradients(batch, Answers([line], 1, Shapes.of(batch, episodes), lengths))

    line = b"[[1, 2], [3, 4]]"
    expected = np.zeros((2, 2, 2))
    expected[:, acting] = [[1, 2], [3, 4]]
    np.testing.assert_array_equal(read(line, 2), expected)  # before any other
    read(b"[5, 6]" if whole else b"[[5, 6], [5, 6], [5, 6]]", 3)
    np.testing.assert_array_equal(read(line, 2), [[1, 2], [3, 4]] if whole else expected)


def test_the_first_wrong_line_of_many_is_named() -> None:
    batch, _ = listed(*pgcheck.load("two_state"))
    lines = [b"[1, 2, 3, 4]", b"[[1, 2, 3, 4]]", b"[[1, 2], [3, 4], [0, 0]]", b"[1, 2, 3]", b"[]"]
    shapes, lengths = Shapes.of(batch, 1), np.ones((5, 1), dtype=np.int64)
    reader = Reader("cmd:mine")
    expected = np.array([[[1, 2], [3, 4], [0, 0]]] * 3)
    np.testing.assert_array_equal(reader.of_batches(batch, Answers(lines[:3], 7, shapes, lengths[:3])), expected)
    with pytest.raises(
        EstimatorError, match=r"cmd:mine: line 10 of its output holds 3 numbers: \[1, 2, 3\]\n  expected"
    ):
        reader.of_batches(batch, Answers(lines, 7, shapes, lengths))
    lines[3] = b"[1, 2, 3, NaN]"
    with pytest.raises(EstimatorError, match=r"(?s)line 10 of its output, .* nan for an episode of 1 step") as error:
        reader.of_batches(batch, Answers(lines[:4], 7, shapes, lengths[:4]))
    assert error.value.not_finite


@pytest.mark.parametrize(
    ("form", "digits"),
    [("%.17g", None), ("%r", None), ("%g", 6), ("%f", 6), ("%.4f", 4), ("%.8g", 8), ("%e", 6), ("%.9g", None)],
)
def test_numbers_of_a_few_digits_are_seen(form: str, digits: int | None) -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        values = np.append(rng.normal(size=30) * 10.0 ** rng.integers(-2, 2, 30), [0, 0, 0.5, -1])
        text = ", ".join(form % value for value in values.tolist())
        assert digits_of(f"[{text}]".encode()) == digits


def test_numbers_that_happen_to_be_short_are_not_taken_for_numbers_that_were_cut() -> None:
    rng = np.random.default_rng(6)
    for most in range(2, 14):  # halves, quarters, ..., and integers
        dyadic = rng.integers(1, 50, 40) / 2.0 ** rng.integers(0, most, 40)
        assert digits_of(json.dumps(dyadic.tolist()).encode()) is None
    assert digits_of(json.dumps([[0.25, -0.5]] * 100).encode()) is None
    assert digits_of(json.dumps(list(range(90))).encode()) is None


@pytest.mark.parametrize("name", ["two_state", "early_exit", "aliased_gridworld", "bandit", "long_chain"])
def test_the_second_model_of_a_trial_has_gradients_of_other_sizes(name: str) -> None:
    first, _ = listed(*pgcheck.load(name, horizon=1))
    second = other_model(Shapes.of(first, 1))
    sizes = [{int(np.prod(shape)) for shape in Shapes.of(batch, 1).of_gradient} for batch in (first, second)]
    assert not sizes[0] & sizes[1]
    assert len(second) == 2
    assert second.terminated.all()
    assert second.lengths.tolist() == [second.horizon] * 2


def test_lines_are_those_that_were_added_in_any_pieces() -> None:
    text = b"one\n\nthree\nfo"
    for size in range(1, len(text) + 1):
        inbox = Inbox()
        for start in range(0, len(text), size):
            inbox.add(text[start : start + size])
        inbox.wait(3, 100)
        assert inbox.take(2) == [b"one", b""]
        assert (inbox.lines, inbox.rest) == (1, 2)
        assert inbox.beginning().startswith(b"three")
        inbox.end()
        assert inbox.take() == [b"three"]
        assert inbox.beginning() == b"fo"


def test_who_waits_is_woken_by_the_end_and_by_a_line_that_is_too_long() -> None:
    for act in (Inbox.end, lambda inbox: inbox.add(b"x" * 11)):
        inbox = Inbox()
        thread = threading.Thread(target=act, args=(inbox,))
        thread.start()
        inbox.wait(1, 10)
        thread.join()
        assert inbox.lines == 0


def test_what_nobody_has_asked_for_makes_the_writer_wait() -> None:
    inbox = Inbox()
    added = []

    def add() -> None:
        for number in range(10):
            inbox.add(b"x" * (MOST_WAITING // 2) + b"\n")
            added.append(number)

    thread = threading.Thread(target=add)
    thread.start()
    time.sleep(0.1)
    assert len(added) < 4
    inbox.wait(10, MOST_WAITING)
    thread.join()
    assert [len(line) for line in inbox.take()] == [MOST_WAITING // 2] * 10
