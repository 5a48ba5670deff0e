"""`file.py:name`: what Python code makes as a model."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import pgcheck
from pgcheck import ModelError, UsageError
from pgcheck.exact.gradient import exact_gradient
from tests.conftest import Run

CODE = '''
import numpy as np
import pgcheck

def pair():
    mdp, _ = pgcheck.load("two_state")
    policy = pgcheck.TabularSoftmax.of(mdp, {("left", "stay"): 1.0, ("left", "move"): -1.0, ("right", "stay"): 0.5})
    print("made")
    return mdp, policy

def mdp():
    return pgcheck.load("two_state", horizon=2)[0]

def model(name="short_corridor_linear"):
    return pgcheck.load_model(name)

ready = mdp()
table = {"a": {"go": [(0.5, "a", 1.0, False), (0.5, "b", 2.0, True)], "end": [(1.0, "b", 0.0, True)]}}

def rows():
    return [[[(0.5, 0, 1.0, False), (0.5, 1, 2.0, True)]], [[(1.0, 1, 0.0, True)]]]

def broken():
    return {}["x"]

def leaves():
    raise SystemExit("bye")

def nothing():
    pass

def number():
    return 3

def needs(batch, *, more):
    return None

def array():
    return np.ones((2, 2, 2))

def short():
    return pgcheck.load("two_state")[0], pgcheck.load("bandit")[1]

def no_policy():
    return ready, 3

class Walk:
    """Two states: each step goes to the other, and ends with the second."""
    P = {0: {0: [(1.0, 1, 1.0, False)]}, 1: {0: [(1.0, 0, 2.0, True)]}}
    action_space = observation_space = None

    def reset(self, *, seed=None, options=None):
        self.state = 0
        return 0, {}

    def step(self, action):
        _, self.state, reward, done = self.P[self.state][action][0]
        return self.state, reward, done, False, {}

walk = Walk()
'''


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(tmp_path)  # which what is imported adds by itself, and the test is to undo
    path = tmp_path / "my_models.py"
    path.write_text(CODE)
    return str(path)


def test_an_mdp_with_its_policy_keeps_the_policy(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, policy = pgcheck.load(f"{file}:pair")
    assert_array_equal(policy.theta, [1.0, -1.0, 0.5, 0.0])
    stays = 1 / (1 + np.exp([-2.0, -0.5]))
    assert_allclose(policy.probs()[:2], np.transpose([stays, 1 - stays]), rtol=1e-14)
    assert capsys.readouterr() == ("", "made\n")
    assert pgcheck.load(f"{file}:pair", horizon=7, gamma=0.5)[0].horizon == 7


def test_an_mdp_and_a_model_are_taken_as_they_are(file: str) -> None:
    for name in ("mdp", "ready"):
        mdp, policy = pgcheck.load(f"{file}:{name}")
        assert (mdp.name, mdp.horizon) == ("two-state", 2)
        assert not policy.theta.any()
    assert isinstance(pgcheck.load(f"{file}:model")[1], pgcheck.Linear)


def test_tables_are_read_as_they_are_or_as_a_function_returns_them(file: str) -> None:
    model = pgcheck.load_model(f"{file}:table", start="a", horizon=2)
    assert (model.mdp.name, model.mdp.states, model.mdp.actions) == ("table", ("a", "b"), ("go", "end"))
    # By hand: the policy takes go with 1/2, which pays 1.5 on average and goes on with 1/2.
    assert_allclose(exact_gradient(model.mdp, model.policy).value, 0.75 * (1 + 1 / 4), rtol=1e-14)
    assert model.notes == (f"{file}:table: it has no discount: gamma 1",)
    mdp, policy = pgcheck.load(f"{file}:rows", start="0", horizon=2)
    assert_allclose(exact_gradient(mdp, policy).value, 1.5 * (1 + 1 / 2), rtol=1e-14)
    with pytest.raises(UsageError, match="it does not say where episodes start"):
        pgcheck.load(f"{file}:table")


def test_environments_may_be_objects_or_classes(file: str) -> None:
    for name in ("walk", "Walk"):
        mdp, policy = pgcheck.load(f"{file}:{name}", horizon=5)
        assert exact_gradient(mdp, policy).value == 3
        assert mdp.name == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", "{file}:broken: error: it raised KeyError: 'x'\n  File \"{file}\", line 24, in broken\n"),
        ("leaves", "{file}:leaves: error: it called sys.exit('bye')\n"),
        ("nothing", "it returned None; expected an MDP, an (MDP, policy), a table P[s][a]"),
        ("number", "{file}:number: error: it returned an int; expected an MDP"),
        ("needs", "{file}:needs: error: it needs arguments (batch, more); expected an MDP"),
        (
            "short",
            "the policy has probabilities of shape [1, 4]; expected [3, 2], one for each state and action",
        ),
        ("no_policy", "an int beside the MDP has no theta; expected a policy"),
        ("CODE", "{file}:CODE: {file} has no name 'CODE'"),
        ("tabel", "has no name 'tabel'"),
        ("array", "{file}:array: P is an array; expected P[s][a] ="),
    ],
)
def test_what_makes_no_model_is_told(file: str, name: str, message: str) -> None:
    with pytest.raises((ModelError, UsageError)) as caught:
        pgcheck.load(f"{file}:{name}")
    assert message.format(file=file) in str(caught.value)


def test_a_file_that_is_missing_or_faulty_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.py: no such file"):
        pgcheck.load("nowhere.py:model")
    (tmp_path / "faulty.py").write_text("def f(:\n")
    with pytest.raises(ModelError, match=r"faulty\.py:f: error: it raised SyntaxError: invalid syntax"):
        pgcheck.load(f"{tmp_path}/faulty.py:f")


def test_an_option_that_an_mdp_has_no_use_for_is_refused(file: str) -> None:
    with pytest.raises(UsageError, match=r"--start is not for .*:pair, which is an MDP already"):
        pgcheck.load(f"{file}:pair", start="left")


ESTIMATOR = """
def estimate(batch):
    returns = (batch.rewards * batch.gamma ** np.arange(batch.rewards.shape[1])).sum(axis=1)
    return batch.score.sum(axis=1) * returns[:, None, None]
"""


def test_verify_tells_models_in_a_file_from_estimators_in_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "my_mixed.py").write_text(CODE + ESTIMATOR)
    done = run("verify", "my_mixed.py:estimate", "my_mixed.py:pair", "my_mixed.py:mdp")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "my_mixed.py:estimate: PASS"
    assert "2 models" in done.stdout
    done = run("verify", "my_mixed.py:estimate", "my_mixed.py:table", "--start", "a", "--horizon", "3")
    assert done.returncode == 0, done.stderr
    done = run("verify", "my_mixed.py:estimate", "my_mixed.py:estimate", "my_mixed.py:pair")
    assert done.returncode == 0, done.stderr


def test_the_command_line_tells_faults_of_a_users_code(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def f():\n    return 1 / 0\n")
    done = run("exact", "mine.py:f")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mine.py:f: error: it raised ZeroDivisionError: division by zero\n  File ")
