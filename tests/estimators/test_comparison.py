import inspect
import json
from pathlib import Path

import numpy as np
import pytest

import pgcheck
from pgcheck import Moments, exact_gradient
from pgcheck.estimators.catalogue import ESTIMATORS, NAMES
from pgcheck.formats import sources
from tests.conftest import Run
from tests.verification import zoo


def test_sample_foretells_its_error(run: Run) -> None:
    told = json.loads(run("sample", "--n", "1e4", "--format", "json").stdout)
    assert told["covariance"] == "recursion"
    error = np.array(told["estimate"]) - np.array(told["gradient"])
    assert np.allclose(told["z"], error / np.array(told["std_error"]))
    assert told["expected_error"] == pytest.approx(np.linalg.norm(told["std_error"]))
    assert told["expected_error"] == pytest.approx((told["trace"] / 1e4) ** 0.5)
    assert told["degrees_of_freedom"] == 2
    assert told["chi2"] > 0


def test_converge_shows_the_expected_error_beside_the_measured_one(run: Run) -> None:
    rows = [
        json.loads(line) for line in run("converge", "--replicates", "50", "--format", "jsonl").stdout.splitlines()
    ]
    for row in rows:
        assert row["error"] == pytest.approx(row["expected"], rel=0.4)
    assert "expected" in run("converge", "--n", "10").stdout


def test_a_wrong_estimator_stalls_and_the_last_sentence_says_so(run: Run) -> None:
    done = run("converge", "--estimator", "mean-over-steps")
    assert done.stdout.splitlines()[-1] == (
        "error stalls at the bias of mean-over-steps, 3.10e-01 (63.96 % of ||gradient||), however large N is"
    )
    told = json.loads(run("converge", "--estimator", "mean-over-steps", "--format", "json").stdout)
    assert told["rows"][-1]["error"] == pytest.approx(told["bias"], rel=0.01)
    assert told["estimator"] == "mean-over-steps"
    early = run("converge", "--estimator", "dropped-gamma", "--n", "1,2").stdout
    assert "error will stall at the bias of dropped-gamma" in early
    assert "stall" not in run("converge", "--estimator", "reward-to-go").stdout


def test_a_plan_keeps_its_word(run: Run) -> None:
    """With the N that it names, the root mean square error is what was asked for."""
    told = json.loads(run("plan", "--accuracy", "10%", "--format", "json").stdout)
    mdp, policy = pgcheck.load("two_state")
    exact = exact_gradient(mdp, policy)
    assert told["norm"] == pytest.approx(exact.norm)
    rows = {row["estimator"]: row for row in told["estimators"]}
    assert set(rows) == set(NAMES)
    needed = [row["n"] for row in told["estimators"] if row["n"] is not None]
    assert needed == sorted(needed)
    for name in ("reinforce", "advantage", "gae"):
        n = rows[name]["n"]
        assert n == int(np.ceil(rows[name]["trace"] / (0.1 * exact.norm) ** 2))
        squares = [
            exact.discrepancy(
                pgcheck.sample_gradient(mdp, policy, n, np.random.default_rng(k), estimator=name).estimate
            ).error
            ** 2
            for k in range(200)
        ]
        assert np.sqrt(np.mean(squares)) == pytest.approx(0.1 * exact.norm, rel=0.15)
    assert rows["mean-over-steps"]["n"] is None
    assert rows["reinforce"]["variance_reduction"] == 0
    assert rows["advantage"]["variance_reduction"] == pytest.approx(
        1 - rows["advantage"]["trace"] / rows["reinforce"]["trace"]
    )
    # A bias smaller than what is asked for leaves room for a finite N.
    assert rows["dropped-gamma"]["n"] > rows["reward-to-go"]["n"]


