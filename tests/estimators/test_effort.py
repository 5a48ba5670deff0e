import json
from dataclasses import replace

import numpy as np
import pytest

import pgcheck
from pgcheck import estimator
from pgcheck.estimators.effort import MAX_STEPS, mean_length, usual_effort
from tests.conftest import Run


@pytest.mark.parametrize("model", ["two_state", "early_exit", "short_corridor", "value_polytope"])
def test_the_mean_length_is_that_of_rollouts(model: str) -> None:
    mdp, policy = pgcheck.load(model)
    lengths, counts = [], []
    for batch, count in pgcheck.sample_trajectories(mdp, policy, 4000, np.random.default_rng(0)):
        lengths.append(batch.lengths)
        counts.append(count)
    length, count = np.concatenate(lengths), np.concatenate(counts)
    mean = float(count @ length) / 4000
    std_error = float(np.sqrt(count @ (length - mean) ** 2 / 4000 / 4000))
    assert mean_length(mdp, policy) == pytest.approx(mean, abs=5 * std_error + 1e-9)


def test_a_dear_model_stops_earlier_and_a_cheap_one_has_replicates() -> None:
    cheap = usual_effort(*pgcheck.load("two_state"), estimator("reinforce"))
    assert (cheap.n[-1], cheap.replicates, cheap.complete) == (10**6, 16, True)
    dear = usual_effort(*pgcheck.load("value_polytope"), estimator("reinforce"))
    assert (dear.n[-1], dear.replicates, dear.complete) == (10**5, 1, False)
    assert sum(dear.n) * 400 <= MAX_STEPS < (sum(dear.n) + 10**6) * 400


def test_an_estimator_of_whole_batches_stops_at_what_it_gets() -> None:
    batch = replace(estimator("reinforce"), aggregation="batch")
    assert usual_effort(*pgcheck.load("bandit"), batch).n[-1] == 10**5


def test_converge_says_where_it_stops(run: Run) -> None:
    done = run("converge", "value_polytope", "--format", "json")
    assert "note: stops at N = 100,000" in done.stderr
    assert [row["n"] for row in json.loads(done.stdout)["rows"]] == [10, 100, 1000, 10**4, 10**5]
    assert "stops at" not in run("converge").stderr
    assert "stops at" not in run("converge", "value_polytope", "--quiet", "--n", "10").stderr
