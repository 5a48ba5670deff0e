"""Agents whose draws, or runs, cannot be listed: verdicts by sampled runs, and the names of what is wrong."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pgcheck.agents import Agent, AgentFunction
from pgcheck.errors import EstimatorError
from pgcheck.external.agent_source import LocalAgent
from pgcheck.external.draws.endings import UnanswerableError
from pgcheck.report.loops import loop_remarks
from pgcheck.report.verification import explanation, first_line, verification_view
from pgcheck.verification import loop_outputs, loop_sampled, sampling, sequential
from pgcheck.verification.loop_sampled import SampledLoopFinding
from pgcheck.verification.loop_verdict import verify_agent
from pgcheck.verification.verification import Verification
from tests.conftest import Run
from tests.verification import loops
from tests.verification.loops import made
from tests.verification.test_loops import WRONG

pytestmark = pytest.mark.gymnasium

FIRST = 1024  # runs of the first look in these tests, which take a quarter of the time then


@pytest.fixture(autouse=True)
def early_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the first look come earlier than it does."""
    for module in (sequential, sampling, loop_sampled):
        monkeypatch.setattr(module, "FIRST_LOOK", FIRST)
    for module in (loop_outputs, loop_sampled):
        monkeypatch.setattr(module, "KEPT", FIRST)
    monkeypatch.setattr(loop_outputs, "BLOCK", FIRST)


def sampled(agent: AgentFunction, models: Any = ("two_state",), **options: Any) -> Verification:
    return verify_agent(LocalAgent(agent), list(models), **{"evidence": "sampled", "max_rollouts": FIRST, **options})


def ids(verification: Verification) -> list[str]:
    return [diagnosis.id for diagnosis in verification.diagnosis]


def bandit(estimate: Callable[[Any, int, float], Any], *, draws: Callable[[], bool] | None = None) -> AgentFunction:
    """An agent that takes one step of a model; `estimate` makes a gradient of θ, the action and the reward.

    With `draws`, an action is taken without the policy where that returns True.
    """

    def function(env: Any) -> Agent:
        theta = np.zeros((int(env.observation_space.n), int(env.action_space.n)))

        def update() -> Any:
            state, _ = env.reset()
            action = int(np.random.choice(2))  # noqa: NPY002 - at θ = 0 that is the policy
            if draws is not None and draws():
                action = 0
            _, reward, *_ = env.step(action)
            score = np.zeros_like(theta)
            score[state] -= 0.5
            score[state, action] += 1.0
            return estimate(score, action, float(reward))

        return Agent(logits=lambda table, states: table[states], parameters=theta, update=update)

    return AgentFunction(function)


def noise() -> float:
    return float(np.random.default_rng(0).normal())


