"""The band in which 95 of 100 errors lie, against tables of χ² and against simulated errors."""

import json

import numpy as np
import pytest

import pgcheck
from pgcheck.estimators.catalogue import chosen
from pgcheck.estimators.expected import Directions, band, expected_curve
from pgcheck.estimators.moments import Moments, predict
from pgcheck.estimators.replicates import Replicates, estimates_of
from pgcheck.trajectories.sampling import streams
from pgcheck.workers.executor import HERE
from tests.conftest import Run


def band_of(
    covariance: np.ndarray, bias: np.ndarray, n: int, replicates: int
) -> tuple[float, float]:  # fmt: skip
    moments = Moments(bias, np.diag(covariance).copy(), "recursion", np.zeros(len(bias)), covariance)
    directions = Directions.of(moments)
    assert directions is not None
    return band(directions, bias, n, replicates)


@pytest.mark.parametrize(
    ("freedom", "low", "high"),
    [  # https://www.itl.nist.gov/div898/handbook/eda/section3/eda3674.htm
        (1, 0.001, 5.024), (2, 0.0506, 7.378), (5, 0.831, 12.833), (30, 16.791, 46.979), (100, 74.222, 129.561),
    ],
)  # fmt: skip
def test_without_a_bias_and_alike_in_all_directions_it_is_that_of_the_tables_of_chi2(
    freedom: int, low: float, high: float
) -> None:
    for d, replicates in ((freedom, 1), (1, freedom)):
        found = band_of(np.eye(d), np.zeros(d), 25, replicates)
        squares = [25 * replicates * it**2 for it in found]
        assert squares == pytest.approx([low, high], rel=0.03, abs=5e-4)


@pytest.mark.parametrize("replicates", [1, 16])
@pytest.mark.parametrize("bias", [0.0, 0.05, 3.0])
@pytest.mark.parametrize("eigenvalues", [(1.0,), (1.0, 1.0, 1.0), (1.0, 0.2, 0.01), (1.0, *[0.01] * 50)])
def test_of_normal_estimates_the_band_holds_95_of_100(
    replicates: int, bias: float, eigenvalues: tuple[float, ...]
) -> None:
    rng, n, tries, d = np.random.default_rng(0), 100, 20_000, len(eigenvalues)
    away = np.full(d, bias / np.sqrt(d))
    low, high = band_of(np.diag(eigenvalues), away, n, replicates)
    squares = np.zeros(tries)
    for _ in range(replicates):
        squares += np.sum((away + rng.normal(size=(tries, d)) * np.sqrt(np.array(eigenvalues) / n)) ** 2, axis=1)
    errors = np.sqrt(squares / replicates)
    # Four standard errors of the simulation are 0.0045 and 0.0062; the rest is what the approximation may miss.
    assert np.mean(errors < low) == pytest.approx(0.025, abs=0.007)
    assert np.mean(errors > high) == pytest.approx(0.025, abs=0.007)
    assert np.mean((low <= errors) & (errors <= high)) == pytest.approx(0.95, abs=0.01)


def errors_of(name: str, estimator: str, n: int, tries: int) -> tuple[np.ndarray, tuple[float, float]]:
    mdp, policy = pgcheck.load(name)
    exact, kind, stream = pgcheck.exact_gradient(mdp, policy), chosen(estimator), streams(np.random.default_rng(1))
    moments = predict(mdp, policy, kind, stream(0, 0), full=True)(n)
    assert moments is not None
    (point,) = expected_curve(lambda _: moments, exact.gradient, [n], 1, rounding=exact.rounding)
    assert point.low is not None
    assert point.high is not None
    estimates = estimates_of(Replicates(mdp, policy, kind, None, n, stream), tries, HERE, None)
    return np.array([exact.discrepancy(estimate).error for estimate in estimates]), (point.low, point.high)


@pytest.mark.parametrize(
    ("name", "estimator", "n"),
    [
        ("two_state", "reinforce", 1_000), ("two_state", "dropped-gamma", 1_000), ("bandit", "reinforce", 1_000),
        ("deep_sea", "all-actions", 10_000),  # skewed: one rare reward
    ],
)  # fmt: skip
def test_of_simulated_errors_the_band_holds_95_of_100(name: str, estimator: str, n: int) -> None:
    errors, (low, high) = errors_of(name, estimator, n, 1_000)
    assert np.mean((low <= errors) & (errors <= high)) == pytest.approx(0.95, abs=0.035)
    assert np.mean((low / 2 <= errors) & (errors <= high / 2)) < 0.9  # the negative twin: a band that is off


