"""The examples of agents: what each computes, against a plain sum over all runs of its formula."""

import importlib.util
from types import ModuleType

import numpy as np
import pytest

import pgcheck
from pgcheck import MDP
from pgcheck.arrays import Floats
from pgcheck.external.agent_source import LocalAgent
from pgcheck.external.agents import AgentFunction
from pgcheck.verification.loop_evidence import LoopFinding
from pgcheck.verification.loop_verdict import verify_agent
from pgcheck.verification.verification import Verification
from tests.agent_runs import Steps, episodes, expectation, returns, windows
from tests.conftest import ROOT

SINGLE = 2e-5  # networks in single precision


def example(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(
        f"example_{name}", ROOT / "examples" / "agents" / f"{name}.py"
    )
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def judged(function: AgentFunction, **settings: float) -> tuple[Verification, LoopFinding]:
    model = pgcheck.load_model("two_state", **settings)  # type: ignore[arg-type]
    verification = verify_agent(LocalAgent(function), [model])
    (finding,) = verification.findings
    assert isinstance(finding, LoopFinding)
    return verification, finding


def probs_of(finding: LoopFinding) -> Floats:
    """π of every state, by the agent's own logits."""
    weights = np.exp(finding.beginning.subject.policy.all_logits)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def assert_is(finding: LoopFinding, of_logits: Floats) -> None:
    """The expectation is what a formula gives for the logits, by the network's derivative."""
    mdp = finding.mdp
    every = np.eye(mdp.num_states * mdp.num_actions).reshape(-1, mdp.num_states, mdp.num_actions)
    derivative = finding.beginning.subject.policy.logit_pullback(every)
    expected = of_logits.reshape(-1) @ derivative
    error = np.linalg.norm(finding.expectation.mean - expected)
    assert error <= SINGLE * np.linalg.norm(expected), (finding.expectation.mean, expected)


def advantages(steps: Steps, values: Floats, gamma: float, gae: float, *, bootstraps: bool) -> Floats:
    """GAE over a window: with `bootstraps`, the value after a time limit counts for the steps that were not made."""
    result, last = np.zeros(len(steps)), 0.0
    for t in reversed(range(len(steps))):
        step = steps[t]
        following = 0.0 if step.terminated or (step.truncated and not bootstraps) else values[step.following]
        last = step.reward + gamma * following - values[step.state] + (0.0 if step.done else gamma * gae * last)
        result[t] = last
    return result


def window(finding: LoopFinding, length: int, *, idles: bool = False, gamma: float, bootstraps: bool) -> Floats:
    """The mean over the buffer of all runs of a window without GAE, in terms of the logits."""
    values, probs = finding.beginning.subject.values, probs_of(finding)
    assert values is not None

    def field(steps: Steps) -> Floats:
        return advantages(steps, values, gamma, 1.0, bootstraps=bootstraps) / length

    return expectation(windows(finding.mdp, probs, length, idles=idles), probs, field)


def of_episodes(finding: LoopFinding, mdp: MDP, *, keeps_discount: bool, divides: bool = False) -> Floats:
    """REINFORCE over single episodes, in terms of the logits."""
    probs = probs_of(finding)

    def field(steps: Steps) -> Floats:
        weights = mdp.gamma ** np.arange(len(steps)) if keeps_discount else np.ones(len(steps))
        return np.asarray(weights * returns(steps, mdp.gamma) / (len(steps) if divides else 1))

    return expectation(episodes(mdp, probs), probs, field)


@pytest.mark.sb3
def test_a2c_follows_the_mean_over_its_window_of_undiscounted_returns_with_the_value_at_its_end() -> None:
    verification, finding = judged(example("check_a2c").plain_a2c)
    assert verification.verdict == "fail"
    assert finding.runs.number == 70
    assert_is(finding, window(finding, 3, gamma=1.0, bootstraps=True))
    with pytest.raises(AssertionError):  # the value at the time limit is part of it
        assert_is(finding, window(finding, 3, gamma=1.0, bootstraps=False))


@pytest.mark.slow
@pytest.mark.sb3
def test_a2c_with_its_defaults_clips_most_gradients_and_keeps_the_direction_of_none() -> None:
    verification, finding = judged(example("check_a2c").a2c)
    assert verification.verdict == "fail"
    assert finding.runs.number == 70
    assert finding.runs.clipped > 0.5


@pytest.mark.slow
@pytest.mark.sb3
def test_a2c_over_whole_episodes_follows_the_gradient_divided_by_the_horizon_where_nothing_is_discounted() -> None:
    _, finding = judged(example("check_a2c").whole_episodes, gamma=1.0)
    assert finding.scale == pytest.approx(1 / finding.mdp.horizon, rel=1e-5)
    assert finding.cosine == pytest.approx(1, abs=1e-9)
    _, discounted = judged(example("check_a2c").whole_episodes)
    assert discounted.cosine is not None
    assert discounted.cosine < 0.999


@pytest.mark.sb3
def test_the_first_minibatch_of_ppo_is_a_mean_over_all_orders_of_its_buffer() -> None:
    verification, finding = judged(example("check_ppo").minibatches)
    assert verification.verdict == "fail"
    assert finding.runs.number == 2 * 18  # each of the 18 ways to collect two steps, in both orders
    assert_is(finding, window(finding, 2, gamma=1.0, bootstraps=True))


@pytest.mark.slow
@pytest.mark.sb3
def test_ppo_with_one_minibatch_needs_no_orders() -> None:
    verification, finding = judged(example("check_ppo").ppo)
    assert verification.verdict == "fail"
    assert finding.runs.number == 70


@pytest.mark.torch
@pytest.mark.gymnasium
def test_a_script_in_cleanrls_manner_loses_a_step_of_its_buffer_to_each_reset() -> None:
    verification, finding = judged(example("cleanrl_style").plain)
    assert verification.verdict == "fail"
    assert_is(finding, window(finding, 3, idles=True, gamma=0.9, bootstraps=False))
    with pytest.raises(AssertionError):
        assert_is(finding, window(finding, 3, idles=False, gamma=0.9, bootstraps=False))


@pytest.mark.torch
@pytest.mark.gymnasium
def test_reinforce_passes_and_its_twins_fail_as_their_formulas_say() -> None:
    module = example("reinforce")
    verification, finding = judged(module.reinforce)
    assert verification.verdict == "pass"
    assert finding.runs.number == 23
    assert_is(finding, of_episodes(finding, finding.mdp, keeps_discount=True))
    verification, finding = judged(module.as_published)
    assert verification.verdict == "fail"
    assert_is(finding, of_episodes(finding, finding.mdp, keeps_discount=False))
    assert (
        verify_agent(LocalAgent(module.as_published), [pgcheck.load_model("two_state", gamma=1.0)]).verdict == "pass"
    )


@pytest.mark.torch
@pytest.mark.gymnasium
@pytest.mark.filterwarnings("ignore:std")
def test_standardised_returns_are_not_finite_in_episodes_of_one_step() -> None:
    verification, finding = judged(example("reinforce").standardised)
    probs = probs_of(finding)
    short = sum(prob for prob, steps in episodes(finding.mdp, probs) if len(steps) == 1)
    assert verification.verdict == "fail"
    assert finding.runs.not_finite == pytest.approx(short, rel=1e-6)


@pytest.mark.slow
@pytest.mark.jax
@pytest.mark.gymnasium
@pytest.mark.filterwarnings("ignore:Rlax softmax:PendingDeprecationWarning")
def test_rlax_divides_each_episode_by_its_length() -> None:
    pytest.importorskip("rlax", reason="needs rlax: pip install rlax")
    module = example("rlax_loop")
    verification, finding = judged(module.right)
    assert verification.verdict == "pass"
    assert_is(finding, of_episodes(finding, finding.mdp, keeps_discount=True))
    verification, finding = judged(module.as_it_comes)
    assert verification.verdict == "fail"
    assert_is(finding, of_episodes(finding, finding.mdp, keeps_discount=True, divides=True))
