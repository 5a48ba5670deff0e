"""Deviations that are intended pass where they are all that is wrong; anything more turns the verdict red."""

from collections.abc import Callable

import numpy as np
import pytest

import pgcheck
from pgcheck import Batch, UsageError, verify
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.report.verification import verification_view
from pgcheck.testing import GradientMismatch, assert_policy_gradient
from pgcheck.verification.causes import CAUSES, known_ids
from tests.oracles import Floats
from tests.verification import libraries, slips, zoo

Estimate = Callable[[Batch], Floats]

DROPPED = ("dropped-gamma",)
SMALL = ["two_state", "early_exit"]


def dropped(batch: Batch) -> Floats:
    return slips.rows(batch, zoo.to_go(batch))


def small_models() -> list[tuple[MDP, Policy]]:
    """Models of so few episodes that batches of three are cheap."""
    return [pgcheck.load("two_state"), pgcheck.load("early_exit", horizon=2)]


def test_a_library_that_drops_gamma_is_green_and_says_so() -> None:
    verification = verify(dropped, allow=DROPPED)
    assert (verification.verdict, verification.exit_status, verification.allowed) == ("pass", 0, DROPPED)
    assert verification.deviations == DROPPED
    assert [(it.id, it.allowed) for it in verification.diagnosis] == [("dropped-gamma", True)]
    assert {result.outcome for result in verification.stretched} == {"right"}
    assert not verification.is_noisy  # it is biased: its variance is no defect of an unbiased estimator
    view = verification_view("mine", verification)
    record = view.record()
    assert (record["verdict"], record["allowed"]) == ("pass", ["dropped-gamma"])
    assert verify(dropped).verdict == "fail"
    assert verify(dropped, SMALL, allow=("undiscounted",)).verdict == "fail"


def test_what_has_no_deviation_passes_plainly() -> None:
    verification = verify(zoo.RIGHT["vectorised"], SMALL, allow=DROPPED)
    assert (verification.verdict, verification.deviations, verification.diagnosis) == ("pass", (), ())
    assert verification_view("mine", verification).record()["allowed"] == ["dropped-gamma"]
    assert verification_view("mine", verify("reinforce", SMALL)).record()["allowed"] == []


def clipped(batch: Batch) -> Floats:
    return dropped(batch.altered(rewards=np.clip(batch.rewards, -5000, 5000)))


def first_steps(batch: Batch) -> Floats:
    return slips.rows(batch, (np.arange(batch.rewards.shape[1]) < 20) * zoo.to_go(batch))


FURTHER_BUGS: dict[str, tuple[Estimate, str]] = {
    "the first four episodes": (lambda b: np.asarray(dropped(b)[:4].sum(axis=0) / len(b)), "batch-coupled"),
    "the first 64 episodes": (lambda b: np.asarray(dropped(b)[:64].sum(axis=0) / len(b)), "batch-size"),
    "the first 20 steps": (first_steps, "reach"),
    "clipped rewards": (clipped, "reach"),
    "the own reward left out": (lambda b: slips.rows(b, zoo.to_go(b) - b.rewards), "off-by-one"),
    "the sign": (lambda b: -dropped(b), "sign"),
    "a factor": (lambda b: 2 * dropped(b), "scale"),
    "a bonus": (lambda b: dropped(b) + 0.1 * slips.entropy_rows(b), "regulariser"),
}


@pytest.mark.parametrize("name", sorted(FURTHER_BUGS))
def test_a_further_bug_turns_it_red_and_is_named_first(name: str) -> None:
    estimate, cause = FURTHER_BUGS[name]
    verification = verify(estimate, ["two_state"], allow=DROPPED)
    assert verification.verdict == "fail"
    assert verification.diagnosis[0].id == cause
    assert not verification.diagnosis[0].allowed
    assert [it.allowed for it in verification.diagnosis if it.id == "dropped-gamma"] == [True]
    with pytest.raises(GradientMismatch, match=cause):
        assert_policy_gradient(estimate, models=["two_state"], allow=DROPPED)


def test_all_that_is_wrong_has_to_be_allowed() -> None:
    both = ("dropped-gamma", "sign")
    assert verify(lambda b: -dropped(b), SMALL, allow=both).verdict == "pass"
    for factor, ids in ((-1, ("dropped-gamma", "scale")), (-2, both), (-2, ("dropped-gamma", "scale"))):
        assert verify(lambda b, factor=factor: factor * dropped(b), SMALL, allow=ids).verdict == "fail"
    assert verify(lambda b: -2 * dropped(b), SMALL, allow=("dropped-gamma", "scale", "sign")).verdict == "pass"


def test_a_scale_is_accepted_besides() -> None:
    twice = verify(lambda b: 2 * dropped(b), SMALL, allow=DROPPED, up_to_scale=True)
    assert (twice.verdict, twice.deviations) == ("pass", DROPPED)
    assert twice.scale == pytest.approx(2)
    assert verify(lambda b: 2 * dropped(b), SMALL, up_to_scale=True).verdict == "fail"
    assert verify(lambda b: -2 * dropped(b), SMALL, allow=DROPPED, up_to_scale=True).verdict == "fail"
    assert verify(lambda b: 2 * clipped(b), SMALL, allow=DROPPED, up_to_scale=True).verdict == "fail"


