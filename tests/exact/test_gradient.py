import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import pgcheck
from pgcheck import MDP, Policy, PrecisionError, TabularSoftmax, TooLargeError, exact_gradient
from pgcheck.exact.enumeration import enumerate_gradient
from pgcheck.exact.gradient import Method
from pgcheck.exact.induction import Induction, backward_induction
from pgcheck.formats import sources
from pgcheck.trajectories.sums import Gatherer
from pgcheck.trajectories.tree import Tree, split_probability
from tests import oracles
from tests.oracles import index_of
from tests.problems import random_problem

seeds = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=150)
@given(seeds)
def test_enumeration_backward_induction_complex_step_and_recursion_agree(seed: int) -> None:
    mdp, policy = random_problem(seed)
    exact = exact_gradient(mdp, policy)
    by_induction = exact_gradient(mdp, policy, method="backward-induction")
    value, gradient, count, mass = oracles.recursion(mdp, policy)
    scale = 1e-14 * max(1.0, float(np.abs(gradient).max(initial=0)))
    assert exact.method == "enumeration"
    assert exact.trajectories == by_induction.trajectories == count
    assert exact.probability == pytest.approx(1, abs=1e-14)
    assert mass == pytest.approx(1, abs=1e-14)
    assert exact.value == pytest.approx(value, abs=1e-14)
    assert by_induction.value == pytest.approx(value, abs=1e-14)
    assert_allclose(exact.gradient, gradient, atol=scale, rtol=1e-12)
    assert_allclose(by_induction.gradient, oracles.complex_step(mdp, policy), atol=scale, rtol=1e-12)
    assert exact.agreement == np.abs(exact.gradient - by_induction.gradient).max(initial=0)


@settings(deadline=None, max_examples=25)
@given(seeds, st.sampled_from([10.0, 100.0]), st.integers(1, 3))
@example(6, 10.0, 1)  # two actions worth the same but for the last digit of a probability
def test_large_preferences_keep_their_digits(seed: int, spread: float, horizon: int) -> None:
    mdp, policy = random_problem(seed, spread=spread, horizon=horizon)
    exact = exact_gradient(mdp, policy)
    by_induction = exact_gradient(mdp, policy, method="backward-induction")
    expected = oracles.in_decimals(mdp, policy)
    # The terms of one component can cancel; against the largest of them 12 digits stay.
    scores = {pair: np.abs(oracles.score(policy, *pair)) for pair in np.ndindex(*index_of(policy).shape)}
    terms = np.zeros(len(expected))
    for prob, value, pairs, _ in oracles.trajectories(mdp, policy):
        terms += prob * abs(value) * sum((scores[pair] for pair in pairs), np.zeros(len(expected)))
    scale = 1e-12 * max(terms.max(initial=0), np.abs(expected).max(initial=0))
    assert_allclose(exact.gradient, expected, rtol=1e-10, atol=scale + 1e-300)
    assert_allclose(by_induction.gradient, expected, rtol=1e-10, atol=scale + 1e-300)


@pytest.mark.parametrize("preference", [1000.0, -1000.0, 1e100])
def test_a_preference_of_1000_neither_overflows_nor_makes_a_nan(preference: float) -> None:
    model = pgcheck.loads(
        "{horizon: 3, states: [s, t], actions: [a, b], start: s, terminal: [t], gamma: 0.9, transitions:"
        f" {{s: {{a: {{to: s, reward: 1}}, b: t}}}}, policy: {{softmax: {{s: {{a: {preference}}}}}}}}}"
    )
    exact = exact_gradient(model.mdp, model.policy)
    assert exact.value == pytest.approx(2.71 if preference > 0 else 0)
    assert np.abs(exact.gradient).max() < 1e-300
    assert exact.agreement == 0


