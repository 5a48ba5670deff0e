"""Models without a horizon: J and ∇J against linear systems, where they are cut, and which are refused."""

import math
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

import pgcheck
from pgcheck import MDP, Policy, TabularSoftmax, exact_gradient
from pgcheck.errors import TooLargeError
from pgcheck.model.endless import cut
from pgcheck.model.horizon import Cut, horizon_of
from tests import oracles
from tests.conftest import ROOT
from tests.endless import decimals, size_of, solved, trapped
from tests.problems import random_linear, random_problem, with_objective

BUNDLED = sorted(path.stem for path in (ROOT / "mdps").glob("*.yaml"))
ROUNDOFF = Decimal(2) ** -53


def endless(mdp: MDP, policy: Policy) -> tuple[MDP, Policy]:
    return replace(mdp, horizon=horizon_of(math.inf)), policy


def walk(size: int, *, gamma: float, ends: bool, lean: float = 0.0) -> tuple[MDP, TabularSoftmax]:
    """Steps to the left or right of a ring; it ends in states 0 and size − 1, or nowhere. Rewards differ by state."""
    move = np.zeros((size, 2, size))
    for s in range(size):
        move[s, 0, (s - 1) % size] = move[s, 1, (s + 1) % size] = 1.0
    rewards = np.linspace(-0.5, 1.0, size) ** 3
    terminal = [0, size - 1] if ends else []
    mdp = MDP.from_arrays(move, rewards, horizon=math.inf, gamma=gamma, start=size // 3, terminal=terminal)
    policy = TabularSoftmax.of(mdp)
    return mdp, TabularSoftmax.of(mdp, {key: lean * (key[1] == "1") for key in policy.parameters})


def assert_solved(mdp: MDP, policy: Policy, rtol: float = 1e-12) -> None:
    exact = exact_gradient(mdp, policy)
    value, gradient = solved(mdp, policy)
    assert abs(Decimal(exact.value) - value) <= Decimal(rtol) * abs(value) + Decimal("1e-15")
    assert size_of(decimals(exact.gradient) - gradient) <= Decimal(rtol) * size_of(gradient) + Decimal("1e-15")


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999])
@pytest.mark.parametrize("seed", [0, 1, 3, 4, 5, 7, 9])
def test_random_models_equal_the_linear_solve(seed: int, gamma: float) -> None:
    assert_solved(*endless(*random_problem(seed, gamma=gamma)))


@pytest.mark.parametrize("seed", range(8))
def test_shared_observations_objectives_and_linear_policies_equal_the_linear_solve(seed: int) -> None:
    mdp, policy = endless(*random_problem(seed, gamma=0.95, aliased=True))
    assert_solved(mdp, policy)
    assert_solved(with_objective(mdp, seed, 0.3, 0.0), policy)
    assert_solved(with_objective(mdp, seed, 0.2, 0.5), policy)
    assert_solved(*endless(*random_linear(seed, gamma=0.95)))


@pytest.mark.parametrize("seed", range(60))
def test_without_discount_a_model_is_solved_or_a_state_without_an_end_is_named(seed: int) -> None:
    mdp, policy = endless(*random_problem(seed, gamma=1.0))
    caught = trapped(mdp)
    if not caught:
        assert_solved(mdp, policy)
        return
    with pytest.raises(TooLargeError) as refused:
        exact_gradient(mdp, policy)
    named = str(refused.value).split("from state ")[1].split(" no episode ends")[0]
    assert named in {repr(mdp.states[s]) for s in caught}


def test_random_models_without_discount_are_of_both_kinds() -> None:
    kinds = {bool(trapped(random_problem(seed, gamma=1.0)[0])) for seed in range(60)}
    assert kinds == {False, True}


@pytest.mark.parametrize("gamma", [0.9, 0.999, 1.0])
@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_models_equal_the_linear_solve(name: str, gamma: float) -> None:
    try:
        mdp, policy = pgcheck.load(name, horizon=math.inf, gamma=gamma)
    except TooLargeError:
        assert gamma == 1
        assert trapped(pgcheck.load(name)[0])
        return
    assert_solved(mdp, policy)


