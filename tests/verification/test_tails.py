"""Tails of distributions, against tables and against integrals of the densities."""

import math

import numpy as np
import pytest

from pgcheck.verification.tails import chi_square_tail, normal_quantile, normal_tail, student_tail

# Tables: Abramowitz and Stegun (1964), 26.8 and 26.10; Pearson and Hartley (1966), tables 8 and 12.
CHI_SQUARE = [
    (3.84146, 1, 0.05),
    (18.3070, 10, 0.05),
    (23.2093, 10, 0.01),
    (124.342, 100, 0.05),
    (140.169, 100, 0.005),
]
STUDENT = [(12.706, 1, 0.05), (2.228, 10, 0.05), (3.169, 10, 0.01), (2.617, 120, 0.01)]
NORMAL = [(1.644854, 0.05), (2.326348, 0.01), (3.090232, 0.001), (4.753424, 1e-6)]


@pytest.mark.parametrize(("x", "freedom", "tail"), CHI_SQUARE)
def test_chi_square_is_that_of_tables(x: float, freedom: int, tail: float) -> None:
    assert chi_square_tail(x, freedom) == pytest.approx(tail, rel=1e-4)


@pytest.mark.parametrize(("t", "freedom", "tail"), STUDENT)
def test_student_is_that_of_tables(t: float, freedom: int, tail: float) -> None:
    assert student_tail(t, freedom) == pytest.approx(tail, rel=2e-3)
    assert student_tail(-t, freedom) == student_tail(t, freedom)


@pytest.mark.parametrize(("z", "tail"), NORMAL)
def test_normal_is_that_of_tables(z: float, tail: float) -> None:
    assert normal_tail(z) == pytest.approx(tail, rel=1e-5)
    assert normal_quantile(tail) == pytest.approx(z, rel=1e-6)


def integral(density: "np.ufunc | object", lo: float, hi: float) -> float:
    """Simpson's rule on 20,000 intervals."""
    x = np.linspace(lo, hi, 20_001)
    y = density(x)  # type: ignore[operator]
    return float((hi - lo) / 60_000 * (y[0] + 4 * y[1::2].sum() + 2 * y[2:-1:2].sum() + y[-1]))


@pytest.mark.parametrize("freedom", [2.5, 7, 63, 500.5])
@pytest.mark.parametrize("deviation", [-1.0, 0.5, 3.0, 8.0])
def test_tails_are_the_integrals_of_the_densities(freedom: float, deviation: float) -> None:
    a = freedom / 2
    x = freedom + deviation * math.sqrt(2 * freedom)
    if x > 0:
        log_norm = a * math.log(2) + math.lgamma(a)
        far = x + 60 * math.sqrt(2 * freedom) + 200
        tail = integral(lambda y: np.exp((a - 1) * np.log(y) - y / 2 - log_norm), x, far)
        assert chi_square_tail(x, freedom) == pytest.approx(tail, rel=1e-6)
    if deviation > 0:
        norm = math.exp(math.lgamma(a + 0.5) - math.lgamma(a)) / math.sqrt(freedom * math.pi)
        body = integral(lambda t: norm * (1 + t**2 / freedom) ** -(a + 0.5), 0.0, deviation)
        assert student_tail(deviation, freedom) == pytest.approx(1 - 2 * body, rel=1e-5, abs=1e-12)


def test_extremes() -> None:
    assert chi_square_tail(0, 3) == chi_square_tail(-1, 3) == 1
    assert 0 < chi_square_tail(1e3, 1e-2) < 1e-200
    assert chi_square_tail(1e12 + 6 * math.sqrt(2e12), 1e12) == pytest.approx(normal_tail(6), rel=1e-6)
    assert chi_square_tail(1e7 + 3 * math.sqrt(2e7), 1e7) == pytest.approx(normal_tail(3), rel=5e-3)
    assert student_tail(0, 5) == 1
    assert student_tail(5, 1e7) == pytest.approx(2 * normal_tail(5), rel=1e-4)
