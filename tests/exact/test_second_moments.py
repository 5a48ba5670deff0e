import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import pgcheck
from pgcheck import MDP, TabularSoftmax, estimator, exact_gradient, predict
from pgcheck.estimators.catalogue import ESTIMATORS
from pgcheck.exact.critic import critic
from pgcheck.exact.pair_sums import PairSums
from pgcheck.exact.second_moments import return_moments
from tests.oracles import Floats
from tests.plain import Problem
from tests.problems import random_problem

MEANS = [some.name for some in ESTIMATORS if some.aggregation == "mean"]
WITH_RECURSION = [some.name for some in ESTIMATORS if some.aggregation == "mean" and some.recursion is not None]
seeds = st.integers(0, 2**32 - 1)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sparse(mdp: MDP) -> MDP:
    """The same problem with many more states, so that sums over outcomes go another way."""
    more = 40
    wide = np.zeros(more)
    return replace(
        mdp,
        states=(*mdp.states, *(f"x{i}" for i in range(more))),
        start=np.r_[mdp.start, wide],
        terminal=np.r_[mdp.terminal, wide == 0],
        observations=(*mdp.observations, "nowhere"),
        observation=np.r_[mdp.observation, np.full(more, len(mdp.observations))],
    )


@settings(deadline=None, max_examples=20)
@given(seeds, st.booleans())
@pytest.mark.parametrize("name", WITH_RECURSION)
def test_a_recursion_gives_what_plain_summation_gives(name: str, seed: int, wide: bool) -> None:
    mdp, policy = random_problem(seed, horizon=seed % 3 + 1)
    behavior = replace(policy, theta=rng(seed).normal(0, 0.7, len(policy.theta)))
    actor = behavior if estimator(name).off_policy else policy
    mean, covariance = Problem(mdp, policy, actor).moments(name)
    if wide:
        mdp = sparse(mdp)
        policy = replace(TabularSoftmax.of(mdp), theta=policy.theta)
        behavior = replace(policy, theta=behavior.theta)
    scale = 1 + float(np.abs(covariance).max(initial=0))
    for full in (False, True):
        found = predict(mdp, policy, estimator(name), rng(), behavior=behavior, full=full)(None)
        assert found is not None
        if len(mdp.prob):
            assert found.evidence == "recursion"
        assert_allclose(found.mean, mean, atol=1e-11 * scale)
        assert_allclose(found.variance, np.diag(covariance), atol=1e-11 * scale)
        assert (found.matrix is not None) == full or not len(mdp.prob)
        if found.matrix is not None and len(mdp.prob):
            assert_allclose(found.matrix, covariance, atol=1e-11 * scale)


def test_all_but_one_mean_have_a_recursion() -> None:
    assert set(MEANS) - set(WITH_RECURSION) == {"normalised-returns"}


@settings(deadline=None, max_examples=10)
@given(seeds, st.sampled_from([0.0, 0.3, 1.0]))
def test_gae_at_any_lambda(seed: int, lam: float) -> None:
    mdp, policy = random_problem(seed)
    found = predict(mdp, policy, estimator("gae", lam), rng(), full=True)(None)
    _, covariance = Problem(mdp, policy).moments("gae", lam)
    assert found is not None
    if found.matrix is not None:
        assert_allclose(found.matrix, covariance, atol=1e-11)


@pytest.mark.parametrize("model", ["two_state", "early_exit", "aliased_gridworld", "deep_sea", "bandit"])
def test_the_bundled_models_too(model: str) -> None:
    loaded = pgcheck.load_model(model)
    for some in ESTIMATORS:
        if some.aggregation != "mean":
            continue
        actor = loaded.behavior if some.off_policy else None
        mean, covariance = Problem(loaded.mdp, loaded.policy, actor).moments(some.name)
        found = predict(loaded.mdp, loaded.policy, some, rng(), behavior=loaded.behavior)(None)
        assert found is not None
        assert_allclose(found.mean, mean, atol=1e-11)
        assert_allclose(found.variance, np.diag(covariance), rtol=1e-9, atol=1e-11)
        assert found.trace == pytest.approx(float(np.trace(covariance)), rel=1e-9, abs=1e-11)