@pytest.mark.parametrize(
    ("gamma", "ends", "lean"), [(1.0, True, 0.0), (1.0, True, 0.3), (0.9999, True, 0.0), (0.99, False, 0.3)]
)
def test_walks_equal_the_linear_solve(gamma: float, ends: bool, lean: float) -> None:
    assert_solved(*walk(30, gamma=gamma, ends=ends, lean=lean))


@pytest.mark.parametrize(("gamma", "ends"), [(1.0, True), (0.95, False)])
def test_many_states_are_cut_as_few_are(monkeypatch: pytest.MonkeyPatch, gamma: float, ends: bool) -> None:
    steps = cut(*walk(30, gamma=gamma, ends=ends, lean=0.3)).horizon
    monkeypatch.setattr("pgcheck.model.survival.DENSE_STATES", 29)  # more take one step at a time
    mdp, policy = walk(30, gamma=gamma, ends=ends, lean=0.3)
    assert_solved(mdp, policy)
    assert abs(cut(mdp, policy).horizon - steps) <= 1


def test_a_walk_of_thirty_states_is_cut_where_its_slowest_mode_is_below_rounding() -> None:
    mdp, policy = walk(30, gamma=1.0, ends=True)
    # Within, the walk survives n steps with about cos(π/29)^n; what is left has n + 1 of these in ∇J.
    steps = 53 * math.log(2) / -math.log(math.cos(math.pi / 29))
    assert steps < cut(mdp, policy).horizon < 1.5 * steps


@pytest.mark.parametrize("gamma", [0.5, 0.9, 0.99])
def test_one_state_with_a_reward_at_each_step_is_a_geometric_series(gamma: float) -> None:
    mdp = MDP.from_arrays(np.ones((1, 2, 1)), np.array([[1.0, 3.0]]), horizon=math.inf, gamma=gamma)
    policy = TabularSoftmax.of(mdp, {("0", "1"): math.log(3)})  # the mean reward is 2.5, its derivative 2 x 3/16
    exact = exact_gradient(mdp, policy)
    assert exact.value == pytest.approx(2.5 / (1 - gamma), rel=1e-13)
    assert exact.gradient == pytest.approx(np.array([-0.375, 0.375]) / (1 - gamma), rel=1e-13)


def remains(mdp: MDP, policy: Policy, steps: int) -> Decimal:
    """What J or ∇J is off after so many steps, relative to its size; the greater of the two."""
    value, gradient = solved(mdp, policy)
    cut_value, cut_gradient = oracles.derivative_in_decimals(replace(mdp, horizon=steps), policy)
    off, off_gradient = abs(value - cut_value), size_of(gradient - np.array(cut_gradient))
    return max(off / abs(value), off_gradient / size_of(gradient))


def cuttable() -> list[tuple[str, MDP, Policy]]:
    """Models small enough to be followed in decimals, step by step, whose ∇J is not 0."""
    models = [(f"random-{seed}", *endless(*random_problem(seed, gamma=0.9))) for seed in range(10)]
    models += [(name, *pgcheck.load(name, horizon=math.inf)) for name in ("two_state", "short_corridor")]
    models += [("two_state-1", *pgcheck.load("two_state", horizon=math.inf, gamma=1))]
    return [row for row in models if row[1].num_actions > 1]


