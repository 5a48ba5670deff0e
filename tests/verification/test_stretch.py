"""Batches larger than those that can be enumerated: what ignores or cuts them fails, what is right passes."""

from collections.abc import Callable

import numpy as np
import pytest

from pgcheck import Batch, verify
from pgcheck.testing import assert_policy_gradient
from pgcheck.verification.stretch import CRITICAL, SIZES
from tests.oracles import Floats
from tests.verification import zoo

Estimate = Callable[[Batch], Floats]


def rows(batch: Batch) -> Floats:
    return np.asarray(zoo.RIGHT["vectorised"](batch))


def advantages(batch: Batch) -> Floats:
    """The returns, less the mean of the others'."""
    returns = zoo.returned(batch)
    return np.asarray(returns - (returns.sum() - returns) / max(len(batch) - 1, 1))


def mean(batch: Batch) -> Floats:
    return np.asarray(rows(batch).mean(axis=0))


def leave_one_out(batch: Batch, most: int = 10**9) -> Floats:
    """With `most`, the later episodes have no weight."""
    weights = advantages(batch)
    weights[most:] = 0
    return np.asarray(np.einsum("n,nt...->...", weights, batch.score) / len(batch))


def rows_of_leave_one_out(batch: Batch) -> Floats:
    return np.asarray(np.einsum("n,nt...->n...", advantages(batch), batch.score))


def time_step_baseline(batch: Batch) -> Floats:
    """At each step, the mean of the others that are still running: no mean over pairs."""
    to_go, running = zoo.to_go(batch), batch.mask.sum(axis=0)
    others = np.where(running > 1, (to_go.sum(axis=0) - to_go) / np.maximum(running - 1, 1), 0.0)
    weights = np.where(batch.mask, zoo.discount(batch) * (to_go - others), 0.0)
    return np.asarray(np.einsum("nt,nt...->...", weights, batch.score) / len(batch))


def first_episodes(most: int) -> Estimate:
    return lambda batch: np.asarray(rows(batch)[:most].sum(axis=0) / len(batch))


RIGHT: dict[str, Estimate] = {
    "rows": rows,
    "mean": mean,
    "mean in single precision": lambda batch: rows(batch).astype(np.float32).mean(axis=0),
    "leave one out": leave_one_out,
    "leave one out in single precision": lambda batch: leave_one_out(batch).astype(np.float32),
    "rows of leave one out": rows_of_leave_one_out,
    "time step baseline": time_step_baseline,
}


def beside_the_gradient(right: Estimate, most: int) -> Estimate:
    """Adds to large batches what is orthogonal to ∇J: 1 in each component, of which a state's sum to 0 in ∇J."""
    return lambda batch: np.asarray(right(batch) + (len(batch) > most) * (batch.theta == batch.theta) * 1.0)


