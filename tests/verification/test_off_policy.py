"""Episodes that another policy drew: right estimators pass, and wrong ratios are named."""

import itertools
import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import pgcheck
from pgcheck import Batch, TabularSoftmax, exact_gradient, verify
from pgcheck.estimators.mistakes.weights import Candidate, dropped_gamma, with_gamma_t
from pgcheck.report.scope import scope_text
from pgcheck.testing import GradientMismatch, assert_policy_gradient
from pgcheck.verification.battery import battery_models
from pgcheck.verification.corrected import wrong as wrong_corrections
from pgcheck.verification.corrections import RIGHT, WRONG, Correction
from pgcheck.verification.setting import setting_of
from tests.conftest import ROOT, Run
from tests.oracles import Floats
from tests.plain import Plain, Problem
from tests.verification import off_policy, zoo

FEW = battery_models()[:3]  # a table of preferences, actions that states lack, states that look alike


@pytest.mark.parametrize("name", sorted(off_policy.RIGHT))
def test_right_ratios_pass(name: str) -> None:
    found = verify(off_policy.RIGHT[name], FEW, off_policy=True, max_calls=30_000)  # as on the battery
    assert (found.verdict, found.diagnosis) == ("pass", ())
    assert {result.outcome for result in found.stretched} == {"right"}


@pytest.mark.parametrize("name", sorted(off_policy.WRONG))
def test_wrong_ratios_fail_and_are_told_why(name: str) -> None:
    estimate, ids, cause, twin = off_policy.WRONG[name]
    assert twin in off_policy.RIGHT
    found = verify(estimate, FEW, off_policy=True, max_calls=30_000)
    assert found.verdict == "fail"
    assert {one.id for one in found.diagnosis} == ids
    assert [one.cause for one in found.diagnosis if one.id == "ratio"] == ([cause] if cause else [])
    assert all(one.certain and one.text and "more-may-hide" not in one.notes for one in found.diagnosis)


@pytest.mark.parametrize("name", ["the token's ratio", "V-trace", "PPO", "twice"])
def test_on_the_battery_too(name: str) -> None:
    estimate, ids, cause, _ = off_policy.WRONG[name]
    found = verify(estimate, off_policy=True)
    assert {one.id for one in found.diagnosis} == ids
    assert found.diagnosis[0].cause == cause
    assert verify(estimate).verdict == "pass"  # where the policy itself draws the episodes it is right


@pytest.mark.parametrize("name", ["importance-sampling", "per-decision"])
def test_built_in_off_policy_estimators_pass(name: str) -> None:
    found = verify(name, off_policy=True)
    assert (found.verdict, found.diagnosis, len(found.checked)) == ("pass", (), 6)


def test_a_self_normalised_estimator_is_biased_as_1_over_b() -> None:
    found = verify("weighted-importance-sampling", ["two_state"], off_policy=True)
    (diagnosis,) = found.diagnosis
    assert (found.verdict, diagnosis.id, diagnosis.cause) == ("fail", "ratio", "ratio/self-normalised")
    assert "bias-shrinks" in diagnosis.notes
    assert "the bias vanishes as 1/B" in diagnosis.text


@pytest.mark.parametrize("name", ["reinforce", "value-baseline", "gae", "all-actions"])
def test_on_policy_estimators_lack_the_ratio(name: str) -> None:
    found = verify(name, FEW, off_policy=True)
    assert [(one.id, one.cause) for one in found.diagnosis] == [("ratio", "ratio/missing")]
    assert found.matrix is None  # the weights of the rewards are right


def episode_batch(problem: Problem, episodes: list[Plain]) -> Batch:
    """The batch of some plain episodes, whose outcomes are looked up one by one."""
    mdp = problem.mdp
    width = max(len(e.actions) for e in episodes)
    outcomes = np.full((width, len(episodes)), mdp.padding)
    for i, e in enumerate(episodes):
        for t, (s, a) in enumerate(zip(e.states, e.actions, strict=False)):
            last = e.ended and t + 1 == len(e.actions)
            wanted = (s, a, e.states[t + 1], e.rewards[t], last)
            rows = zip(mdp.state, mdp.action, mdp.next_state, mdp.reward, mdp.ends, strict=True)
            outcomes[t, i] = next(k for k, row in enumerate(rows) if tuple(row) == wanted)
    starts = np.array([e.states[0] for e in episodes])
    return Batch(mdp, problem.policy, starts, outcomes, problem.actor)


