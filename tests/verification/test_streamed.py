"""Verdicts on gradients that a program printed, of all trajectories or of drawn ones."""

import math

import numpy as np
import pytest

import pgcheck
from pgcheck.errors import EstimatorError, UsageError
from pgcheck.verification.batch_sums import BATCHES, Sums
from pgcheck.verification.partition import MANY, Partition
from pgcheck.verification.sampled_finding import SampledFinding
from pgcheck.verification.sampling import Sampling
from pgcheck.verification.streamed import Judging, verify_drawn, verify_printed
from pgcheck.verification.streamed_samples import Draws, sampled_lines
from tests import oracles
from tests.verification import off_policy, zoo
from tests.verification.printed import lines, setting, stream, verdict
from tests.verification.zoo import discount, to_go, vector

RIGHT, FORGOTTEN = zoo.RIGHT["vectorised"], zoo.WRONG["gamma^t forgotten, vectorised"][0]

# Of single episodes: whole batches, and what was seen only in calls, have no name here.
CALLED_FOR = {"nonlinear", "bootstrap", "other"}
BY_EPISODE = [
    name
    for name, (estimate, _, _) in zoo.WRONG.items()
    if np.asarray(estimate(setting("two_state").examples(5))).ndim == 3 and "batch" not in name
]
UNNAMED = {"baseline by action", "a discount written in the code", "an entropy bonus, and gamma^t forgotten"}


@pytest.mark.parametrize("name", [name for name in zoo.RIGHT if "batch" not in name and "B/" not in name][:7])
def test_right_programs_pass(name: str) -> None:
    for model in ("two_state", "early_exit"):
        assert verdict(setting(model), zoo.RIGHT[name]).verdict == "pass"


@pytest.mark.parametrize("name", BY_EPISODE)
def test_wrong_programs_fail_and_are_named_or_not_at_all(name: str) -> None:
    estimate, ids, _ = zoo.WRONG[name]
    result = verdict(setting("early_exit"), estimate)
    assert (result.verdict, result.exit_status) == ("fail", 1)
    unnamed = name in UNNAMED or not ids.isdisjoint(CALLED_FOR)
    assert {diagnosis.id for diagnosis in result.diagnosis} == ({"other"} if unnamed else ids)
    assert all(diagnosis.certain for diagnosis in result.diagnosis)


def test_the_expectation_is_that_of_plain_enumeration() -> None:
    where = setting("early_exit")
    mdp, policy = where.mdp, where.policy
    (finding,) = verdict(where, RIGHT).findings
    assert finding.expectation_vector == pytest.approx(oracles.recursion(mdp, policy)[1], abs=1e-13)


@pytest.mark.parametrize("estimate", [RIGHT, FORGOTTEN, zoo.WRONG["weight decay"][0]])
def test_it_is_the_verdict_on_the_function_itself(estimate: zoo.Estimate) -> None:
    where = setting("two_state")
    printed, called = verdict(where, estimate), pgcheck.verify(estimate, [(where.mdp, where.policy)])
    assert printed.verdict == called.verdict
    ours, theirs = printed.findings[0], called.findings[0]
    assert ours.expectation.mean == pytest.approx(theirs.expectation.mean, abs=1e-12)
    assert ours.expectation.trace == pytest.approx(theirs.expectation.trace, rel=1e-12)
    assert {it.id for it in printed.diagnosis} == {it.id for it in called.diagnosis}


def test_what_one_model_cannot_tell_apart_is_possible_and_no_more() -> None:
    where = setting("random_walk", horizon=4, gamma=0.9)  # all parameters move the policy in one direction
    result = verdict(where, FORGOTTEN)
    ids = [diagnosis.id for diagnosis in result.diagnosis]
    assert "dropped-gamma" in ids
    assert len(set(ids)) > 1
    assert not any(diagnosis.certain for diagnosis in result.diagnosis)
    assert all(diagnosis.text.startswith("possibly: ") for diagnosis in result.diagnosis)
    assert verdict(where, FORGOTTEN, Judging(allow=("dropped-gamma",))).verdict == "fail"
    minus = verdict(where, zoo.WRONG["a loss"][0])
    assert [(it.id, it.certain) for it in minus.diagnosis] == [("sign", True)]
    half = verdict(where, zoo.WRONG["half"][0])  # any mistake is some multiple of the gradient
    assert [it.id for it in half.diagnosis] == ["other"]