def test_a_tiny_probability_is_not_rounded_away() -> None:
    # pi(b) = 8.5e-18 = 1 - pi(a); the plain difference 1 - pi(a) would be 0.
    model = pgcheck.loads(
        "{horizon: 1, states: [s, t], actions: [a, b], start: s, terminal: [t],"
        " transitions: {s: {a: {to: t, reward: 1}, b: t}}, policy: {softmax: {s: {a: 40}}}}"
    )
    odds = np.exp(-40.0)
    expected = odds / (1 + odds) ** 2
    assert_allclose(exact_gradient(model.mdp, model.policy).gradient, [expected, -expected], rtol=1e-14)


@pytest.mark.parametrize("horizon", [1, 7])
def test_gamma_0_is_a_bandit_done_by_hand(horizon: int) -> None:
    mdp, policy = pgcheck.load("two_state", gamma=0.0, horizon=horizon)
    p = 1 / (1 + np.exp(-0.5))  # stay, in left
    q = 1 / (1 + np.exp(-0.1))  # stay, in right
    exact = exact_gradient(mdp, policy)
    assert exact.value == pytest.approx(0.5 * (1 - p) * 0.8 + 0.5 * (q * 0.5 + (1 - q) * 2), rel=1e-14)
    left, right = 0.5 * p * (1 - p) * (0 - 0.8), 0.5 * q * (1 - q) * (0.5 - 2)
    assert_allclose(exact.gradient, [left, -left, right, -right], rtol=1e-13)


def test_horizon_1_is_a_bandit_at_any_gamma() -> None:
    values = [exact_gradient(*pgcheck.load("two_state", horizon=1, gamma=g)).gradient for g in (0.0, 0.3, 1.0)]
    assert_allclose(values[0], values[1], rtol=0)
    assert_allclose(values[0], values[2], rtol=0)


def test_small_blocks_change_nothing_but_the_last_digits() -> None:
    mdp, policy = pgcheck.load("early_exit")
    value, gradient, _ = enumerate_gradient(mdp, policy)
    for size in (1, 2, 7, 50):
        tree = Tree(mdp, policy.probs())
        gatherer = Gatherer(tree)
        for block, leaves in tree.walk(tree.root(mdp.start), split_probability, block_size=size):
            gatherer.take(block, leaves)
        gathered = gatherer.result()
        assert gathered.value == pytest.approx(value, rel=1e-14)
        assert gathered.measure == pytest.approx(1, rel=1e-14)
        assert_allclose(policy.pullback(gathered.weights), gradient, rtol=1e-12)


def test_starting_in_a_terminal_state_is_a_trajectory_of_length_0() -> None:
    model = pgcheck.loads(
        "{horizon: 2, states: [s, t], actions: [a], start: {s: 0.5, t: 0.5}, terminal: [t],"
        " transitions: {s: {a: {to: t, reward: 1}}}}"
    )
    exact = exact_gradient(model.mdp, model.policy)
    assert (exact.trajectories, exact.probability, exact.value) == (2, 1.0, 0.5)


def test_every_episode_may_end_where_it_starts() -> None:
    model = pgcheck.loads(
        "{horizon: 3, states: [s, t], actions: [a, b], start: t, terminal: [t],"
        " transitions: {s: {a: {to: t, reward: 1}, b: s}}}"
    )
    exact = exact_gradient(model.mdp, model.policy)
    assert (exact.trajectories, exact.value, exact.gradient.tolist()) == (1, 0.0, [0.0, 0.0])


def test_a_model_in_which_nothing_happens_has_an_empty_gradient() -> None:
    model = pgcheck.loads("{horizon: 2, states: [t], actions: [a], start: t, terminal: [t], transitions: {}}")
    exact = exact_gradient(model.mdp, model.policy)
    assert (exact.value, exact.trajectories, exact.probability, exact.agreement) == (0.0, 1, 1.0, 0.0)
    assert exact.gradient.shape == (0,)


def test_a_long_chain_without_choices_is_enumerated() -> None:
    model = pgcheck.loads(
        "{horizon: 3000, gamma: 0.5, states: 2, actions: 1, start: 0,"
        " transitions: {0: {0: {to: 1, reward: 1}}, 1: {0: 0}}}"
    )
    exact = exact_gradient(model.mdp, model.policy)
    assert (exact.method, exact.trajectories) == ("enumeration", 1)
    assert exact.value == pytest.approx(4 / 3)


