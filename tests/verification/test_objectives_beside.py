"""Objectives beside other mistakes, of two parts, and where they cannot be told apart."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import pgcheck
from pgcheck import verify
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.objective_terms import entropy_terms, kl_terms
from pgcheck.verification.objective_texts import PLACES, TEXTS
from tests.oracles import Floats
from tests.verification import zoo
from tests.verification.kl import models, with_reference
from tests.verification.libraries import a2c, over_steps
from tests.verification.slips import exact_td, rows
from tests.verification.test_objectives import KL, full, log_pi, present, right, said, summed
from tests.verification.zoo import Estimate, discount, to_go, vector


def ids(estimate: Estimate, entropy: float = 0.0, kl: float = 0.0) -> dict[str, str]:
    """The id and the text of each diagnosis."""
    diagnosis = said(estimate, entropy, kl)
    return {it.id: it.text for it in diagnosis}


def times(factor: float, estimate: Estimate) -> Estimate:
    return lambda batch: factor * estimate(batch)


def plus(one: Estimate, other: Estimate, minus: Estimate) -> Estimate:
    """Two estimators without what both have in common."""
    return lambda batch: one(batch) + other(batch) - minus(batch)


def test_a_right_objective_with_a_mistake_is_that_mistake() -> None:
    dropped = vector(lambda batch: to_go(batch) - 0.02 * summed(batch, log_pi(batch)))
    assert set(ids(dropped, 0.02)) == {"dropped-gamma"}
    assert set(ids(times(-1, KL.k1_reward), kl=0.1)) == {"sign"}
    assert set(ids(times(0.5, KL.k1_reward), kl=0.1)) == {"scale"}


@pytest.mark.parametrize("alpha", [0.01, pytest.param(0.03217, marks=pytest.mark.slow)])
def test_two_causes_are_two_ids(alpha: float) -> None:
    dropped = vector(lambda batch: to_go(batch) + discount(batch) * summed(batch, -alpha * log_pi(batch)))
    named = ids(dropped, 0.02)
    assert set(named) == {"objective", "dropped-gamma"}
    assert named["objective"] == f"the objective is J + {alpha:.4g} H, not J + 0.02 H"
    named = ids(dropped)
    assert set(named) == {"objective", "dropped-gamma"}
    named = ids(times(-1, present(alpha)), 0.02)
    assert set(named) == {"objective", "sign"}
    assert named["objective"].startswith(f"the entropy bonus is {alpha:.4g} sum gamma^t grad H(pi(.|s_t))")
    named = ids(times(-1, full(alpha)))
    assert set(named) == {"objective", "sign"}
    assert f"J + {alpha:.4g} H" in named["objective"]


def test_the_loss_of_a_library_is_told_apart_from_the_objective_that_is_asked_for() -> None:
    asked = verify(a2c, models(0.01), max_calls=3_000)  # without an objective it is a case of `test_causes`
    assert {it.id for it in asked.diagnosis} == {"length-normalised", "objective", "dropped-gamma", "sign"}

    def mended(batch: Batch) -> Floats:
        each = rows(batch, to_go(batch) - 0.01 * summed(batch, log_pi(batch)))
        return over_steps(batch, each)

    assert {it.id for it in verify(mended, models(0.01), max_calls=3_000).diagnosis} == {
        "length-normalised",
        "dropped-gamma",
    }


def test_a_bonus_of_the_present_step_is_a_regulariser_where_no_objective_is_asked_for() -> None:
    assert set(ids(present(0.1, gamma_t=False))) == {"regulariser"}
    assert "an entropy bonus of 0.1;" in ids(present(0.1, gamma_t=False))["regulariser"]
    assert set(ids(full(0.1))) == {"objective"}


def test_other_terms_without_reward_keep_their_names() -> None:
    def decays(batch: Batch) -> Floats:
        return np.asarray(full(0.02)(batch) - 0.01 * batch.theta)

    assert set(ids(decays, 0.02)) == {"regulariser"}
    assert set(ids(vector(lambda b: discount(b) * to_go(b) - 0.7 * (1 + b.actions)))) == {"action-dependent-baseline"}


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (KL.k3_loss, "this is grad J minus 0.1 sum gamma^t grad KL(pi_ref || pi) of the states"),
        (KL.k1_reward, "this is the gradient of J - 0.1 KL(pi || pi_ref), not of J"),
        (KL.k3_reward, "the penalty is 0.1 times k3 in the reward"),
    ],
)
def test_a_kl_term_is_no_baseline_where_no_objective_is_asked_for(estimate: Estimate, text: str) -> None:
    def with_beta(batch: Batch) -> object:
        """β is written in the code."""
        other = Batch(replace(batch.mdp, kl=0.1), batch.policy, batch.starts, batch.outcomes, batch.behavior)
        return estimate(other.altered(rewards=batch.rewards))

    named = ids(with_beta)
    assert set(named) == {"objective"}
    assert named["objective"].startswith(text)


def test_entropy_and_kl_are_named_each_for_itself() -> None:
    both = plus(full(0.02), KL.k1_reward, right)
    assert ids(both, 0.02, 0.1) == {}
    assert ids(both, 0.01, 0.1) == {
        "objective": "this is the gradient of J + 0.02 H - 0.1 KL(pi || pi_ref), "
        "not of J + 0.01 H - 0.1 KL(pi || pi_ref)"
    }
    diagnosis = said(plus(present(0.02), KL.k3_loss, right), 0.02, 0.1)
    assert [it.id for it in diagnosis] == ["objective", "objective"]
    assert diagnosis[0].text.startswith("the entropy bonus is 0.02 sum gamma^t grad H(pi(.|s_t))")
    assert diagnosis[1].text.startswith("the KL term is minus 0.1 sum gamma^t grad KL(pi_ref || pi)")
    (diagnosis_of_kl,) = said(plus(full(0.02), KL.k3_loss, right), 0.02, 0.1)
    assert diagnosis_of_kl.text.startswith("the KL term is minus 0.1 sum gamma^t grad KL(pi_ref")
    diagnosis = said(plus(full(0.03), KL.k3_loss, right), 0.02, 0.1)
    assert said(plus(full(0.02), KL.k1_loss, right), 0.02, 0.1)[0].text.startswith(
        "this is the gradient of J + 0.02 H, not of J + 0.02 H - 0.1 KL(pi || pi_ref): the KL term is missing"
    )
    (absent,) = [it for it in said(present(0.02), 0.02, 0.1) if "kl" in it.cause]
    assert absent.text.startswith("the coefficient of KL is 0, not 0.1: the KL term is missing")
    assert {it.text.partition(" sum")[0] for it in diagnosis} == {
        "the coefficient of the entropy is 0.03, not 0.02", "the KL term is minus 0.1",
    }  # fmt: skip


def test_models_may_have_coefficients_of_their_own() -> None:
    """Code that reads batch.entropy is told so by the first of them."""
    own = [
        (replace(mdp, entropy=alpha), policy)
        for alpha, (mdp, policy) in zip((0.02, 0.05, 0.0), models(), strict=True)
    ]

    def half(batch: Batch) -> Floats:
        bonus = summed(batch, -batch.entropy / 2 * log_pi(batch))
        return np.asarray(vector(lambda b: discount(b) * (to_go(b) + bonus))(batch))

    (diagnosis,) = verify(half, own).diagnosis
    assert diagnosis.text == "this is the gradient of J + 0.01 H, not of J + 0.02 H"


def test_every_text_is_that_of_a_term_or_of_a_whole_objective() -> None:
    terms = [term for off in (False, True) for term in (*entropy_terms(off_policy=off), *kl_terms(off_policy=off))]
    whole = {"followed", "followed-besides", "coefficient-of-entropy", "coefficient-of-kl", "unknown"}
    assert {term.way.cause for term in terms} - {"full"} | whole == set(TEXTS)
    places = {term.way.variant.partition("-")[2] for term in terms} - {""}
    assert places == set(PLACES)


def test_nothing_is_named_where_directions_are_too_few_to_tell() -> None:
    """With one direction any term is a multiple of any other."""
    mdp, policy = pgcheck.load("random_walk", horizon=4, gamma=0.9)
    verification = verify(present(0.02), [(with_reference(mdp, entropy=0.02), policy)])
    assert verification.verdict == "fail"
    texts = " ".join(it.text for it in verification.diagnosis)
    assert "as visited" not in texts


def test_an_unknown_term_is_not_named() -> None:
    def clipped(batch: Batch) -> Floats:
        x = np.clip(KL.log_ratios(batch, batch.reference_probs), -0.1, 0.1)
        weights = -batch.kl * discount(batch) * x
        return np.asarray(KL.of_rewards(batch, batch.rewards) + np.einsum("nt,nt...->n...", weights, batch.score))

    (diagnosis,) = said(clipped, kl=0.1)
    assert (diagnosis.id, diagnosis.cause) == ("objective", "objective/unknown")


def test_a_bonus_in_the_loop_of_a_tutorial_is_found_on_the_battery() -> None:
    """Full credit on all six models, without any objective asked for."""
    verification = verify(full(0.01))
    assert [it.text for it in verification.diagnosis] == ["this is the gradient of J + 0.01 H, not of J"]


def test_a_term_that_follows_the_policy_is_no_baseline() -> None:
    """KL from a policy that only the code knows; and a baseline that does depend on the action."""

    def term(of: Callable[[Batch], Floats]) -> Estimate:
        return vector(lambda batch: discount(batch) * to_go(batch) + 0.1 * of(batch))

    from_uniform = term(lambda batch: np.exp(-log_pi(batch)) / (1 + np.exp(-2 * log_pi(batch))))
    assert [it.cause for it in verify(from_uniform).diagnosis] == ["regulariser/policy"]
    by_action = term(lambda batch: np.asarray(1.0 + batch.actions))
    assert [it.id for it in verify(by_action).diagnosis] == ["action-dependent-baseline"]


def test_losses_over_a_group_are_taken_apart() -> None:
    """k3 as a loss beside the mean of the group as a baseline, or divided by the steps of the batch."""

    def loss(advantage: Floats, batch: Batch) -> Floats:
        slope = -np.expm1(-KL.log_ratios(batch, batch.reference_probs))
        return rows(batch, advantage[:, None] - 0.1 * discount(batch) * slope)

    def with_group_mean(batch: Batch) -> Floats:
        advantage = zoo.returned(batch) - zoo.returned(batch).mean()
        return np.asarray(loss(advantage, batch).mean(axis=0))

    def over_all_steps(batch: Batch) -> Floats:
        return over_steps(batch, loss(zoo.returned(batch), batch))

    text = "0.1 sum gamma^t grad KL(pi_ref || pi) of the states as visited: that is the other KL (k3 as a loss)"
    for estimate, other in ((with_group_mean, "scale"), (over_all_steps, "length-normalised")):
        verification = verify(estimate, models(kl=0.1, names=("two_state", "early_exit")))
        named = {it.id: it.text for it in verification.diagnosis}
        assert set(named) == {"objective", other}
        assert named["objective"].endswith(text)


def test_an_exact_critic_makes_no_difference() -> None:
    """Values of J of the plain rewards, and the entropy of the present step; with a critic that is wrong besides."""

    def with_bonus(weights: Callable[[Batch], Floats]) -> Estimate:
        def estimate(batch: Batch) -> Floats:
            return np.asarray(rows(batch, weights(batch)) + present(0.02)(batch) - right(batch))

        return estimate

    text = "0.02 sum gamma^t grad H(pi(.|s_t)) of the states as visited: later entropy is not credited"
    assert ids(with_bonus(exact_td), 0.02) == {"objective": f"this is grad J plus {text}"}
    named = ids(with_bonus(zoo.wrong_critic), 0.02)
    assert set(named) == {"bootstrap", "objective"}
