"""Objectives with entropy and KL against an oracle that differentiates both as they are defined."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import pgcheck
from pgcheck import MDP, ModelError, Policy, UsageError, exact_gradient, predict, sample_gradient
from pgcheck.formats.overrides import overridden
from tests import oracles
from tests.problems import random_linear, random_problem, with_objective

seeds = st.integers(0, 2**32 - 1)
weights = st.sampled_from([(0.3, 0.0), (0.0, 0.7), (0.05, 0.2)])


def agrees(mdp: MDP, policy: Policy, method: str) -> None:
    exact = exact_gradient(mdp, policy, method=method)  # type: ignore[arg-type]
    assert_allclose(exact.gradient, oracles.complex_step(mdp, policy), rtol=1e-11, atol=1e-13)
    expected = oracles.value(mdp, policy, [complex(x) for x in policy.theta]).real
    assert exact.value == pytest.approx(expected, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("method", ["enumeration", "backward-induction"])
@settings(deadline=None, max_examples=50)
@given(seeds, weights)
def test_the_gradient_of_an_objective_is_its_complex_step(
    method: str, seed: int, weight: tuple[float, float]
) -> None:
    mdp, policy = random_problem(seed)  # states that look alike, γ from 0 to 1, any horizon up to 4
    agrees(with_objective(mdp, seed, *weight), policy, method)


@pytest.mark.parametrize("method", ["enumeration", "backward-induction"])
@settings(deadline=None, max_examples=30)
@given(seeds, weights)
def test_the_same_with_a_linear_policy(method: str, seed: int, weight: tuple[float, float]) -> None:
    mdp, policy = random_linear(seed)
    agrees(with_objective(mdp, seed, *weight), policy, method)


@pytest.mark.parametrize(("entropy", "kl"), [(0.3, 0.0), (0.0, 0.7)])
def test_another_weight_is_another_gradient(entropy: float, kl: float) -> None:
    """The negative twin: the oracle tells one objective from another, and from the return alone."""
    mdp, policy = random_problem(5, gamma=0.9, horizon=3)
    asked = with_objective(mdp, 5, entropy, kl)
    truth = oracles.complex_step(asked, policy)
    for other in (mdp, replace(asked, entropy=kl, kl=entropy), replace(asked, entropy=2 * entropy, kl=2 * kl)):
        assert np.abs(exact_gradient(other, policy).gradient - truth).max() > 1e-3


def test_the_entropy_of_later_steps_counts() -> None:
    """∇J + α Σ γ^t ∇H(π(·|s_t)) of the states as visited, what most code follows, is not the gradient."""
    mdp, policy = pgcheck.load("two_state", entropy=0.5)
    plain = replace(mdp, entropy=0.0)
    present = np.zeros(len(policy.theta))
    probs = policy.probs()
    surprise = -np.log(np.where(probs > 0, probs, 1.0))
    for batch, prob in pgcheck.enumerate_trajectories(mdp, policy):
        for p, episode in zip(prob, batch, strict=True):
            for t, s in enumerate(episode.states):
                weight = np.zeros(probs.shape)
                weight[s] = probs[s] * surprise[s]
                present += p * mdp.gamma**t * 0.5 * policy.pullback(weight)
    gap = exact_gradient(mdp, policy).gradient - exact_gradient(plain, policy).gradient - present
    assert np.abs(gap).max() > 1e-2


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize(
    "name", ["reinforce", "reward-to-go", "optimal-baseline", "value-baseline", "actor-critic", "gae", "advantage",
             "all-actions"]
)  # fmt: skip
def test_the_mean_of_an_estimator_is_the_gradient_of_the_objective(name: str, linear: bool) -> None:
    problem = random_linear(5, weights=3, horizon=3, gamma=0.9) if linear else random_problem(5, horizon=3, gamma=0.9)
    mdp, policy = with_objective(problem[0], 5, 0.1, 0.3), problem[1]
    truth = oracles.complex_step(mdp, policy)
    moments = predict(mdp, policy, pgcheck.estimator(name), np.random.default_rng(0))(None)
    assert moments is not None
    assert_allclose(moments.mean, truth, rtol=1e-9, atol=1e-12)
    mean = np.zeros(len(truth))
    for batch, prob in pgcheck.enumerate_trajectories(mdp, policy):
        mean += prob @ pgcheck.estimator(name).each(batch)
    assert_allclose(mean, truth, rtol=1e-9, atol=1e-12)
    assert np.abs(exact_gradient(problem[0], policy).gradient - truth).max() > 1e-3


def test_rollouts_estimate_the_whole_objective() -> None:
    mdp, policy = pgcheck.load("two_state", entropy=0.2, kl=0.3)
    exact = exact_gradient(mdp, policy)
    sampled = sample_gradient(mdp, policy, 10**12, np.random.default_rng(0))
    assert exact.discrepancy(sampled.estimate).relative_error == pytest.approx(0, abs=1e-4)
    assert sampled.mean_return == pytest.approx(exact.value, abs=1e-4)
    assert pgcheck.verify("reinforce", "two_state", entropy=0.2, kl=0.3).verdict == "pass"
    slope = pgcheck.converge(mdp, policy, n=(100, 10_000), replicates=50).slope
    assert slope == pytest.approx(-0.5, abs=0.1)


def test_the_best_policy_of_a_bandit_with_entropy_has_gradient_0() -> None:
    mdp, policy = pgcheck.load("bandit", entropy=0.5)
    rewards = {"steady": 1.0, "good": 2.0, "poor": -0.5, "risky": 1.75}
    best = pgcheck.TabularSoftmax.of(mdp, {("machine", arm): r / 0.5 for arm, r in rewards.items()})
    exact = exact_gradient(mdp, best)
    assert exact.is_zero
    assert exact.value == pytest.approx(0.5 * np.log(np.sum(np.exp(np.array(list(rewards.values())) / 0.5))))
    assert not exact_gradient(mdp, policy).is_zero


def test_without_rewards_a_uniform_policy_has_the_most_entropy() -> None:
    mdp, _ = pgcheck.load("two_state", entropy=1.0)
    silent = replace(mdp, reward=np.zeros(len(mdp.reward)))
    assert exact_gradient(silent, pgcheck.TabularSoftmax.of(silent, {("right", "move"): -1.0})).norm > 0.1
    flat = replace(silent, gamma=0.0)
    assert exact_gradient(flat, pgcheck.TabularSoftmax.of(flat)).is_zero


def test_overrides_are_checked() -> None:
    mdp, _ = pgcheck.load("two_state")
    assert overridden(mdp) is mdp
    assert (overridden(mdp, entropy=0.1).entropy, overridden(mdp, kl=0.2).kl) == (0.1, 0.2)
    both = overridden(mdp, entropy=0.1, kl=0.2)
    assert (overridden(both, kl=0.0).entropy, overridden(both, kl=0.0).kl) == (0.1, 0.0)
    for name in ("entropy", "kl"):
        for wrong in (-1e-9, float("nan"), float("inf")):
            with pytest.raises(UsageError, match=f"{name} .*; expected 0 to"):
                overridden(mdp, **{name: wrong})
    lonely, _ = pgcheck.load("bandit")
    with pytest.raises(UsageError, match=r"bandit has no reference policy: kl 0\.1"):
        overridden(lonely, kl=0.1)
    assert overridden(lonely, kl=0.0) is lonely
    with pytest.raises(ModelError, match="infinite"):
        replace(mdp, kl=0.1, reference=np.eye(3)[:, :2])
