"""Errors in units of their theory follow the laws that theory gives them; those of a wrong estimator do not."""

import functools
import math

import numpy as np
import pytest

import pgcheck
from pgcheck import estimator, exact_gradient, predict, sample_gradient
from tests.oracles import Floats

RUNS = 500
ONE_IN_10000 = 2.23  # of Kolmogorov's distribution: √n D exceeds it with probability 1e-4


def normal_squared(x: float) -> float:
    """P(z² ≤ x) for a standard normal z."""
    return math.erf(math.sqrt(x / 2))


def chi_squared(x: float, dof: int) -> float:
    """P(χ² ≤ x), by the series of the incomplete gamma function."""
    a, y = dof / 2, min(x / 2, 300.0)
    term = total = 1 / a
    k = 0
    while term > 1e-16 * total:
        k += 1
        term *= y / (a + k)
        total += term
    return total * math.exp(-y + a * math.log(y) - math.lgamma(a)) if y > 0 else 0.0


def kolmogorov_smirnov(levels: list[float]) -> float:
    """√n sup |empirical − uniform| of what should be uniform on 0..1."""
    x = np.sort(levels)
    n = len(x)
    above, below = np.arange(1, n + 1) / n - x, x - np.arange(n) / n
    return math.sqrt(n) * float(max(above.max(), below.max()))


@functools.cache
def figures(model: str, name: str, n: int) -> tuple[list[float], list[float]]:
    """The levels of z² of one component and of χ², over independent runs."""
    loaded = pgcheck.load_model(model)
    mdp, policy = loaded.mdp, loaded.policy
    gradient = exact_gradient(mdp, policy, method="backward-induction").gradient
    some = estimator(name)
    found = predict(mdp, policy, some, np.random.default_rng(0), behavior=loaded.behavior, full=True)(n)
    assert found is not None
    component = int(np.argmax(found.variance))
    std_error: Floats = found.std_error(n)
    z2, chi2 = [], []
    for run in range(RUNS):
        drawn = sample_gradient(
            mdp, policy, n, np.random.default_rng(run), estimator=some, behavior=loaded.behavior
        ).estimate
        z2.append(normal_squared(float(((drawn - gradient)[component] / std_error[component]) ** 2)))
        figure = found.chi2(gradient, drawn, n)
        assert figure is not None
        chi2.append(chi_squared(*figure))
    return z2, chi2


@pytest.mark.parametrize(
    ("model", "name", "n"),
    [
        ("two_state", "reinforce", 10_000),
        pytest.param("two_state", "reward-to-go", 10_000, marks=pytest.mark.slow),
        ("early_exit", "optimal-baseline", 100_000),
        pytest.param("early_exit", "gae", 100_000, marks=pytest.mark.slow),
        pytest.param("aliased_gridworld", "advantage", 5_000, marks=pytest.mark.slow),
        ("aliased_gridworld", "all-actions", 5_000),
        pytest.param("two_state", "per-decision", 10_000, marks=pytest.mark.slow),
        ("two_state", "weighted-importance-sampling", 100_000),
        ("bandit", "actor-critic", 10_000),
        ("random_walk", "constant-baseline", 500),
    ],
)
def test_a_right_estimator_follows_its_law(model: str, name: str, n: int) -> None:
    for levels in figures(model, name, n):
        assert kolmogorov_smirnov(levels) < ONE_IN_10000


@pytest.mark.parametrize(
    ("model", "name", "n"),
    [
        ("two_state", "dropped-gamma", 10_000),
        ("early_exit", "immediate-reward", 10_000),
        pytest.param("aliased_gridworld", "mean-over-steps", 5_000, marks=pytest.mark.slow),
    ],
)
def test_a_wrong_one_does_not(model: str, name: str, n: int) -> None:
    for levels in figures(model, name, n):
        assert kolmogorov_smirnov(levels) > 2 * ONE_IN_10000


def test_a_covariance_that_is_off_by_a_fifth_is_seen() -> None:
    """The negative twin of the test itself: it tells a wrong covariance from a right one."""
    z2, _ = figures("two_state", "reinforce", 10_000)
    x = [next(y for y in np.linspace(0, 40, 4001) if normal_squared(float(y)) >= level) for level in z2]
    assert kolmogorov_smirnov([normal_squared(float(y) / 1.5) for y in x]) > ONE_IN_10000


def test_the_chi_squared_law_is_what_tables_say() -> None:
    assert chi_squared(3.841, 1) == pytest.approx(0.95, abs=1e-4)
    assert chi_squared(18.307, 10) == pytest.approx(0.95, abs=1e-4)
    assert chi_squared(2.0, 2) == pytest.approx(1 - math.exp(-1))
