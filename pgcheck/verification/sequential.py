"""Verdicts from samples: whether a bias is certain, or is bounded, after so many rollouts.

The rollouts stand in K equal batches. D_b is the mean of batch b minus ∇J, G = D Dᵀ, and O is G with a diagonal of 0.
A bias is the same error in every batch and noise is not, so U = ΣO / (K (K − 1)) is unbiased for ‖bias‖². The rollouts
are looked at when there are 4,096, 8,192, …; look k spends α / (k (k + 1)), so that all looks together spend α.

- p₁, of ΣO: with s = √(2 ΣO²) and the skewness c = 8 tr(O³) / s³ of its null distribution, a shifted χ² with 8 / c²
  degrees of freedom.
- p₂, along ∇J: Student's t of ⟨D_b, ∇J⟩ / ‖∇J‖².
- p₃, of components: the greatest |z| of those that are carried by enough rollouts, times their number.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.verification.tails import chi_square_tail, normal_quantile, normal_tail, student_tail

BATCHES = 64  # K
FIRST_LOOK = 4096  # rollouts
ENOUGH = 300  # effective rollouts that a mean has to rest on
SYMMETRIC = 1e-8  # a skewness that is none
SHARE = 6.0  # each of three tests, two of them two-sided, has this part of what a look spends

Decision = Literal["pass", "fail", "inconclusive"]


@dataclass(eq=False)
class Sums:
    """What is kept of the rollouts: K d + 4 d numbers, however many there are.

    Attributes:
      batches: Σ ĝ of each batch `[K, d]`.
      squares, fourths: Σ ĝ_j² and Σ ĝ_j⁴ of each component, over all rollouts `[d]`.
      norm, norm_squared: Σ ‖ĝ‖² and Σ ‖ĝ‖⁴ over all rollouts.
      greatest: the greatest ‖ĝ‖².
      rollouts: how many rollouts.
    """

    batches: Floats
    squares: Floats
    fourths: Floats
    norm: float = 0.0
    norm_squared: float = 0.0
    greatest: float = 0.0
    rollouts: int = 0

    @classmethod
    def empty(cls, size: int) -> "Sums":
        """Returns the sums of no rollouts, of gradients `[d]`."""
        return cls(np.zeros((BATCHES, size)), np.zeros(size), np.zeros(size))

    def add(self, batch: int, gradients: Floats, counts: Floats) -> None:
        """Adds rollouts to a batch: distinct gradients `[m, d]`, and how often each of them came `[m]`."""
        squared = gradients**2
        norms = squared.sum(axis=1)
        self.batches[batch] += counts @ gradients
        self.squares += counts @ squared
        self.fourths += counts @ squared**2
        self.norm += float(counts @ norms)
        self.norm_squared += float(counts @ norms**2)
        self.greatest = max(self.greatest, float(norms.max(initial=0.0)))
        self.rollouts += int(counts.sum())


@dataclass(frozen=True)
class Look:
    """What a look at the rollouts shows.

    Attributes:
      decision: what it decides.
      rollouts: N.
      p_value: the least of the three, times 6, at most 1.
      bias: the estimate of the relative bias √U / ‖∇J‖; 0 where U is negative.
      bias_error: its standard error.
      bound: the relative bias is below it with the confidence that is asked for.
      scale_error, scale_error_error: ⟨mean − ∇J, ∇J⟩ / ‖∇J‖² and its standard error.
      component: the number of the component that is off most, in standard errors; None where none can be judged.
      effective: how many rollouts the result rests on: (Σ ‖ĝ‖²)² / Σ ‖ĝ‖⁴.
      largest: the part of Σ ‖ĝ‖² that the largest rollout has.
      needed: rollouts after which a right estimator is likely to pass; None where that is not known.
    """

    decision: Decision
    rollouts: int
    p_value: float
    bias: float
    bias_error: float
    bound: float
    scale_error: float
    scale_error_error: float
    component: int | None
    effective: float
    largest: float
    needed: int | None


def spent(look: int, alpha: float) -> float:
    """Returns the probability of error that look 1, 2, … spends of α."""
    return alpha / (look * (look + 1))


def looked_at(sums: Sums, gradient: Floats, look: int, *, alpha: float, tolerance: float) -> Look:
    """Returns what a look decides.

    Args:
      sums: of the rollouts, the same number in each batch.
      gradient: ∇J `[d]`, not 0.
      look: the number of the look, from 1 on.
      alpha: the probability of a wrong verdict in all looks together.
      tolerance: ρ, the relative bias that passes.
    """
    size = float(np.linalg.norm(gradient))
    off = sums.batches / (sums.rollouts / BATCHES) - gradient
    gram = off @ off.T / size**2
    budget = spent(look, alpha)
    z = normal_quantile(budget / 2)
    off_diagonal = gram - np.diag(np.diag(gram))
    squared = float(off_diagonal.sum()) / (BATCHES * (BATCHES - 1))  # U, relative to ‖∇J‖²
    noise, scatter = _noise(gram)
    bound = _bound(squared, noise, scatter, z)
    along = off @ gradient / size**2
    error = float(along.std(ddof=1)) / math.sqrt(BATCHES)
    component, of_components = _components(sums, off)
    p_value = min(p_of_sum(off_diagonal), _p_along(float(along.mean()), error), of_components)
    effective = sums.norm**2 / sums.norm_squared if sums.norm_squared > 0 else math.inf
    needed = None
    if effective < ENOUGH:
        decision: Decision = "inconclusive"
    elif p_value <= budget / SHARE:
        decision = "fail"
    elif bound <= tolerance:
        decision = "pass"
    else:
        decision = "inconclusive"
        factor = (z + math.sqrt(1 + z * math.sqrt(2))) ** 2
        needed = _next_look(sums.rollouts * factor * noise / (BATCHES * tolerance**2))
    bias = math.sqrt(max(squared, 0.0))
    spread = math.sqrt(2 * scatter / BATCHES**2 + 4 * max(squared, 0.0) * noise / BATCHES)  # of U
    return Look(
        decision, sums.rollouts, min(1.0, SHARE * p_value), bias, spread / (2 * bias) if bias else math.sqrt(spread),
        bound, float(along.mean()), error, component, effective,
        sums.greatest / sums.norm if sums.norm > 0 else 0.0, needed,
    )  # fmt: skip


def p_of_sum(off_diagonal: Floats) -> float:
    """Returns p₁: the probability that noise alone makes ΣO as great, for O `[K, K]` with a diagonal of 0."""
    variance = 2 * float(np.sum(off_diagonal**2))
    if variance == 0:
        return 1.0
    spread = math.sqrt(variance)
    skewness = 8 * float(np.einsum("ij,jk,ki->", off_diagonal, off_diagonal, off_diagonal)) / spread**3
    deviation = float(off_diagonal.sum()) / spread
    if skewness < SYMMETRIC:
        return normal_tail(deviation)
    freedom = 8 / skewness**2
    return chi_square_tail(freedom + math.sqrt(2 * freedom) * deviation, freedom)


def _noise(gram: Floats) -> tuple[float, float]:
    """λ = √S₂ and S₂, the estimate of tr Σ² of a batch's mean, relative to ‖∇J‖⁴."""
    k = BATCHES
    rows = gram.mean(axis=0)
    centred = gram - rows[:, None] - rows[None, :] + rows.mean()
    trace = float(np.trace(centred)) / (k - 1)
    frobenius = float(np.sum(centred**2)) / (k - 1) ** 2
    scatter = max(0.0, (frobenius - trace**2 / (k - 1)) * (k - 1) ** 2 / ((k - 2) * (k + 1)))
    return math.sqrt(scatter), scatter