MODEL = """
horizon: 1
states: [here, over]
actions: [left, right]
start: here
terminal: [over]
transitions:
  here:
    left: {to: over, reward: 1}
    right: {to: over, reward: -0.5}
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "bandit.yaml").write_text(MODEL)
    return str(tmp_path / "bandit.yaml")


def test_a_right_loop_passes_with_a_bound(model: str) -> None:
    """Normal noise of the mean 0 on the weight."""
    agent = bandit(lambda score, action, reward: reward * score * (1 + 0.1 * noise()))
    verification = sampled(agent, [model], evidence="auto", max_rollouts=4 * FIRST)
    (finding,) = verification.findings
    assert verification.verdict == "pass"
    assert isinstance(finding, SampledLoopFinding)
    assert finding.is_compared
    assert "np.random.default_rng(0).normal()" in finding.why
    assert finding.gradient[0] == pytest.approx(0.375)  # π(1 − π) (1 − (−0.5))
    assert 0 < finding.look.bound < 0.05
    assert np.all(np.abs(finding.expectation.mean - finding.gradient) <= 5 * finding.std_error)


def test_its_twin_fails_and_says_by_how_much(model: str) -> None:
    """The noise has the mean 0.2, which no known mistake has."""
    verification = sampled(bandit(lambda score, action, reward: reward * score * (1.2 + 0.1 * noise())), [model])
    (finding,) = verification.findings
    assert isinstance(finding, SampledLoopFinding)
    assert (verification.verdict, ids(verification)) == ("fail", ["other"])
    assert abs(finding.look.scale_error - 0.2) <= 5 * finding.look.scale_error_error
    assert finding.look.scale_error_error < 0.02
    assert "no known mistake equals it" in verification.diagnosis[0].text


def test_exploration_is_not_taken_for_the_policy(model: str) -> None:
    """The estimate is right for the policy's episodes; a third of all actions is not the policy's."""
    agent = bandit(lambda score, action, reward: reward * score, draws=lambda: noise() < -0.43)
    verification = sampled(agent, [model])
    (finding,) = verification.findings
    assert isinstance(finding, SampledLoopFinding)
    assert not finding.is_compared
    assert (verification.verdict, ids(verification)[0]) == ("fail", "ratio")
    assert "'left' has 0.6" in verification.diagnosis[0].text
    assert any("not compared" in it.text for it in loop_remarks(verification))


def test_a_choice_among_several_draws_is_not_taken_for_the_policy(model: str) -> None:
    def estimate(score: Any, action: int, reward: float) -> Any:
        return reward * score

    def twice() -> bool:
        return int(np.random.choice(2)) == 0  # noqa: NPY002 - drawn by the same probabilities once more

    verification = sampled(bandit(estimate, draws=twice), [model])
    (finding,) = verification.findings
    assert isinstance(finding, SampledLoopFinding)
    assert not finding.is_compared
    assert verification.verdict == "fail"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in WRONG if WRONG[name][0].get("weights") is not loops.squared])
def test_every_known_mistake_is_named_by_sampled_runs(name: str) -> None:
    settings, _, expected = WRONG[name]
    verification = sampled(made(**settings), max_rollouts=4 * FIRST)
    if verification.verdict == "fail":  # not all of them show on this model
        assert ids(verification) == expected


def test_a_known_mistake_is_named_and_others_are_excluded() -> None:
    verification = sampled(made(loops.dropped_gamma), max_rollouts=4 * FIRST)
    assert (verification.verdict, ids(verification)) == ("fail", ["dropped-gamma"])
    assert verification.excluded > 20
    (finding,) = verification.findings
    # By enumeration: the relative bias of this loop, exactly.
    exact = verify_agent(LocalAgent(made(loops.dropped_gamma)), ["two_state"]).findings[0]
    assert isinstance(finding, SampledLoopFinding)
    assert exact.relative_bias is not None
    assert abs(finding.look.bias - exact.relative_bias) <= 5 * finding.look.bias_error


@pytest.mark.slow
def test_a_mistake_that_is_meant_can_be_allowed() -> None:
    for allow, verdict in (["dropped-gamma"], "pass"), (["scale"], "fail"):
        verification = sampled(made(loops.dropped_gamma), max_rollouts=4 * FIRST, allow=allow)
        assert verification.verdict == verdict


@pytest.mark.slow
def test_what_a_baseline_adds_does_not_hide_the_mistake() -> None:
    """The baseline is noise that no known mistake has; runs without rewards have it too."""

    def weights(episodes: Any, gamma: float) -> Any:
        return [
            [w - loops.VALUES[it.state] for w, it in zip(ws, episode, strict=True)]
            for ws, episode in zip(loops.dropped_gamma(episodes, gamma), episodes, strict=True)
        ]

    assert ids(sampled(made(weights), max_rollouts=4 * FIRST)) == ["dropped-gamma"]


def test_more_runs_than_may_be_listed_are_sampled() -> None:
    verification = sampled(made(), evidence="auto", max_runs=10)
    assert verification.verdict == "pass"
    assert "runs; the limit is 10" in verification.sampled[0].why
    exact = sampled(made(), evidence="exact", max_runs=10)
    assert (exact.verdict, exact.sampled) == ("inconclusive", ())


def test_exact_evidence_refuses_what_cannot_be_answered(model: str) -> None:
    agent = bandit(lambda score, action, reward: reward * score * (1 + noise()))
    with pytest.raises(UnanswerableError, match="cannot be answered"):
        sampled(agent, [model], evidence="exact")


def test_too_few_runs_are_inconclusive_and_say_how_many_it_takes(model: str) -> None:
    agent = bandit(lambda score, action, reward: reward * score * (1 + 9 * noise()))
    verification = sampled(agent, [model], max_rollouts=2 * FIRST)
    assert verification.verdict == "inconclusive"
    needed = verification.sampled[0].look.needed
    assert needed is not None
    assert needed > 2 * FIRST
    assert f"--max-rollouts {needed}" in "\n".join(explanation(verification))


def test_gradients_that_are_not_finite_fail(model: str) -> None:
    def estimate(score: Any, action: int, reward: float) -> Any:
        return score * (math.nan if noise() > 1 else reward)

    verification = sampled(bandit(estimate), [model])
    assert (verification.verdict, ids(verification)) == ("fail", ["nan"])
    assert math.isnan(verification.findings[0].bias)
    assert "nan" in first_line(verification)
    verification_view("mine", verification)


def test_a_loop_that_computes_no_gradient_is_at_fault(model: str) -> None:
    with pytest.raises(EstimatorError, match="no gradient in any of 1,024 runs"):
        sampled(bandit(lambda score, action, reward: None), [model])


SCRIPT = """
import numpy as np
from pgcheck.agents import Agent, agent

@agent
def mine(env):
    theta = np.zeros((2, 2))

    def update():
        state, _ = env.reset()
        action = np.random.choice(2)
        _, reward, *_ = env.step(action)
        score = np.zeros_like(theta)
        score[state] -= 0.5
        score[state, action] += 1.0
        return reward * score * (FACTOR + 0.1 * np.random.default_rng(0).normal())

    return Agent(logits=lambda table, states: table[states], parameters=theta, update=update)
"""


@pytest.mark.parametrize(
    ("factor", "status", "said"), [("1", 0, "PASS: the relative bias is below"), ("1.2", 1, "FAIL")]
)
def test_the_command_line_says_what_was_sampled(
    run: Run, model: str, tmp_path: Path, factor: str, status: int, said: str
) -> None:
    (tmp_path / "mine.py").write_text(SCRIPT.replace("FACTOR", factor))
    result = run("verify", "mine.py:mine", model, "--max-rollouts", "4096", "--confidence", "0.99")
    assert result.returncode == status, result.stderr
    assert said in result.stdout
    assert "sampled on" in result.stdout
    assert "0 runs" not in result.stdout
    assert "So runs are drawn: 4,096 runs in about" in result.stderr