def test_with_few_rollouts_a_skewed_estimator_leaves_the_band() -> None:
    """What the band does not say: where a reward is rarer than one in N, no error is near the expected one."""
    errors, (low, high) = errors_of("river_swim", "reinforce", 10, 300)
    assert np.mean((low <= errors) & (errors <= high)) < 0.5


def test_the_curve_goes_through_the_expected_errors_of_the_rows() -> None:
    model = pgcheck.load("two_state")
    for name in ("reinforce", "dropped-gamma", "uniform-trajectories"):
        result = pgcheck.converge(*model, n=[10, 100, 10_000], estimator=name)
        curve = {it.n: it for it in result.expected}
        assert [curve[row.n].error for row in result.rows] == [row.expected for row in result.rows]
        assert list(curve) == sorted(curve)
        assert len(curve) > 30
        for it in result.expected if name != "uniform-trajectories" else ():
            assert it.low is not None
            assert it.high is not None
            assert it.low < it.error < it.high


def test_more_replicates_have_a_narrower_band() -> None:
    model = pgcheck.load("two_state")
    widths = []
    for replicates in (1, 4, 64):
        point = pgcheck.converge(*model, n=[100], replicates=replicates).expected[0]
        widths.append((point.high or 0) - (point.low or 0))
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize("name", ["reinforce", "gae", "mean-over-steps", "normalised-returns"])
@pytest.mark.parametrize("model", ["two_state", "forty_rooms", "frozen_lake"])
def test_the_variance_has_the_same_bits_with_all_of_the_covariance(model: str, name: str) -> None:
    mdp, policy = pgcheck.load(model)
    alone, whole = (
        predict(mdp, policy, chosen(name), np.random.default_rng(0), full=full)(None) for full in (False, True)
    )
    assert alone is not None
    assert whole is not None
    assert whole.matrix is not None
    assert alone.variance.tobytes() == whole.variance.tobytes()
    assert alone.mean.tobytes() == whole.mean.tobytes()
    assert np.allclose(np.diag(whole.matrix), whole.variance, rtol=1e-9, atol=1e-18)


ERRAND = ("converge", "--n", "10,100", "--replicates", "4")


def test_several_estimators_are_one_after_the_other(run: Run) -> None:
    both = run(*ERRAND, "--estimator", "reinforce,dropped-gamma")
    assert both.returncode == 0
    alone = [run(*ERRAND, "--estimator", name).stdout for name in ("reinforce", "dropped-gamma")]
    assert both.stdout.count("two-state: ") == 2
    for table in alone:
        assert "\n".join(table.splitlines()[1:]) in both.stdout


def test_several_estimators_are_a_list_in_json_and_have_a_key_in_rows(run: Run) -> None:
    names = ("dropped-gamma", "reinforce")
    errand = (*ERRAND, "--estimator", ",".join(names))
    told = json.loads(run(*errand, "--format", "json").stdout)
    assert set(told) == {"schema", "estimators"}
    for name, record in zip(names, told["estimators"], strict=True):
        single = json.loads(run(*ERRAND, "--estimator", name, "--format", "json").stdout)
        assert {"schema": told["schema"], **record} == single
    rows = [json.loads(line) for line in run(*errand, "--format", "jsonl").stdout.splitlines()]
    assert [(row["estimator"], row["n"]) for row in rows] == [(name, n) for name in names for n in (10, 100)]
    assert run(*errand, "--format", "csv").stdout.splitlines()[0].startswith("estimator,n,")
    assert run(*ERRAND, "--format", "csv").stdout.splitlines()[0].startswith("n,")


def test_one_estimator_named_twice_is_one(run: Run) -> None:
    assert run(*ERRAND, "--estimator", "reinforce, reinforce").stdout == run(*ERRAND).stdout


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("reinforce, gae", ["reinforce", "gae"]),
        ("cmd:./program a,b", ["cmd:./program a,b"]),
        ("gae,cmd:./program a,b,reinforce", ["gae", "cmd:./program a,b", "reinforce"]),
        ("cmd:./a,cmd:./b x,y", ["cmd:./a", "cmd:./b x,y"]),
        ("my.py:f,your.py:g", ["my.py:f", "your.py:g"]),
        ("my.py:f,nonsense", ["my.py:f", "nonsense"]),
    ],
)
def test_a_command_may_hold_commas(text: str, names: list[str]) -> None:
    from pgcheck.cli.options import names_of

    assert names_of(text) == names