def test_the_best_constant_baseline_is_the_best() -> None:
    mdp, policy = pgcheck.load("short_corridor")
    joint = policy.probs()[mdp.state, mdp.action] * mdp.prob
    best = predict(mdp, policy, estimator("optimal-baseline"), rng())(None)
    assert best is not None
    b = critic(mdp, policy).best_constant
    gradient = exact_gradient(mdp, policy, method="backward-induction").gradient
    for off in (-1.0, -0.01, 0.01, 1.0):
        second = return_moments(PairSums(mdp, policy), joint, baseline=b + off).second[2]
        assert float((second - gradient**2).sum()) > best.trace


@settings(deadline=None, max_examples=15)
@given(seeds)
def test_a_baseline_changes_no_mean(seed: int) -> None:
    mdp, policy = random_problem(seed)
    if not len(mdp.prob):
        return
    joint = policy.probs()[mdp.state, mdp.action] * mdp.prob
    means = [return_moments(PairSums(mdp, policy), joint, baseline=b, powers=()).first[1] for b in (0.0, -3.0, 17.0)]
    assert_allclose(means[1], means[0], atol=1e-12)
    assert_allclose(means[2], means[0], atol=1e-12)


def test_what_does_not_vary_has_variance_zero() -> None:
    """One state, one step: all actions at once leave nothing to chance; z and errors are 0, not noise."""
    mdp, policy = pgcheck.load("bandit")
    found = predict(mdp, policy, estimator("all-actions"), rng())(None)
    assert found is not None
    assert found.variance.tolist() == [0.0] * 4
    gradient = exact_gradient(mdp, policy).gradient
    assert found.expected_error(gradient, 10) < 1e-15


def test_a_reward_of_any_size_scales_the_covariance() -> None:
    mdp, policy = pgcheck.load("early_exit")
    for name in ("reward-to-go", "optimal-baseline", "gae"):
        one, other = (
            predict(replace(mdp, reward=mdp.reward * scale), policy, estimator(name), rng())(None)
            for scale in (1.0, 1e40)
        )
        assert one is not None
        assert other is not None
        assert_allclose(other.variance, one.variance * 1e80, rtol=1e-10)


def test_a_long_horizon_costs_what_the_episodes_take() -> None:
    one, other = (
        predict(*pgcheck.load("short_corridor", horizon=h), estimator("reinforce"), rng())(None)
        for h in (5000, 10**12)
    )
    assert one is not None
    assert other is not None
    assert other.evidence == "recursion"
    assert other.trace == pytest.approx(one.trace, rel=1e-12)


def test_a_problem_too_large_for_recursion_falls_back_on_a_sample() -> None:
    arms = 200_000
    rewards: Floats = np.array(np.arange(arms) % 7 - 3, dtype=np.float64)
    mdp = MDP(
        name="arms", states=("s", "t"), actions=tuple(map(str, range(arms))), horizon=1, gamma=1.0,
        start=np.array([1.0, 0.0]), terminal=np.array([False, True]), observations=("s", "t"),
        observation=np.arange(2), state=np.zeros(arms, dtype=np.int64), action=np.arange(arms),
        next_state=np.ones(arms, dtype=np.int64), prob=np.ones(arms), reward=rewards,
        done=np.zeros(arms, dtype=np.bool_),
    )  # fmt: skip
    sampled = predict(mdp, TabularSoftmax.of(mdp), estimator("reward-to-go"), rng())(None)
    assert sampled is not None
    assert (sampled.evidence, sampled.rollouts) == ("sample", 100)
    # The estimate is r_a (e_a - pi), with pi = 1 / arms.
    mean = (rewards - rewards.mean()) / arms
    trace = float(np.mean(rewards**2)) * (1 - 1 / arms) - float(mean @ mean)
    assert sampled.trace == pytest.approx(trace, rel=0.3)


def test_expected_error_is_the_root_of_variance_and_bias() -> None:
    mdp, policy = pgcheck.load("two_state")
    gradient = exact_gradient(mdp, policy).gradient
    found = predict(mdp, policy, estimator("dropped-gamma"), rng())(None)
    assert found is not None
    bias = float(np.linalg.norm(found.mean - gradient))
    assert found.expected_error(gradient, 50) == pytest.approx(math.sqrt(found.trace / 50 + bias**2))
    assert found.expected_error(gradient, 10**15) == pytest.approx(bias)