def test_all_batches_of_the_behavior_by_plain_loops() -> None:
    model = pgcheck.load_model("two_state", horizon=2)
    assert model.behavior is not None
    found = verify(off_policy.self_normalised, [model], off_policy=True, batch_sizes=[2])
    problem = Problem(model.mdp, model.policy, model.behavior)
    total = np.zeros(len(model.policy.theta))
    for one, other in itertools.product(problem.all, repeat=2):
        ratio = [problem.rho(e, 99) for e in (one, other)]
        each = [problem.returned(e) * problem.psi(e) for e in (one, other)]
        total += one.prob * other.prob * (ratio[0] * each[0] + ratio[1] * each[1]) / sum(ratio)
    assert math.fsum(e.prob for e in problem.all) == pytest.approx(1)
    np.testing.assert_allclose(found.findings[0].expectation_vector, total, atol=1e-12)
    np.testing.assert_allclose(found.findings[0].gradient_vector, exact_gradient(model.mdp, model.policy).gradient)


@pytest.mark.parametrize("name", ["the token's ratio", "V-trace", "PPO"])
def test_all_episodes_of_the_behavior_by_plain_loops(name: str) -> None:
    estimate, *_ = off_policy.WRONG[name]
    model = FEW[1]
    found = verify(estimate, [model], off_policy=True).findings[0]
    problem = Problem(model.mdp, model.policy, model.behavior)
    total = sum(e.prob * np.asarray(estimate(episode_batch(problem, [e])))[0] for e in problem.all)
    np.testing.assert_allclose(found.expectation.mean, total, atol=1e-12)


def test_what_a_model_may_be() -> None:
    model = pgcheck.load_model("two_state")
    assert model.behavior is not None
    triple = (model.mdp, model.policy, model.behavior)
    for models in (["two_state"], "two_state", [model], [triple]):
        found = verify("reinforce", models, off_policy=True)
        assert found.findings[0].relative_bias == pytest.approx(0.6268, abs=1e-4)
    assert verify("reinforce", [triple]).verdict == "pass"
    assert_policy_gradient("per-decision", models=[triple], off_policy=True)
    with pytest.raises(GradientMismatch, match="ratio: the behavior drew the episodes"):
        assert_policy_gradient("reinforce", models=[triple], off_policy=True)


def test_a_behavior_that_cannot_be_used_is_refused() -> None:
    mdp, policy = pgcheck.load("two_state")
    with pytest.raises(pgcheck.UsageError, match="Add `behavior"):
        verify("per-decision", [(mdp, policy)], off_policy=True)
    never = TabularSoftmax.of(mdp, {("left", "move"): -2000.0})
    with pytest.raises(pgcheck.UsageError, match="never takes 'move' in 'left'"):
        verify("per-decision", [(mdp, policy, never)], off_policy=True)
    other = pgcheck.load("bandit")[1]
    with pytest.raises(pgcheck.UsageError, match="probabilities"):
        verify("per-decision", [(mdp, policy, other)], off_policy=True)


def test_a_long_episode_and_large_batches_are_drawn_by_another_policy() -> None:
    right = off_policy.per_decision

    def short(batch: Batch) -> Floats:
        weights = right(batch)
        weights[:, 40:] = 0
        return np.asarray(np.einsum("nt,nt...->n...", weights, batch.score))

    def four(batch: Batch) -> Floats:
        return np.asarray(np.einsum("nt,nt...->n...", right(batch), batch.score)[:4].sum(axis=0) / len(batch))

    def ratios_of_few_steps(batch: Batch) -> Floats:
        """Ratios beyond step 30 are left out, of weights that are right without them."""
        late = batch.altered()
        rho = np.where(np.arange(batch.rewards.shape[1]) < 30, off_policy.rho(late), 1.0)
        weights = off_policy.later(batch, zoo.discount(batch) * np.cumprod(rho, axis=1) * batch.rewards)
        return np.asarray(np.einsum("nt,nt...->n...", weights, batch.score))

    assert [one.id for one in verify(short, FEW, off_policy=True).diagnosis] == ["reach"]
    assert [one.id for one in verify(ratios_of_few_steps, FEW, off_policy=True).diagnosis] == ["reach"]
    assert [one.id for one in verify(four, FEW, off_policy=True).diagnosis] == ["batch-size"]