def test_more_than_allowed_is_refused_with_a_horizon_that_fits(two_state: tuple[MDP, Policy]) -> None:
    with pytest.raises(TooLargeError, match=r"^23 trajectories to enumerate; the limit is 11\.\n") as caught:
        exact_gradient(*two_state, method="enumeration", max_trajectories=11)
    assert "Lower the horizon from 3 to 2 (11 trajectories), pass --max-trajectories 1e2" in str(caught.value)


def test_beyond_the_limit_backward_induction_takes_over(two_state: tuple[MDP, Policy]) -> None:
    exact = exact_gradient(*two_state, max_trajectories=22)
    assert (exact.method, exact.probability, exact.agreement) == ("backward-induction", None, None)
    assert exact.trajectories == 23
    assert_allclose(exact.gradient, exact_gradient(*two_state).gradient, rtol=1e-14)


def test_a_horizon_beyond_reason_is_refused_with_one_that_fits() -> None:
    with pytest.raises(TooLargeError, match=r"too long for backward induction\.\n  Lower the horizon to"):
        exact_gradient(*pgcheck.load("river_swim", horizon=10**12))


@pytest.mark.parametrize("model", ["two_state", "frozen_lake", "bandit", "short_corridor", "value_polytope"])
def test_a_long_horizon_costs_nothing_once_values_are_steady(model: str) -> None:
    forever = exact_gradient(*pgcheck.load(model, horizon=10**12), method="backward-induction")
    long = exact_gradient(*pgcheck.load(model, horizon=3_000), method="backward-induction")
    assert forever.value == pytest.approx(long.value, rel=1e-12)
    assert_allclose(forever.gradient, long.gradient, rtol=1e-10, atol=1e-15)


def test_discrepancy_of_the_gradient_itself_is_0(two_state: tuple[MDP, Policy]) -> None:
    exact = exact_gradient(*two_state)
    off = exact.discrepancy(exact.gradient)
    assert (off.error, off.relative_error) == (0.0, 0.0)
    assert off.cosine == pytest.approx(1, rel=1e-15)
    opposite = exact.discrepancy(-exact.gradient)
    assert opposite.relative_error == pytest.approx(2)
    assert opposite.cosine == pytest.approx(-1)
    assert exact.discrepancy(0 * exact.gradient).cosine is None


def test_a_wrong_gradient_would_be_noticed(two_state: tuple[MDP, Policy]) -> None:
    """The negative twin: dropping γ^t moves the gradient by far more than any tolerance here."""
    mdp, policy = two_state
    dropped = np.zeros(len(policy.theta))
    for prob, _, pairs, states in oracles.trajectories(mdp, policy):
        rewards = _rewards(mdp, pairs, states)
        for t, (s, a) in enumerate(pairs):
            g = sum(mdp.gamma ** (k - t) * r for k, r in enumerate(rewards) if k >= t)
            dropped += prob * g * oracles.score(policy, s, a)
    relative = exact_gradient(mdp, policy).discrepancy(dropped).relative_error
    assert relative is not None
    assert relative > 1e-2


def _rewards(mdp: MDP, pairs: list[tuple[int, int]], states: tuple[int, ...]) -> list[float]:
    table = oracles.outcomes(mdp)
    return [
        next(r for b, t, _, r, _ in table[s] if (b, t) == (a, following))
        for (s, a), following in zip(pairs, states[1:], strict=True)
    ]


def test_methods_that_disagree_are_not_believed(
    monkeypatch: pytest.MonkeyPatch, two_state: tuple[MDP, Policy]
) -> None:
    exact = exact_gradient(*two_state)
    wrong = Induction(exact.value, 0.0, exact.gradient * (1 + 1e-5), 0.0, np.zeros((1, 1)))
    monkeypatch.setattr("pgcheck.exact.gradient.backward_induction", lambda *_, **__: wrong)
    with pytest.raises(PrecisionError, match=r"rounding may reach 4\.8e-06"):
        exact_gradient(*two_state)


