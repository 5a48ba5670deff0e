import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import pgcheck
from pgcheck import MDP, ModelError, TabularSoftmax
from pgcheck.model.policy import score
from tests import oracles
from tests.problems import random_problem

seeds = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=60)
@given(seeds)
def test_probabilities_sum_to_1_over_what_a_state_offers(seed: int) -> None:
    mdp, policy = random_problem(seed)
    probs = policy.probs()
    assert_allclose(probs.sum(axis=1), np.where(mdp.terminal, 0, 1), atol=1e-15)
    assert ((probs > 0) == mdp.available).all()


@settings(deadline=None, max_examples=60)
@given(seeds)
def test_score_is_its_definition_and_pullback_sums_it(seed: int) -> None:
    mdp, policy = random_problem(seed)
    weights = np.random.default_rng(seed).normal(size=mdp.available.shape)
    s, a = np.nonzero(mdp.available)
    scores = score(policy, s, a)
    assert_allclose(
        scores, [oracles.score(policy, *pair) for pair in zip(s.tolist(), a.tolist(), strict=True)], atol=1e-14
    )
    assert_allclose(policy.pullback(weights), weights[s, a] @ scores, atol=1e-13)


@settings(deadline=None, max_examples=30)
@given(seeds)
def test_each_parameter_has_the_probability_of_its_action(seed: int) -> None:
    mdp, policy = random_problem(seed)
    probs = policy.probs()
    expected = {
        (mdp.observations[mdp.observation[s]], mdp.actions[a]): probs[s, a]
        for s, a in zip(*np.nonzero(mdp.available), strict=True)
    }
    assert_allclose(policy.prob_of_parameters(), [expected[key] for key in policy.parameters], rtol=1e-14)


def test_pullback_of_a_constant_weight_is_exactly_0_in_expectation() -> None:
    _, policy = random_problem(3, spread=50)
    assert_allclose(policy.pullback(1e6 * policy.probs()), 0, atol=1e-300)


def test_parameters_are_ordered_by_first_appearance_then_action() -> None:
    model = pgcheck.loads(
        "{horizon: 1, states: [x, y, z], actions: [p, q], start: x, observations: {x: grey, z: grey, y: white},"
        " transitions: {z: {q: x, p: x}, y: {q: y}, x: {q: x, p: x}}}"
    )
    assert model.policy.parameters == (("grey", "p"), ("grey", "q"), ("white", "q"))


def test_a_state_named_as_an_observation_shares_its_row() -> None:
    model = pgcheck.loads(
        "{horizon: 1, states: [x, y], actions: [p, q], start: x, observations: {x: y},"
        " transitions: {x: {p: x, q: x}, y: {p: y, q: y}}, policy: {softmax: {y: {p: 1}}}}"
    )
    assert model.policy.parameters == (("y", "p"), ("y", "q"))
    assert_allclose(model.policy.probs()[0], model.policy.probs()[1])


def test_lookalikes_with_different_actions_are_refused() -> None:
    mdp, _ = pgcheck.load("two_state")
    one = {name: getattr(mdp, name) for name in MDP.__dataclass_fields__}
    one |= {"observations": ("all",), "observation": np.zeros(3, dtype=np.int64)}
    keep = ~((mdp.state == 1) & (mdp.action == 0))
    for name in ("state", "action", "next_state", "prob", "reward", "done"):
        one[name] = one[name][keep]
    with pytest.raises(ModelError, match="share an observation"):
        TabularSoftmax.of(MDP(**one))
