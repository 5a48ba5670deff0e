import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

import pgcheck
from pgcheck import MDP, Policy, Row, UsageError, converge, estimator, exact_gradient, sample_gradient
from pgcheck.estimators.convergence import Convergence, Rate, fit_slope
from pgcheck.trajectories.sampling import streams
from tests import oracles


@pytest.mark.parametrize("model", ["two_state", "bandit", "early_exit", "aliased_gridworld"])
def test_error_falls_as_one_over_root_n(model: str) -> None:
    result = converge(*pgcheck.load(model), n=(10, 100, 1_000, 10_000, 10**6), replicates=64)
    assert result.slope == pytest.approx(-0.5, abs=0.05)
    assert result.std_err is not None
    assert result.std_err < 0.05


def test_the_root_mean_square_error_is_the_theoretical_one(two_state: tuple[MDP, Policy]) -> None:
    trace = oracles.covariance_trace(*two_state)
    for row in converge(*two_state, n=(10, 1000, 10**9), replicates=500).rows:
        assert row.error == pytest.approx(math.sqrt(trace / row.n), rel=0.1)


def test_a_row_depends_on_its_own_n_only(two_state: tuple[MDP, Policy]) -> None:
    alone = converge(*two_state, n=(1000,), rng=np.random.default_rng(4)).rows
    among = converge(*two_state, n=(10, 1000, 100), rng=np.random.default_rng(4)).rows
    assert alone[0] == among[1]


def test_a_row_is_the_error_of_sample(two_state: tuple[MDP, Policy]) -> None:
    result = converge(*two_state, n=(1000,), rng=np.random.default_rng(4))
    stream = streams(np.random.default_rng(4))(1000, 0)
    estimate = sample_gradient(*two_state, 1000, stream).estimate
    assert result.rows[0].error == result.exact.discrepancy(estimate).error


def test_the_default_is_reproducible(two_state: tuple[MDP, Policy]) -> None:
    assert converge(*two_state).rows == converge(*two_state).rows


def test_a_fit_recovers_a_line_and_its_uncertainty() -> None:
    rng = np.random.default_rng(0)
    slopes, claimed = [], []
    for _ in range(500):
        errors = [3 * n**-0.5 * math.exp(rng.normal(0, 0.1)) for n in (10, 100, 1000, 10**4, 10**5)]
        fit = fit_slope(
            [Row(n, e, None, None, None) for n, e in zip((10, 100, 1000, 10**4, 10**5), errors, strict=True)]
        )
        assert fit.slope is not None
        assert fit.std_err is not None
        slopes.append(fit.slope)
        claimed.append(fit.std_err**2)
    assert np.mean(slopes) == pytest.approx(-0.5, abs=0.005)
    assert np.var(slopes) == pytest.approx(np.mean(claimed), rel=0.2)


def test_there_is_no_slope_without_two_positive_errors() -> None:
    assert fit_slope([Row(10, 0.1, None, None, None)]).slope is None
    assert fit_slope([Row(10, 0.1, None, None, None), Row(100, 0.0, None, None, None)]).slope is None
    two = fit_slope([Row(10, 0.1, None, None, None), Row(1000, 0.01, None, None, None)])
    assert two.slope == pytest.approx(-0.5)
    assert two.std_err is None


def test_a_gradient_of_0_has_no_relative_error() -> None:
    model = pgcheck.loads("{horizon: 2, states: 1, actions: 2, start: 0, transitions: {0: {0: 0, 1: 0}}}")
    rows = converge(model.mdp, model.policy, n=(10, 100)).rows
    assert_allclose([row.error for row in rows], 0)
    assert {(row.relative_error, row.cosine) for row in rows} == {(None, None)}


def test_no_replicates_are_refused(two_state: tuple[MDP, Policy]) -> None:
    with pytest.raises(UsageError, match="0 replicates"):
        converge(*two_state, replicates=0)


@pytest.mark.parametrize(
    ("errors", "bias", "rate"),
    [
        ([1.0, 0.1, 0.01], 0.0, "monte-carlo"),
        ([1.0, 0.5, 0.25], 0.0, "not-monte-carlo"),
        ([1.0, 0.2, 0.02], 0.0, "monte-carlo"),
        ([1.0, 0.17, 0.02], None, "within-scatter"),
        ([1.0, 0.1], 0.0, "two-n"),
        ([1.0], 0.0, "one-n"),
        ([0.0, 0.0], 0.0, "no-error"),
        ([1.0, 0.5, 0.3], 0.2, "stalls"),
        ([1.0, 0.9, 0.8], 0.2, "will-stall"),
    ],
)
def test_the_rate_is_told_by_numbers(
    two_state: tuple[MDP, Policy], errors: list[float], bias: float | None, rate: Rate
) -> None:
    rows = tuple(Row(100 ** (k + 1), error, None, None, None) for k, error in enumerate(errors))
    fit, exact = fit_slope(rows), exact_gradient(*two_state)
    result = Convergence(
        two_state[0], estimator("reinforce"), exact, rows, fit.slope, fit.std_err, 1, None, bias
    )  # fmt: skip
    assert result.rate == rate