def _bound(squared: float, noise: float, scatter: float, z: float) -> float:
    """u: the relative bias is below it, but for one case in 2 / P(Z > z)."""
    under = squared + noise / BATCHES + z * math.sqrt(2 * scatter) / BATCHES
    return z * math.sqrt(noise / BATCHES) + math.sqrt(max(0.0, under))


def _p_along(mean: float, error: float) -> float:
    if error == 0:
        return 1.0
    return student_tail(mean / error, BATCHES - 1)


def _components(sums: Sums, off: Floats) -> tuple[int | None, float]:
    """The component that is off most, and p₃."""
    n = sums.rollouts
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.where(sums.fourths > 0, sums.squares**2 / sums.fourths, 0.0)
        variance = sums.squares / n - (sums.batches.sum(axis=0) / n) ** 2  # of all rollouts: its error is small
        error = np.sqrt(np.maximum(variance, 0.0) / n)
        scores = np.where((effective >= ENOUGH) & (error > 0), np.abs(off.mean(axis=0)) / error, 0.0)
    judged = int(np.count_nonzero(scores))
    if not judged:
        return None, 1.0
    worst = int(np.argmax(scores))
    return worst, min(1.0, 2 * judged * normal_tail(float(scores[worst])))


def _next_look(rollouts: float) -> int | None:
    """The look at so many rollouts or more; None beyond 1e15."""
    if not rollouts < 1e15:
        return None
    number = FIRST_LOOK
    while number < rollouts:
        number *= 2
    return number
