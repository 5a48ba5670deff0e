"""The bounds on rounding hold against 60 digits, grow slowly, and a recursion that is less precise breaks them."""

import decimal
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pgcheck
from pgcheck import MDP, Policy, PrecisionError, TabularSoftmax, exact_gradient
from pgcheck.arrays import Floats
from pgcheck.exact.chain import Chain, Weighted
from pgcheck.exact.induction import Induction, backward_induction
from pgcheck.exact.levels import values_by_level
from tests import oracles
from tests.problems import random_problem

seeds = st.integers(0, 2**32 - 1)


def endless(seed: int, horizon: int, spread: float) -> tuple[MDP, Policy]:
    """A problem without an end, in which every step brings about the same reward."""
    rng = np.random.default_rng(seed)
    states, actions, outcomes = 3, 2, 2
    names = tuple(map(str, range(states)))
    count = states * actions * outcomes
    mdp = MDP(
        "endless", names, names[:actions], horizon, 1.0, np.array([1.0, 0, 0]), np.zeros(states, dtype=np.bool_),
        names, np.arange(states), np.repeat(np.arange(states), actions * outcomes),
        np.tile(np.repeat(np.arange(actions), outcomes), states), rng.integers(0, states, count),
        rng.dirichlet(np.ones(outcomes), states * actions).ravel(), 1 / 3 + rng.normal(size=count) / 10,
        np.zeros(count, dtype=np.bool_),
    )  # fmt: skip
    policy = TabularSoftmax.of(mdp)
    return mdp, replace(policy, theta=rng.normal(size=len(policy.theta)) * spread)


def errors(mdp: MDP, policy: Policy, found: Induction) -> tuple[float, float]:
    """The true errors of J and of ∇J, ‖·‖₂, computed in decimals."""
    value, gradient = oracles.derivative_in_decimals(mdp, policy)
    with decimal.localcontext(prec=60):
        squares = ((decimal.Decimal(float(x)) - y) ** 2 for x, y in zip(found.gradient, gradient, strict=True))
        return float(abs(decimal.Decimal(found.value) - value)), float(sum(squares, decimal.Decimal(0)).sqrt())


@settings(deadline=None, max_examples=60)
@given(seeds, st.sampled_from([0.0, 1e3, 1e9]), st.sampled_from([1.0, 10.0]), st.sampled_from([1, 3, 30]))
def test_the_bounds_hold_on_problems_with_every_feature(
    seed: int, offset: float, spread: float, horizon: int
) -> None:
    mdp, policy = random_problem(seed, spread=spread, horizon=horizon)
    shifted = replace(mdp, reward=mdp.reward + offset / 3)
    found = backward_induction(shifted, policy)
    value_error, error = errors(shifted, policy, found)
    assert error <= found.rounding + 1e-300
    assert value_error <= found.value_rounding + 1e-300


@settings(deadline=None, max_examples=20)
@given(seeds, st.sampled_from([1.0, 8.0]), st.sampled_from([100, 400]))
def test_the_bounds_hold_where_values_grow_with_the_horizon(seed: int, spread: float, horizon: int) -> None:
    mdp, policy = endless(seed, horizon, spread)
    found = backward_induction(mdp, policy)
    value_error, error = errors(mdp, policy, found)
    assert error <= found.rounding
    assert value_error <= found.value_rounding


@pytest.mark.parametrize("make", [lambda: endless(1, 200, 1.0), lambda: random_problem(7, horizon=30, gamma=0.9)])
def test_a_recursion_in_single_precision_breaks_the_bounds(
    make: Callable[[], tuple[MDP, Policy]], monkeypatch: pytest.MonkeyPatch
) -> None:
    mdp, policy = make()
    back = Weighted.back

    def rounded(self: Weighted, values: Floats) -> Floats:
        return back(self, values).astype(np.float32).astype(np.float64)

    monkeypatch.setattr(Weighted, "back", rounded)
    found = backward_induction(mdp, policy)
    value_error, error = errors(mdp, policy, found)
    assert error > 10 * found.rounding
    assert value_error > 10 * found.value_rounding


@pytest.mark.parametrize("seed", [0, 1])
def test_values_of_many_states_agree_with_decimals_too(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The form for large models, which keeps only the cells of a matrix that are not 0."""
    monkeypatch.setattr("pgcheck.exact.chain.DENSE_CELLS", 0)
    for mdp, policy in (endless(seed, 100, 1.0), random_problem(seed, horizon=20)):
        found = backward_induction(mdp, policy)
        value_error, error = errors(mdp, policy, found)
        assert error <= found.rounding + 1e-300
        assert value_error <= found.value_rounding


def test_relative_values_make_the_bound_grow_with_the_horizon_and_not_its_square() -> None:
    def bound(horizon: int, reference: int | None = None) -> float:
        mdp, policy = endless(3, horizon, 1.0)
        if reference is None:
            found = backward_induction(mdp, policy)
            return found.rounding / float(np.linalg.norm(found.gradient))
        levels = values_by_level(mdp, Chain(mdp, policy.probs()), reference, None)
        return float(levels.error[-1][:3].max())

    assert bound(4000) < 2.2 * bound(2000)
    assert bound(4000, 0) < 2.2 * bound(2000, 0)
    assert bound(4000, 3) > 3.8 * bound(2000, 3)  # values as they are: 3 is the end, whose value is 0


@pytest.mark.parametrize(
    ("model", "horizon"), [("two_state", 2000), ("river_swim", 5000), ("value_polytope", 20_000)]
)
def test_a_long_horizon_keeps_its_digits(model: str, horizon: int) -> None:
    exact = exact_gradient(*pgcheck.load(model, horizon=horizon, gamma=1.0), method="backward-induction")
    assert exact.rounding < 1e-9 * exact.norm
    assert exact.value_rounding < 1e-9 * abs(exact.value)


def test_what_may_be_lost_is_the_callers_to_say() -> None:
    problem = pgcheck.load("value_polytope", horizon=50)
    exact = exact_gradient(*problem)
    relative = exact.rounding / exact.norm
    exact_gradient(*problem, max_relative_rounding=relative * 1.01)
    with pytest.raises(PrecisionError, match="digits can be trusted"):
        exact_gradient(*problem, max_relative_rounding=relative * 0.99)


def test_a_value_of_rounding_alone_is_0() -> None:
    """0.9 of 1/9 and of 1/3 cancel 0.1 and 0.3 but for their last digits."""
    model = pgcheck.loads(
        "{horizon: 2, gamma: 0.9, states: 2, actions: 2, start: 0, transitions: {0: {0: {to: 1, reward: 0.3},"
        " 1: {to: 1, reward: 0.3}}, 1: {0: {to: 0, reward: -1/3}, 1: {to: 0, reward: -1/3}}}}"
    )
    found = backward_induction(model.mdp, model.policy)
    assert 0 < abs(found.value) < found.value_rounding < 1e-14
    assert exact_gradient(model.mdp, model.policy).value == 0.0
