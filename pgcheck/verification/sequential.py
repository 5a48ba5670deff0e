"""Verdicts from samples: whether a bias is certain, or is bounded, after so many rollouts.

The rollouts stand in K equal batches. D_b is the mean error of batch b: of ĝ − ∇J, or of ĝ less another estimator on
the same rollouts that is known to be right: the expectation is the same. G = D Dᵀ; O is G with a diagonal of 0.
A bias is the same error in every batch and noise is not, so U = ΣO / (K (K − 1)) is unbiased for ‖bias‖².

There is a look at 4,096 rollouts, at 8,192, …; look k spends α / (k (k + 1)): all together spend α. Three tests:

- p₁, of ΣO: with s = √(2 ΣO²) and the skewness c = 8 tr(O³) / s³ of its null distribution, a shifted χ² with 8 / c²
  degrees of freedom.
- p₂, along ∇J: Student's t of ⟨D_b, ∇J⟩ / ‖∇J‖².
- p₃, of components: the greatest |z| of those that are carried by enough rollouts, times their number.

A pass needs more than that nothing was rejected: an upper bound of ‖bias‖ has to be within the tolerance.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pgcheck.arrays import Floats, norm_of
from pgcheck.verification.batch_sums import BATCHES, Sums
from pgcheck.verification.gram import ROUNDING, bound_of, is_constant, noise_of, p_of_mean, p_of_sum, p_of_t
from pgcheck.verification.tails import normal_quantile, normal_tail

FIRST_LOOK = 4096  # rollouts
ENOUGH = 300  # effective rollouts that a mean has to rest on
UNLIKELY = 0.01  # the probability of draws in which a right estimator would be as far off: these decide nothing
FLOOR, FLOOR_IN_SINGLE = 1e-6, 1e-4  # a relative bias below which rounding may be the cause
SHARE = 6.0  # each of three tests, two of them two-sided, has this part of what a look spends

Decision = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True)
class Look:
    """What a look at the rollouts shows; what is relative is relative to ‖∇J‖, or absolute where that is 0.

    Attributes:
      decision: what it decides.
      rollouts: N.
      p_value: the least of the three, times 6, at most 1.
      bias: the estimate of the relative bias √U / ‖∇J‖; 0 where U is negative.
      bias_error: its standard error.
      bound: the relative bias is below it with the confidence that is asked for.
      scale_error, scale_error_error: ⟨mean error, ∇J⟩ / ‖∇J‖² and its standard error; 0 where ∇J is 0.
      component: the number of the component that is off most, in standard errors; None where none can be judged.
      is_typical: whether a right estimator would not be off in these rollouts, as where rare ones are missing.
      is_carried: whether they are that, and enough rollouts carry the result for anything to be decided.
      effective: how many rollouts the result rests on: (Σ ‖x‖²)² / Σ ‖x‖⁴ of gradients or errors x, the fewer.
      largest: the part of that Σ ‖x‖² that the largest rollout has.
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
    is_typical: bool
    is_carried: bool
    effective: float
    largest: float
    needed: int | None


def spent(look: int, alpha: float) -> float:
    """Returns the probability of error that look 1, 2, … spends of α."""
    return alpha / (look * (look + 1))


def rollouts_at(look: int) -> int:
    """Returns N at look 1, 2, …."""
    return int(FIRST_LOOK * 2 ** (look - 1))