def test_batches_of_episodes() -> None:
    right, wrong = zoo.RIGHT["leave one out"], zoo.WRONG["batch mean as baseline"][0]
    for size, horizon in ((2, 1), (3, 2)):
        where = setting("two_state", horizon=horizon)
        results = [verify_printed(stream(lines(where, it, size)), where, Judging(), size) for it in (right, wrong)]
        assert [result.verdict for result in results] == ["pass", "fail"]
        assert [(it.id, it.certain) for it in results[1].diagnosis] == [("scale", True)]
        assert results[1].findings[0].scale == pytest.approx(1 - 1 / size)
        assert results[1].findings[0].batch_size == size
    where = setting("two_state", horizon=2)  # half of the gradient is also the gradient over the horizon
    result = verify_printed(stream(lines(where, wrong, 2)), where, Judging(), 2)
    assert {(it.id, it.certain) for it in result.diagnosis} == {("scale", False), ("length-normalised", False)}
    together = setting("two_state", horizon=2, same_start=True)
    assert verify_printed(stream(lines(together, right, 2)), together, Judging(), 2).verdict == "pass"


def test_episodes_of_another_policy() -> None:
    where = setting("two_state", off_policy=True)
    right = vector(lambda b: discount(b) * to_go(b) * off_policy.total(b)[:, None])
    assert verdict(where, right).verdict == "pass"
    for estimate, ids in (
        (RIGHT, {"ratio"}),
        (FORGOTTEN, {"ratio", "dropped-gamma"}),
        (vector(lambda b: to_go(b) * off_policy.total(b)[:, None]), {"dropped-gamma"}),
    ):
        assert {it.id for it in verdict(where, estimate).diagnosis} == ids


def test_another_objective_than_the_one_asked_for() -> None:
    result = verdict(setting("two_state", entropy=0.1), RIGHT)
    assert [it.id for it in result.diagnosis] == ["objective"]
    assert verdict(setting("two_state", entropy=0.0), RIGHT).verdict == "pass"


def test_deviations_that_are_allowed() -> None:
    where = setting("two_state")
    result = verdict(where, FORGOTTEN, Judging(allow=("dropped-gamma",)))
    assert (result.verdict, result.deviations) == ("pass", ("dropped-gamma",))
    assert verdict(where, FORGOTTEN, Judging(allow=("undiscounted",))).verdict == "fail"
    half = zoo.WRONG["half"][0]
    assert verdict(where, half, Judging(up_to_scale=True)).scale == pytest.approx(0.5)
    assert verdict(where, half, Judging(allow=("scale",))).verdict == "pass"
    assert verdict(where, zoo.WRONG["a loss"][0], Judging(up_to_scale=True)).verdict == "fail"


def test_numbers_with_few_digits() -> None:
    where = setting("two_state")
    six, three, all_of_them = (
        verify_printed(stream(lines(where, RIGHT, form=form)), where, Judging()) for form in ("%.6g", "%.2f", "%.17g")
    )
    assert (six.verdict, six.tolerance) == ("pass", 1e-4)
    assert six.printed is not None
    assert (six.printed.loosened, six.printed.digits) == (True, 6)
    assert (all_of_them.verdict, all_of_them.tolerance) == ("pass", 1e-6)
    assert three.verdict == "fail"
    assert three.printed is not None
    assert three.printed.may_be_rounding
    assert [it.id for it in three.diagnosis] == ["other"]
    strict = verify_printed(stream(lines(where, RIGHT, form="%.6g")), where, Judging(tolerance=1e-9))
    assert strict.verdict == "fail"
    wrong = verify_printed(stream(lines(where, FORGOTTEN, form="%.6g")), where, Judging())
    assert [it.id for it in wrong.diagnosis] == ["dropped-gamma"]
    assert wrong.printed is not None
    assert not wrong.printed.may_be_rounding


