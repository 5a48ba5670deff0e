"""Right estimators pass; wrong ones fail and are told why."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

import pgcheck
from pgcheck import Batch, EstimatorError, verify
from pgcheck.external.calling import LocalFunction
from pgcheck.report.verification import verification_view
from tests.verification import zoo


@pytest.mark.parametrize("name", sorted(zoo.RIGHT))
def test_a_right_estimator_passes(name: str) -> None:
    found = verify(zoo.RIGHT[name])
    assert found.verdict == "pass"
    assert not found.diagnosis


# What the diagnosis says beside the mistake's name, and what it does not say.
SAID = {
    "a discount written in the code": ["a discount of about 0.99 is written in the code"],
    "reversed forgotten": ["is `reversed` or [::-1] missing?"],
    "an entropy bonus": ["such as an entropy bonus of 0.1; without it the estimator is right"],
    "loss.mean() of a tutorial": ["divide by the number of episodes"],
    "in the wrong order": ["the matrix shows how each reward weights each step"],
    "gamma^t forgotten": ["(it is right for gamma = 1)"],
}
NOT_SAID = {
    "own reward only": ["reversed", "gamma = 1"],
    "standardised over the batch": ["exactly proportional to 1/B"],
}


@pytest.mark.parametrize("name", sorted(zoo.WRONG))
def test_a_wrong_estimator_fails_and_is_told_why(name: str) -> None:
    estimate, ids, twin = zoo.WRONG[name]
    assert twin in zoo.RIGHT
    found = verify(estimate)
    assert found.verdict == "fail"
    assert {one.id for one in found.diagnosis} == ids
    assert all(one.text for one in found.diagnosis)
    text = " ".join(one.text for one in found.diagnosis)
    assert all(piece in text for piece in SAID.get(name, []))
    assert not any(piece in text for piece in NOT_SAID.get(name, []))


def test_the_zoo_is_large_enough() -> None:
    assert len(zoo.WRONG) >= 30
    named = set().union(*(ids for _, ids, _ in zoo.WRONG.values()))
    assert named >= {
        "dropped-gamma", "undiscounted", "sign", "scale", "length-normalised", "immediate-reward", "off-by-one",
        "last-step-missing", "last-reward-missing", "action-dependent-baseline", "nonlinear", "bootstrap",
        "batch-coupled", "regulariser", "zero-mean", "other",
    }  # fmt: skip


def test_one_scale_for_all_models_may_be_accepted() -> None:
    half, _, _ = zoo.WRONG["half"]
    assert verify(half, up_to_scale=True).verdict == "pass"
    assert verify(half, up_to_scale=True).scale == pytest.approx(0.5)
    for name in ("a loss", "divided by the horizon", "gamma^t forgotten"):
        assert verify(zoo.WRONG[name][0], up_to_scale=True).verdict == "fail"


def test_the_tolerance_is_what_passes() -> None:
    def nearly(batch: Batch) -> object:
        return (1 + 1e-5) * zoo.RIGHT["vectorised"](batch)

    assert verify(nearly).verdict == "fail"
    assert verify(nearly, tolerance=1e-4).verdict == "pass"
    single = verify(zoo.RIGHT["single precision"])
    assert single.tolerance == 1e-4
    assert single.contract.single
    assert verify(zoo.RIGHT["single precision"], tolerance=1e-11).verdict == "fail"


def test_one_direction_has_no_cosine_and_is_judged_by_impulses() -> None:
    found = verify(zoo.WRONG["gamma^t forgotten"][0], [pgcheck.load("random_walk", horizon=4, gamma=0.9)])
    assert found.findings[0].cosine is None
    assert found.findings[0].freedom == 1
    assert [one.id for one in found.diagnosis] == ["dropped-gamma"]
    unknown = verify(zoo.WRONG["in the wrong order"][0], [pgcheck.load("random_walk", horizon=4, gamma=0.9)])
    assert [one.id for one in unknown.diagnosis] == ["other"]


def test_a_large_model_is_diagnosed_with_the_help_of_a_small_one() -> None:
    """All pairs of 184 episodes are too many to be altered again and again; what is wrong is found all the same."""
    found = verify(
        zoo.WRONG["standardised over the batch"][0], [pgcheck.load("early_exit", horizon=4)], batch_sizes=[2]
    )
    assert {one.mdp.name for one in found.findings} == {"early-exit"}
    assert [one.id for one in found.diagnosis] == ["nonlinear"]
    found = verify(
        zoo.WRONG["loss.mean() of a tutorial"][0], [pgcheck.load("early_exit", horizon=4)], batch_sizes=[2]
    )
    assert {one.id for one in found.diagnosis} == {"length-normalised", "dropped-gamma", "sign"}


def test_what_is_right_for_gamma_1_passes_there() -> None:
    forgotten = zoo.WRONG["gamma^t forgotten"][0]
    assert verify(forgotten, [pgcheck.load("two_state", gamma=1.0)]).verdict == "pass"


def test_trouble_with_short_episodes_is_a_warning_where_no_model_has_any() -> None:
    def with_ddof(batch: Batch) -> object:
        with np.errstate(all="ignore"):
            bias = 0 * np.array([np.std(e.rewards, ddof=1) for e in batch])
        rows = zoo.RIGHT["vectorised"](batch)
        return rows + bias.reshape(-1, *(1 for _ in batch.theta.shape))

    with pytest.warns(RuntimeWarning):
        found = verify(with_ddof, [pgcheck.load("deep_sea", horizon=4)])
    assert found.verdict == "pass"
    assert [one.id for one in found.diagnosis] == ["nan"]
    assert "episodes of one step" in found.diagnosis[0].text
    with pytest.raises(EstimatorError, match="returned nan for an episode of 1 step"), pytest.warns(RuntimeWarning):
        verify(with_ddof, ["early_exit"])


def test_memory_and_randomness_are_refused() -> None:
    generator = np.random.default_rng(0)
    count = itertools.count()

    def noisy(batch: Batch) -> object:
        return zoo.RIGHT["vectorised"](batch) + generator.normal(size=(len(batch), *batch.theta.shape))

    def counting(batch: Batch) -> object:
        return zoo.RIGHT["vectorised"](batch) * (1 + 1e-3 * next(count))

    for estimate in (noisy, counting):
        with pytest.raises(EstimatorError, match="returned different values for the same batch"):
            verify(estimate, evidence="exact")


def test_arguments_that_mean_nothing_are_refused() -> None:
    for tolerance in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(pgcheck.UsageError, match="tolerance"):
            verify("reinforce", ["two_state"], tolerance=tolerance)
    with pytest.raises(pgcheck.UsageError, match="no models"):
        verify("reinforce", [])
    with pytest.raises(pgcheck.UsageError, match="batch sizes"):
        verify("reinforce", batch_sizes=[0])
    assert verify("reinforce", "two_state").verdict == "pass"


def test_a_second_path_to_the_same_verdict() -> None:
    """The library and the command agree, number by number."""
    found = verify("immediate-reward", ["two_state"])
    again = verify(LocalFunction(pgcheck.estimator("immediate-reward"), "x"), [pgcheck.load("two_state")])
    assert found.findings[0].expectation.mean.tobytes() == again.findings[0].expectation.mean.tobytes()
    assert [one.id for one in found.diagnosis] == [one.id for one in again.diagnosis] == ["immediate-reward"]


def test_rounding_of_single_precision_is_no_randomness() -> None:
    """Sums in another order differ in the last digits from call to call."""

    def noisy(size: float, kind: type) -> Callable[[Batch], object]:
        generator = np.random.default_rng(0)
        return lambda batch: (
            zoo.RIGHT["vectorised"](batch) * (1 + size * generator.uniform(-1, 1, (len(batch), *batch.theta.shape)))
        ).astype(kind)

    assert verify(noisy(1e-6, np.float32), ["two_state"]).verdict == "pass"
    for size, kind in ((1e-6, np.float64), (1e-2, np.float32)):
        with pytest.raises(EstimatorError, match="returned different values for the same batch"):
            verify(noisy(size, kind), ["two_state"], evidence="exact")


def test_a_needless_variance_is_told_for_what_it_is() -> None:
    def scaled(batch: Batch) -> object:
        return 2 * zoo.RIGHT["vectorised"](batch)

    def with_poor_baseline(batch: Batch) -> object:
        weights = zoo.discount(batch) * (zoo.to_go(batch) - 50.0)
        return np.einsum("nt,nt...->n...", weights, batch.score)

    assert not verify(scaled, ["two_state"], up_to_scale=True).is_noisy
    assert verify(scaled, ["two_state"], up_to_scale=True).variance_over_reward_to_go == pytest.approx(1)
    poor, past = verify(with_poor_baseline, ["two_state"]), verify("reinforce", ["two_state"])
    assert (poor.is_noisy, poor.counts_past_rewards) == (True, False)
    assert (past.is_noisy, past.counts_past_rewards) == (True, True)
    shown = [str(block) for block in verification_view("mine", poor).blocks]
    assert any("the baseline raises the variance" in " ".join(block.split()) for block in shown)
    assert not any("rewards before each step" in block for block in shown)
