"""Options together: what is allowed, objectives, ratios and groups at once."""

from dataclasses import replace

import numpy as np
import pytest

import pgcheck
from pgcheck import Batch, verify
from tests.oracles import Floats


def summed(batch: Batch, weights: Floats) -> Floats:
    return np.asarray(np.einsum("nt,nt...->n...", np.where(batch.mask, weights, 0.0), batch.score))


def to_go(batch: Batch, credit: Floats) -> Floats:
    """G_t of some credit, without γ^t."""
    out = credit.copy()
    for t in range(out.shape[1] - 2, -1, -1):
        out[:, t] += batch.gamma * out[:, t + 1]
    return out


def log_of(batch: Batch, probs: Floats) -> Floats:
    return np.log(np.where(batch.mask, probs[batch.states, batch.actions], 1.0))


def ratio(batch: Batch) -> Floats:
    """The product of the whole episode's ratios, for each step."""
    rho = np.exp((log_of(batch, batch.probs) - log_of(batch, batch.behavior_probs)).sum(axis=1))
    return np.broadcast_to(rho[:, None], batch.rewards.shape)


def dropped(batch: Batch) -> Floats:
    """Right but for γ^t, whoever drew the episodes."""
    return summed(batch, ratio(batch) * to_go(batch, batch.rewards))


def dropped_without_ratio(batch: Batch) -> Floats:
    return summed(batch, to_go(batch, batch.rewards))


def dropped_with_k3(batch: Batch) -> Floats:
    """As libraries have it: no γ^t, k3 as a loss, no ratio."""
    x = log_of(batch, batch.probs) - log_of(batch, batch.reference_probs)
    return summed(batch, to_go(batch, batch.rewards) - batch.kl * -np.expm1(-x))


def test_right_ratios_leave_what_is_allowed_off_policy() -> None:
    found = verify(dropped, "two_state", off_policy=True, allow=["dropped-gamma"])
    assert (found.verdict, [it.id for it in found.diagnosis]) == ("pass", ["dropped-gamma"])
    twice = verify(lambda batch: 2 * dropped(batch), "two_state", off_policy=True, allow=["dropped-gamma"])
    assert twice.verdict == "fail"
    assert twice.diagnosis[0].id == "scale"


@pytest.mark.parametrize("allow", [["dropped-gamma"], ["dropped-gamma", "objective"]])
def test_missing_ratios_are_not_hidden_by_what_is_allowed(allow: list[str]) -> None:
    assert verify(dropped_without_ratio, "two_state", off_policy=True, allow=allow).diagnosis[0].id == "ratio"
    found = verify(dropped_with_k3, "two_state", kl=0.1, off_policy=True, allow=allow)
    assert found.verdict == "fail"
    assert "ratio" in {it.id for it in found.diagnosis if it.id not in allow}


def test_missing_ratios_may_be_allowed_by_their_name() -> None:
    assert (
        verify(dropped_without_ratio, "two_state", off_policy=True, allow=["ratio", "dropped-gamma"]).verdict
        == "pass"
    )


def test_a_baseline_without_its_ratio_is_no_objective() -> None:
    def baseline_outside(batch: Batch) -> Floats:
        discount = batch.gamma ** np.arange(batch.rewards.shape[1])
        return summed(batch, ratio(batch) * discount * to_go(batch, batch.rewards) - 1.0)

    found = verify(baseline_outside, "two_state", off_policy=True, allow=["objective"])
    assert found.verdict == "fail"
    assert {it.id for it in found.diagnosis} == {"ratio"}


def present_entropy(batch: Batch) -> Floats:
    """An entropy bonus as losses have it: later entropy is not credited."""
    discount = batch.gamma ** np.arange(batch.rewards.shape[1])
    bonus = -batch.entropy * log_of(batch, batch.probs)
    return summed(batch, discount * (to_go(batch, batch.rewards) + bonus))


@pytest.mark.parametrize("horizon", [3, 13])
def test_an_objective_is_allowed_on_models_of_any_size(horizon: int) -> None:
    allow = ["objective"]
    found = verify(present_entropy, "two_state", allow=allow, horizon=horizon, entropy=0.05)
    assert (found.verdict, [it.id for it in found.diagnosis]) == ("pass", ["objective"])
    more = verify(
        lambda batch: 1.001 * present_entropy(batch), "two_state", allow=allow, horizon=horizon, entropy=0.05
    )
    assert more.verdict == "fail"


def grouped(batch: Batch, k: Floats) -> Floats:
    """Leave one out of the group, and a KL term in the loss."""
    returned, n = batch.rewards.sum(axis=1), len(batch)
    others = (returned.sum() - returned) / max(n - 1, 1)
    x = log_of(batch, batch.probs) - log_of(batch, batch.reference_probs)
    return summed(batch, (returned - others)[:, None] - batch.kl * k * (-np.expm1(-x)))


def test_a_group_with_the_other_kl_is_allowed_and_more_is_not() -> None:
    ones = np.ones((1, 1))
    found = verify(lambda b: grouped(b, ones), "token_tree", kl=0.1, same_start=True, allow=["objective"])
    assert (found.verdict, [it.id for it in found.diagnosis]) == ("pass", ["objective"])

    def first_step_only(batch: Batch) -> Floats:
        return grouped(batch, (np.arange(batch.rewards.shape[1]) == 0)[None].astype(np.float64))

    assert verify(first_step_only, "token_tree", kl=0.1, same_start=True, allow=["objective"]).verdict == "fail"


def test_where_all_rewards_are_0_the_bonus_is_what_rounding_is_relative_to() -> None:
    mdp, policy = pgcheck.load("bandit")
    nothing = replace(mdp.with_rewards(np.zeros(len(mdp.prob))), entropy=0.1)
    even = pgcheck.TabularSoftmax.of(mdp)

    def right(batch: Batch) -> Floats:
        return summed(batch, -batch.entropy * log_of(batch, batch.probs))

    assert pgcheck.exact_gradient(nothing, even).is_zero
    assert verify(right, [(nothing, even)]).verdict == "pass"
    assert verify(lambda batch: 2 * right(batch), [(nothing, policy)]).verdict == "fail"


def test_weights_that_are_right_have_no_factor_of_1() -> None:
    def kl_in_the_reward(batch: Batch) -> Floats:
        x = log_of(batch, batch.probs) - log_of(batch, batch.reference_probs)
        return summed(batch, to_go(batch, batch.rewards - 0.1 * x))

    found = verify(kl_in_the_reward, "short_corridor_linear", horizon=5, entropy=0.02)
    assert found.verdict == "fail"
    assert "scale" not in {it.id for it in found.diagnosis}


def test_one_model_alone_is_taken_as_a_list_of_one() -> None:
    assert verify("reinforce", pgcheck.load_model("two_state")).verdict == "pass"