WRONG: dict[str, tuple[Estimate, str, int]] = {
    "leave one out and a constant": (beside_the_gradient(leave_one_out, 10), "leave one out", 64),
    "rows and a constant": (beside_the_gradient(rows, 4), "rows", 5),
    "time step baseline and a constant": (beside_the_gradient(time_step_baseline, 10), "time step baseline", 64),
    "mean of all but one of many": (
        lambda b: rows(b)[: len(b) - (len(b) > 900)].sum(axis=0) / len(b), "mean", 1000,
    ),
    "first four": (first_episodes(4), "mean", 5),
    "first 64": (first_episodes(64), "mean", 1000),
    "first 500": (first_episodes(500), "mean", 1000),
    "divided by at most 8": (lambda b: rows(b).sum(axis=0) / min(len(b), 8), "mean", 64),
    "leave one out of the first four": (lambda b: leave_one_out(b, 4), "leave one out", 5),
    "leave one out of the first 64": (lambda b: leave_one_out(b, 64), "leave one out", 1000),
    "leave one out of the first 500": (lambda b: leave_one_out(b, 500), "leave one out", 1000),
    "leave one out, divided by at most 8": (
        lambda b: leave_one_out(b) * len(b) / min(len(b), 8), "leave one out", 64,
    ),
    "rows, less a part of large batches' mean": (
        lambda b: rows(b) - (0.5 * rows(b).mean(axis=0) if len(b) > 64 else 0.0), "rows", 1000,
    ),
    "time step baseline, divided by at most 8": (
        lambda b: time_step_baseline(b) * len(b) / min(len(b), 8), "time step baseline", 64,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(RIGHT))
@pytest.mark.parametrize("models", [None, ["two_state"]], ids=["battery", "one model"])
def test_what_is_right_for_large_batches_passes(name: str, models: list[str] | None) -> None:
    verification = verify(RIGHT[name], models)
    assert verification.verdict == "pass"
    assert not verification.diagnosis
    assert {result.outcome for result in verification.stretched} == {"right"}
    assert {result.batch_size for result in verification.stretched} == set(SIZES)


@pytest.mark.parametrize("name", sorted(WRONG))
@pytest.mark.parametrize("models", [None, ["two_state"]], ids=["battery", "one model"])
def test_what_is_wrong_for_large_batches_fails(name: str, models: list[str] | None) -> None:
    estimate, twin, size = WRONG[name]
    assert twin in RIGHT
    verification = verify(estimate, models)
    assert (verification.verdict, verification.beyond) == ("fail", True)
    assert [diagnosis.id for diagnosis in verification.diagnosis] == ["batch-size"]
    assert f"wrong from B = {size:,} on" in verification.diagnosis[0].text
    with pytest.raises(AssertionError, match="batch-size: right for small batches"):
        assert_policy_gradient(estimate, models=models)


def test_a_deviation_without_a_visible_bias_is_undecided() -> None:
    noisy = verify(lambda batch: rows(batch)[:100].mean(axis=0), ["two_state"])  # unbiased, of a few of many
    assert (noisy.verdict, [result.outcome for result in noisy.stretched]) == ("pass", ["right"] * 3 + ["unknown"])
    nearly = verify(lambda b: leave_one_out(b) * (1 - 1e-4 * (len(b) > 900)), ["two_state"])
    assert [result.outcome for result in nearly.stretched] == ["right"] * 3 + ["unknown"]


def test_what_draws_alone_decide_has_a_bound() -> None:
    by_draws = verify(RIGHT["time step baseline"], ["two_state"]).stretched
    assert all(result.bound is not None and 0 < result.bound < 0.5 for result in by_draws)
    assert all(result.bound is None for result in verify(RIGHT["mean"], ["two_state"]).stretched)


def test_a_factor_is_accepted_for_large_batches_too() -> None:
    for name in ("mean", "leave one out", "time step baseline"):
        assert (
            verify(lambda batch, name=name: 3 * RIGHT[name](batch), ["two_state"], up_to_scale=True).verdict == "pass"
        )
    cut = verify(lambda batch: 3 * first_episodes(64)(batch), ["two_state"], up_to_scale=True)
    assert cut.verdict == "fail"
    assert cut.diagnosis[0].figures == (("size", 1000), ("counted", 64))


def test_an_error_for_large_batches_is_a_warning() -> None:
    def limited(batch: Batch) -> Floats:
        if len(batch) > 500:
            raise MemoryError
        return mean(batch)

    verification = verify(limited, ["two_state"])
    assert verification.verdict == "pass"
    assert [diagnosis.cause for diagnosis in verification.diagnosis] == ["batch-size/raised"]
    assert [result.outcome for result in verification.stretched] == ["right"] * 3 + ["raised"]


def test_the_critical_t_keeps_its_error_rate() -> None:
    """The tail of Student's law with 31 degrees of freedom by its density: 1e-6 in 50 verdicts."""
    t = np.linspace(CRITICAL, 1000, 2_000_001)
    density = (1 + t**2 / 31) ** -16
    whole = np.linspace(-200, 200, 2_000_001)
    tail = 2 * density.sum() * (t[1] - t[0]) / (((1 + whole**2 / 31) ** -16).sum() * (whole[1] - whole[0]))
    assert tail * 4 * 50 < 1.01e-6
