"""Second moments, plans and samples with a network as the policy, against one trajectory at a time."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import pgcheck
from pgcheck import MDP
from pgcheck.estimators.assessment import assess
from pgcheck.estimators.catalogue import NAMES
from pgcheck.estimators.catalogue import estimator as built_in
from pgcheck.estimators.comparison import compare, plan
from pgcheck.exact.critic import critic
from pgcheck.exact.layers import layers_of
from tests import networks
from tests.networks import PlainNetwork
from tests.problems import random_problem


def problem(seed: int = 0) -> tuple[MDP, PlainNetwork]:
    mdp, _ = random_problem(seed, horizon=3, gamma=0.9)
    return mdp, PlainNetwork(mdp, networks.random_theta(mdp, seed))


@pytest.mark.parametrize("seed", [0, 1, 4])
@pytest.mark.parametrize("full", [False, True])
def test_the_covariance_is_that_of_all_trajectories(seed: int, full: bool) -> None:
    mdp, policy = problem(seed)
    mean, covariance = networks.covariance(mdp, policy.theta)
    moments = pgcheck.predict(mdp, policy, pgcheck.estimator("reinforce"), np.random.default_rng(0), full=full)(None)
    assert moments is not None
    assert moments.evidence == "recursion"
    assert_allclose(moments.mean, mean, rtol=1e-10, atol=1e-13)
    assert_allclose(moments.variance, np.diag(covariance), rtol=1e-10, atol=1e-13)
    if full:
        assert moments.matrix is not None
        assert_allclose(moments.matrix, covariance, rtol=1e-9, atol=1e-12)
    else:
        assert moments.matrix is None


@pytest.mark.parametrize("name", ["reward-to-go", "value-baseline", "gae", "all-actions", "dropped-gamma"])
def test_recursions_agree_with_enumeration(name: str) -> None:
    mdp, policy = problem(4)
    estimator, rng = built_in(name), np.random.default_rng(0)
    moments = pgcheck.predict(mdp, policy, estimator, rng)(None)
    assert moments is not None
    mean, second = np.zeros(len(policy.theta)), np.zeros(len(policy.theta))
    for batch, prob in pgcheck.enumerate_trajectories(mdp, policy):
        each = estimator.each(batch)
        mean, second = mean + prob @ each, second + prob @ each**2
    assert_allclose(moments.mean, mean, rtol=1e-9, atol=1e-12)
    assert_allclose(moments.variance, second - mean**2, rtol=1e-8, atol=1e-11)


def test_the_best_constant_minimises_the_trace() -> None:
    mdp, policy = problem(4)
    best = critic(mdp, policy).best_constant
    scores = {
        (s, a): networks.score(mdp, policy.theta, int(s), int(a)) for s, a in np.argwhere(mdp.available).tolist()
    }
    above = below = 0.0
    for prob, steps in networks.trajectories(mdp, policy.theta):
        square = float(np.sum(sum((scores[s, a] for s, a, _ in steps), np.zeros(len(policy.theta))) ** 2))
        above += prob * square * sum(mdp.gamma**t * r for t, (_, _, r) in enumerate(steps))
        below += prob * square
    assert best == pytest.approx(above / below, rel=1e-10)


def test_samples_follow_the_covariance() -> None:
    mdp, policy = problem(4)
    n = 4_000
    result = assess(mdp, policy, n, np.random.default_rng(3))
    _, covariance = networks.covariance(mdp, policy.theta)
    assert result.expected_error == pytest.approx(np.sqrt(np.trace(covariance) / n), rel=1e-9)
    size, directions = np.linalg.eigh(covariance)
    real = size > 1e-10 * size.max()
    along = directions[:, real].T @ result.error
    assert result.chi2 == pytest.approx(float(n * np.sum(along**2 / size[real])), rel=1e-5)
    assert result.degrees_of_freedom == int(real.sum())
    assert max(abs(z) for z in result.z if z is not None) < 5


def test_the_error_falls_as_one_over_root_n() -> None:
    found = pgcheck.converge(
        *problem(4), n=[100, 1_000, 10_000, 100_000], replicates=32, rng=np.random.default_rng(0)
    )
    assert found.slope == pytest.approx(-0.5, abs=0.06)
    assert all(0.7 < row.error / row.expected < 1.4 for row in found.rows if row.expected)


def test_plan_and_compare_know_every_estimator() -> None:
    mdp, policy = pgcheck.load("two_state")
    network, estimators = PlainNetwork(mdp, networks.random_theta(mdp, 2)), [built_in(name) for name in NAMES]
    planned = plan(mdp, network, estimators, 0.05, np.random.default_rng(0), behavior=policy)
    compared = compare(mdp, network, estimators, 100, np.random.default_rng(0), behavior=policy)
    assert len(planned.standings) == len(compared.standings) == len(NAMES)


def test_the_gradient_by_layer() -> None:
    mdp, policy = problem(4)
    gradient = pgcheck.exact_gradient(mdp, policy).gradient
    layers = layers_of(policy, gradient)
    assert layers is not None
    by_name = networks.split(mdp, gradient)
    assert [(x.name, x.shape) for x in layers.layers] == [(name, part.shape) for name, part in by_name.items()]
    assert_allclose([x.norm for x in layers.layers], [np.sqrt(np.sum(part**2)) for part in by_name.values()])
    assert len(layers.largest) == min(20, len(gradient))
    assert np.all(np.abs(gradient[layers.largest]).min() >= np.abs(np.delete(gradient, layers.largest)))
    assert layers_of(pgcheck.load("two_state")[1], np.zeros(4)) is None
