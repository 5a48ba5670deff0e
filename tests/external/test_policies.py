"""Policies that a user's function makes, here and in the process of the estimator."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import pgcheck
from pgcheck import EstimatorError, PolicyError
from pgcheck.external.opening import estimator_of, opened
from pgcheck.external.policies import policy_of
from tests import networks
from tests.conftest import ROOT, Run

# What needs no torch: a function may return any policy. The estimator reads what the function leaves in the module.
FILE = """
import os
import numpy as np
from pgcheck import TabularSoftmax

made = []

def policy(mdp):
    print("made for", mdp.name)
    policy = TabularSoftmax.of(mdp, {("left", "stay"): 0.5, ("right", "move"): -1.0})
    made.append(policy)
    return policy

def unseeded(mdp):
    return TabularSoftmax.of(mdp, {("left", "stay"): np.random.default_rng().normal()})

def of_the_process(mdp):
    return TabularSoftmax.of(mdp, {("left", "stay"): np.random.default_rng(os.getpid()).normal()})

def estimate(batch):
    assert made[-1] is batch.policy
    discounted = batch.rewards * batch.gamma ** np.arange(batch.rewards.shape[1])
    return np.einsum("n,nt...->n...", discounted.sum(axis=1), batch.score)

def changes(batch):
    batch.policy.theta.flags.writeable = True
    batch.policy.theta[0] += 1
    return estimate(batch)

def no_arguments(): pass
def two(mdp, width): pass
def nothing(mdp): pass
def a_number(mdp): return 3
def fails(mdp): return [][0]
def exits(mdp): raise SystemExit(0)
def of_another(mdp): return TabularSoftmax.of(__import__("pgcheck").load("bandit")[0])
class Policy: pass

class Own:
    def __init__(self, mdp):
        self.table = TabularSoftmax.of(mdp)
        self.theta, self.parameters = self.table.theta, self.table.parameters
    def probs(self): return self.table.probs()
    def pullback(self, weights): return self.table.pullback(weights)

def changed(**attributes):
    def made(mdp):
        return type("Changed", (Own,), {k: v for k, v in attributes.items() if callable(v)})(mdp)
    return made

def own(mdp): return Own(mdp)
not_normalised = changed(probs=lambda self: 2 * self.table.probs())
not_finite = changed(probs=lambda self: np.nan * self.table.probs())
pulled_wrong = changed(pullback=lambda self, weights: np.zeros(2))
unhashable = changed(__eq__=lambda self, other: True)
def fewer_names(mdp):
    policy = Own(mdp)
    policy.parameters = policy.parameters[:1]
    return policy
def theta_as_list(mdp):
    policy = Own(mdp)
    policy.theta = list(policy.theta)
    return policy