@pytest.mark.parametrize(("mdp", "policy"), [pytest.param(*row[1:], id=row[0]) for row in cuttable()])
def test_nothing_above_rounding_is_left_beyond_the_cut_and_something_before(mdp: MDP, policy: Policy) -> None:
    steps = int(cut(mdp, policy).horizon)
    for more in (0, 1, 2, 7):
        assert remains(mdp, policy, steps + more) <= ROUNDOFF
    if steps > 3:
        assert remains(mdp, policy, steps * 6 // 10) > ROUNDOFF
        assert remains(mdp, policy, steps // 2) > ROUNDOFF


def test_where_no_action_can_be_chosen_the_cut_is_that_of_a_geometric_series() -> None:
    mdp = MDP.from_arrays(np.ones((1, 1, 1)), np.ones((1, 1)), horizon=math.inf, gamma=0.5)
    assert exact_gradient(mdp, TabularSoftmax.of(mdp)).value == 2.0  # J_n = 2 - 2^(1 - n)
    assert cut(mdp, TabularSoftmax.of(mdp)).horizon >= 53


def test_without_rewards_the_first_step_is_the_last() -> None:
    mdp = MDP.from_arrays(np.ones((1, 2, 1)), np.zeros((1, 2)), horizon=math.inf, gamma=0.9)
    policy = TabularSoftmax.of(mdp)
    exact = exact_gradient(mdp, policy)
    assert (exact.value, exact.gradient.tolist(), cut(mdp, policy).horizon) == (0.0, [0.0, 0.0], 1)


def test_a_start_in_a_terminal_state_is_over_at_once() -> None:
    mdp, policy = walk(5, gamma=1.0, ends=True)
    ended = replace(mdp, start=np.array([1.0, 0, 0, 0, 0]))
    assert exact_gradient(ended, policy).value == 0.0
    assert not exact_gradient(ended, policy).gradient.any()
    half = replace(mdp, start=0.5 * mdp.start + 0.5 * ended.start)
    assert exact_gradient(half, policy).gradient == pytest.approx(
        0.5 * exact_gradient(mdp, policy).gradient, rel=1e-13
    )


def test_what_no_episode_reaches_need_not_end() -> None:
    """State 2 never ends, but no action of a reached state leads there; in the twin one does."""
    moves = np.zeros((3, 2, 3))
    moves[0, :, 1] = moves[2, :, 2] = 1.0
    mdp = MDP.from_arrays(moves, np.ones(3), horizon=math.inf, terminal=[1])
    assert exact_gradient(mdp, TabularSoftmax.of(mdp)).value == 1.0
    moves[0, 1] = [0.0, 0.5, 0.5]
    mdp = MDP.from_arrays(moves, np.ones(3), horizon=math.inf, terminal=[1])
    with pytest.raises(TooLargeError, match="from state '2' no episode ends, and gamma is 1"):
        exact_gradient(mdp, TabularSoftmax.of(mdp))


def test_an_end_that_the_policy_avoids_is_no_end() -> None:
    """The way out has probability 0, exactly: its preference is 1,000 below; at 1 below it is taken."""
    moves = np.zeros((2, 2, 2))
    moves[0, 0, 0] = moves[0, 1, 1] = 1.0
    mdp = MDP.from_arrays(moves, np.ones(2), horizon=math.inf, terminal=[1])
    assert exact_gradient(mdp, TabularSoftmax.of(mdp, {("0", "1"): -1.0})).value == pytest.approx(
        1 + math.e, rel=1e-12
    )
    with pytest.raises(TooLargeError, match="from state '0' no episode ends"):
        exact_gradient(mdp, TabularSoftmax.of(mdp, {("0", "1"): -1000.0}))


def test_an_end_that_is_too_far_away_is_refused_with_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgcheck.model.endless.MAX_STEPS", 100_000)  # 20,000,000 take a second
    assert cut(*walk(30, gamma=1.0, ends=True)).horizon < 100_000
    slow, policy = walk(30, gamma=0.99999, ends=False)
    left = r"after [\d,]+ steps 0\.3\d of the weight is left\n  Lower gamma from 0\.99999, or give a horizon"
    with pytest.raises(TooLargeError, match=r"arrays: horizon inf is too long: " + left):  # 0.99999^100,352 = 0.367
        exact_gradient(slow, policy)
    monkeypatch.setattr("pgcheck.model.endless.MAX_WORK", 100_000_000)  # 20,000,000,000 take minutes
    assert cut(*walk(600, gamma=0.9, ends=False)).horizon < 1000
    with pytest.raises(TooLargeError, match=r"after 3,2\d\d steps 0\.7\d? of the weight"):  # 0.9999^3,222 = 0.725
        cut(*walk(600, gamma=0.9999, ends=False))


def test_other_policies_have_other_cuts_and_a_horizon_stays() -> None:
    mdp, policy = pgcheck.load("two_state", horizon=math.inf)
    quick = TabularSoftmax.of(mdp, {("left", "move"): 5.0, ("right", "move"): 5.0})
    assert isinstance(mdp.horizon, Cut)
    assert cut(mdp, quick).horizon < cut(mdp, policy).horizon == mdp.horizon
    assert cut(cut(mdp, quick), policy).horizon == mdp.horizon
    assert cut(mdp, policy) is cut(mdp, policy)
    fixed = pgcheck.load("two_state", horizon=7)[0]
    assert cut(fixed, policy) is fixed
