"""`horizon: inf` on the command line and in files: what is printed, what agrees, what is refused."""

import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import pgcheck
from pgcheck import Batch
from pgcheck.testing import GradientMismatch, assert_policy_gradient
from tests.conftest import ROOT, Run
from tests.endless import solved

MODEL = """\
name: errand
horizon: inf
gamma: 0.8
states: [home, road, shop]
actions: [stay, go]
start: {home: 1/2, road: 0.5}
terminal: [shop]
transitions:
  home:
    stay: home
    go: [{to: road, p: 0.8, reward: 1}, {to: home, p: 0.2}]
  road:
    stay: {to: road, reward: 0.5}
    go: {to: shop, reward: 2}
policy:
  softmax: {home: {stay: 0.3, go: -0.2}}
"""
CUT = "horizon inf: cut at {} steps, beyond which nothing above rounding is left"
CALLS = (
    ["exact"], ["sample", "--n", "1000"], ["converge", "--n", "10,100"], ["compare", "--n", "10"],
    ["show"], ["trajectories", "--n", "5"],
)  # fmt: skip
ids = pytest.mark.parametrize("call", CALLS, ids=lambda call: str(call[0]))


@pytest.fixture
def errand(tmp_path: Path) -> str:
    """The name of a model file without a horizon, in the folder in which commands run."""
    (tmp_path / "errand.yaml").write_text(MODEL)
    return "errand.yaml"


@pytest.fixture
def closed(tmp_path: Path) -> str:
    """The same with γ = 1 and a road that leads back home in place of the shop: it never ends."""
    never = MODEL.replace("gamma: 0.8", "gamma: 1").replace("{to: shop, reward: 2}", "{to: home, reward: 2}")
    (tmp_path / "closed.yaml").write_text(never)
    return "closed.yaml"


def truth(tmp_path: Path) -> tuple[float, list[float]]:
    value, gradient = solved(*pgcheck.load(tmp_path / "errand.yaml"))
    return float(value), [float(x) for x in gradient]


def test_exact_says_where_it_is_cut_and_gives_the_solution(run: Run, tmp_path: Path, errand: str) -> None:
    answer = json.loads(run("exact", errand, "--format", "json").stdout)
    value, gradient = truth(tmp_path)
    assert answer["value"] == pytest.approx(value, rel=1e-14)
    assert answer["gradient"] == pytest.approx(gradient, rel=1e-12)
    assert answer["endless"] is True
    assert (answer["method"], answer["trajectories"], answer["probability"]) == ("backward-induction", None, None)
    shown = run("exact", errand)
    assert CUT.format(answer["horizon"]) in shown.stdout.splitlines()
    assert (shown.returncode, shown.stderr) == (0, "")
    long = run("exact", "cliff_walk", "--horizon", "inf", "--gamma", "0.999").stdout
    assert re.search(CUT.format(r"\d,\d{3}"), long)


def test_with_a_horizon_nothing_of_it_is_said(run: Run, errand: str) -> None:
    answer = json.loads(run("exact", errand, "--horizon", "10", "--format", "json").stdout)
    assert "endless" not in answer
    assert answer["horizon"] == 10
    assert answer["trajectories"] == 3071  # from home n steps, from road m: by hand 2^(n+1) − 1 each, n to 9 and 10
    assert "inf" not in run("exact", errand, "--horizon", "10").stdout


@ids
def test_the_option_and_the_line_in_the_file_are_one(run: Run, tmp_path: Path, errand: str, call: list[str]) -> None:
    command, *more = call
    (tmp_path / "ten").mkdir()
    (tmp_path / "ten" / "errand.yaml").write_text(MODEL.replace("horizon: inf", "horizon: 10"))
    for form in ("json",) if command == "compare" else ("table", "json"):
        own = run(command, errand, *more, "--format", form)
        given = run(command, "ten/errand.yaml", "--horizon", "inf", *more, "--format", form)
        assert own.returncode == 0
        assert (given.stdout, given.stderr, given.returncode) == (own.stdout, own.stderr, own.returncode)
    if command != "trajectories":
        assert json.loads(own.stdout)["endless"] is True
        assert "endless" not in json.loads(run(command, "ten/errand.yaml", *more, "--format", "json").stdout)


def test_sampled_gradients_and_their_expected_error_are_those_of_the_solution(
    run: Run, tmp_path: Path, errand: str
) -> None:
    _, gradient = truth(tmp_path)
    ratios = []
    for seed in range(12):
        answer = json.loads(run("sample", errand, "--n", "2000", "--seed", str(seed), "--format", "json").stdout)
        assert answer["gradient"] == pytest.approx(gradient, rel=1e-12)
        error = float(np.linalg.norm(np.array(answer["estimate"]) - gradient))
        assert answer["error"] == pytest.approx(error, rel=1e-9)
        ratios.append(error / answer["expected_error"])
    assert 0.6 < math.sqrt(np.mean(np.square(ratios))) < 1.5  # a mean of 24 squares of normals: 0.71 to 1.29, 2 sigma
    twelve = "--replicates", "12"
    rows = json.loads(run("converge", errand, "--n", "10..100000", *twelve, "--format", "json").stdout)
    assert rows["endless"] is True
    assert rows["slope"] == pytest.approx(-0.5, abs=0.08)
    assert rows["gradient"] == pytest.approx(gradient, rel=1e-12)


