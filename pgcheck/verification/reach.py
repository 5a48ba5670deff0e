"""Beyond the models: a long episode, large and small rewards, for estimators that pass on all models.

An estimator of single episodes whose weights are right in a chain of few steps has to weight a long chain alike.
"""

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.impulses import (
    EachEpisode,
    chain,
    chain_episodes,
    coefficients,
    correct_weights,
    impulses,
)
from pgcheck.verification.probing import Prober

LONG_STEPS = 64  # of the long episode, each in a state of its own
SIZES = (1e4, -1e4, 1e-3)  # of single rewards


def beyond_models(prober: Prober, gamma: float) -> list[Diagnosis]:
    """Returns what is wrong with a long episode, or with large or small rewards; empty where nothing is.

    Empty too where the weights of few steps are not those of γ^k for k ≥ t, so that they say nothing of many, and
    for estimators of whole batches.
    """
    matrix = prober.matrix(gamma)
    if matrix is None or not matrix.is_right:
        return []
    steps = len(matrix.values)
    for size in SIZES:
        weights = _weights(prober.each, steps, gamma, size)
        if weights is not None and len(_wrong_steps(weights, gamma, prober.rounding)):
            return [Diagnosis("reach", "reach/rewards", (("reward", size),))]
    if _is_right_at_length(prober, LONG_STEPS, gamma):
        return []
    weights = _weights(prober.each, LONG_STEPS, gamma, 1.0)
    if weights is None:
        return []
    wrong = _wrong_steps(weights, gamma, prober.rounding)
    if len(wrong):
        return [Diagnosis("reach", "reach/steps", (("steps", LONG_STEPS), ("step", int(wrong[0]))))]
    return []


def _weights(each: EachEpisode, steps: int, gamma: float, size: float) -> Floats | None:
    """W `[T, T]` by rewards of one size; None where the estimator cannot be called on such episodes."""

    def rescaled(batch: Batch) -> Floats:
        return np.asarray(each(batch.altered(rewards=size * batch.rewards)) / size)

    try:
        return impulses(rescaled, steps, gamma)
    except Exception:  # the estimator may be made for one model only
        return None


def _is_right_at_length(prober: Prober, steps: int, gamma: float) -> bool:
    """Whether the steps of a long episode are weighted right by its last reward and by the middle one.

    A few episodes tell what all impulses would, which are looked at where these do not.
    """
    mdp, policy = chain(steps, gamma)
    columns = (steps // 2 - 1, steps - 1)
    rewards = np.zeros((len(columns) + 1, steps))
    rewards[np.arange(len(columns)), columns] = 1.0
    batch = chain_episodes(mdp, policy, [[(t + 1) % 2 for t in range(steps)]] * len(rewards))
    try:
        weights = coefficients(batch, prober.each(batch.altered(rewards=rewards)))
    except Exception:  # the estimator may be made for one model only
        return True
    off = [np.abs(weights[i] - weights[-1] - gamma**k)[: k + 1].max() for i, k in enumerate(columns)]
    return float(max(off)) <= prober.rounding


def _wrong_steps(weights: Floats, gamma: float, tolerance: float) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """The rows t and columns k ≥ t in which W is not γ^k, as the later of the two, sorted."""
    off = np.abs(np.triu(weights - correct_weights(len(weights), gamma))) > tolerance
    return np.unique(np.nonzero(off)[1])
