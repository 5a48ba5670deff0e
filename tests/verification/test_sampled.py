"""Verdicts from drawn episodes: against exact expectations, and each with the twin that has to fail."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pgcheck
from pgcheck import Batch
from pgcheck.arrays import Floats
from pgcheck.errors import EstimatorError, UsageError
from pgcheck.model.softmax import TabularSoftmax
from pgcheck.verification.drawn import Drawn
from pgcheck.verification.sequential import FIRST_LOOK
from pgcheck.verification.setting import Setting
from pgcheck.verification.verdict import verify
from pgcheck.verification.verification import Verification

Estimate = Callable[[Batch], Floats]


def to_go(batch: Batch, gamma: float) -> Floats:
    weights = np.array(batch.rewards)
    for t in range(weights.shape[1] - 2, -1, -1):
        weights[:, t] += gamma * weights[:, t + 1]
    return weights


def weighed(batch: Batch, weights: Floats) -> Floats:
    return np.asarray(np.einsum("nt,nt...->n...", weights * batch.mask, batch.score))


def right(batch: Batch) -> Floats:
    return weighed(batch, to_go(batch, batch.gamma) * batch.gamma ** np.arange(batch.rewards.shape[1]))


def without_gamma_t(batch: Batch) -> Floats:
    return weighed(batch, to_go(batch, batch.gamma))


def returns(batch: Batch) -> Floats:
    return np.asarray(batch.rewards @ batch.gamma ** np.arange(batch.rewards.shape[1]))


def leave_one_out(batch: Batch) -> Floats:
    each = returns(batch)
    baseline = (each.sum() - each) / max(len(batch) - 1, 1)
    return np.asarray(weighed(batch, np.ones(batch.rewards.shape) * (each - baseline)[:, None]).mean(axis=0))


def batch_mean(batch: Batch) -> Floats:
    each = returns(batch)
    return np.asarray(weighed(batch, np.ones(batch.rewards.shape) * (each - each.mean())[:, None]).mean(axis=0))


class Noisy:
    """An estimate times a number of mean 1 that differs from call to call."""

    def __init__(self, estimate: Estimate) -> None:
        self._estimate, self._rng = estimate, np.random.default_rng(0)

    def __call__(self, batch: Batch) -> Floats:
        return np.asarray(self._estimate(batch) * self._rng.uniform(0.8, 1.2))


def ids(verification: Verification) -> list[str]:
    return [it.id for it in verification.diagnosis]


def sampled(estimate: Estimate, models: str = "two_state", **options: Any) -> Verification:
    return verify(estimate, models, evidence="sampled", **options)


@pytest.mark.parametrize(
    ("estimate", "options"),
    [
        (right, {}),
        (Noisy(right), {}),
        (leave_one_out, {"batch_sizes": [10]}),
        (leave_one_out, {"models": "early_exit", "batch_sizes": [16]}),
        (right, {"models": "frozen_lake", "horizon": 30}),
        (lambda batch: 3 * right(batch), {"up_to_scale": True}),
    ],
)
def test_a_right_estimator_passes(estimate: Estimate, options: dict[str, Any]) -> None:
    verification = sampled(estimate, **options)
    assert verification.verdict == "pass"
    for finding in verification.sampled:
        assert finding.look.bound <= 0.05
        assert finding.look.rollouts >= FIRST_LOOK
        error = np.abs(finding.expectation.mean - finding.gradient * (verification.scale or 1.0))
        assert np.all(error <= 6 * finding.std_error + 1e-9 * finding.norm)


@pytest.mark.parametrize(
    ("estimate", "options", "expected"),
    [
        (without_gamma_t, {}, ["dropped-gamma"]),
        (Noisy(without_gamma_t), {}, ["dropped-gamma"]),
        (batch_mean, {"batch_sizes": [10]}, ["scale"]),
        (without_gamma_t, {"models": "frozen_lake", "gamma": 0.9, "horizon": 12}, ["dropped-gamma"]),
        (lambda batch: -right(batch), {"up_to_scale": True}, ["sign"]),
        (lambda batch: 0 * right(batch), {}, ["zero-mean"]),
        (lambda batch: weighed(batch, np.array(batch.rewards)), {}, ["immediate-reward", "dropped-gamma"]),
    ],
)
def test_a_wrong_estimator_fails_and_is_named(
    estimate: Estimate, options: dict[str, Any], expected: list[str]
) -> None:  # fmt: skip
    verification = sampled(estimate, **options)
    assert (verification.verdict, ids(verification)) == ("fail", expected)
    assert "up_to_scale" in options or all(it.look.p_value < 1e-3 for it in verification.sampled)


def test_the_bias_is_the_exact_one_within_its_error() -> None:
    exact = verify(without_gamma_t, "two_state")
    (finding,) = sampled(without_gamma_t).sampled
    assert exact.findings[0].relative_bias == pytest.approx(finding.look.bias, abs=5 * finding.look.bias_error)
    assert exact.findings[0].scale == pytest.approx(
        1 + finding.look.scale_error, abs=5 * finding.look.scale_error_error
    )


def test_what_is_excluded_is_counted_and_what_is_allowed_leaves_a_bound() -> None:
    assert sampled(without_gamma_t).excluded > 12
    allowed = sampled(without_gamma_t, allow=["dropped-gamma"])
    assert (allowed.verdict, allowed.deviations) == ("pass", ("dropped-gamma",))
    assert allowed.rest is not None
    assert allowed.rest <= 0.05
    assert sampled(lambda batch: 2 * without_gamma_t(batch), allow=["dropped-gamma"]).verdict == "fail"
    assert sampled(without_gamma_t, allow=["sign"]).verdict == "fail"


def test_a_mistake_that_has_no_name_has_none() -> None:
    verification = sampled(lambda batch: weighed(batch, np.sqrt(np.abs(to_go(batch, batch.gamma)))))
    assert verification.verdict == "fail"
    assert not {"dropped-gamma", "scale", "sign"} & set(ids(verification))


def test_what_can_be_listed_is_listed_unless_it_is_asked_otherwise() -> None:
    exact = verify(right, "two_state")
    assert not exact.sampled
    large = verify(right, ["two_state", "frozen_lake"])
    assert [finding.mdp.name for finding in large.sampled] == ["frozen-lake"]
    assert [finding.mdp.name for finding in large.exact] == ["two-state"]
    assert large.verdict == "pass"
    forced = verify(right, ["two_state", "frozen_lake"], evidence="exact")
    assert (forced.verdict, forced.sampled) == ("inconclusive", ())


def test_what_fails_where_all_is_listed_is_not_drawn_any_more() -> None:
    verification = verify(without_gamma_t, ["two_state", "frozen_lake"])
    assert (verification.verdict, verification.sampled) == ("fail", ())
    assert ids(verification) == ["dropped-gamma"]


def test_numbers_that_differ_from_call_to_call_are_refused_where_exactness_is_asked_for() -> None:
    with pytest.raises(EstimatorError, match="different values for the same batch"):
        verify(Noisy(right), "two_state", evidence="exact")
    verification = verify(Noisy(right), "two_state")
    assert verification.contract.is_random
    assert verification.sampled[0].why == "two calls with the same batch gave different numbers"


def test_weights_of_rare_episodes_decide_nothing() -> None:
    """Importance weights whose variance is all but infinite: a certain bias is seen, and is none."""
    mdp, policy = pgcheck.load("two_state")
    behavior = TabularSoftmax.of(mdp, {("left", "move"): -6.0, ("right", "move"): -6.0})
    verification = verify("importance-sampling", [(mdp, policy, behavior)], off_policy=True,
                          evidence="sampled", max_rollouts=FIRST_LOOK)  # fmt: skip
    assert verification.verdict == "inconclusive"
    assert not verification.sampled[0].look.is_carried


def test_where_rewards_are_rare_a_batch_is_still_told_from_its_episodes() -> None:
    """The first 2,000 episodes of frozen_lake have no reward: an estimate of each is 0, whatever it is of."""
    verification = verify(batch_mean, "frozen_lake", horizon=20, max_rollouts=FIRST_LOOK)
    assert not verification.contract.by_episode
    assert {finding.batch_size for finding in verification.sampled} == {2, 3}
    assert "zero-mean" not in ids(verification)
    assert verify(right, "frozen_lake", horizon=20, max_rollouts=FIRST_LOOK).contract.by_episode


def test_a_bias_of_one_percent_is_said() -> None:
    (finding,) = sampled(lambda batch: 1.01 * right(batch)).sampled
    assert finding.look.scale_error == pytest.approx(0.01, abs=1e-3)


RARE = """
horizon: 1
states: [common, rare, end]
actions: [a, b]
start: {common: 0.9997, rare: 0.0003}
terminal: [end]
transitions:
  common: {a: {to: end, reward: 1}, b: end}
  rare: {a: {to: end, reward: 1000}, b: end}
