import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pgcheck
from pgcheck import exact_gradient, most_likely
from pgcheck.exact.contributions import contributions
from tests import oracles
from tests.problems import random_problem

seeds = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_shares_are_their_definition_and_sum_to_1(seed: int) -> None:
    mdp, policy = random_problem(seed)
    exact = exact_gradient(mdp, policy)
    assert exact.trajectories is not None
    shown = contributions(mdp, policy, exact, exact.trajectories)
    assert len(shown) == exact.trajectories
    if exact.norm <= 1e-6:  # relative rounding would be too large
        return
    expected = []
    for prob, value, pairs, _ in oracles.trajectories(mdp, policy):
        scores = sum((oracles.score(policy, *pair) for pair in pairs), np.zeros(len(policy.theta)))
        expected.append(prob * value * float(scores @ exact.gradient) / exact.norm**2)
    shares = [contribution.share for contribution in shown]
    assert None not in shares
    assert math.fsum(share for share in shares if share is not None) == pytest.approx(1, abs=1e-7)
    assert sorted(share for share in shares if share is not None) == pytest.approx(sorted(expected), abs=1e-7)


def test_the_most_likely_come_first_and_0_gives_none() -> None:
    mdp, policy = pgcheck.load("two_state")
    exact = exact_gradient(mdp, policy)
    shown = contributions(mdp, policy, exact, 5)
    expected = most_likely(mdp, policy, 5)
    assert [c.trajectory.path.tolist() for c in shown] == [trajectory.path.tolist() for trajectory in expected]
    assert contributions(mdp, policy, exact, 0) == ()


def test_there_are_no_shares_of_a_gradient_that_is_0() -> None:
    model = pgcheck.loads("{horizon: 2, states: 1, actions: 1, start: 0, transitions: {0: {0: {to: 0, reward: 1}}}}")
    exact = exact_gradient(model.mdp, model.policy)
    (certain,) = contributions(model.mdp, model.policy, exact, 3)
    assert (certain.trajectory.probability, certain.trajectory.value, certain.share) == (1, 2, None)
