"""`pgcheck verify`: exit statuses, JSON, and what people read."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest

import pgcheck
from pgcheck import exact_gradient
from pgcheck.estimators.catalogue import ESTIMATORS
from pgcheck.verification.battery import BATTERY
from tests.conftest import ROOT, Run
from tests.verification import zoo


@pytest.mark.parametrize("some", ESTIMATORS, ids=lambda some: str(some.name))
def test_every_built_in_through_a_users_file(run: Run, tmp_path: Path, some: pgcheck.Estimator) -> None:
    (tmp_path / "mine.py").write_text(f"from pgcheck import estimator\n\nestimate = estimator({some.name!r})\n")
    done = run("verify", "mine.py:estimate", "two_state", "random_walk", "--horizon", "2", "--format", "json")
    if some.off_policy:  # on rollouts of the policy itself the ratios are 1, and these are right too
        assert json.loads(done.stdout)["verdict"] == "pass"
        return
    told = json.loads(done.stdout)
    expected = "fail" if some.bias == "wrong" else "pass"
    assert (told["verdict"], done.returncode) == (expected, 0 if expected == "pass" else 1)
    by_name = run("verify", some.name, "two_state", "random_walk", "--horizon", "2", "--format", "json")
    assert json.loads(by_name.stdout)["models"] == told["models"]


def test_what_cannot_be_listed_is_inconclusive_where_exactness_is_asked_for(run: Run) -> None:
    exact = "--evidence", "exact"
    done = run("verify", "reinforce", "frozen_lake", *exact, "--format", "json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["verdict"]) == (3, "inconclusive")
    assert "limit is 2,000,000" in told["skipped"][0]["why"]
    done = run("verify", "reinforce", "two_state", "frozen_lake", *exact)
    assert done.returncode == 3
    assert "frozen-lake: not checked" in done.stdout
    assert "Try --horizon 6." in done.stdout
    assert run("verify", "reinforce", "frozen_lake", "--horizon", "6").returncode == 0
    assert run("verify", "reinforce", "frozen_lake", "--horizon", "7", *exact).returncode == 3
    assert run("verify", "dropped-gamma", "two_state", "frozen_lake").returncode == 1
    done = run("verify", "uniform-trajectories", "cliff_walk", "--horizon", "8", "--format", "json", *exact)
    assert done.returncode == 3
    assert "batches of 2 among 65,302 trajectories" in json.loads(done.stdout)["skipped"][0]["why"]
    done = run("verify", "reinforce", "short_corridor", "--horizon", "200000", *exact)
    assert done.returncode == 3
    assert "Try --horizon 23." in done.stdout


def test_episodes_of_any_length_are_drawn(run: Run) -> None:
    done = run("verify", "reinforce", "short_corridor", "--horizon", "200000")
    assert (done.returncode, "sampled on short-corridor" in done.stdout) == (0, True)
    assert run("verify", "dropped-gamma", "short_corridor", "--gamma", "0.9", "--horizon", "200000").returncode == 1


def test_what_cannot_be_listed_is_drawn(run: Run) -> None:
    done = run("verify", "reinforce", "two_state", "frozen_lake", "--format", "json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["verdict"], told["evidence"]) == (0, "pass", "sampled")
    assert [row["evidence"] for row in told["models"]] == ["exact", "sampled"]
    row = told["models"][1]
    assert row["rollouts"] % 4096 == 0
    assert 0 < row["bound"] <= 0.05
    assert (row["confidence"], row["needed"]) == (0.999, None)
    assert row["p_value"] > 0.001
    assert len(row["std_error"]) == len(row["parameters"])
    assert "note: frozen-lake: about 10^96 trajectories" in done.stderr
    assert "std_error" not in told["models"][0]
    assert told["models"][0]["rollouts"] is None
    table = run("verify", "reinforce", "frozen_lake", "--quiet")
    first = table.stdout.splitlines()[0]
    assert first.startswith("reinforce: PASS: the relative bias is below ")
    assert "with confidence 99.9 % (" in first
    assert "leave no trace" in table.stdout
    both = run("verify", "reinforce", "two_state", "frozen_lake", "--quiet").stdout
    assert "exact over all trajectories of 1 model (at most 3 steps" in both  # nothing exact is said of the other
    assert "On two-state, the exact expectation is the gradient" in both
    assert "Unbiased" not in both
    assert "\n\n\n" not in both
    assert table.stderr == ""


def test_what_is_said_of_listed_models_leaves_out_the_objective_of_a_drawn_one(run: Run, tmp_path: Path) -> None:
    model = tmp_path / "bonus.yaml"
    model.write_text(
        "horizon: 2\nstates: [a, b]\nactions: [x, y]\nstart: a\nterminal: [b]\nobjective: {entropy: 0.1}\n"
        "transitions: {a: {x: {to: b, reward: 1}, y: b}}\n"
    )
    drawn = run("verify", "reinforce", str(model), "frozen_lake", "--quiet").stdout
    assert "entropy 0.1), batches of 1" in " ".join(drawn.split())
    listed = run("verify", "reinforce", str(model), "two_state", "--quiet").stdout
    assert "each with its own objective" in " ".join(listed.split())


def test_too_few_rollouts_are_inconclusive_and_say_how_many_would_do(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nrng = np.random.default_rng(0)\ndef noisy(batch):\n"
        "    returns = batch.rewards @ batch.gamma ** np.arange(batch.rewards.shape[1])\n"
        "    return np.einsum('n,nt...->...', returns, batch.score) / len(batch) + rng.normal(size=(3, 2))\n"
    )
    done = run("verify", "mine.py:noisy", "two_state", "--batch-sizes", "2", "--max-rollouts", "5000",
               "--tolerance", "0.01", "--format", "json")  # fmt: skip
    (row,) = json.loads(done.stdout)["models"]
    assert (done.returncode, row["decision"], row["rollouts"]) == (3, "inconclusive", 4096)
    assert row["needed"] > 4096
    done = run("verify", "mine.py:noisy", "two_state", "--batch-sizes", "2", "--max-rollouts", "4096",
               "--tolerance", "0.01")  # fmt: skip
    assert f"Try --max-rollouts {row['needed']}." in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--evidence", "some"], "auto, exact or sampled"),
        (["--confidence", "1"], "--confidence"),
        (["--max-rollouts", "4095"], "4,096"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_options_of_sampled_evidence_are_checked(run: Run, words: list[str], message: str) -> None:
    done = run("verify", "reinforce", "two_state", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_the_json_has_the_keys_of_the_contract(run: Run) -> None:
    done = run("verify", "dropped-gamma", "two_state", "--format", "json")
    told = json.loads(done.stdout)
    assert (told["schema"], told["verdict"], told["evidence"]) == ("pgcheck/1", "fail", "exact")
    (row,) = told["models"]
    assert (row["model"], row["horizon"], row["batch_size"]) == ("two-state", 3, 1)
    exact = exact_gradient(*pgcheck.load("two_state"))
    assert row["gradient"] == pytest.approx(exact.gradient.tolist())
    assert len(row["expectation"]) == len(row["gradient"]) == len(row["parameters"]) == 4
    off = np.array(row["expectation"]) - exact.gradient
    assert row["bias"] == pytest.approx(np.linalg.norm(off))
    assert row["relative_bias"] == pytest.approx(np.linalg.norm(off) / exact.norm)
    assert 0.99 < row["cosine"] < 1
    assert 1 < row["scale"] < 1.2
    assert told["diagnosis"][0].keys() == {"id", "text"}
    assert told["matrix"][0] == pytest.approx([1, 0.9, 0.81, 0.729])
    sizes = json.loads(run("verify", "weighted-importance-sampling", "bandit", "--format", "json").stdout)["models"]
    assert [row["batch_size"] for row in sizes] == [1]  # with ratios of 1 it is a plain mean
    lines = run("verify", "gae", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["horizon"] for line in lines] == [steps for _, steps in BATTERY]
    assert [json.loads(line)["model"] for line in lines] == [pgcheck.load(name)[0].name for name, _ in BATTERY]


def test_what_people_read(run: Run) -> None:
    good, bad = run("verify", "reinforce"), run("verify", "dropped-gamma")
    assert (good.returncode, bad.returncode) == (0, 1)
    assert good.stdout.startswith("reinforce: PASS\n")
    assert "exact expectation is the gradient" in good.stdout
    assert good.stdout.splitlines()[1].startswith(
        "exact over all trajectories of 6 models (at most 24 steps, 41 states"
    )
    scope = " ".join(good.stdout.splitlines()[1:4])
    assert "3 actions, rewards from -1,000 to 1,000), batches of 1; drawn batches of 5 to 1,000 of two-state" in scope
    assert (
        "Unbiased, but high variance: up to 1.74 times the variance of reward-to-go,\nwhich leaves out" in good.stdout
    )
    assert "cosine omitted: only one free direction" in good.stdout
    assert max(map(len, (good.stdout + bad.stdout).splitlines())) <= 80
    assert bad.stdout.startswith("dropped-gamma: FAIL\ndropped-gamma: gamma^t is left out")
    assert "If gamma^t is left out on purpose, check with --gamma 1." in bad.stdout
    assert run("verify", "dropped-gamma", "--gamma", "1").returncode == 0
    assert "Worst components, on " in bad.stdout
    assert "dropped-gamma: gamma^t is left out" in bad.stdout
    assert "t=3      0       0       0       1*" in bad.stdout
    assert "discounting was not tested" in run("verify", "reinforce", "bandit").stdout


ZERO = """
horizon: 3
gamma: 0.9
states: [a]
actions: [x, y]
start: a
transitions: {a: {x: [{to: a, p: 0.1, reward: 3}, {to: a, p: 0.9}], y: {to: a, reward: 0.3}}}
policy: {softmax: {a: {x: 0.3}}}
"""


def test_a_gradient_that_is_zero_but_for_rounding(run: Run) -> None:
    """Both actions are worth the same: what is left of the gradient is rounding, and must not be compared with."""
    done = run("verify", "reinforce", "-", stdin=ZERO)
    assert done.returncode == 0
    assert "The gradient is 0 on " in done.stdout
    assert run("verify", "normalised-returns", "-", stdin=ZERO).returncode == 1
    assert "the gradient is 0, so a relative accuracy is undefined" in run("plan", "-", stdin=ZERO).stderr


def test_tiny_rewards_do_not_vanish(run: Run, tmp_path: Path) -> None:
    tiny = ZERO.replace("reward: 3}", "reward: 1e-170}").replace("reward: 0.3", "reward: 0")
    (tmp_path / "m.yaml").write_text(tiny)
    (tmp_path / "mine.py").write_text(
        "def f(b):\n    return -b.score.sum(axis=1) * b.rewards.sum(axis=1)[:, None, None]\n"
    )
    assert run("verify", "reinforce", "m.yaml").returncode == 0
    done = run("verify", "mine.py:f", "m.yaml", "--gamma", "1")
    assert done.returncode == 1
    assert "sign: " in done.stdout


def test_ratios_of_one_are_said_to_be_so(run: Run) -> None:
    words = " ".join(run("verify", "per-decision", "two_state").stdout.split())
    assert "no other behavior was tested" in words


def test_what_is_left_out_is_said(run: Run) -> None:
    done = run("verify", "uniform-trajectories", "two_state", "--max-calls", "300", "--format", "json")
    told = json.loads(done.stdout)
    assert [row["batch_size"] for row in told["models"]] == [2]
    assert told["skipped"][0]["why"] == "2,300 batches of 3 among 23 trajectories; the limit is 300 (--max-calls)"


def test_batch_sizes_may_be_chosen(run: Run, tmp_path: Path) -> None:
    source = "import numpy as np\n" + "".join(
        inspect.getsource(f) for f in (zoo.whole, zoo.each_step, zoo.returned, zoo.discount)
    )
    source = source.replace("-> Estimate", "").replace("-> Floats", "").replace(": Batch", "").replace(": Any", "")
    source += "centred = whole(lambda b: each_step(b, returned(b) - returned(b).mean()))\n"
    (tmp_path / "mine.py").write_text(source)
    done = run("verify", "mine.py:centred", "two_state", "--batch-sizes", "1,2,4", "--format", "json")
    told = json.loads(done.stdout)
    assert [row["batch_size"] for row in told["models"]] == [1, 2, 4]
    assert [row["scale"] for row in told["models"]] == pytest.approx([0, 0.5, 0.75], abs=1e-12)
    text = "exactly (1 - 1/B) times the gradient"
    assert text in told["diagnosis"][0]["text"]


def test_a_model_that_the_estimator_is_not_made_for_is_left_out_of_the_battery(run: Run, tmp_path: Path) -> None:
    """A table of preferences is all that many people have; three models have none."""
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n\n"
        "def table(batch, power=1):\n"
        "    g = np.zeros((len(batch), batch.num_states, batch.num_actions))\n"
        "    for i, e in enumerate(batch):\n"
        "        for t, (s, a) in enumerate(zip(e.states, e.actions)):\n"
        "            w = sum(batch.gamma ** k * r for k, r in enumerate(e.rewards))\n"
        "            g[i, s] -= w * batch.probs[s]\n"
        "            g[i, s, a] += w\n"
        "    return g\n\n"
        "def half(batch):\n"
        "    return table(batch) / 2\n\n"
        "def raises(batch):\n"
        "    states, actions = batch.theta.shape\n"
        "    return table(batch)\n\n"
        "def always(batch):\n"
        "    raise RuntimeError('no')\n"
    )
    for name in ("table", "raises"):
        done = run("verify", f"mine.py:{name}", "--format", "json")
        told = json.loads(done.stdout)
        assert (told["verdict"], done.returncode) == ("pass", 0)
        assert [row["model"] for row in told["models"]] == ["two-state", "long-chain", "forty-rooms"]
        assert [row["model"] for row in told["skipped"]] == ["early-exit", "aliased-gridworld", "random-walk"]
        assert all(row["unsuitable"] for row in told["skipped"])
    assert "aliased-gridworld: not checked: " in run("verify", "mine.py:table").stdout
    assert run("verify", "mine.py:half").returncode == 1
    assert run("verify", "mine.py:table", "early_exit").returncode == 2
    assert run("verify", "mine.py:table", "two_state", "early_exit").returncode == 2
    done = run("verify", "mine.py:always")
    assert done.returncode == 2
    assert "RuntimeError" in done.stderr


def test_what_would_allow_a_model_is_said_and_true(run: Run) -> None:
    example = str(ROOT / "examples" / "reinforce.py")
    words = ("verify", f"{example}:leaves_one_out", "two_state", "--evidence", "exact", "--batch-sizes", "2,3",
             "--max-calls")  # fmt: skip
    done = run(*words, "300")
    assert done.returncode == 3
    assert "Try --max-calls 3000, or --horizon 2." in done.stdout
    for more in (("3000",), ("300", "--horizon", "2")):
        assert run(*words, *more).returncode == 0
    assert run(*words, "2000").returncode == 3


def test_what_is_allowed_is_said_in_the_first_line(run: Run) -> None:
    done = run("verify", "dropped-gamma", "two_state", "--allow", "dropped-gamma, sign")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "dropped-gamma: PASS, allowing dropped-gamma"
    record = json.loads(
        run("verify", "dropped-gamma", "two_state", "--allow", "dropped-gamma", "--format=json").stdout
    )
    assert (record["verdict"], record["allowed"]) == ("pass", ["dropped-gamma"])
    assert [it["id"] for it in record["diagnosis"]] == ["dropped-gamma"]
    plain = run("verify", "reinforce", "two_state", "--allow=dropped-gamma").stdout
    assert plain.splitlines()[0] == "reinforce: PASS"
    several = run("verify", "dropped-gamma", "immediate-reward", "two_state", "--allow=dropped-gamma")
    assert several.returncode == 1
    assert several.stdout.startswith("1 of 2 PASS")
    wrong = run("verify", "reinforce", "--allow=dropped_gamma")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "did you mean dropped-gamma?" in wrong.stderr
