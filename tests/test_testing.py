"""The assertion, the plugin, the adapters, and the examples."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pgcheck
from pgcheck import Batch
from pgcheck.adapters import jax_loss, log_probs, torch_loss
from pgcheck.testing import GradientMismatch, GradientUndecided, assert_policy_gradient
from tests.conftest import ROOT, Run
from tests.test_layers import loaded_by
from tests.verification import zoo

EXAMPLES = ROOT / "examples"


def test_what_is_right_passes_and_says_what_was_found() -> None:
    found = assert_policy_gradient(zoo.RIGHT["textbook"])
    assert found.verdict == "pass"
    assert assert_policy_gradient("gae", models=["two_state", pgcheck.load("bandit")]).verdict == "pass"
    assert assert_policy_gradient(zoo.WRONG["half"][0], up_to_scale=True).scale == pytest.approx(0.5)


def test_the_first_line_says_which_model_by_how_much_and_why() -> None:
    with pytest.raises(GradientMismatch) as caught:
        assert_policy_gradient(zoo.WRONG["gamma^t forgotten"][0], models=["two_state"])
    assert isinstance(caught.value, AssertionError)
    first = str(caught.value).splitlines()[0]
    start = "two-state: the expectation has a relative bias of 9.95 % (dropped-gamma: gamma^t is left out"
    assert first.startswith(start)
    assert first.endswith("(it is right for gamma = 1))")
    assert caught.value.verification.verdict == "fail"
    with pytest.raises(GradientMismatch, match=r"with batches of 2 has a relative bias of 50\.00 %"):
        assert_policy_gradient(zoo.WRONG["batch mean as baseline"][0], models=["two_state"])
    with pytest.raises(GradientUndecided, match=r"inconclusive: frozen-lake: about 10\^96 trajectories") as undecided:
        assert_policy_gradient("reinforce", models=["frozen_lake"], evidence="exact")
    assert not isinstance(undecided.value, GradientMismatch)
    assert assert_policy_gradient("reinforce", models=["frozen_lake"]).sampled
    with pytest.raises(GradientMismatch, match="dropped-gamma"):
        assert_policy_gradient(zoo.WRONG["gamma^t forgotten"][0], models=["two_state"], evidence="sampled")
    with pytest.raises(GradientUndecided, match="carry about all"):
        assert_policy_gradient("reinforce", models=["frozen_lake"], evidence="sampled", max_rollouts=4096)


def test_errors_of_the_estimator_are_its_own() -> None:
    def broken(batch: Batch) -> object:
        return batch.rewards[10**6]

    with pytest.raises(IndexError):
        assert_policy_gradient(broken)


def test_the_plugin_adds_nothing_to_start_up(tmp_path: Path) -> None:
    assert not {name for name in loaded_by("import pgcheck.pytest_plugin") if name.startswith("numpy")}
    (tmp_path / "test_it.py").write_text(
        "def test_it(assert_policy_gradient):\n    assert_policy_gradient('reinforce')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=tmp_path, capture_output=True, text=True
    )
    assert "1 passed" in done.stdout


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("reinforce", 0, "PASS"),
        ("forgets_the_discount", 1, "dropped-gamma: gamma^t is left out"),
    ],
)
def test_the_examples(run: Run, name: str, status: int, words: str) -> None:
    done = run("verify", f"{EXAMPLES / 'reinforce.py'}:{name}")
    assert (done.returncode, done.stderr) == (status, "")
    assert words in done.stdout


def test_the_example_of_a_test_file() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "0", "test_gradients.py"],
        cwd=EXAMPLES, capture_output=True, text=True,
    )  # fmt: skip
    assert "4 passed" in done.stdout


def test_examples_need_what_they_say() -> None:
    for path in EXAMPLES.glob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.torch
def test_the_torch_example(run: Run) -> None:
    right = run("verify", f"{EXAMPLES / 'torch_loss.py'}:estimate")
    assert (right.returncode, right.stdout.splitlines()[0].split(": ")[-1]) == (0, "PASS"), right.stderr
    wrong = run("verify", f"{EXAMPLES / 'torch_loss.py'}:normalised", "two_state", "--batch-sizes", "2")
    assert wrong.returncode == 1
    assert "nonlinear: " in wrong.stdout


@pytest.mark.torch
def test_a_loss_in_torch() -> None:
    import torch

    def each(theta: object, batch: Batch) -> object:
        return -torch.tensor(zoo.returned(batch)) * log_probs(theta, batch).sum(dim=1)

    assert assert_policy_gradient(torch_loss(each), models=["two_state", "early_exit"]).verdict == "pass"
    assert assert_policy_gradient(torch_loss(lambda t, b: each(t, b).mean()), models=["aliased_gridworld"])  # type: ignore[attr-defined]
    for loss, message in (
        (lambda theta, batch: 3.0, "the loss is a float; expected a torch tensor"),
        (lambda theta, batch: torch.ones(()), "does not depend on theta"),
        (lambda theta, batch: theta[:2, None], "the loss has shape"),
    ):
        with pytest.raises(pgcheck.EstimatorError, match=message):
            pgcheck.verify(torch_loss(loss), ["two_state"])


@pytest.mark.jax
def test_a_loss_in_jax() -> None:
    import jax

    def each(theta: object, batch: Batch) -> object:
        return -jax.numpy.asarray(zoo.returned(batch)) * log_probs(theta, batch).sum(axis=1)

    # jax compiles anew for each number and length of rollouts: short ones are enough.
    found = assert_policy_gradient(jax_loss(each), models=["early_exit"], horizon=2)
    assert found.tolerance == 1e-4
    assert assert_policy_gradient(jax_loss(lambda t, b: each(t, b).mean()), models=["bandit"], batch_sizes=[2])  # type: ignore[attr-defined]


def test_without_torch_or_jax_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, adapter in (("torch", torch_loss), ("jax", jax_loss)):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(pgcheck.EstimatorError, match=f"needs {module}: pip install .pgcheck.{module}"):
            pgcheck.verify(adapter(lambda theta, batch: np.zeros(())), ["two_state"])


def test_an_objective_is_asked_for_by_its_coefficients() -> None:
    def entropy_in_the_reward(batch: Batch) -> object:
        credit = batch.rewards - 0.05 * np.log(np.where(batch.mask, batch.probs[batch.states, batch.actions], 1.0))
        returns = credit @ batch.gamma ** np.arange(credit.shape[1])
        return np.einsum("n,n...->n...", returns, batch.score.sum(axis=1))

    assert_policy_gradient(entropy_in_the_reward, models=["two_state"], entropy=0.05)
    with pytest.raises(GradientMismatch, match=r"J \+ 0.05 H"):
        assert_policy_gradient(entropy_in_the_reward, models=["two_state"], gamma=0.8)