def test_compare_measures_what_it_expects(run: Run) -> None:
    told = json.loads(run("compare", "--n", "1e6", "--format", "json").stdout)
    rows = {row["estimator"]: row for row in told["estimators"]}
    assert set(rows) == set(NAMES)
    for row in rows.values():
        assert row["n"] == 10**6
        assert 0.01 * row["expected_error"] < row["error"] < 4 * row["expected_error"] + 1e-12
    assert rows["reinforce"]["bias"] < 1e-12
    assert rows["mean-over-steps"]["error"] == pytest.approx(rows["mean-over-steps"]["bias"], rel=0.05)
    csv = run("compare", "--estimator", "gae, reinforce", "--format", "csv").stdout.splitlines()
    assert [line.split(",")[0] for line in csv] == ["estimator", "gae", "reinforce"]


@pytest.mark.parametrize("model", sources.bundled_names())
def test_every_estimator_works_on_every_bundled_model(run: Run, model: str) -> None:
    shorter = {"value_polytope": "60", "cliff_walk": "7", "short_corridor": "200"}
    horizon = ["--horizon", shorter[model]] if model in shorter else []
    told = json.loads(run("compare", model, *horizon, "--n", "2000", "--format", "json").stdout)
    assert [row["estimator"] for row in told["estimators"]] == list(NAMES)
    for row in told["estimators"]:
        assert row["error"] is not None
        if row["expected_error"] is None:
            assert row["estimator"] == "uniform-trajectories"
        else:
            assert row["error"] < 6 * row["expected_error"] + 1e-9
    for some in ESTIMATORS:
        if some.bias == "none":
            row = told["estimators"][NAMES.index(some.name)]
            assert row["bias"] <= 1e-9 * told["norm"] + 1e-15
            assert row["covariance"] == "recursion"


def test_estimators_are_listed(run: Run) -> None:
    told = json.loads(run("estimators", "--format", "json").stdout)["estimators"]
    assert [row["estimator"] for row in told] == list(NAMES)
    for row in told:
        assert row["formula"]
        assert row["source"]
        assert row["bias_kind"] in ("none", "vanishes", "wrong")
    assert "wrong" in run("estimators").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sample", "--estimator", "renforce"], "no estimator 'renforce'; did you mean reinforce?"),
        (
            ["sample", "--estimator", "off-by-one"],
            "no estimator 'off-by-one'; it is the id of a mistake: pgcheck explain off-by-one",
        ),
        (["converge", "--estimator", "x"], "expected one of reinforce, reward-to-go"),
        (["sample", "--lambda", "0.5"], "lambda belongs to gae"),
        (["plan", "--lambda", "0.5", "--estimator", "reinforce"], "--lambda belongs to gae"),
        (["sample", "--estimator", "gae", "--lambda", "2"], "--lambda '2': expected a number from 0 to 1"),
        (["plan", "--accuracy", "0"], "--accuracy '0': expected more than 0"),
        (["plan", "--accuracy", "200%"], "expected more than 0 and at most 100 %"),
        (["plan", "--accuracy", "five"], "at most 100 %, like 5%"),
        (["sample", "--estimator", "gae", "--top", "3"], "leave out --estimator gae"),
        (["compare", "--n", "0"], "--n '0': expected 1 to"),
    ],
)
def test_what_is_wrong_is_said(run: Run, words: list[str], message: str) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_a_sample_does_not_make_a_bias_of_its_own_noise(run: Run, tmp_path: Path) -> None:
    """A right estimator whose moments come from a sample needs about as many rollouts as its exact twin."""
    source = inspect.getsource(zoo.to_go)
    for typed in (": Batch", ": float | None", "-> Floats"):
        source = source.replace(typed, "")
    mine = "\ndef mine(b):\n    return np.einsum('nt,nt...->n...', to_go(b), b.score)\n"
    (tmp_path / "mine.py").write_text("import numpy as np\n" + source + mine)
    asked = ("plan", "frozen_lake", "--estimator", "mine.py:mine,reward-to-go")
    done = run(*asked)
    assert "never" not in done.stdout
    assert "~ estimated from a sample" in done.stdout
    for seed in ("0", "1", "2"):
        told = json.loads(run(*asked, "--seed", seed, "--format", "json").stdout)
        few, many = sorted(row["n"] for row in told["estimators"])
        assert many < 1.3 * few