"""


def clipped(batch: Batch) -> Floats:
    return weighed(batch, np.clip(batch.rewards, -1, 1))


def test_what_is_alike_on_all_that_was_drawn_is_no_pass_while_what_is_rare_is_missing(tmp_path: Path) -> None:
    """A fourth of the gradient is in 3 of 10,000 episodes: it is clipped, and 4,096 episodes may not show it."""
    (tmp_path / "rare.yaml").write_text(RARE)
    model = str(tmp_path / "rare.yaml")
    assert verify(clipped, model).verdict == "fail"
    for seed in range(8):
        found = sampled(clipped, model, rng=np.random.default_rng(seed), max_rollouts=2 * FIRST_LOOK)
        assert found.verdict != "pass"
        found = sampled(Noisy(right), model, rng=np.random.default_rng(seed), max_rollouts=FIRST_LOOK)
        assert found.verdict != "fail"


def in_single(estimate: Estimate) -> Estimate:
    return lambda batch: estimate(batch).astype(np.float32)


def test_single_precision_hides_no_bias_and_is_none() -> None:
    assert sampled(in_single(right), "frozen_lake", horizon=20).verdict == "pass"
    for estimate in (lambda batch: right(batch) + 2e-4, in_single(lambda batch: right(batch) + 2e-4)):
        assert sampled(estimate, "frozen_lake", horizon=20).verdict == "fail"


@pytest.mark.parametrize(("factor", "verdict"), [(3.0, "pass"), (1 / 3, "pass"), (-2.0, "fail")])
def test_up_to_scale_where_there_is_one_direction(factor: float, verdict: str) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        found = sampled(lambda batch: factor * right(batch), "bandit", up_to_scale=True, rng=rng)
        assert found.verdict == verdict


def test_up_to_scale_the_factor_has_to_be_the_same_everywhere() -> None:
    models = ["two_state", "random_walk"]

    def by_model(batch: Batch) -> Floats:
        return right(batch) * (2 if batch.num_states == 3 else 2.4)

    def sampled_on(estimate: Estimate) -> str:
        return verify(estimate, models, evidence="sampled", up_to_scale=True, max_rollouts=2**16).verdict

    assert sampled_on(lambda batch: 2 * right(batch)) == "pass"
    assert sampled_on(by_model) == "fail"


@pytest.mark.parametrize(("own", "verdict"), [(False, "pass"), (True, "fail")])
def test_a_baseline_that_runs_along_is_judged_by_batches_in_their_order(own: bool, verdict: str) -> None:
    """The mean of earlier batches is a right baseline; with the batch's own returns in it, it is a wrong one."""
    mean = 0.0

    def running(batch: Batch) -> Floats:
        nonlocal mean
        each = returns(batch)
        before, mean = mean, 0.9 * mean + 0.1 * float(each.mean())
        baseline = 0.5 * mean + 0.5 * float(each.mean()) if own else before
        return weighed(batch, np.ones(batch.rewards.shape) * (each - baseline)[:, None])

    assert verify(running, "two_state").verdict == verdict


