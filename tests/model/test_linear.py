"""A linear policy: its probabilities, its pullback, and what is made of it, against plain loops."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import pgcheck
from pgcheck import Linear, ModelError, exact_gradient, predict, sample_gradient
from pgcheck.model.policy import freedom, logits, pair_scores, score
from tests import oracles
from tests.problems import random_linear, random_problem

seeds = st.integers(0, 2**32 - 1)
RECURSIVE = ("reinforce", "reward-to-go", "constant-baseline", "optimal-baseline", "value-baseline", "actor-critic",
             "gae", "advantage", "all-actions", "immediate-reward", "dropped-gamma")  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(seeds)
def test_probabilities_are_a_softmax_of_weighted_features(seed: int) -> None:
    mdp, policy = random_linear(seed)
    probs = oracles.softmax(policy, [complex(x) for x in policy.theta])
    assert ((policy.probs() > 0) == mdp.available).all()
    for (s, a), p in probs.items():
        assert policy.probs()[s, a] == pytest.approx(p.real, rel=1e-12)
        assert logits(policy)[s, a] == pytest.approx(sum(policy.theta * policy.features[s, a]), rel=1e-12, abs=1e-15)


@settings(deadline=None, max_examples=60)
@given(seeds)
def test_score_is_its_definition_and_pullback_sums_it(seed: int) -> None:
    mdp, policy = random_linear(seed)
    weights = np.random.default_rng(seed).normal(size=(3, *mdp.available.shape))
    s, a = np.nonzero(mdp.available)
    scores = score(policy, s, a)
    expected = [oracles.score(policy, *pair) for pair in zip(s.tolist(), a.tolist(), strict=True)]
    assert_allclose(scores, expected, atol=1e-13)
    assert_allclose(pair_scores(policy, s, a), expected, atol=1e-13)
    assert_allclose(policy.pullback(weights), weights[:, s, a] @ scores, atol=1e-12)
    assert freedom(policy) <= len(policy.theta)
    assert np.linalg.norm(scores, axis=1).max(initial=0) <= 2 * policy.steepness * (1 + 1e-12)


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_the_gradient_is_the_complex_step_through_the_features(seed: int) -> None:
    mdp, policy = random_linear(seed)
    exact = exact_gradient(mdp, policy)
    assert_allclose(exact.gradient, oracles.complex_step(mdp, policy), rtol=1e-11, atol=1e-13)
    assert exact.parameters == policy.parameters
    assert exact.method == "enumeration"
    assert exact.agreement is not None
    assert exact.agreement <= 1e-12


def test_features_of_other_actions_have_another_gradient() -> None:
    """The negative twin: the oracle sees a feature that is wrong."""
    mdp, policy = random_linear(1, weights=3, horizon=3, gamma=0.9)
    wrong = replace(policy, features=policy.features[:, ::-1])
    assert np.abs(exact_gradient(mdp, wrong).gradient - oracles.complex_step(mdp, policy)).max() > 1e-3


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_one_hot_features_are_the_table(seed: int) -> None:
    mdp, table = random_problem(seed)
    features = np.zeros((*mdp.available.shape, len(table.theta)))
    s, a = np.nonzero(mdp.available)
    features[s, a, table.index[s, a]] = 1.0
    linear = Linear(table.theta, tuple((" ".join(names),) for names in table.parameters), features, mdp.available)
    assert_allclose(exact_gradient(mdp, linear).gradient, exact_gradient(mdp, table).gradient, rtol=1e-10, atol=1e-13)
    for name in RECURSIVE:
        for full in (False, True):
            one, other = (
                predict(mdp, policy, pgcheck.estimator(name), np.random.default_rng(0), full=full)(None)
                for policy in (linear, table)
            )
            assert one is not None
            assert other is not None
            size = float(np.abs(other.variance).max(initial=0)) + 1e-3
            assert_allclose(one.mean, other.mean, rtol=1e-9, atol=1e-12)
            assert_allclose(one.variance, other.variance, rtol=1e-8, atol=1e-10 * size)
            if full:
                assert one.matrix is not None
                assert other.matrix is not None
                assert_allclose(one.matrix, other.matrix, rtol=1e-8, atol=1e-10 * size)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_the_covariance_is_that_of_all_trajectories(seed: int, full: bool) -> None:
    mdp, policy = random_linear(seed, horizon=3, gamma=0.9)
    mean, second = np.zeros(len(policy.theta)), np.zeros((len(policy.theta),) * 2)
    for prob, ret, pairs, _ in oracles.trajectories(mdp, policy):
        estimate = ret * sum((oracles.score(policy, *pair) for pair in pairs), np.zeros(len(policy.theta)))
        mean += prob * estimate
        second += prob * np.outer(estimate, estimate)
    covariance = second - np.outer(mean, mean)
    moments = predict(mdp, policy, pgcheck.estimator("reinforce"), np.random.default_rng(0), full=full)(None)
    assert moments is not None
    assert moments.evidence == "recursion"
    assert_allclose(moments.mean, mean, rtol=1e-10, atol=1e-13)
    assert_allclose(moments.variance, np.diag(covariance), rtol=1e-9, atol=1e-13)
    if full:
        assert moments.matrix is not None
        assert_allclose(moments.matrix, covariance, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", RECURSIVE)
def test_the_moments_by_recursion_are_those_of_every_trajectory(name: str) -> None:
    mdp, policy = random_linear(5, weights=3, horizon=4, gamma=0.9, aliased=True)
    estimator = pgcheck.estimator(name)
    mean, second = np.zeros(3), np.zeros((3, 3))
    for batch, prob in pgcheck.enumerate_trajectories(mdp, policy):
        each = estimator.each(batch)
        mean += prob @ each
        second += each.T @ (prob[:, None] * each)
    for full in (False, True):
        moments = predict(mdp, policy, estimator, np.random.default_rng(0), full=full)(None)
        assert moments is not None
        assert_allclose(moments.mean, mean, rtol=1e-10, atol=1e-13)
        assert_allclose(moments.variance, np.diag(second) - mean**2, rtol=1e-8, atol=1e-12)
        if full:
            assert moments.matrix is not None
            assert_allclose(moments.matrix, second - np.outer(mean, mean), rtol=1e-8, atol=1e-12)


def test_everything_works_with_a_linear_policy() -> None:
    mdp, policy = random_linear(5, weights=3, horizon=3, gamma=0.9, aliased=True)
    exact = exact_gradient(mdp, policy)
    sampled = sample_gradient(mdp, policy, 10**10, np.random.default_rng(0))
    assert exact.discrepancy(sampled.estimate).relative_error == pytest.approx(0, abs=1e-3)
    assert pgcheck.verify("reinforce", [(mdp, policy)]).verdict == "pass"
    assert pgcheck.verify("dropped-gamma", [(mdp, policy)]).verdict == "fail"
    slope = pgcheck.converge(mdp, policy, n=(100, 10_000), replicates=50).slope
    assert slope == pytest.approx(-0.5, abs=0.1)


def test_theta_is_flat_also_where_a_table_would_fit() -> None:
    mdp, policy = random_linear(3, weights=3, horizon=2, gamma=0.9, full=True)
    batch, _ = next(iter(pgcheck.enumerate_trajectories(mdp, policy)))
    assert batch.theta.tolist() == policy.theta.tolist()
    assert batch.score.shape == (*batch.states.shape, 3)
    assert pgcheck.verify("gae", [(mdp, policy)]).verdict == "pass"
    mdp, policy = pgcheck.load("short_corridor_linear", horizon=4)  # type: ignore[assignment]
    assert pgcheck.verify("reinforce", [(mdp, policy)]).verdict == "pass"


def test_what_is_no_linear_policy_is_refused() -> None:
    mdp, policy = random_linear(1, weights=2)
    with pytest.raises(ModelError, match=r"expected \[d\] weights, d names and features \[S, A, d\]"):
        Linear(policy.theta, policy.parameters, policy.features[:, :, :1], mdp.available)
    with pytest.raises(ModelError, match="not finite"):
        replace(policy, theta=np.array([0.0, np.nan]))
