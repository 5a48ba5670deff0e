"""Whether an estimate is further from its expectation than chance allows."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

import pgcheck
from pgcheck.estimators.assessment import assess
from pgcheck.estimators.convergence import converge
from pgcheck.estimators.excess import ALARM, Law, law_of
from pgcheck.external.opening import opened_on
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.paths import listed
from tests.conftest import Run
from tests.verification import zoo

MODEL = pgcheck.load("two_state")


def learnt(estimate: pgcheck.Estimate, model: tuple[pgcheck.MDP, pgcheck.Policy] = MODEL) -> pgcheck.Estimator:
    with opened_on([estimate], *model) as (estimator,):
        return estimator


def first_four(batch: Batch) -> np.ndarray:
    """Divides by N, but ignores every episode after the fourth."""
    rows = np.asarray(zoo.RIGHT["vectorised"](batch))
    return np.asarray(rows[:4].sum(axis=0) / len(batch))


def mean(batch: Batch) -> np.ndarray:
    return np.asarray(np.asarray(zoo.RIGHT["vectorised"](batch)).mean(axis=0))


def mean_in_single(batch: Batch) -> np.ndarray:
    return mean(batch).astype(np.float32)


def test_the_law_is_that_of_single_episodes() -> None:
    estimator = learnt(mean)
    law = law_of(*MODEL, estimator)
    assert law is not None
    batch, prob = listed(*MODEL)
    rows = batch.flattened(np.asarray(zoo.RIGHT["vectorised"](batch)))
    expected = prob @ rows
    np.testing.assert_allclose(law.mean, expected, atol=1e-15)
    assert law.trace == pytest.approx(prob @ np.sum((rows - expected) ** 2, axis=1))
    assert law.greatest >= np.max(np.linalg.norm(rows - expected, axis=1))


def test_the_bound_holds_where_probabilities_are_known() -> None:
    """Of sums of signs, whose distribution is binomial; and it is no bound that is always 1."""
    n = 400
    law = Law(np.zeros(1), 1.0, 1.0)
    for heads in range(200, 401, 10):
        far = (2 * heads - n) / n
        exact = 2 * sum(math.comb(n, k) for k in range(heads, n + 1)) / 2**n
        assert law.tail(np.array([far]), n) >= min(exact, 1) * (1 - 1e-12)
    assert law.tail(np.array([0.5]), n) < 1e-15
    assert law.tail(np.array([0.1]), n) > 0.04


@pytest.mark.parametrize("estimate", [mean, mean_in_single])
def test_a_right_mean_is_never_unlikely(estimate: pgcheck.Estimate) -> None:
    estimator = learnt(estimate)
    for seed in range(20):
        result = assess(*MODEL, 1000, np.random.default_rng(seed), estimator=estimator)
        assert result.tail_probability is not None
        assert result.tail_probability > 0.05
    rng = np.random.default_rng(1)
    assert converge(*MODEL, n=(10, 1000), replicates=16, rng=rng, estimator=estimator).unlikely is None


def test_a_batch_whose_end_is_ignored_is_unlikely() -> None:
    estimator = learnt(first_four)
    result = assess(*MODEL, 1000, np.random.default_rng(0), estimator=estimator)
    assert result.tail_probability is not None
    assert result.tail_probability < ALARM
    rng = np.random.default_rng(0)
    unlikely = converge(*MODEL, n=(10, 100, 10_000), rng=rng, estimator=estimator).unlikely
    assert unlikely is not None
    assert unlikely[0] == 10_000


def test_nothing_is_said_where_the_law_is_not_known() -> None:
    assert law_of(*MODEL, pgcheck.estimator("normalised-returns")) is None
    estimator = learnt(zoo.RIGHT["leave one out"])
    assert law_of(*MODEL, estimator) is None
    many = pgcheck.load("frozen_lake")
    assert law_of(*many, learnt(mean, many)) is None


def test_the_commands_warn(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from tests.estimators.test_excess import first_four, mean\n", encoding="utf-8")
    for words in (["sample"], ["converge", "--n", "1000"]):
        done = run(*words, "--estimator", "mine.py:first_four", "--format", "json")
        assert "warning: with N = 1,000 the estimate is further from its expectation" in done.stderr
        told = json.loads(done.stdout)
        told = told if words == ["sample"] else told["unlikely"]
        assert (told["n"], told["tail_probability"] < ALARM) == (1000, True)
        assert not run(*words, "--estimator", "mine.py:first_four", "--quiet").stderr
        assert not run(*words, "--estimator", "mine.py:mean").stderr
