"""The tails of three distributions, by series and continued fractions.

Source: Abramowitz and Stegun (1964), Handbook of Mathematical Functions, 6.5.29, 6.5.31, 26.4.4, 26.5.8, 26.7.1.
"""

import math
from statistics import NormalDist

TINY = 1e-300  # in place of 0 in a denominator
TERMS = 100_000  # of a series or a fraction; they converge in about the root of the degrees of freedom
RIGHT = 1e-16  # relative size of a term that changes nothing
MANY = 1e8  # degrees of freedom beyond which χ² is taken for normal: its skewness is below 3e-4


def normal_tail(z: float) -> float:
    """Returns P(Z > z) of a standard normal Z."""
    return 0.5 * math.erfc(z / math.sqrt(2))


def normal_quantile(tail: float) -> float:
    """Returns the z with P(Z > z) = `tail`, for a tail above 0 and below 1."""
    return -NormalDist().inv_cdf(tail)


def chi_square_tail(x: float, freedom: float) -> float:
    """Returns P(X > x) of X ~ χ² with so many degrees of freedom, a number above 0."""
    if x <= 0:
        return 1.0
    if freedom > MANY:
        return normal_tail((x - freedom) / math.sqrt(2 * freedom))
    a, y = freedom / 2, x / 2
    front = math.exp(a * math.log(y) - y - math.lgamma(a))  # y^a e^-y / Γ(a)
    return 1.0 - front * _lower_series(a, y) if y < a + 1 else front * _upper_fraction(a, y)


def student_tail(t: float, freedom: float) -> float:
    """Returns P(|T| > |t|) of Student's T with so many degrees of freedom, a number above 0."""
    return beta_share(freedom / (freedom + t * t), freedom / 2, 0.5)


def beta_share(x: float, a: float, b: float) -> float:
    """Returns the regularised incomplete beta function I_x(a, b), for x from 0 to 1."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(x, a, b) / a
    return 1.0 - front * _beta_fraction(1 - x, b, a) / b


def _lower_series(a: float, y: float) -> float:
    """Σ y^n / (a (a + 1) … (a + n))."""
    term = total = 1 / a
    for n in range(1, TERMS):
        term *= y / (a + n)
        total += term
        if term < RIGHT * total:
            break
    return total


def _upper_fraction(a: float, y: float) -> float:
    """1 / (y + 1 − a − 1 (1 − a) / (y + 3 − a − …)), by Lentz's method."""
    b = y + 1 - a
    c, d = 1 / TINY, 1 / b
    result = d
    for n in range(1, TERMS):
        numerator = -n * (n - a)
        b += 2
        d = 1 / _not_zero(numerator * d + b)
        c = _not_zero(b + numerator / c)
        result *= d * c
        if abs(d * c - 1) < RIGHT:
            break
    return result


def _beta_fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's method."""
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    result = d
    for n in range(1, TERMS):
        even = n * (b - n) * x / ((a + 2 * n - 1) * (a + 2 * n))
        d = 1 / _not_zero(1 + even * d)
        c = _not_zero(1 + even / c)
        result *= d * c
        odd = -(a + n) * (a + b + n) * x / ((a + 2 * n) * (a + 2 * n + 1))
        d = 1 / _not_zero(1 + odd * d)
        c = _not_zero(1 + odd / c)
        result *= d * c
        if abs(d * c - 1) < RIGHT:
            break
    return result


def _not_zero(x: float) -> float:
    return x if abs(x) > TINY else TINY