@settings(deadline=None, max_examples=60)
@given(seeds, st.sampled_from([0.0, 1e3, 1e6]), st.sampled_from([1.0, 10.0]))
def test_the_bound_on_rounding_holds_and_is_not_absurd(seed: int, offset: float, spread: float) -> None:
    mdp, policy = random_problem(seed, spread=spread)
    shifted = replace(mdp, reward=mdp.reward + offset / 3)
    expected = oracles.in_decimals(shifted, policy)
    largest = float(np.abs(shifted.reward).max()) * mdp.horizon
    found = backward_induction(shifted, policy)
    enumerated = enumerate_gradient(shifted, policy)[1]
    bound = found.rounding + float(np.linalg.norm(enumerated - found.gradient))
    assert np.linalg.norm(found.gradient - expected) <= found.rounding + 1e-300
    assert np.linalg.norm(enumerated - expected) <= bound + 1e-300
    assert found.rounding <= 1e-12 * largest


@pytest.mark.parametrize("far", [1e15, 1e12])
def test_digits_that_mean_nothing_are_not_printed(far: float) -> None:
    text = (
        "{{horizon: 2, states: [s, t], actions: [a, b], start: s, transitions: {{s: {{a: {{to: t, reward: {0}}},"
        " b: {{to: t, reward: {1}}}}}, t: {{a: s, b: {{to: s, reward: 0.5}}}}}}}}"
    )
    drowned = pgcheck.loads(text.format(f"{far:.0f}", f"{far + 1:.0f}"))
    methods: tuple[Method, ...] = ("enumeration", "backward-induction")
    for method in methods:
        with pytest.raises(
            PrecisionError, match=r"can be trusted\.\n  Lower the horizon from 2, or subtract from the"
        ):
            exact_gradient(drowned.mdp, drowned.policy, method=method)
    plain = pgcheck.loads(text.format("0", "1"))  # the same gradient, with its digits
    assert exact_gradient(plain.mdp, plain.policy).norm == pytest.approx(0.25 * math.sqrt(2 + 0.5), rel=1e-12)


def test_a_gradient_that_is_0_is_not_taken_for_a_drowned_one() -> None:
    model = pgcheck.loads(
        "{horizon: 9, gamma: 0.9, states: 3, actions: 3, start: 0, transitions: {0: {0: {to: 1, reward: 1/3}, "
        "1: {to: 1, reward: 1/3}, 2: [{to: 1, p: 0.3, reward: 1/3}, {to: 2, p: 0.7, reward: 1/3}]},"
        " 1: {0: {to: 0, reward: 0.1}}, 2: {0: {to: 0, reward: 0.1}}}}"
    )
    exact = exact_gradient(model.mdp, model.policy)
    assert exact.norm < 1e-15
    assert exact.rounding < 1e-13


@pytest.mark.parametrize("name", sources.bundled_names())
def test_every_bundled_model_keeps_nine_digits(name: str) -> None:
    exact = exact_gradient(*pgcheck.load(name), method="backward-induction")
    assert exact.rounding < 1e-10 * exact.norm


def test_what_depends_on_the_mdp_alone_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    mdp, policy = pgcheck.load("frozen_lake", horizon=50)
    assert isinstance(policy, TabularSoftmax)
    first = exact_gradient(mdp, policy, method="backward-induction")

    def again(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("pgcheck.exact.gradient.count_trajectories", again)
    monkeypatch.setattr("pgcheck.exact.chain.Layout", again)
    moved = replace(policy, theta=policy.theta + np.linspace(-1, 1, len(policy.theta)))
    second = exact_gradient(mdp, moved, method="backward-induction")
    assert second.trajectories == first.trajectories
    assert_allclose(second.gradient, oracles.complex_step(mdp, moved), rtol=1e-10, atol=1e-16)
    with pytest.raises(AssertionError):
        exact_gradient(replace(mdp, gamma=0.5), policy, method="backward-induction")  # another MDP
