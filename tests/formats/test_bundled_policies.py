"""The bundled models with a linear policy, a reference or completions, against formulas that are written out here."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

import pgcheck
from pgcheck import Linear, TabularSoftmax, exact_gradient
from pgcheck.formats import sources
from pgcheck.trajectories.counting import count_trajectories
from pgcheck.verification.battery import BATTERY


def test_short_corridor_has_the_best_policy_of_its_linear_form() -> None:
    mdp, policy = pgcheck.load("short_corridor_linear")
    assert isinstance(policy, Linear)
    assert policy.parameters == (("w1",), ("w2",))
    exact = exact_gradient(mdp, policy)
    p = 1 / (1 + math.exp(-1))
    slope = 2 * (p * p - 4 * p + 2) / (p * (1 - p))
    assert exact.value == pytest.approx(-(4 - 2 * p) / (p * (1 - p)), rel=1e-12)
    assert_allclose(exact.gradient, [slope, -slope], rtol=1e-11)
    best = exact_gradient(mdp, replace(policy, theta=np.array([math.log(2) / 2, 0.0])))
    assert best.value == pytest.approx(-(6 + 4 * math.sqrt(2)), rel=1e-12)
    assert_allclose(best.gradient, 0, atol=1e-11)
    off = exact_gradient(mdp, replace(policy, theta=np.array([math.log(2) / 2 + 0.01, 0.0])))
    assert off.norm > 1e-3


def test_the_completions_of_token_tree_have_their_sums() -> None:
    mdp, policy = pgcheck.load("token_tree")
    assert mdp.reference is not None
    prob, value, divergence = 0.0, 0.0, 0.0

    def complete(state: int, log_p: float, log_ref: float) -> None:
        nonlocal prob, value, divergence
        assert mdp.reference is not None
        for k in np.flatnonzero(mdp.state == state).tolist():
            a = mdp.action[k]
            p = log_p + math.log(policy.probs()[state, a])
            ref = log_ref + math.log(mdp.reference[state, a])
            if not mdp.terminal[mdp.next_state[k]]:
                assert mdp.reward[k] == 0
                complete(int(mdp.next_state[k]), p, ref)
                continue
            prob += math.exp(p)
            value += math.exp(p) * float(mdp.reward[k])
            divergence += math.exp(p) * (p - ref)

    for prompt in np.flatnonzero(mdp.start).tolist():
        complete(prompt, math.log(mdp.start[prompt]), math.log(mdp.start[prompt]))
    assert prob == pytest.approx(1)
    assert exact_gradient(*pgcheck.load("token_tree")).value == pytest.approx(value, rel=1e-12)
    assert exact_gradient(*pgcheck.load("token_tree", kl=0.1)).value == pytest.approx(
        value - 0.1 * divergence, rel=1e-12
    )
    header = (sources.bundled_directory() / "token_tree.yaml").read_text()
    for number in (value, divergence, value - 0.1 * divergence):
        assert f"{number:.10g}" in header
    assert [count_trajectories(pgcheck.load("token_tree")[0]), int((mdp.start > 0).sum())] == [30, 2]


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_preference_bandit_has_its_closed_form(beta: float) -> None:
    mdp, policy = pgcheck.load("preference_bandit", kl=beta)
    assert mdp.reference is not None
    rewards = np.zeros((4, 3))
    rewards[mdp.state, mdp.action] = mdp.reward
    pi, ref = policy.probs()[:3], mdp.reference[:3]
    credit = rewards[:3] - beta * np.log(pi / ref)
    mean = np.sum(pi * credit, axis=1, keepdims=True)
    exact = exact_gradient(mdp, policy)
    assert_allclose(exact.gradient, (mdp.start[:3, None] * pi * (credit - mean)).ravel(), rtol=1e-12)
    assert exact.value == pytest.approx(mdp.start[:3] @ mean[:, 0], rel=1e-12)
    assert f"{exact.value:.12g}" in (sources.bundled_directory() / "preference_bandit.yaml").read_text()


def test_preference_bandit_has_its_best_policy() -> None:
    beta = 0.5
    mdp, policy = pgcheck.load("preference_bandit", kl=beta)
    assert mdp.reference is not None
    rewards = np.zeros((4, 3))
    rewards[mdp.state, mdp.action] = mdp.reward
    assert isinstance(policy, TabularSoftmax)
    odds = mdp.reference[:3] * np.exp(rewards[:3] / beta)
    best = exact_gradient(mdp, replace(policy, theta=np.log(odds).ravel()))
    assert_allclose(best.gradient, 0, atol=1e-15)
    assert best.value == pytest.approx(float(mdp.start[:3] @ (beta * np.log(odds.sum(axis=1)))), rel=1e-12)
    assert exact_gradient(mdp, policy).norm > 0.1


def test_every_model_of_the_battery_has_a_reference_and_a_behavior_of_its_own() -> None:
    for name, _ in BATTERY:
        model = pgcheck.load_model(name)
        assert model.behavior is not None
        assert model.reference is not None
        tables = [policy.probs() for policy in (model.policy, model.behavior, model.reference)]
        for one, other in itertools.combinations(tables, 2):
            assert np.abs(one - other).max() > 0.01
        # A uniform reference would leave KL and entropy indistinguishable.
        assert np.ptp(tables[2][tables[2] > 0]) > 0.01
