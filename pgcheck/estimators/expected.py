"""What theory expects of the error at any N, and the band in which 95 of 100 measured errors lie.

    E‖ĝ_N − ∇J‖² = tr Σ / N + ‖b‖²

By the central limit theorem ĝ_N is normal, with mean ∇J + b and covariance Σ/N, once N is large enough that what is
rare has been drawn many times. Then ‖ĝ_N − ∇J‖² = Σ_k (β_k + √μ_k z_k)², with the eigenvalues μ_k of Σ/N, the
components β_k of b along their vectors and independent standard normal z_k. Its cumulant generating function is

    K(s) = Σ_k s β_k² / (1 − 2 s μ_k) − ½ log(1 − 2 s μ_k),

and that of a sum over R replicates is R K. The law follows from it by a saddlepoint approximation: Kuonen (1999),
https://doi.org/10.1093/biomet/86.4.929

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
A_DECADE = 12  # points of the curve
FARTHEST = 90.0  # log(1 − 2 s μ) at the greatest |s| that is tried
BISECTIONS = 60
_NORMAL = NormalDist()


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


@dataclass(frozen=True, eq=False)
class Directions:
    """Σ along its eigenvectors: they are found once for all N.

    Attributes:
      eigenvalues: of Σ, at least 0 `[d]`.
      vectors: one a column `[d, d]`.
    """

    eigenvalues: Floats
    vectors: Floats

    @classmethod
    def of(cls, moments: Moments) -> "Directions | None":
        """Returns those of an estimator; None without all of Σ."""
        if moments.matrix is None:
            return None
        eigenvalues, vectors = np.linalg.eigh(moments.matrix)
        return cls(np.maximum(eigenvalues, 0.0), vectors)


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
    points: list[Expected] = []
    known: tuple[Moments, Directions | None] | None = None
    for number in _numbers(n):
        moments = prediction(number)
        if moments is None:
            continue
        if known is None or known[0] is not moments:
            known = moments, Directions.of(moments)
        error, directions = moments.expected_error(gradient, number), known[1]
        low = high = None
        if directions is not None:
            biased = moments.bias_norm(gradient, number, rounding=rounding) > 0
            bias = moments.bias(gradient, number) if biased else np.zeros(len(gradient))
            low, high = band(directions, bias, number, replicates)
        points.append(Expected(number, error, low, high))
    return tuple(points)


def band(directions: Directions, bias: Floats, n: int, replicates: int) -> tuple[float, float]:
    """Returns between what root mean square errors 95 % of measurements lie.

    Args:
      directions: Σ.
      bias: b `[d]`.
      n, replicates: N and R.
    """
    mu, beta2 = directions.eigenvalues / n, (directions.vectors.T @ bias) ** 2
    if not np.any(mu > 0):
        size = math.sqrt(math.fsum(beta2))
        return size, size
    low, high = (_quantile(mu, beta2, replicates, share) for share in (OUTSIDE / 2, 1 - OUTSIDE / 2))
    return math.sqrt(low), math.sqrt(high)


def _quantile(mu: Floats, beta2: Floats, replicates: int, share: float) -> float:
    """The mean square error below which a share of them lie.

    It is K′(s) for some s: below 0 for a share below that of the mean, else above 0. 1 − 2 s μ_max = e^y is bisected.
    """
    low, high = (0.0, FARTHEST) if share < 0.5 else (-FARTHEST, 0.0)
    first = 0.0
    for _ in range(BISECTIONS):
        y = (low + high) / 2
        first, below = _saddlepoint(mu, beta2, replicates, y)
        low, high = (y, high) if below > share else (low, y)
    return first


def _saddlepoint(mu: Floats, beta2: Floats, replicates: int, y: float) -> tuple[float, float]:
    """K′(s), and the probability that the mean square error is below it, where 1 − 2 s μ_max = e^y."""
    greatest = float(mu.max())
    s, part = -math.expm1(y) / (2 * greatest), mu / greatest
    left = (1 - part) + part * math.exp(y)  # 1 − 2 s μ, without a difference of numbers that are nearly equal
    value = float(np.sum(s * beta2 / left - 0.5 * np.log(left)))
    first = float(np.sum(beta2 / left**2 + mu / left))
    second = float(np.sum(4 * mu * beta2 / left**3 + 2 * (mu / left) ** 2))
    w = math.copysign(math.sqrt(max(2 * replicates * (s * first - value), 0.0)), s)
    v = s * math.sqrt(replicates * second)
    if w == 0 or v == 0:
        return first, 0.5
    return first, _NORMAL.cdf(w + math.log(v / w) / w)


def _numbers(n: Sequence[int]) -> list[int]:
    """The numbers of rollouts, and whole numbers between the least and the greatest, evenly on a log scale."""
    low, high = min(n), max(n)
    steps = math.ceil(A_DECADE * math.log10(high / low))
    between = {round(low * (high / low) ** (k / steps)) for k in range(1, steps)}
    return sorted({*n, *between})
