"""What theory expects of the error at any N, and the band in which 95 of 100 measured errors lie.

    E‖ĝ_N − ∇J‖² = tr Σ / N + ‖b‖²

By the central limit theorem ĝ_N is normal, with mean ∇J + b and covariance Σ/N, once N is large enough that what is
rare has been drawn many times. Then the mean of ‖ĝ_N − ∇J‖² over R replicates has mean m and variance v,

    m = tr Σ / N + ‖b‖²,   v = (2 tr Σ² / N² + 4 bᵀ Σ b / N) / R,

and is close to v / 2m times χ² with 2 m² / v degrees of freedom, which has this mean and this variance; where all
eigenvalues of Σ are equal and b = 0, that is exact. See Satterthwaite (1946), https://doi.org/10.2307/3002019

With few rollouts the errors of a skewed estimator, as where a reward is rare, lie outside the band more often.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.moments import Moments, Prediction

OUTSIDE = 0.05  # of the errors lie outside the band, half of them on each side
MANY = 400.0  # degrees of freedom beyond which no series is summed
A_DECADE = 12  # points of the curve


@dataclass(frozen=True)
class Expected:
    """The error that is expected with one N.

    Attributes:
      n: the number of rollouts N.
      error: √E‖ĝ_N − ∇J‖².
      low, high: the band of 95 % of the root mean square error; None where Σ as a whole is not known.
    """

    n: int
    error: float
    low: float | None
    high: float | None


def expected_curve(
    prediction: Prediction, gradient: Floats, n: Sequence[int], replicates: int, *, rounding: float
) -> tuple[Expected, ...]:
    """Returns the expected error at the numbers of rollouts `n` and between them; nothing where it is not known.

    Args:
      prediction: the moments by N.
      gradient: ∇J.
      n: the numbers of rollouts.
      replicates: R.
      rounding: a bound on the error of `gradient` by rounding.
    """
    points = []
    for number in _numbers(n):
        moments = prediction(number)
        if moments is not None:
            error = moments.expected_error(gradient, number)
            low, high = band_of(moments, gradient, number, replicates, rounding=rounding) or (None, None)
            points.append(Expected(number, error, low, high))
    return tuple(points)


def band_of(
    moments: Moments, gradient: Floats, n: int, replicates: int, *, rounding: float = 0.0
) -> tuple[float, float] | None:
    """Returns between what root mean square errors 95 % of measurements lie; None without all of Σ.

    Args:
      moments: of the estimator, with `matrix`.
      gradient: ∇J.
      n, replicates: N and R.
      rounding: a bound on the error of `gradient` by rounding.
    """
    if moments.matrix is None:
        return None
    mean = moments.expected_error(gradient, n) ** 2
    biased = moments.bias_norm(gradient, n, rounding=rounding) > 0
    bias = moments.bias(gradient, n) if biased else np.zeros(len(gradient))
    variance = 2 * float(np.sum(moments.matrix**2)) / n**2 + 4 * float(bias @ moments.matrix @ bias) / n
    variance /= replicates
    if mean == 0 or variance <= 0:
        return math.sqrt(mean), math.sqrt(mean)
    freedom = 2 * mean**2 / variance
    low, high = (chi2_quantile(share, freedom) for share in (OUTSIDE / 2, 1 - OUTSIDE / 2))
    return math.sqrt(mean * low / freedom), math.sqrt(mean * high / freedom)


def chi2_quantile(probability: float, freedom: float) -> float:
    """Returns the x below which χ² with so many degrees of freedom lies with this probability.

    Beyond 400 degrees of freedom the cube root of χ² is taken to be normal, which is then right to five digits:
    Wilson and Hilferty (1931), https://doi.org/10.1073/pnas.17.12.684
    """
    if freedom > MANY:
        away = NormalDist().inv_cdf(probability)
        return freedom * (1 - 2 / (9 * freedom) + away * math.sqrt(2 / (9 * freedom))) ** 3
    low, high = -700.0, math.log(freedom + 40 * math.sqrt(freedom) + 40)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _chi2_below(math.exp(middle), freedom) < probability else (low, middle)
    return math.exp(high)


def _chi2_below(x: float, freedom: float) -> float:
    """P(χ² < x), by the series of the incomplete gamma function, whose terms are all positive."""
    shape, x = freedom / 2, x / 2
    term = total = 1.0
    place = shape
    while term > 1e-16 * total:
        place += 1
        term *= x / place
        total += term
    return math.exp(shape * math.log(x) - x - math.lgamma(shape + 1)) * total


def _numbers(n: Sequence[int]) -> list[int]:
    """The numbers of rollouts, and whole numbers between the least and the greatest, evenly on a log scale."""
    low, high = min(n), max(n)
    steps = math.ceil(A_DECADE * math.log10(high / low))
    between = {round(low * (high / low) ** (k / steps)) for k in range(1, steps)}
    return sorted({*n, *between})