def test_every_command_says_the_same_of_a_bias(run: Run, tmp_path: Path) -> None:
    """A right estimator has none, however noisy the sample is that shows it; one that is wrong by half has one."""
    (tmp_path / "mine.py").write_text(
        "def right(b):\n    r = (b.rewards * b.gamma ** __import__('numpy').arange(b.rewards.shape[1])).sum(axis=1)\n"
        "    return (b.score.sum(axis=1).T * r).T\n"
        "def half(b):\n    return right(b) / 2\n"
    )
    for name, is_biased in (("mine.py:right", False), ("mine.py:half", True)):
        biases = []
        for words in (["sample", "--n", "100"], ["converge", "--n", "10,100"], ["compare", "--n", "100"], ["plan"]):
            done = run(words[0], "two_state", "--horizon", "30", "--estimator", name, "--format", "json", *words[1:])
            answer = json.loads(done.stdout)
            row = answer["estimators"][0] if "estimators" in answer else answer
            assert row["covariance"] == "sample"
            biases.append(row["bias"])
        assert len(set(biases)) == 1
        assert (biases[0] > 0) == is_biased


def test_one_estimator_that_is_too_large_leaves_the_others(run: Run) -> None:
    states = 4000
    rows = ", ".join(f"[{s}, {a}, {(s + a + 1) % states}, {a}]" for s in range(states) for a in range(2))
    model = (
        f"horizon: 3\nstates: {states}\nactions: 2\nstart: 0\n"
        f"transitions: {{columns: [state, action, to, reward], rows: [{rows}]}}\n"
    )
    done = run("compare", "-", "--n", "10", "--format", "json", stdin=model)
    assert done.returncode == 0
    by_name = {row["estimator"]: row for row in json.loads(done.stdout)["estimators"]}
    assert by_name["reinforce"]["error"] is not None
    assert by_name["optimal-baseline"]["error"] is None
    assert by_name["advantage"]["error"] is not None


MODEL = """
horizon: 2
states: [here]
actions: [go, stay]
start: here
transitions: {here: {go: {to: here, reward: %s}, stay: here}}
"""


def test_a_model_without_a_behavior(run: Run) -> None:
    model = MODEL % 1
    done = run("sample", "-", "--estimator", "importance-sampling", stdin=model)
    assert done.returncode == 2
    assert "has no behavior: importance-sampling needs a second policy" in done.stderr
    done = run("compare", "-", stdin=model)
    assert done.returncode == 0
    assert "left out, because the model has no behavior: importance-sampling, " in done.stdout


def test_a_gradient_of_zero(run: Run) -> None:
    model = MODEL % 0
    done = run("plan", "-", stdin=model)
    assert done.returncode == 2
    assert "the gradient is 0, so a relative accuracy is undefined" in done.stderr
    told = json.loads(run("sample", "-", "--format", "json", stdin=model).stdout)
    assert told["z"] == [0, 0]
    assert told["expected_error"] == 0
    assert run("compare", "-", stdin=model).returncode == 0


def test_a_bias_of_rounding_alone_is_none_however_quiet_the_sample() -> None:
    """Every rollout of this sample gives the same estimate: its noise is 0, and rounding is all that is left."""
    quiet = Moments(np.array([1 + 4e-16]), np.zeros(1), "sample", np.zeros(1), rollouts=100)
    assert quiet.bias_norm(np.array([1.0])) == 0
    assert quiet.bias_norm(np.array([0.9])) == pytest.approx(0.1)
    noisy = Moments(np.array([1.1]), np.full(1, 4.0), "sample", np.zeros(1), rollouts=100)
    assert noisy.bias_norm(np.array([1.0])) == 0  # half a standard error
    assert noisy.expected_error(np.array([1.0]), 100) == pytest.approx(0.2)
