"""Batches whose episodes share their first state, as the completions of one prompt do."""

import itertools
import json
import math

import numpy as np
import pytest

import pgcheck
from pgcheck import Batch, exact_gradient, verify
from tests.conftest import Run
from tests.oracles import Floats
from tests.plain import Problem
from tests.verification import off_policy, zoo

# Two prompts, a vocabulary of two words and a stop; reward at the end alone.
PROMPTS = """
name: prompts
horizon: 2
gamma: 1
states: [hello, sum, hello-a, sum-a, end]
actions: [a, b, stop]
start: {hello: 0.3, sum: 0.7}
terminal: [end]
transitions:
  hello: {a: hello-a, b: {to: end, reward: 1}, stop: {to: end, reward: -0.5}}
  sum: {a: sum-a, b: {to: end, reward: 0.2}, stop: {to: end, reward: 2}}
  hello-a: {a: {to: end, reward: 3}, b: {to: end, reward: 0.5}, stop: end}
  sum-a: {a: {to: end, reward: -1}, b: {to: end, reward: 1.5}, stop: {to: end, reward: 0.3}}
policy: {softmax: {hello: {a: 0.4, stop: -0.2}, sum: {b: 0.5}, hello-a: {a: -0.3}, sum-a: {stop: 0.6}}}
behavior: {softmax: {hello: {a: 0.1}, sum: {b: 0.2, stop: 0.3}, sum-a: {stop: 0.2}}}
"""
MODEL = pgcheck.loads(PROMPTS)


def one_prompt(batch: Batch) -> None:
    """Code for groups cannot work on several prompts."""
    assert len(np.unique(batch.starts)) == 1


def group_mean(batch: Batch) -> Floats:
    """GRPO without the division: the group's mean is the baseline."""
    one_prompt(batch)
    advantages = zoo.returned(batch) - zoo.returned(batch).mean()
    return np.asarray(np.einsum("n,nt...->...", advantages, batch.score) / len(batch))


def grpo(batch: Batch, eps: float = 1e-4) -> Floats:
    """GRPO: the advantages are divided by the group's standard deviation."""
    one_prompt(batch)
    returns = zoo.returned(batch)
    advantages = (returns - returns.mean()) / (returns.std() + eps)
    return np.asarray(np.einsum("n,nt...->...", advantages, batch.score) / len(batch))


def leave_one_out(batch: Batch) -> Floats:
    """RLOO: the mean of the group's other completions is the baseline."""
    advantages = zoo.returned(batch) - off_policy.of_others(batch, zoo.returned(batch))
    return np.asarray(np.einsum("n,nt...->...", advantages, batch.score) / len(batch))


def leave_one_out_of_one_prompt(batch: Batch) -> Floats:
    one_prompt(batch)
    return leave_one_out(batch)


def rows_of_one_prompt(batch: Batch) -> Floats:
    one_prompt(batch)
    return np.asarray(np.einsum("n,nt...->n...", zoo.returned(batch), batch.score))


def mixed_prompts_count_double(batch: Batch) -> Floats:
    """Right for one prompt, wrong where a batch has two."""
    return np.asarray(rows(batch).mean(axis=0) * len(np.unique(batch.starts)))


def rows(batch: Batch) -> Floats:
    return np.asarray(np.einsum("n,nt...->n...", zoo.returned(batch), batch.score))


@pytest.mark.parametrize(
    "estimate", [leave_one_out, leave_one_out_of_one_prompt, rows_of_one_prompt, rows, mixed_prompts_count_double]
)
@pytest.mark.parametrize("models", [None, [MODEL]], ids=["battery", "prompts"])
def test_what_is_right_for_a_group_passes(estimate: zoo.Estimate, models: list[pgcheck.Model] | None) -> None:
    found = verify(estimate, models, same_start=True)
    assert (found.verdict, found.diagnosis) == ("pass", ())
    assert {result.outcome for result in found.stretched} == {"right"}


@pytest.mark.parametrize("models", [None, [MODEL]], ids=["battery", "prompts"])
def test_the_mean_of_the_group_is_the_gradient_times_one_less_1_over_b(models: list[pgcheck.Model] | None) -> None:
    found = verify(group_mean, models, same_start=True)
    assert [(one.id, one.cause) for one in found.diagnosis] == [("scale", "scale/batch-baseline")]
    for finding in found.findings:
        assert finding.scale == pytest.approx(1 - 1 / finding.batch_size)


@pytest.mark.parametrize("eps", [0.0, 1e-8, 1e-4])
def test_division_by_the_deviation_of_the_group_is_named(eps: float) -> None:
    def divided(batch: Batch) -> Floats:
        with np.errstate(all="ignore"):
            return np.nan_to_num(grpo(batch, eps))

    found = verify(divided, [MODEL], same_start=True)
    (diagnosis,) = found.diagnosis
    assert (diagnosis.id, diagnosis.cause) == ("nonlinear", "nonlinear/group")
    assert "the group's standard deviation" in diagnosis.text
    assert "Dr. GRPO" in diagnosis.text


def test_other_curved_weights_are_not_called_a_deviation() -> None:
    def squared(batch: Batch) -> Floats:
        weights = zoo.returned(batch) ** 2
        return np.asarray(np.einsum("n,nt...->...", weights - off_policy.of_others(batch, weights), batch.score))

    assert [one.cause for one in verify(squared, [MODEL], same_start=True).diagnosis] == ["nonlinear/doubled"]


