"""What the mean errors of K batches tell, by their Gram matrix: whether there is a bias, and how large it can be."""

import math

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.verification.batch_sums import BATCHES
from pgcheck.verification.tails import chi_square_tail, normal_tail, student_tail

SYMMETRIC = 1e-8  # a skewness that is none
ROUNDING = 1e-12  # of batches' means, relative to their size: what differs less does not differ


def p_of_mean(off: Floats) -> float:
    """Returns p₁ of the mean errors of batches `[K, d]`; 0 where all of them are the same, and not 0."""
    size = float(np.abs(off).max(initial=0.0))
    if size == 0 or is_constant(off):
        return float(size == 0)
    gram = (off / size) @ (off / size).T
    return p_of_sum(gram - np.diag(np.diag(gram)))


def p_of_sum(off_diagonal: Floats) -> float:
    """Returns p₁: the probability that noise alone makes ΣO as great, for O `[K, K]` with a diagonal of 0."""
    variance = 2 * float(np.sum(off_diagonal**2))
    if variance == 0:
        return 1.0
    spread = math.sqrt(variance)
    skewness = 8 * float(np.sum((off_diagonal @ off_diagonal) * off_diagonal)) / spread**3
    deviation = float(off_diagonal.sum()) / spread
    if skewness < SYMMETRIC:
        return normal_tail(deviation)
    freedom = 8 / skewness**2
    return chi_square_tail(freedom + math.sqrt(2 * freedom) * deviation, freedom)


def noise_of(gram: Floats) -> tuple[float, float]:
    """Returns λ = √S₂ and S₂, the estimate of tr Σ² of a batch's mean, relative to ‖∇J‖⁴."""
    k = BATCHES
    rows = gram.mean(axis=0)
    centred = gram - rows[:, None] - rows[None, :] + rows.mean()
    trace = float(np.trace(centred)) / (k - 1)
    frobenius = float(np.sum(centred**2)) / (k - 1) ** 2
    scatter = max(0.0, (frobenius - trace**2 / (k - 1)) * (k - 1) ** 2 / ((k - 2) * (k + 1)))
    return math.sqrt(scatter), scatter


def bound_of(squared: float, noise: float, scatter: float, z: float) -> float:
    """Returns u: the relative bias is below it, but for one case in 2 / P(Z > z)."""
    under = squared + noise / BATCHES + z * math.sqrt(2 * scatter) / BATCHES
    return z * math.sqrt(noise / BATCHES) + math.sqrt(max(0.0, under))


def is_constant(means: Floats) -> bool:
    """Whether all batches have one mean: then nothing is left to chance."""
    return float(np.ptp(means, axis=0).max(initial=0.0)) <= ROUNDING * float(np.abs(means).max(initial=0.0))


def p_of_t(mean: float, error: float) -> float:
    if error == 0:
        return 1.0
    return student_tail(mean / error, BATCHES - 1)