def test_too_few_and_too_many_lines() -> None:
    where = setting("two_state")
    rows = lines(where, RIGHT).splitlines()
    assert len(rows) == 23
    with pytest.raises(
        EstimatorError, match="expected 23 gradients, one for each trajectory of two-state; there were 22"
    ):
        verify_printed(stream("\n".join(rows[:-1])), where, Judging())
    with pytest.raises(EstimatorError, match="there were none: did the program end early"):
        verify_printed(stream(""), where, Judging())
    with pytest.raises(EstimatorError, match=r"line 24: .*expected no more than 23 gradients"):
        verify_printed(stream("\n".join([*rows, rows[0], "rubbish"])), where, Judging())
    with pytest.raises(EstimatorError, match="expected 529 gradients, one for each batch of 2"):
        verify_printed(stream("\n".join(rows)), where, Judging(), 2)
    with pytest.raises(EstimatorError, match=r"one for each trajectory of two-state; there was 1: did"):
        verify_drawn(stream(rows[0]), where, Judging(), Draws(5000))


def test_too_many_trajectories_are_not_read() -> None:
    result = verify_printed(stream("rubbish"), setting("two_state"), Judging(max_trajectories=22))
    assert (result.verdict, result.exit_status) == ("inconclusive", 3)
    assert "--n 1e6" in result.skipped[0].why


def test_no_mistake_is_ruled_out_where_none_was_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgcheck.verification.streamed.MAX_COMPARED", 22)
    (diagnosis,) = verdict(setting("two_state"), FORGOTTEN).diagnosis
    assert (diagnosis.id, diagnosis.cause) == ("other", "other/not-compared")
    text = "0.1,0.2,0.3,1\n" * 23  # so few digits that rounding may hide anything
    (diagnosis,) = verify_printed(stream(text), setting("two_state"), Judging()).diagnosis
    assert diagnosis.cause == "other/not-compared"


# -- drawn rollouts --