def test_what_long_episodes_cannot_tell_is_said() -> None:
    """The product up to one step after the reward is right, but neither of the two that are known."""

    def between(batch: Batch) -> Floats:
        n = batch.rewards.shape[1]
        until = np.minimum(np.arange(n) + 1, n - 1)
        weights = off_policy.later(batch, zoo.discount(batch) * off_policy.product(batch)[:, until] * batch.rewards)
        return np.asarray(np.einsum("nt,nt...->n...", weights, batch.score))

    found = verify(between, FEW, off_policy=True)
    assert (found.verdict, found.long_untried) == ("pass", True)
    assert "no long chain was tried" in scope_text(found)
    told = verify("per-decision", FEW, off_policy=True)
    assert "long chain" not in scope_text(told)


def test_what_is_wrong_besides_an_unknown_ratio_is_only_a_candidate() -> None:
    def odd(batch: Batch) -> Floats:
        weights = np.sqrt(off_policy.total(batch))
        return np.asarray(np.einsum("n,nt...->n...", weights * zoo.returned(batch), batch.score))

    def odder(batch: Batch) -> Floats:
        weights = np.sqrt(off_policy.total(batch))
        return np.asarray(np.einsum("n,nt...->n...", weights * zoo.returned(batch) ** 2, batch.score))

    (alone,) = verify(odd, FEW, off_policy=True).diagnosis
    assert (alone.cause, alone.certain) == ("ratio/unknown", True)
    both = verify(odder, FEW, off_policy=True).diagnosis
    assert [(one.id, one.certain) for one in both] == [("nonlinear", True), ("ratio", False)]


def test_no_two_corrections_are_parallel_on_the_battery() -> None:
    enumerations = [setting_of(model, off_policy=True).listed() for model in battery_models()]
    norms = [exact_gradient(model.mdp, model.policy).norm for model in battery_models()]

    def unit(candidate: Candidate) -> Floats:
        means = [candidate.mean(*episodes).ravel() / norm for episodes, norm in zip(enumerations, norms, strict=True)]
        vector = np.concatenate(means)
        return np.asarray(vector / np.linalg.norm(vector))

    def corrected(way: Correction, batch: Batch) -> Floats:
        return way.apply(batch, with_gamma_t(dropped_gamma))

    right = [Candidate(partial(corrected, way)) for way in RIGHT]
    assert unit(right[0]) == pytest.approx(unit(right[1]), abs=1e-12)
    wrong = [(mistake, unit(mistake)) for mistake in wrong_corrections(WRONG)]
    assert max(abs(float(vector @ unit(right[0]))) for _, vector in wrong) < 1 - 1e-6
    for (one, a), (other, b) in itertools.combinations(wrong, 2):
        assert (one.cause, one.ids) == (other.cause, other.ids) or abs(float(a @ b)) < 1 - 1e-6


def test_the_share_of_cut_ratios_is_counted() -> None:
    found = verify(off_policy.WRONG["the token's ratio, cut"][0], ["two_state"], off_policy=True)
    model = pgcheck.load_model("two_state")
    problem = Problem(model.mdp, model.policy, model.behavior)
    pairs = [(e.prob, s, a) for e in problem.all for s, a in zip(e.states, e.actions, strict=False)]
    cut = math.fsum(p for p, s, a in pairs if problem.probs[s, a] / problem.drawn[s, a] > 1.1)
    share = 100 * cut / math.fsum(p for p, _, _ in pairs)
    assert dict(found.diagnosis[0].figures) == {"low": 0, "high": pytest.approx(1.1), "share": pytest.approx(share)}
    assert f"above 1.1 are cut to that, on up to {share:.3g} %" in found.diagnosis[0].text