def loss_mean(batch: Batch, most: int = 10**9) -> Floats:
    """Minus a mean over the steps of the batch, of the first episodes."""
    rows = dropped(batch)[:most]
    return np.asarray(-rows.sum(axis=0) / max(batch.lengths.sum(), 1))


def test_whole_batches_are_stretched_against_what_is_allowed() -> None:
    ids = ("length-normalised", "dropped-gamma", "sign")
    right = verify(loss_mean, ["two_state"], allow=ids)
    assert (right.verdict, {result.outcome for result in right.stretched}) == ("pass", {"right"})
    cut = verify(lambda b: loss_mean(b, 64), ["two_state"], allow=ids)
    assert (cut.verdict, cut.diagnosis[0].id) == ("fail", "batch-size")
    centred = verify(zoo.WRONG["batch mean as baseline"][0], ["two_state"], allow=("scale",))
    assert (centred.verdict, {result.outcome for result in centred.stretched}) == ("pass", {"right"})


def test_an_actor_critic_loss_passes_with_all_of_its_names() -> None:
    estimate, ids, _ = libraries.LIBRARIES["A2C"]
    assert verify(estimate, small_models(), allow=tuple(ids)).verdict == "pass"
    without_sign = verify(estimate, small_models()[1:], allow=tuple(ids - {"sign"}))
    assert (without_sign.verdict, without_sign.diagnosis[0].id) == ("fail", "sign")


@pytest.mark.parametrize(
    "name", ["a sum over the border, and gamma^t forgotten", "a sum over the border of cut episodes"]
)
def test_a_leak_is_compared_with_what_would_leak(name: str) -> None:
    estimate, ids, _ = slips.SLIPS[name]
    assert verify(estimate, small_models()[1:], allow=tuple(ids)).verdict == "pass"
    more = verify(lambda b: estimate(b) + 0.01 * (len(b) == 3), small_models()[1:], allow=tuple(ids))
    assert (more.verdict, more.leaves_a_rest) == ("fail", True)


@pytest.mark.parametrize("name", ["standardised over the batch", "in the wrong order", "baseline by action"])
def test_what_does_not_tell_the_expectation_cannot_be_allowed(name: str) -> None:
    estimate, ids, _ = zoo.WRONG[name]
    verification = verify(estimate, ["two_state"], allow=tuple(ids))
    assert verification.verdict == "fail"
    assert verification.leaves_a_rest


def test_a_model_that_is_too_large_to_be_altered_is_compared_too() -> None:
    large = pgcheck.load("two_state", horizon=13)

    def with_a_bug_there(batch: Batch) -> Floats:
        bug = (batch.states == 0) & (batch.actions == 1) & (batch.horizon == 13)
        return slips.rows(batch, zoo.to_go(batch) + bug)

    for models in ([large], [large, pgcheck.load("early_exit")]):
        verification = verify(dropped, models, allow=DROPPED)
        assert verification.findings[0].enumeration is None
        assert (verification.verdict, verification.deviations) == ("pass", DROPPED)
        wrong = verify(with_a_bug_there, models, allow=DROPPED)
        assert (wrong.verdict, wrong.leaves_a_rest) == ("fail", True)
    assert {it.id for it in verify(dropped, [large]).diagnosis} == {"dropped-gamma"}
    assert "other mistakes may hide" in verify(with_a_bug_there, [large]).diagnosis[0].text


def test_one_direction_is_allowed_by_impulses() -> None:
    walk = [pgcheck.load("random_walk", horizon=4, gamma=0.9)]
    assert verify(dropped, walk, allow=DROPPED).verdict == "pass"
    assert verify(zoo.WRONG["in the wrong order"][0], walk, allow=(*DROPPED, "scale")).verdict == "fail"


def test_a_name_that_is_allowed_is_preferred_where_several_fit() -> None:
    third = [pgcheck.load("two_state")]  # of which the horizon is 3
    assert verify(lambda b: slips.right(b) / 3, third, allow=("scale",)).verdict == "pass"
    assert verify(lambda b: slips.right(b) / 3, third, allow=("length-normalised",)).verdict == "pass"
    assert verify(lambda b: slips.right(b) / 3, third, allow=DROPPED).verdict == "fail"


def test_the_tolerance_holds_for_what_is_allowed() -> None:
    def nearly(batch: Batch) -> Floats:
        return np.asarray(dropped(batch) + 1e-7 * np.ones(batch.theta.shape))

    assert verify(nearly, ["two_state"], allow=DROPPED).verdict == "pass"
    assert verify(nearly, ["two_state"], allow=DROPPED, tolerance=1e-9).verdict == "fail"
    assert verify(dropped, ["two_state"], allow=DROPPED, tolerance=1e-9).verdict == "pass"


def test_an_unknown_id_is_refused_with_a_near_name() -> None:
    with pytest.raises(UsageError, match=r"'droped-gamma': not the id .* did you mean dropped-gamma\?") as caught:
        verify("reinforce", allow=["droped-gamma"])
    assert all(name in str(caught.value) for name in known_ids())
    assert {cause.partition("/")[0] for cause in CAUSES} == set(known_ids())