def test_the_same_seed_draws_the_same_and_another_draws_others() -> None:
    def mean(seed: int) -> Floats:
        return sampled(leave_one_out, batch_sizes=[4], rng=np.random.default_rng(seed)).sampled[0].expectation.mean

    np.testing.assert_array_equal(mean(1), mean(1))
    assert not np.array_equal(mean(1), mean(2))


def test_blocks_are_functions_of_their_number_alone() -> None:
    setting = Setting(*pgcheck.load("two_state"))
    one, other = (Drawn(setting, 3, np.random.default_rng(5)) for _ in range(2))
    later = [draw.batch.outcomes for draw in one.block(3)]
    list(other.block(0))
    for a, b in zip(later, (draw.batch.outcomes for draw in other.block(3)), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("off_policy", [False, True])
def test_drawn_episodes_have_the_probabilities_of_the_listed_ones(off_policy: bool) -> None:
    """Chi-square over all episodes of two_state; with the twin of the other policy's probabilities."""
    mdp, policy = pgcheck.load("two_state")
    other = TabularSoftmax.of(mdp, {("left", "stay"): 1.0, ("right", "move"): -1.0})
    setting = Setting(mdp, policy, other if off_policy else None)
    counts: dict[bytes, int] = {}
    n = 0
    for block in range(4):
        for draw in Drawn(setting, 1, np.random.default_rng(block)).block(block):
            for path in np.vstack([draw.batch.starts, draw.batch.outcomes]).T:
                key = path[path != mdp.padding].tobytes()
                counts[key] = counts.get(key, 0) + 1
                n += 1

    def statistic(listed: Setting) -> tuple[float, int]:
        batch, prob = listed.listed()
        paths = np.vstack([batch.starts, batch.outcomes]).T
        seen = np.array([counts.get(path[path != mdp.padding].tobytes(), 0) for path in paths])
        assert seen.sum() == n
        return float(np.sum((seen - n * prob) ** 2 / (n * prob))), len(prob) - 1

    value, freedom = statistic(setting)
    assert value < freedom + 5 * np.sqrt(2 * freedom)
    wrong, freedom = statistic(Setting(mdp, policy, None if off_policy else other))
    assert wrong > freedom + 20 * np.sqrt(2 * freedom)


def test_batches_of_one_start_share_it() -> None:
    setting = Setting(*pgcheck.load("token_tree"), same_start=True)
    starts = set()
    for draw in Drawn(setting, 4, np.random.default_rng(0)).block(0):
        of_batches = draw.batch.starts[draw.index]
        assert np.all(of_batches == of_batches[:, :1])
        starts |= set(of_batches[:, 0].tolist())
    assert len(starts) == np.count_nonzero(setting.mdp.start)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 1.0}, "confidence"),
        ({"max_rollouts": 4095}, "4,096"),
        ({"evidence": "some"}, "auto, exact, sampled"),
    ],
)
def test_what_is_out_of_range_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        verify(right, "two_state", **options)