width = 3
"""

NETWORK = ROOT / "examples" / "torch_policy.py"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def test_a_function_makes_the_policy_of_every_command(file: Path, run: Run) -> None:
    spec = f"{file}:policy"
    mdp, _ = pgcheck.load("two_state")
    expected = pgcheck.exact_gradient(mdp, policy_of(lambda m: pgcheck.TabularSoftmax.of(m, PREFERENCES), mdp))
    found = run("exact", "--policy", spec, "--format", "json")
    assert found.stderr == "made for two-state\n"  # standard output holds results only
    assert_allclose(json.loads(found.stdout)["gradient"], expected.gradient, rtol=1e-12)
    for words in (
        ["sample"], ["converge", "--n", "10,100"], ["plan"], ["compare"], ["show"], ["trajectories", "--n", "5"],
        ["verify", "reinforce", "two_state"],
    ):  # fmt: skip
        for form in ("table", "json"):
            result = run(*words, "--policy", spec, "--format", form)
            assert result.returncode == 0, result.stderr
    likely = json.loads(run("trajectories", "--policy", spec).stdout.splitlines()[0])
    assert likely["probability"] != json.loads(run("trajectories").stdout.splitlines()[0])["probability"]


PREFERENCES = {("left", "stay"): 0.5, ("right", "move"): -1.0}


def test_the_estimators_process_makes_it_again_in_the_estimators_own_module(file: Path, run: Run) -> None:
    right = run("verify", f"{file}:estimate", "--policy", f"{file}:policy")
    assert right.returncode == 0, right.stderr
    assert "6 models" in right.stdout
    assert run("sample", "--estimator", f"{file}:estimate", "--policy", f"{file}:policy").returncode == 0
    changed = run("verify", f"{file}:changes", "two_state", "--policy", f"{file}:policy")
    assert changed.returncode == 2
    assert "changed batch.mdp or batch.policy" in changed.stderr


def test_a_policy_that_differs_from_call_to_call_is_an_error(file: Path, run: Run) -> None:
    found = run("verify", f"{file}:estimate", "two_state", "--policy", f"{file}:unseeded")
    assert (found.returncode, found.stdout) == (2, "")
    assert "unseeded made other parameters for two-state when it was called again" in found.stderr
    assert "seed it, as by torch.manual_seed(0)" in found.stderr
    found = run("verify", f"{file}:estimate", "two_state", "--policy", f"{file}:of_the_process")
    assert (found.returncode, found.stdout) == (2, "")
    assert "made other parameters for two-state in the process of the estimator than before" in found.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_arguments", "no_arguments() cannot be called with the MDP alone; expected a function of the MDP"),
        ("two", "two(mdp, width) cannot be called with the MDP alone"),
        ("nothing", "nothing returned None; is a return missing?"),
        ("a_number", "a_number returned an int; expected a function of the MDP that returns pgcheck.policies."),
        ("fails", "fails raised IndexError: list index out of range\n  File"),
        ("exits", "exits called sys.exit(0)"),
        ("of_another", "returned a policy with probabilities [1, 4]; expected [3, 2]"),
        ("Policy", "mine.py:Policy is a class; expected a function of the MDP"),
        ("width", "mine.py:width is an int; expected a function of the MDP"),
        ("not_normalised", "a row of probs() does not sum to 1"),
        ("not_finite", "probs() holds numbers below 0, not finite"),
        ("pulled_wrong", "pullback returned shape [2]; expected [4]"),
        ("unhashable", "unhashable type: 'Changed'"),
        ("fewer_names", "1 parameters are named, and theta has 4"),
        ("theta_as_list", "theta is a list; expected a vector of double precision [d]"),
        ("polici", "has no function 'polici'; did you mean policy?"),
    ],
)
def test_what_makes_no_policy_is_refused(file: Path, run: Run, name: str, message: str) -> None:
    found = run("exact", "--policy", f"{file}:{name}")
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("error: ")
    assert message in found.stderr


def test_a_users_own_class_is_a_policy(file: Path, run: Run) -> None:
    found = run("verify", "reward-to-go", "early_exit", "--policy", f"{file}:own")
    assert found.returncode == 0, found.stderr


def test_a_place_without_a_policy_is_refused(run: Run, tmp_path: Path) -> None:
    assert "expected file.py:function or package.module:function" in run("exact", "--policy", "mine.py").stderr
    assert "missing.py: no such file" in run("exact", "--policy", "missing.py:policy").stderr
    (tmp_path / "needs.py").write_text("raise ModuleNotFoundError('no torch', name='torch')\n")
    found = run("exact", "--policy", "needs.py:policy")
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == "error: needs.py:policy needs torch: pip install 'pgcheck[torch]'\n"


def test_a_network_without_a_place_is_not_sent_to_another_process(file: Path) -> None:
    mdp, _ = pgcheck.load("two_state")
    policy = networks.PlainNetwork(mdp, networks.random_theta(mdp, 0))
    with opened(f"{file}:estimate") as estimator, pytest.raises(EstimatorError, match="a network is not sent"):
        pgcheck.verify(estimator_of(estimator), [(mdp, policy)])


def test_the_library_binds_what_a_function_returns() -> None:
    mdp, policy = pgcheck.load("two_state")
    assert policy_of(lambda _: policy, mdp) is policy
    with pytest.raises(PolicyError, match="returned None"):
        policy_of(lambda _: None, mdp)


@pytest.mark.torch
def test_the_example_of_a_network(run: Run) -> None:
    spec = f"{NETWORK}:policy"
    exact = run("exact", "aliased_gridworld", "--policy", spec)
    assert exact.returncode == 0, exact.stderr
    lines = exact.stdout.splitlines()
    assert "the largest 20 of 91 components; --format json shows all" in lines
    assert any(line.split()[:4] == ["0.weight", "8", "x", "7"] for line in lines)
    record = json.loads(run("exact", "aliased_gridworld", "--policy", spec, "--format", "json").stdout)
    assert record["parameters"][3] == ["0.weight[0,3]"]
    assert len(record["gradient"]) == 91
    assert np.linalg.norm(record["gradient"]) == pytest.approx(np.linalg.norm([x["norm"] for x in record["layers"]]))
    right = run("verify", f"{NETWORK}:estimate", "--policy", spec)
    assert right.returncode == 0, right.stderr
    wrong = run("verify", f"{NETWORK}:undiscounted", "two_state", "early_exit", "--policy", spec)
    assert wrong.returncode == 1
    assert "dropped-gamma: " in wrong.stdout
