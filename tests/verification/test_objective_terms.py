"""Entropy bonuses and KL terms against the derivative of their definitions."""

import cmath
from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pgcheck.estimators.mistakes.weights import Candidate
from pgcheck.verification import objective_terms
from pgcheck.verification.objective_terms import DISCOUNTS, RATIOS, ObjectiveTerm, entropy_terms, kl_loss, kl_terms
from tests import oracles
from tests.oracles import Floats
from tests.verification.kl import Value, derivative, enumeration, in_reward, k_of, loss

GAMMA = 0.9
STEPS: dict[str, Callable[[int, int], float]] = {
    "sum gamma^t": lambda t, length: GAMMA**t,
    "sum": lambda t, length: 1.0,
    "(1/L) sum gamma^t": lambda t, length: GAMMA**t / length,
    "(1/L) sum": lambda t, length: 1.0 / length,
}


@pytest.mark.parametrize("off_policy", [False, True])
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("kind", ["k1", "k2", "k3"])
def test_a_kl_loss_is_the_derivative_of_its_definition(kind: str, ratio: str, off_policy: bool) -> None:
    model, actor = enumeration(13, off_policy=off_policy)
    for name in DISCOUNTS:
        candidate = Candidate(lambda batch, name=name: kl_loss(batch, kind, ratio, name))  # type: ignore[misc,arg-type]
        ours = model.batch.flattened(candidate.mean(model.batch, model.prob))
        truth = derivative(model.mdp, model.policy, actor, loss(kind, ratio, STEPS[name]))
        assert_allclose(ours, truth, rtol=1e-11, atol=1e-14)


def test_a_loss_without_its_ratio_is_another_one() -> None:
    """The negative twin."""
    model, actor = enumeration(13, off_policy=True)
    ours = Candidate(lambda batch: kl_loss(batch, "k3", "none")).mean(model.batch, model.prob)
    truth = derivative(model.mdp, model.policy, actor, loss("k3", "token", STEPS["sum gamma^t"]))
    assert np.abs(model.batch.flattened(ours) - truth).max() > 1e-3


def mean_of(term: ObjectiveTerm, model: object) -> Floats:
    mean = term.mean(model)  # type: ignore[arg-type]
    return np.asarray(model.batch.flattened(mean))  # type: ignore[attr-defined]


@pytest.mark.parametrize("off_policy", [False, True])
@pytest.mark.parametrize("kind", ["k1", "k2", "k3"])
def test_kl_in_the_reward_is_credited_to_all_steps_before_it(kind: str, off_policy: bool) -> None:
    model, actor = enumeration(31, off_policy=off_policy)
    terms = [term for term in kl_terms(off_policy=off_policy) if term.way.variant == f"{kind}-reward"]
    discounted, _, undiscounted, _ = (mean_of(term, model) for term in terms)
    for ours, c in ((discounted, lambda t: GAMMA**t), (undiscounted, lambda t: 1.0)):
        value = in_reward(lambda p, q: -k_of(kind, p, q), c)
        assert_allclose(ours, derivative(model.mdp, model.policy, actor, value), rtol=1e-11, atol=1e-14)


def test_the_ways_to_leave_out_a_discount_are_those_of_their_formulas() -> None:
    model, _ = enumeration(31, off_policy=False)
    _, without_gamma_t, _, undiscounted = (mean_of(term, model) for term in entropy_terms(off_policy=False)[:4])
    probs = model.policy.probs()
    truths = np.zeros((2, len(model.policy.theta)))
    for prob, _, pairs, _ in oracles.trajectories(model.mdp, model.policy):
        rewards = [-np.log(probs[pair]) for pair in pairs]
        for t, pair in enumerate(pairs):
            score = oracles.score(model.policy, *pair)
            to_go = sum(GAMMA ** (k - t) * rewards[k] for k in range(t, len(pairs)))
            truths += prob * np.outer([to_go, GAMMA**t * sum(rewards[t:])], score)
    assert_allclose([without_gamma_t, undiscounted], truths, rtol=1e-11, atol=1e-14)


def minus_log_pi(c: Callable[[int, int], float]) -> Value:
    """−Σ_t c_t log π(a_t|s_t): what people differentiate for an entropy bonus."""
    return lambda p, q, b: -sum((c(t, len(p)) * cmath.log(x) for t, x in enumerate(p)), 0j)


@pytest.mark.parametrize("off_policy", [False, True])
def test_an_entropy_is_the_derivative_of_its_definition(off_policy: bool) -> None:
    model, actor = enumeration(14, off_policy=off_policy)
    terms = entropy_terms(off_policy=off_policy)
    full = derivative(
        model.mdp, model.policy, actor, in_reward(lambda p, _: -cmath.log(p), lambda t: GAMMA**t)
    )  # fmt: skip
    assert_allclose(mean_of(terms[0], model), full, rtol=1e-11, atol=1e-14)
    sampled = [term for term in terms if term.way.cause == "entropy-sampled"]
    for term in sampled:
        value = minus_log_pi(STEPS[term.way.discount])
        assert_allclose(
            mean_of(term, model), derivative(model.mdp, model.policy, actor, value), rtol=1e-11, atol=1e-14
        )
    assert len(sampled) == (4 if off_policy else 0)


@pytest.mark.parametrize("off_policy", [False, True])
def test_the_entropy_of_the_present_step_is_that_of_the_states_as_visited(off_policy: bool) -> None:
    model, actor = enumeration(14, off_policy=off_policy)
    present = [term for term in entropy_terms(off_policy=off_policy) if term.way.cause == "entropy-present"]
    each = len(present) // len(DISCOUNTS)
    table = np.zeros((model.mdp.num_states, len(model.policy.theta)))
    probs = model.policy.probs()
    for s in range(model.mdp.num_states):
        for a in np.flatnonzero(probs[s]):
            table[s] -= probs[s, a] * np.log(probs[s, a]) * oracles.score(model.policy, s, int(a))
    for term in present[::each]:
        truth = np.zeros(len(model.policy.theta))
        for prob, _, pairs, _ in oracles.trajectories(model.mdp, actor):
            for t, (s, _) in enumerate(pairs):
                truth += prob * STEPS[term.way.discount](t, len(pairs)) * table[s]
        assert_allclose(mean_of(term, model), truth, rtol=1e-11, atol=1e-14)


def test_k1_as_a_loss_has_no_effect_on_policy_and_an_effect_off_policy() -> None:
    for off_policy in (False, True):
        model, _ = enumeration(6, off_policy=off_policy)
        mean = Candidate(lambda batch: kl_loss(batch, "k1", "none")).mean(model.batch, model.prob)
        assert (np.abs(mean).max() > 1e-3) == off_policy


def test_rewards_of_objectives_are_0_beyond_the_end() -> None:
    model, _ = enumeration(13, off_policy=False)
    assert not model.batch.mask.all()
    for _, change in objective_terms.OWN_WAYS:
        assert not change(model.batch).rewards[~model.batch.mask].any()