def test_a_baseline_across_prompts() -> None:
    """The mean of the others is right for any prompts; the mean of all is 1 − 1/B, whichever they are."""
    assert verify(leave_one_out, [MODEL]).verdict == "pass"
    mixed = verify(
        lambda b: np.einsum("n,nt...->...", zoo.returned(b) - zoo.returned(b).mean(), b.score) / len(b), [MODEL]
    )
    assert [one.cause for one in mixed.diagnosis] == ["scale/batch-baseline"]
    assert verify(mixed_prompts_count_double, [MODEL]).verdict == "fail"
    with pytest.raises(AssertionError):
        verify(leave_one_out_of_one_prompt, [MODEL])


@pytest.mark.parametrize("off", [False, True], ids=["on-policy", "off-policy"])
def test_all_groups_by_plain_loops(off: bool) -> None:
    """Σ over s_0, then over pairs of episodes from there."""
    found = verify(grpo, [MODEL], same_start=True, off_policy=off, batch_sizes=[2])
    problem = Problem(MODEL.mdp, MODEL.policy, MODEL.behavior if off else None)
    total = np.zeros(len(MODEL.policy.theta))
    mass = 0.0
    for s, start in enumerate(MODEL.mdp.start.tolist()):
        group = [e for e in problem.all if e.states[0] == s]
        for one, other in itertools.product(group, repeat=2):
            weight = start * (one.prob / start) * (other.prob / start)
            mass += weight
            returns = [problem.returned(one), problem.returned(other)]
            mean, spread = sum(returns) / 2, abs(returns[0] - returns[1]) / 2
            for e, r in zip((one, other), returns, strict=True):
                total += weight * (r - mean) / (spread + 1e-4) * problem.psi(e) / 2
    assert mass == pytest.approx(1)
    np.testing.assert_allclose(found.findings[0].expectation_vector, total, atol=1e-12)
    np.testing.assert_allclose(found.findings[0].gradient_vector, exact_gradient(MODEL.mdp, MODEL.policy).gradient)


def test_groups_of_another_policy() -> None:
    def token_ratio(batch: Batch) -> Floats:
        one_prompt(batch)
        advantages = zoo.returned(batch) - off_policy.of_others(batch, zoo.returned(batch))
        return np.asarray(
            np.einsum("nt,nt...->...", off_policy.rho(batch) * advantages[:, None], batch.score) / len(batch)
        )

    def sequence_ratio(batch: Batch) -> Floats:
        one_prompt(batch)
        advantages = zoo.returned(batch) - off_policy.of_others(batch, zoo.returned(batch))
        weights = off_policy.total(batch) * advantages
        return np.asarray(np.einsum("n,nt...->...", weights, batch.score) / len(batch))

    right = verify(sequence_ratio, [MODEL], same_start=True, off_policy=True)
    assert (right.verdict, right.diagnosis) == ("pass", ())
    wrong = verify(token_ratio, [MODEL], same_start=True, off_policy=True)
    assert [(one.id, one.cause) for one in wrong.diagnosis] == [("ratio", "ratio/single-step")]
    missing = verify(leave_one_out, [MODEL], same_start=True, off_policy=True)
    assert [(one.id, one.cause) for one in missing.diagnosis] == [("ratio", "ratio/missing")]


def test_the_command_line(run: Run) -> None:
    done = run("verify", "reinforce", "-", "--same-start", "--off-policy", "--format", "json", stdin=PROMPTS)
    told = json.loads(done.stdout)
    assert (told["off_policy"], told["same_start"], done.returncode) == (True, True, 1)
    assert run("verify", "reinforce", "-", "--same-start", stdin=PROMPTS).returncode == 0
    words = " ".join(run("verify", "reinforce", "--same-start").stdout.split())
    assert "the episodes of a batch share their first state (there are several on 4 of 6 models)" in words
    single = run("verify", "reinforce", "random_walk", "--horizon", "3", "--same-start")
    assert single.returncode == 0
    assert "(there is only one on each model)" in " ".join(single.stdout.split())
    ended = PROMPTS.replace("{hello: 0.3, sum: 0.7}", "{hello: 0.3, sum: 0.4, end: 0.3}")
    assert run("verify", "reinforce", "-", "--same-start", stdin=ended).returncode == 0


def test_groups_are_counted() -> None:
    """12 completions of two prompts: the batches of one prompt only."""
    sizes: list[int] = []

    def counting(batch: Batch) -> Floats:
        sizes.append(len(batch))
        return leave_one_out(batch)

    found = verify(counting, [MODEL], same_start=True, batch_sizes=[2], max_calls=30)
    assert found.verdict == "pass"  # 15 multisets of 5 completions, twice
    few = verify(counting, [MODEL], same_start=True, batch_sizes=[2], max_calls=29, evidence="exact")
    assert few.verdict == "inconclusive"
    assert few.skipped[0].why.startswith("30 batches of 2 among 10 trajectories")
    alone = verify(counting, [MODEL], batch_sizes=[2], max_calls=30, evidence="exact")
    assert alone.verdict == "inconclusive"
    assert math.comb(6, 2) * 2 == 30