def test_a_large_model_is_diagnosed_with_the_help_of_a_small_one() -> None:
    found = verify("reinforce", [pgcheck.load_model("cliff_walk", horizon=8)], off_policy=True)
    assert [(one.id, one.cause) for one in found.diagnosis] == [("ratio", "ratio/missing")]
    assert found.checked == ("cliff-walk",)


def test_a_cut_that_no_model_reaches_is_found() -> None:
    """As a reward of 10,000 that is clipped is found where no model has one."""
    (beyond,) = verify(
        lambda b: np.einsum("n,nt...->n...", np.minimum(off_policy.total(b), 50.0) * zoo.returned(b), b.score),
        FEW, off_policy=True,
    ).diagnosis  # fmt: skip
    assert (beyond.id, beyond.cause, beyond.notes) == ("ratio", "ratio/cut-above", ("beyond-the-models",))
    assert dict(beyond.figures)["high"] == pytest.approx(50)
    assert verify("per-decision", FEW, off_policy=True).verdict == "pass"


def test_a_self_normalised_estimator_with_a_baseline_is_seen_to_be_one() -> None:
    def leave_one_out(batch: Batch) -> Floats:
        advantages = zoo.returned(batch) - off_policy.of_others(batch, zoo.returned(batch))
        share = off_policy.total(batch) / off_policy.total(batch).sum()
        return np.asarray(np.einsum("n,nt...->...", share * advantages, batch.score))

    (diagnosis,) = verify(leave_one_out, ["two_state"], off_policy=True).diagnosis
    assert (diagnosis.cause, diagnosis.notes) == ("ratio/self-normalised", ("more-may-hide",))


def test_the_example_runs_in_a_process_of_its_own(run: Run) -> None:
    example = str(ROOT / "examples" / "off_policy.py")
    for name, status in (("ratio_of_the_step", 1), ("ratios_up_to_the_reward", 0), ("ratio_of_the_episode", 0)):
        words = ("verify", f"{example}:{name}", "two_state", "early_exit", "--horizon", "3")
        assert run(*words, "--off-policy").returncode == status
        assert run(*words).returncode == 0  # where the policy itself draws the episodes all of them are right


def test_the_command_line(run: Run) -> None:
    done = run("verify", "reinforce", "two_state", "--off-policy", "--format", "json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["verdict"], told["off_policy"], told["same_start"]) == (1, "fail", True, False)
    assert [one["id"] for one in told["diagnosis"]] == ["ratio"]
    (row,) = told["models"]
    assert row["variance_reinforce"] is None
    assert row["variance_per_decision"] > 0
    good = run("verify", "per-decision", "two_state", "--off-policy")
    assert good.returncode == 0
    assert "the behavior drew the episodes" in " ".join(good.stdout.split())
    assert "ratios are 1" not in good.stdout
    several = run("verify", "per-decision", "reinforce", "two_state", "--off-policy", "--same-start")
    assert several.returncode == 1
    assert several.stdout.endswith("pgcheck verify reinforce --off-policy --same-start\n")
    plain = json.loads(run("verify", "reinforce", "two_state", "--format", "json").stdout)
    assert (plain["off_policy"], plain["same_start"]) == (False, False)


def test_a_model_without_a_behavior_is_refused(run: Run) -> None:
    text = "{horizon: 1, states: [a], actions: [x, y], start: a, transitions: {a: {x: a, y: {to: a, reward: 1}}}}"
    done = run("verify", "per-decision", "-", "--off-policy", stdin=text)
    assert (done.returncode, done.stdout) == (2, "")
    assert "has no behavior" in done.stderr
    assert "Add `behavior: {softmax: {}}` to the model" in done.stderr


def test_the_gradient_stays_that_of_the_policy() -> None:
    model = pgcheck.load_model("early_exit", horizon=3)
    assert model.behavior is not None
    swapped = replace(model, policy=model.behavior, behavior=model.policy)
    for one in (model, swapped):
        found = verify("per-decision", [one], off_policy=True)
        assert found.verdict == "pass"
        np.testing.assert_allclose(found.findings[0].gradient_vector, exact_gradient(one.mdp, one.policy).gradient)
