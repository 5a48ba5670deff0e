"""Long episodes, many states, large and small rewards: what is right for few and wrong for many fails."""

from collections.abc import Callable

import numpy as np
import pytest

import pgcheck
from pgcheck import Batch, verify
from pgcheck.arrays import Bools
from pgcheck.testing import assert_policy_gradient
from tests.oracles import Floats
from tests.verification import zoo

Estimate = Callable[[Batch], Floats]


def with_rewards(change: Callable[[Floats], Floats]) -> Estimate:
    """Right for the rewards that it sees."""

    def estimate(batch: Batch) -> Floats:
        rewards = change(batch.rewards)
        seen = batch.altered(rewards=rewards)
        return np.asarray(np.einsum("nt,nt...->n...", zoo.discount(batch) * zoo.to_go(seen), batch.score))

    return estimate


def with_steps(kept: Callable[[Batch], Bools]) -> Estimate:
    """Right at the steps that it looks at."""
    return lambda batch: np.asarray(zoo.vector(lambda b: kept(b) * zoo.discount(b) * zoo.to_go(b))(batch))


def first_steps(number: int) -> Estimate:
    return with_steps(lambda batch: np.broadcast_to(np.arange(batch.rewards.shape[1]) < number, batch.rewards.shape))


def first_states(number: int) -> Estimate:
    return with_steps(lambda batch: batch.states < number)


@pytest.mark.parametrize("number", [5, 10, 20, 23])
def test_an_estimator_of_the_first_steps_fails_on_the_battery(number: int) -> None:
    verification = verify(first_steps(number))
    assert (verification.verdict, verification.beyond) == ("fail", False)
    assert verify(first_steps(1000)).verdict == "pass"


@pytest.mark.parametrize("number", [10, 30, 39])
def test_an_estimator_of_the_first_states_fails_on_the_battery(number: int) -> None:
    assert verify(first_states(number)).verdict == "fail"
    assert verify(first_states(1000)).verdict == "pass"


@pytest.mark.parametrize("limit", [1.0, 5.0, 100.0, 999.0])
def test_clipped_rewards_fail_on_the_battery(limit: float) -> None:
    assert verify(with_rewards(lambda r: np.clip(r, -limit, limit))).verdict == "fail"
    assert verify(with_rewards(lambda r: np.clip(r, -1e6, 1e6))).verdict == "pass"


def test_rewards_that_are_rounded_away_fail_on_the_battery() -> None:
    assert verify(with_rewards(lambda r: np.round(r, 2))).verdict == "fail"


@pytest.mark.parametrize(
    ("estimate", "cause", "figures"),
    [
        (first_steps(32), "reach/steps", {"steps": 64, "step": 32}),
        (first_states(50), "reach/steps", {"steps": 64, "step": 50}),
        (with_rewards(lambda r: np.clip(r, -5000, 5000)), "reach/rewards", {"reward": 1e4}),
        (with_rewards(lambda r: np.where(np.abs(r) < 0.01, 0, r)), "reach/rewards", {"reward": 1e-3}),
    ],
)
def test_what_no_model_shows_a_long_episode_does(estimate: Estimate, cause: str, figures: dict[str, float]) -> None:
    models = ["two_state", "early_exit"] if "reward" in figures else None
    verification = verify(estimate, models)
    assert (verification.verdict, verification.beyond) == ("fail", True)
    assert verification.diagnosis[0].cause == cause
    assert dict(verification.diagnosis[0].figures) == figures
    with pytest.raises(AssertionError, match="reach: right on all models, but not "):
        assert_policy_gradient(estimate, models=models)


@pytest.mark.parametrize("name", ["textbook", "past rewards as baseline", "single precision", "constant baseline"])
def test_a_right_estimator_is_right_beyond_the_models_too(name: str) -> None:
    for models in (["two_state"], [pgcheck.load("two_state", gamma=1.0)], [pgcheck.load("two_state", gamma=0.0)]):
        assert verify(zoo.RIGHT[name], models).verdict == "pass"


@pytest.mark.parametrize("estimate", [first_steps(30), with_rewards(lambda r: np.clip(r, -2000, 2000))])
def test_a_factor_does_not_hide_what_is_beyond_the_models(estimate: Estimate) -> None:
    twice = verify(lambda batch: 2 * estimate(batch), ["two_state"], up_to_scale=True)
    assert (twice.verdict, twice.beyond) == ("fail", True)
    assert verify(lambda batch: 2 * first_steps(1000)(batch), ["two_state"], up_to_scale=True).verdict == "pass"


@pytest.mark.parametrize("gamma", [0.3, 0.6])
@pytest.mark.parametrize("number", [26, 60])
def test_late_steps_show_where_the_discount_is_strong(gamma: float, number: int) -> None:
    assert verify(first_steps(number), ["two_state"], gamma=gamma).verdict == "fail"
    assert verify(first_steps(1000), ["two_state"], gamma=gamma).verdict == "pass"


@pytest.mark.parametrize("number", [30, 60])
def test_a_leave_one_out_of_the_first_steps_fails(number: int) -> None:
    def leave_one_out(batch: Batch, most: int) -> Floats:
        returns = zoo.returned(batch)
        weights = returns - (returns.sum() - returns) / max(len(batch) - 1, 1)
        kept = (np.arange(batch.rewards.shape[1]) < most) * weights[:, None]
        return np.asarray(np.einsum("nt,nt...->...", kept, batch.score) / len(batch))

    verification = verify(lambda batch: leave_one_out(batch, number), ["two_state"])
    assert (verification.verdict, verification.diagnosis[0].cause) == ("fail", "reach/steps")
    assert verify(lambda batch: leave_one_out(batch, 1000), ["two_state"]).verdict == "pass"


def test_an_estimator_that_is_made_for_one_model_passes_there() -> None:
    def of_three_states(batch: Batch) -> Floats:
        if batch.num_states != 3:
            raise ValueError("made for three states")
        return np.asarray(zoo.RIGHT["vectorised"](batch))

    assert verify(of_three_states, ["two_state"]).verdict == "pass"