def looked_at(
    sums: Sums,
    gradient: Floats,
    look: int,
    *,
    alpha: float,
    tolerance: float,
    up_to_scale: bool = False,
    single: bool = False,
    is_due_right: bool = True,
) -> Look:
    """Returns what a look decides.

    Args:
      sums: of the errors of rollouts, the same number in each batch; their expectation is the bias.
      gradient: ∇J `[d]`.
      look: the number of the look, from 1 on.
      alpha: the probability of a wrong verdict in all looks together.
      tolerance: ρ, the relative bias that passes.
      up_to_scale: whether any positive multiple of ∇J is right: then only what is not along ∇J is a bias.
      single: whether numbers came in single precision.
      is_due_right: whether what was expected of rollouts has the expectation ∇J.
    """
    size = norm_of(gradient)
    unit = size or 1.0
    budget = spent(look, alpha)
    z = normal_quantile(budget / 2)
    off = sums.means
    along, error = _along(off, gradient)
    factor = 1 + float(along.mean())
    if up_to_scale:
        off = _without_rounding(off - along[:, None] * gradient, off, gradient)
        unit *= abs(factor) or 1.0
    gram = off @ off.T / unit**2
    squared = float(gram.sum() - np.trace(gram)) / (BATCHES * (BATCHES - 1))  # U
    noise, scatter = noise_of(gram)
    bound = bound_of(squared, noise, scatter, z)
    component, of_components = (None, 1.0) if up_to_scale else _components(sums)
    p_along = 1.0 if up_to_scale else p_of_t(float(along.mean()), error)
    p_value = min(p_of_sum(gram - np.diag(np.diag(gram))), p_along, of_components)
    constant = is_constant(off)
    if constant:
        off_by = _root(squared)
        p_value = float(off_by <= (tolerance if size else 0.0))
        # No noise tells what was not seen: the share of the gradient that none of those that carry it would show.
        bound = off_by + math.log(2 / budget) / max(1.0, sums.gradients.effective)
    has_factor = not up_to_scale or z * error <= abs(factor) * tolerance / 2  # it is known well enough
    of_right = _without_rounding(sums.means_due - gradient, sums.means_due, gradient)
    is_typical = not is_due_right or p_of_mean(of_right) > UNLIKELY
    is_carried = is_typical and _is_carried(sums, constant=constant)
    is_within = bound <= tolerance if size else constant and squared == 0
    is_certain = p_value <= budget / SHARE and (not size or _root(squared) > (FLOOR_IN_SINGLE if single else FLOOR))
    if not is_carried and not (constant and is_within and not size):
        decision: Decision = "inconclusive"
    elif is_certain or (up_to_scale and has_factor and factor <= 0):
        decision = "fail"
    else:
        decision = "pass" if has_factor and is_within else "inconclusive"
    needed = None
    if decision == "inconclusive" and is_carried and size:
        times = (z + math.sqrt(1 + z * math.sqrt(2))) ** 2
        by_noise = times * noise / (BATCHES * tolerance**2)
        by_factor = (2 * z * error / (tolerance * abs(factor or 1.0))) ** 2 if up_to_scale else 0.0
        needed = _next_look(sums.rollouts * max(bound / tolerance if constant else by_noise, by_factor))
    bias = _root(squared)
    spread = math.sqrt(2 * scatter / BATCHES**2 + 4 * max(squared, 0.0) * noise / BATCHES)  # of U
    least = min((sums.gradients, sums.errors), key=lambda it: it.effective if it.squares else math.inf)
    return Look(
        decision, sums.rollouts, min(1.0, SHARE * p_value), bias, spread / (2 * bias) if bias else math.sqrt(spread),
        bound, float(along.mean()), error, component, is_typical, is_carried, least.effective,
        least.greatest / least.squares if least.squares > 0 else 0.0, needed,
    )  # fmt: skip


def _root(squared: float) -> float:
    return math.sqrt(max(squared, 0.0))


def _along(off: Floats, gradient: Floats) -> tuple[Floats, float]:
    """⟨mean error, ∇J⟩ / ‖∇J‖² of each batch `[K]`, and the standard error of its mean; 0 where ∇J is 0."""
    size = norm_of(gradient)
    along = np.zeros(BATCHES) if size == 0 else off / size @ (gradient / size)
    error = float(along.std(ddof=1)) / math.sqrt(BATCHES)
    return along, error if error > ROUNDING * float(np.abs(along).max()) else 0.0


def _without_rounding(difference: Floats, *of: Floats) -> Floats:
    """The difference with 0 in place of what may be rounding of what it is the difference of."""
    size = max(float(np.abs(it).max(initial=0.0)) for it in of)
    return np.where(np.abs(difference) <= ROUNDING * size, 0.0, difference)


def _is_carried(sums: Sums, *, constant: bool) -> bool:
    """Whether enough rollouts carry both the gradients and the errors.

    Where all gradients are 0, errors that differ show that a right estimator's would not be.
    """
    if not sums.errors.squares:
        return sums.gradients.effective >= ENOUGH
    is_zero = not sums.gradients.squares and not constant
    return sums.errors.effective >= ENOUGH and (is_zero or sums.gradients.effective >= ENOUGH)


def _components(sums: Sums) -> tuple[int | None, float]:
    """The component that is off most, and p₃."""
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.where(sums.fourths > 0, sums.squares**2 / sums.fourths, 0.0)
        error = sums.std_error  # of all rollouts: its own error is small
        scores = np.where((effective >= ENOUGH) & (error > 0), np.abs(sums.mean) / error, 0.0)
    judged = int(np.count_nonzero(scores))
    if not judged:
        return None, 1.0
    worst = int(np.argmax(scores))
    return worst, min(1.0, 2 * judged * normal_tail(float(scores[worst])))


def _next_look(rollouts: float) -> int | None:
    """The look at so many rollouts or more; None beyond 1e15."""
    if not rollouts < 1e15:
        return None
    look = 1
    while rollouts_at(look) < rollouts:
        look += 1
    return rollouts_at(look)