def test_rollouts_are_dealt_out_evenly_and_completely() -> None:
    counts = np.array([3 * MANY, 1, 0, 7, MANY, 129])
    total = int(counts.sum())
    dealt = Partition(total, np.random.default_rng(0)).dealt(counts)
    left = counts - dealt.sum(axis=0)
    assert np.all(dealt.sum(axis=1) == total // BATCHES)
    assert (left >= 0).all()
    assert left.sum() == total % BATCHES
    partition = Partition(total, np.random.default_rng(0))  # in several lots
    assert sum(partition.dealt(lot).sum() for lot in np.split(counts, 3)) == total - total % BATCHES


def test_how_often_a_batch_has_a_rollout_is_hypergeometric() -> None:
    n, count = 4 * BATCHES, 40
    rng = np.random.default_rng(1)
    for lots in ([[count, n - count]], [[count], [n - count]]):
        first = []
        for _ in range(400):
            partition = Partition(n, rng)
            first.append(partition.dealt(np.array(lots[0]))[:, 0])
        drawn = np.array(first).ravel()
        # 4 places among n, of which `count` are taken: by the formula.
        for k in range(4):
            expected = math.comb(4, k) * math.comb(n - 4, count - k) / math.comb(n, count)
            assert np.mean(drawn == k) == pytest.approx(expected, abs=4 * math.sqrt(expected / len(drawn)) + 1e-4)


def test_counted_rollouts_are_the_same_rollouts() -> None:
    rng = np.random.default_rng(2)
    errors, gradients = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    counts = np.ones((BATCHES, 5))
    counts[:, 4] = 3
    counted, one_by_one = Sums.empty(3), Sums.empty(3)
    counted.add_counted(errors, gradients, counts)
    for row in (0, 1, 2, 3, 4, 4, 4):
        one_by_one.add(np.tile(errors[row], (BATCHES, 1)), np.tile(gradients[row], (BATCHES, 1)))
    for name in ("batches", "squares", "fourths", "rollouts"):
        assert getattr(counted, name) == pytest.approx(getattr(one_by_one, name))
    for part in ("errors", "gradients"):
        for name in ("squares", "fourths", "greatest"):
            assert getattr(getattr(counted, part), name) == pytest.approx(getattr(getattr(one_by_one, part), name))


def drawn(model: str, estimate: zoo.Estimate, draws: Draws, judging: Judging | None = None) -> SampledFinding:
    where = setting(model)
    text = lines(where, estimate, draws.size, draws)
    (finding,) = verify_drawn(stream(text), where, judging or Judging(), draws).findings
    assert isinstance(finding, SampledFinding)
    return finding


def test_right_programs_pass_and_wrong_ones_fail() -> None:
    for estimate in (RIGHT, zoo.RIGHT["vectorised total"], shifted(1.0)):
        look = drawn("two_state", estimate, Draws(100_000, 3)).look
        assert (look.decision, look.rollouts) == ("pass", 99_968)
        assert look.bound <= 0.05
    for name in ("gamma^t forgotten, vectorised", "a loss", "own reward only", "half"):
        assert drawn("two_state", zoo.WRONG[name][0], Draws(10_000)).look.decision == "fail"
    look = drawn("two_state", shifted(40.0), Draws(5_000)).look
    assert (look.decision, look.rollouts) == ("inconclusive", 4_992)
    assert look.needed is not None
    assert look.needed > 5_000


def shifted(baseline: float) -> zoo.Estimate:
    """Right, and the noisier, the greater the baseline."""
    return vector(lambda b: discount(b) * to_go(b) - baseline)


def test_a_right_program_fails_no_more_often_than_agreed() -> None:
    where, confidence, seeds = setting("two_state"), 0.9, 20
    verdicts = []
    for seed in range(seeds):
        draws = Draws(4_096, seed)
        verdicts.append(
            verify_drawn(
                stream(lines(where, shifted(3.0), None, draws)), where, Judging(confidence=confidence), draws
            )
        )
    # More than 6 of 20 fail with a probability of 0.2 % if each does with 10 %.
    assert sum(it.verdict == "fail" for it in verdicts) <= 6
    bounds = [it.findings[0].look.bound for it in verdicts if isinstance(it.findings[0], SampledFinding)]
    assert min(bounds) > 0
    wrong = vector(lambda b: 1.3 * discount(b) * to_go(b) - 3.0)
    outside = 0
    for seed in range(seeds):
        draws = Draws(4_096, seed)
        read = sampled_lines(stream(lines(where, wrong, None, draws)), where, draws, Sampling(confidence))
        outside += read.finding.look.bound < 0.3
    assert outside <= 6


def test_what_is_wrong_is_named_from_drawn_rollouts() -> None:
    where, draws = setting("two_state"), Draws(20_000, 5)
    for name in ("gamma^t forgotten, vectorised", "own reward only", "a loss", "half"):
        estimate, ids, _ = zoo.WRONG[name]
        result = verify_drawn(stream(lines(where, estimate, None, draws)), where, Judging(), draws)
        assert (result.verdict, {it.id for it in result.diagnosis}) == ("fail", ids)
    text = lines(where, FORGOTTEN, None, draws)
    allowed = verify_drawn(stream(text), where, Judging(allow=("dropped-gamma",)), draws)
    assert (allowed.verdict, allowed.deviations) == ("pass", ("dropped-gamma",))
    assert allowed.rest is not None
    assert allowed.rest <= 0.05
    assert verify_drawn(stream(text), where, Judging(allow=("undiscounted",)), draws).verdict == "fail"


def test_the_mean_of_drawn_gradients_is_near_their_expectation() -> None:
    where = setting("two_state")
    (exact,) = verdict(where, FORGOTTEN).findings
    finding = drawn("two_state", FORGOTTEN, Draws(50_000, 1))
    off = np.abs(finding.expectation.mean - exact.expectation.mean)
    assert np.all(off <= 5 * finding.std_error + 1e-12)
    assert abs(finding.look.bias - exact.bias / exact.norm) < 5 * finding.look.bias_error
    assert finding.look.bound > exact.bias / exact.norm


def test_drawn_batches() -> None:
    draws = Draws(40_000, 2, 2)
    assert drawn("two_state", zoo.RIGHT["leave one out"], draws, Judging(tolerance=0.2)).look.decision == "pass"
    finding = drawn("two_state", zoo.WRONG["batch mean as baseline"][0], draws)
    assert finding.look.decision == "fail"
    assert finding.look.scale_error == pytest.approx(-0.5, abs=5 * finding.look.scale_error_error)


def test_a_look_has_a_least_and_a_most_number_of_rollouts() -> None:
    where = setting("two_state")
    result = verify_drawn(stream("rubbish"), where, Judging(), Draws(4_095))
    assert (result.verdict, result.exit_status) == ("inconclusive", 3)
    assert result.skipped[0].limit is not None
    assert result.skipped[0].limit.needed == 4_096
    with pytest.raises(UsageError, match="at most 536,870,912"):
        verify_drawn(stream("rubbish"), where, Judging(), Draws(2**29 + 1))
