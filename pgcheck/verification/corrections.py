"""How importance ratios enter an estimator: the right ways, and the wrong ones that people use in their place.

ρ_t = π(a_t|s_t) / b(a_t|s_t) for the behavior b that drew the episodes, ρ_{i:j} = ρ_i … ρ_j, ρ = ρ_{0:L−1}. With
weights w_t = γ^t Σ_{k≥t} γ^{k−t} r_k of ∇log π(a_t|s_t), right are

    ρ w_t   and   Σ_{k≥t} γ^k ρ_{0:k} r_k:   a step and its reward are as likely as what led to them.

A correction is a function of a batch and of on-policy weights; it returns the weights off-policy.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.base import Weights
from pgcheck.estimators.weights import ratios
from pgcheck.trajectories.batch import Batch

Multiplier = Callable[[Batch], Floats]  # what w_t is multiplied by [N, T]
Apply = Callable[[Batch, Weights], Floats]  # from on-policy weights to weights off-policy [N, T]


@dataclass(frozen=True, eq=False)
class Correction:
    """A way in which ratios enter.

    Attributes:
      cause: the key of its text in `verification.causes.CAUSES`; empty for a right one.
      apply: from a batch and on-policy weights to weights off-policy `[N, T]`.
      multiplier: what it multiplies weights by, if it does no more than that.
    """

    cause: str
    apply: Apply
    multiplier: Multiplier | None = None


def prefix(batch: Batch) -> Floats:
    """ρ_{0:t} `[N, T]`."""
    return np.asarray(np.cumprod(ratios(batch), axis=1), dtype=np.float64)


def before(batch: Batch) -> Floats:
    """ρ_{0:t−1} `[N, T]`."""
    return prefix(batch) / ratios(batch)


def whole(batch: Batch) -> Floats:
    """ρ `[N, T]`."""
    return np.broadcast_to(prefix(batch)[:, -1:], batch.outcomes.T.shape)


def next_step(batch: Batch) -> Floats:
    """ρ_{t+1}, 1 after the last step `[N, T]`."""
    shifted = np.ones(batch.outcomes.T.shape)
    shifted[:, :-1] = ratios(batch)[:, 1:]
    return shifted


def previous_step(batch: Batch) -> Floats:
    """ρ_{t−1}, 1 before the first step `[N, T]`."""
    shifted = np.ones(batch.outcomes.T.shape)
    shifted[:, 1:] = ratios(batch)[:, :-1]
    return shifted


def geometric_mean(batch: Batch) -> Floats:
    """ρ^{1/L} `[N, T]`."""
    return np.asarray(whole(batch) ** (1 / np.maximum(batch.lengths, 1)[:, None]))


def arithmetic_mean(batch: Batch) -> Floats:
    """The mean of an episode's ρ_t `[N, T]`."""
    sums = np.sum(ratios(batch), axis=1, where=batch.mask, keepdims=True)
    return np.broadcast_to(sums / np.maximum(batch.lengths, 1)[:, None], batch.outcomes.T.shape)


def multiplied(cause: str, multiplier: Multiplier) -> Correction:
    """Returns the correction that multiplies w_t."""
    return Correction(cause, lambda batch, weights: np.asarray(multiplier(batch) * weights(batch)), multiplier)


def credited(cause: str, factor: Multiplier, outer: Multiplier | None = None) -> Correction:
    """Returns the correction that multiplies r_k by a factor of step k, and w_t by an outer one.

    Args:
      cause: the key of its text.
      factor: of each reward `[N, T]`.
      outer: of each step `[N, T]`; None is 1.
    """

    def apply(batch: Batch, weights: Weights) -> Floats:
        inner = weights(batch.altered(credits=np.asarray(factor(batch) * batch.credits, order="F")))
        return np.asarray(inner if outer is None else outer(batch) * inner)

    return Correction(cause, apply)


def _inverted(multiplier: Multiplier) -> Multiplier:
    return lambda batch: 1 / multiplier(batch)


def _squared(multiplier: Multiplier) -> Multiplier:
    return lambda batch: multiplier(batch) ** 2


WHOLE = multiplied("", whole)
PER_DECISION = credited("", prefix)
RIGHT: tuple[Correction, ...] = (WHOLE, PER_DECISION)

MISSING = multiplied("ratio/missing", lambda batch: np.ones(batch.outcomes.T.shape))

# The first that fits is named.
WRONG: tuple[Correction, ...] = (
    MISSING,
    multiplied("ratio/single-step", ratios),
    multiplied("ratio/future", prefix),
    credited("ratio/past", prefix, _inverted(before)),
    credited("ratio/past-and-own", prefix, _inverted(prefix)),
    credited("ratio/one-short", before),
    multiplied("ratio/next-step", next_step),
    multiplied("ratio/previous-step", previous_step),
    multiplied("ratio/geometric-mean", geometric_mean),
    multiplied("ratio/arithmetic-mean", arithmetic_mean),
    multiplied("ratio/inverted", _inverted(whole)),
    credited("ratio/inverted", _inverted(prefix)),
    multiplied("ratio/inverted", _inverted(ratios)),
    multiplied("ratio/inverted", _inverted(prefix)),
    multiplied("ratio/twice", _squared(whole)),
    credited("ratio/twice", _squared(prefix)),
    multiplied("ratio/twice", _squared(ratios)),
)