def test_plan_and_compare_find_the_variance_of_drawn_rollouts(run: Run, tmp_path: Path, errand: str) -> None:
    plan = json.loads(run("plan", errand, "--format", "json").stdout)
    compare = json.loads(run("compare", errand, "--n", "100", "--format", "json").stdout)
    trace = {row["estimator"]: row["trace"] for row in plan["estimators"]}
    assert {row["estimator"]: row["trace"] for row in compare["estimators"]} == trace
    assert plan["norm"] == pytest.approx(float(np.linalg.norm(truth(tmp_path)[1])), rel=1e-12)
    mdp, policy = pgcheck.load(tmp_path / errand)
    pi, rng, squares = policy.probs(), np.random.default_rng(1), []
    for _ in range(8_000):  # tr Cov of R Σ ∇log π by rollouts of its own, to the end
        state, discount, total, score = int(rng.random() < 0.5), 1.0, 0.0, np.zeros((2, 2))
        while state < 2:
            go = int(rng.random() < pi[state, 1])
            score[state] += np.eye(2)[go] - pi[state]
            moved = bool(go) and (state == 1 or rng.random() < 0.8)
            total += discount * ((2.0 if state else 1.0) * moved + (0.5 if state and not go else 0.0))
            state, discount = state + moved, discount * mdp.gamma
        squares.append(float(np.sum((total * score) ** 2)))
    spread = float(np.std(squares)) / math.sqrt(len(squares))
    assert trace["reinforce"] == pytest.approx(np.mean(squares) - plan["norm"] ** 2, abs=4 * spread)
    assert spread < 0.05 * trace["reinforce"]


def test_drawn_episodes_end_and_all_of_them_cannot_be_listed(run: Run, errand: str) -> None:
    lines = run("trajectories", errand, "--n", "500").stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    assert sum(row["count"] for row in rows) == 500
    assert all(row["terminated"] and row["states"][-1] == 2 for row in rows)
    for more in ([], ["--batches", "2"], ["--format", "json"]):
        refused = run("trajectories", errand, *more)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "horizon inf: trajectories of any length cannot be listed" in refused.stderr
        assert "--horizon 10, or draw rollouts, as trajectories --n 1000 does" in refused.stderr
    assert run("trajectories", errand, "--batches", "2", "--n", "3").returncode == 0
    assert run("trajectories", errand, "--horizon", "2").returncode == 0
    assert "cannot be listed" in run("exact", errand, "--method", "enumeration").stderr


@ids
def test_what_never_ends_is_refused_by_every_command(run: Run, closed: str, call: list[str]) -> None:
    command, *more = call
    refused = run(command, closed, *more)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "from state 'home' no episode ends, and gamma is 1" in refused.stderr
    assert "--gamma 0.99, or give a horizon, like --horizon 100" in refused.stderr
    if command != "compare":  # which takes longest
        assert run(command, closed, "--gamma", "0.7", *more).returncode == 0
        assert run(command, closed, "--horizon", "20", *more).returncode == 0


@pytest.mark.parametrize("text", ["Inf", "infinity", "INF", "-inf", "1e400", "-3", "0", "nan", "", "∞", "inf inf"])
def test_a_horizon_that_is_none_is_answered_with_what_is(run: Run, text: str) -> None:
    refused = run("exact", f"--horizon={text}")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: --horizon")
    assert refused.stderr.rstrip().endswith(", or inf")
    assert run("exact", "--horizon= inf ").returncode == 0


def test_verify_passes_the_right_code_and_fails_its_twins(run: Run, tmp_path: Path, errand: str) -> None:
    shutil.copy(ROOT / "examples" / "reinforce.py", tmp_path)
    done = run("verify", "reinforce.py:reinforce", errand, "--format", "json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["verdict"], told["evidence"]) == (0, "pass", "sampled")
    row = told["models"][0]
    assert row["gradient"] == pytest.approx(truth(tmp_path)[1], rel=1e-12)
    assert row["bound"] < 0.05
    cut = json.loads(run("exact", errand, "--format", "json").stdout)["horizon"]
    assert row["horizon"] == cut
    assert f"note: errand: horizon inf, cut at {cut}: beyond it nothing above rounding is left" in done.stderr
    done = run("verify", "reinforce.py:forgets_the_discount", errand, "--gamma", "0.5", "--format", "json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["verdict"]) == (1, "fail")
    assert "dropped-gamma" in [finding["id"] for finding in told["diagnosis"]]
    listed = run("verify", "reinforce.py:reinforce", errand, "--evidence", "exact")
    assert listed.returncode == 3
    assert "errand: not checked: about 10^" in listed.stdout


def test_the_assertion_takes_models_without_a_horizon(tmp_path: Path, errand: str) -> None:
    def right(batch: Batch) -> object:
        returns = (batch.rewards * batch.gamma ** np.arange(batch.rewards.shape[1])).sum(axis=1)
        return returns[:, None, None] * batch.score.sum(axis=1)

    def undiscounted(batch: Batch) -> object:
        return batch.rewards.sum(axis=1)[:, None, None] * batch.score.sum(axis=1)

    found = assert_policy_gradient(right, models=[tmp_path / errand])
    assert found.sampled
    assert assert_policy_gradient(right, models=["two_state"], horizon=math.inf, gamma=0.5).sampled
    with pytest.raises(GradientMismatch, match="undiscounted"):
        assert_policy_gradient(undiscounted, models=[tmp_path / errand])


def test_the_schema_admits_inf_and_no_other_word(run: Run) -> None:
    horizon = json.loads(run("schema").stdout)["definitions"]["horizon"]
    assert {"const": "inf"} in horizon["anyOf"]
    assert [part.get("const") for part in horizon["anyOf"] if "const" in part] == ["inf"]


def test_what_is_converted_stays_without_a_horizon(run: Run, tmp_path: Path, errand: str) -> None:
    for name in ("again.yaml", "again.npz"):
        assert run("convert", errand, "-o", name, "--policy", "uniform").returncode == 0
        assert pgcheck.load(tmp_path / name)[0].is_endless
