"""A policy that is no class of pgcheck's own: four members, and all works with it."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

import pgcheck
from pgcheck import MDP, Batch
from pgcheck.model.policy import Policy, along, freedom, logits, score
from tests import oracles
from tests.problems import random_problem

Floats = oracles.Floats


@dataclass(frozen=True, eq=False)
class Squares:
    """Logits θ_i² x_i(s, a), for random features x: neither a table nor linear in θ."""

    theta: Floats
    features: Floats
    offered: NDArray[np.bool_]

    @property
    def parameters(self) -> tuple[tuple[str, ...], ...]:
        return tuple((f"w{i}",) for i in range(len(self.theta)))

    def at(self, theta: Floats) -> Floats:
        odds = np.where(self.offered, np.exp(self.features @ theta**2), 0.0)
        total = odds.sum(axis=1, keepdims=True)
        return odds / np.where(total == 0, 1.0, total)

    def probs(self) -> Floats:
        return self.at(self.theta)

    def pullback(self, weights: Floats) -> Floats:
        centred = np.where(self.offered, weights, 0.0)
        centred = centred - self.probs() * centred.sum(axis=-1, keepdims=True)
        return np.asarray(np.tensordot(centred, self.features, axes=2) * 2 * self.theta)


def squares(seed: int, d: int = 3) -> tuple[MDP, Squares]:
    mdp, _ = random_problem(seed, horizon=3)
    rng = np.random.default_rng(seed)
    shape = (mdp.num_states, mdp.num_actions, d)
    return mdp, Squares(rng.normal(0, 0.7, d), rng.normal(size=shape), mdp.available)


def value(mdp: MDP, probs: Floats) -> complex:
    """J by backward induction over plain tuples."""
    v = [0.0j] * mdp.num_states
    for _ in range(mdp.horizon):
        v = [
            sum((probs[s, a] * p * (r + (0 if ends else mdp.gamma * v[t])) for a, t, p, r, ends in row), 0j)
            for s, row in enumerate(oracles.outcomes(mdp))
        ]
    return sum((p * x for p, x in zip(mdp.start.tolist(), v, strict=True)), 0j)


def complex_step(mdp: MDP, policy: Squares) -> Floats:
    moved = [policy.theta + 1e-30j * row for row in np.eye(len(policy.theta))]
    return np.array([value(mdp, policy.at(theta)).imag / 1e-30 for theta in moved])


def numeric_score(policy: Squares, s: int, a: int) -> Floats:
    moved = [policy.theta + 1e-30j * row for row in np.eye(len(policy.theta))]
    return np.array([np.log(policy.at(theta)[s, a]).imag / 1e-30 for theta in moved])


@pytest.mark.parametrize("seed", range(6))
def test_the_gradient_is_the_derivative_of_j(seed: int) -> None:
    mdp, policy = squares(seed)
    exact = pgcheck.exact_gradient(mdp, policy)
    assert_allclose(exact.gradient, complex_step(mdp, policy), rtol=1e-11, atol=1e-13)
    assert exact.parameters == (("w0",), ("w1",), ("w2",))


@pytest.mark.parametrize("seed", range(3))
def test_scores_and_directions_follow_from_the_pullback(seed: int) -> None:
    mdp, policy = squares(seed)
    states, actions = np.nonzero(mdp.available)
    scores = np.array([numeric_score(policy, s, a) for s, a in zip(states.tolist(), actions.tolist(), strict=True)])
    assert_allclose(score(policy, states, actions), scores, atol=1e-12)
    direction = np.array([0.3, -1.0, 2.0])
    assert_allclose(along(policy, direction)[states, actions], scores @ direction, atol=1e-12)
    assert freedom(policy) == np.linalg.matrix_rank(scores)
    # Without logits of its own, log π stands for them.
    assert_allclose(logits(policy)[states, actions], np.log(policy.probs()[states, actions]))


@pytest.mark.parametrize(
    "name", ["reinforce", "reward-to-go", "optimal-baseline", "gae", "all-actions", "per-decision"]
)
@pytest.mark.parametrize("seed", [1, 4])
def test_moments_are_those_of_all_trajectories(seed: int, name: str) -> None:
    mdp, policy = squares(seed)
    estimator = pgcheck.estimator(name)
    found = pgcheck.predict(mdp, policy, estimator, np.random.default_rng(0), behavior=policy, full=True)(None)
    diagonal = pgcheck.predict(mdp, policy, estimator, np.random.default_rng(0), behavior=policy)(None)
    mean, second = np.zeros(3), np.zeros((3, 3))
    for batch, prob in pgcheck.enumerate_trajectories(mdp, policy):
        each = estimator.each(batch)
        mean += prob @ each
        second += each.T @ (prob[:, None] * each)
    assert found is not None
    assert diagonal is not None
    assert found.evidence == diagonal.evidence == "recursion"
    assert found.matrix is not None
    assert_allclose(found.mean, mean, atol=1e-12)
    assert_allclose(found.matrix, second - np.outer(mean, mean), atol=1e-11)
    assert_allclose(diagonal.variance, np.diag(found.matrix), atol=1e-12)
    assert not np.allclose(found.variance, np.diag(second))  # the twin: moments about 0 are others


def test_samples_and_verdicts_work_with_it() -> None:
    mdp, policy = squares(5)
    sampled = pgcheck.sample_gradient(mdp, policy, 10**6, np.random.default_rng(0))
    moments = pgcheck.predict(mdp, policy, pgcheck.estimator("reinforce"), np.random.default_rng(0))(None)
    assert moments is not None
    deviation = sampled.estimate - pgcheck.exact_gradient(mdp, policy).gradient
    assert np.all(np.abs(deviation) < 5 * moments.std_error(10**6))

    def right(batch: Batch) -> Floats:
        returns = batch.rewards @ batch.gamma ** np.arange(batch.rewards.shape[1])
        return np.asarray(returns.reshape(-1, *(1 for _ in batch.theta.shape)) * batch.score.sum(axis=1))

    model: tuple[MDP, Policy] = (replace(mdp, gamma=0.8), policy)
    assert pgcheck.verify(right, [model]).verdict == "pass"
    wrong = pgcheck.verify(lambda batch: -right(batch), [model])
    assert [diagnosis.id for diagnosis in wrong.diagnosis] == ["sign"]
