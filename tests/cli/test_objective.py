"""Objectives, linear policies and batches on the command line."""

import json
import math

import pytest

import pgcheck
from tests.conftest import Run

LINEAR = (
    "{horizon: 2, states: [a, b], actions: [up, down], start: a, observations: {a: hall, b: hall},"
    " transitions: {a: {up: {to: b, reward: 1}, down: a}, b: {up: b, down: {to: a, reward: 2}}},"
    " policy: {linear: {weights: {w1: 0.3, w2: -1}, features: {hall: {up: {w1: 1}, down: {w1: 0.5, w2: 1/2}}}}},"
    " reference: {softmax: {hall: {up: 1}}}, objective: {entropy: 0.25, kl: 0.5}}"
)


def answer(run: Run, *words: str, stdin: str = "") -> dict[str, object]:
    done = run(*words, "--format", "json", stdin=stdin)
    assert (done.returncode, done.stderr) == (0, "")
    return dict(json.loads(done.stdout))


def test_entropy_and_kl_replace_those_of_the_file(run: Run) -> None:
    told = answer(run, "exact", "--entropy", "1/10", "--kl", "0.2")
    expected = pgcheck.exact_gradient(*pgcheck.load("two_state", entropy=0.1, kl=0.2))
    assert (told["entropy"], told["kl"], told["value"]) == (0.1, 0.2, expected.value)
    assert told["gradient"] == expected.gradient.tolist()
    assert told["gradient"] != answer(run, "exact")["gradient"]
    assert "gamma 0.9, entropy 0.1, kl 0.2; 23 trajectories" in run("exact", "--entropy", ".1", "--kl", ".2").stdout
    plain = answer(run, "exact")
    assert (plain["entropy"], plain["kl"]) == (0, 0)


def test_kl_alone_keeps_the_files_entropy(run: Run) -> None:
    told = answer(run, "exact", "-", "--kl", "0", stdin=LINEAR)
    assert (told["entropy"], told["kl"]) == (0.25, 0)
    told = answer(run, "exact", "-", "--entropy", "0", stdin=LINEAR)
    assert (told["entropy"], told["kl"]) == (0, 0.5)


@pytest.mark.parametrize(
    "words", [["sample", "--n", "100"], ["converge", "--n", "10,100"], ["plan"], ["compare", "--n", "100"], ["show"],
              ["trajectories"]]
)  # fmt: skip
def test_every_command_with_a_model_takes_an_objective(run: Run, words: list[str]) -> None:
    told = answer(run, *words, "--entropy", "0.1", "--kl", "0.2")
    assert (told["entropy"], told["kl"]) == (0.1, 0.2)
    told = answer(run, words[0], "-", *words[1:], stdin=LINEAR)
    assert (told["entropy"], told["kl"]) == (0.25, 0.5)


def test_verify_judges_by_the_objective(run: Run) -> None:
    done = run("verify", "reinforce", "two_state", "--entropy", "0.1", "--kl", "0.2", "--format", "json")
    assert done.returncode == 0
    told = json.loads(done.stdout)["models"][0]
    assert (told["entropy"], told["kl"]) == (0.1, 0.2)
    assert "entropy 0.1, kl 0.2)" in run(
        "verify", "reinforce", "two_state", "--entropy", "0.1", "--kl", "0.2"
    ).stdout.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["exact", "--entropy", "-1"], "error: --entropy '-1': expected a number from 0 to 1e+100\n"),
        (["exact", "--kl", "much"], "error: --kl 'much': expected a number from 0 to"),
        (["exact", "bandit", "--kl", "0.1"], "error: bandit has no reference policy: kl 0.1"),
        (["verify", "reinforce", "bandit", "--kl", "0.1"], "Add `reference: {softmax: {}}` to the model"),
        (["trajectories", "bandit", "--batches", "0"], "--batches '0': expected 1 to 64"),
        (["trajectories", "--batches", "5"], "6,436,343 batches of 5 among 23 trajectories"),
        (["trajectories", "-", "--off-policy"], "has no behavior: off-policy episodes are drawn by a second policy."),
    ],
)
def test_what_cannot_be_done_exits_2_and_says_why(run: Run, words: list[str], message: str) -> None:
    done = run(*words, stdin=LINEAR)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_a_linear_policy_is_shown_by_its_weights(run: Run) -> None:
    told = answer(run, "exact", "-", stdin=LINEAR)
    assert told["parameters"] == [["w1"], ["w2"]]
    assert "w1" in run("exact", "-", stdin=LINEAR).stdout
    shown = answer(run, "show", "-", stdin=LINEAR)
    assert (shown["parameters"], shown["theta"]) == ([["w1"], ["w2"]], [0.3, -1])
    assert shown["reference_probs"] == [[pytest.approx(1 / (1 + math.exp(-1))), pytest.approx(1 / (1 + math.e))]] * 2
    text = run("show", "-", stdin=LINEAR).stdout
    assert "parameter   theta" in text
    assert " ref" in text


def test_batches_have_their_probabilities(run: Run) -> None:
    for options in ([], ["--same-start"], ["--off-policy"], ["--same-start", "--off-policy"]):
        lines = [json.loads(x) for x in run("trajectories", "--batches", "2", *options).stdout.splitlines()]
        assert math.fsum(line["probability"] for line in lines) == pytest.approx(1)
        assert all(len(line["episodes"]) == 2 for line in lines)
        assert set(lines[0]["episodes"][0]) == {"states", "actions", "rewards", "terminated"}
        shared = all(len({e["states"][0] for e in line["episodes"]}) == 1 for line in lines)
        assert shared == ("--same-start" in options)
    alone = [json.loads(x) for x in run("trajectories", "--off-policy").stdout.splitlines()]
    model = pgcheck.load_model("two_state")
    assert model.behavior is not None
    move = model.behavior.probs()[1, 1] / 2
    assert any(line["probability"] == pytest.approx(move) for line in alone if line["states"] == [1, 2])


def test_drawn_batches_carry_counts(run: Run) -> None:
    first = run("trajectories", "token_tree", "--batches", "3", "--same-start", "--n", "1000").stdout
    lines = [json.loads(line) for line in first.splitlines()]
    assert sum(line["count"] for line in lines) == 1000
    assert first == run("trajectories", "token_tree", "--batches", "3", "--same-start", "--n", "1000").stdout
    text = run("trajectories", "bandit", "--batches", "2", "--format", "table").stdout
    assert "machine steady > machine; machine good > machine" in text
