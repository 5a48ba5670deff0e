"""Beyond the models: a long episode, large and small rewards, for estimators that pass on all models.

An estimator whose weights are as expected in a chain of few steps has to weight a long chain alike.
"""

from collections.abc import Callable

import numpy as np

from pgcheck.arrays import Bools, Floats
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.impulses import chain, chain_episodes, coefficients, correct_weights, impulses
from pgcheck.verification.influence import influences
from pgcheck.verification.probing import CHAIN_GAMMA, CHAIN_STEPS, Prober

LONG_STEPS = 64  # of the long episode, each in a state of its own
SIZES = (1e4, -1e4, 1e-3)  # of single rewards

Expected = Callable[[int, float], Floats]  # from the steps of a chain and γ to W [T, T]


def beyond_models(prober: Prober, gamma: float, expected: Expected = correct_weights) -> list[Diagnosis]:
    """Returns what is wrong with a long episode, or with large or small rewards; empty where nothing is.

    Empty too where the weights of few steps are not those that are expected, so that they say nothing of many.

    Args:
      prober: calls the estimator.
      gamma: γ of the chains.
      expected: W, of which k ≥ t counts.
    """
    # Where γ^k falls fast, late steps hardly show: a greater γ is used, unless the code has a γ of its own.
    gammas = [g for g in (max(gamma, CHAIN_GAMMA), gamma) if _is_right(prober, g, 1.0, expected)]
    if not gammas:
        return []
    for size in SIZES:
        if not _is_right(prober, gammas[0], size, expected):
            return [Diagnosis("reach", "reach/rewards", (("reward", size),))]
    if prober.contract.by_episode and _is_right_at_length(prober, gammas[0], expected):
        return []
    weights = _weights(prober, LONG_STEPS, gammas[0], 1.0)
    if weights is None:
        return []
    wrong = np.flatnonzero(_is_wrong(weights, expected(LONG_STEPS, gammas[0]), prober.rounding).any(axis=(0, 1)))
    if not len(wrong):
        return []
    return [Diagnosis("reach", "reach/steps", (("steps", LONG_STEPS), ("step", int(wrong[0]))))]


def _is_right(prober: Prober, gamma: float, size: float, expected: Expected) -> bool:
    """Whether W of few steps is as expected, as far as the estimator can be called on such episodes."""
    weights = _weights(prober, CHAIN_STEPS, gamma, size)
    if weights is None:
        return size != 1.0
    return not _is_wrong(weights, expected(CHAIN_STEPS, gamma), prober.rounding).any()


def _weights(prober: Prober, steps: int, gamma: float, size: float) -> Floats | None:
    """W by rewards of one size, of an episode or of each of a pair `[M, T, T]`; None where it cannot be had."""

    def rescaled(batch: Batch) -> Floats:
        return np.asarray(prober.each(batch.altered(rewards=size * batch.rewards)) / size)

    try:
        if prober.contract.by_episode:
            return impulses(rescaled, steps, gamma)[None]
        pair = influences(prober.estimator, 2, gamma, steps=steps, reward=size) / prober.scale
        return np.stack([pair[i, :, i] for i in range(2)])
    except Exception:  # the estimator may be made for one model only
        return None


def _is_right_at_length(prober: Prober, gamma: float, expected: Expected) -> bool:
    """Whether the steps of a long episode are weighted right by its last reward and by the middle one.

    A few episodes tell what all impulses would, which are looked at where these do not.
    """
    steps, right = LONG_STEPS, expected(LONG_STEPS, gamma)
    mdp, policy = chain(steps, gamma)
    columns = (steps // 2 - 1, steps - 1)
    rewards = np.zeros((len(columns) + 1, steps))
    rewards[np.arange(len(columns)), columns] = 1.0
    batch = chain_episodes(mdp, policy, [[(t + 1) % 2 for t in range(steps)]] * len(rewards))
    try:
        weights = coefficients(batch, prober.each(batch.altered(rewards=rewards)))
    except Exception:  # the estimator may be made for one model only
        return True
    off = [np.abs(weights[i] - weights[-1] - right[:, k])[: k + 1].max() for i, k in enumerate(columns)]
    return float(max(off)) <= prober.rounding


def _is_wrong(weights: Floats, expected: Floats, tolerance: float) -> Bools:
    """The rows t and columns k ≥ t in which W is not as expected `[M, T, T]`."""
    return np.abs(np.triu(weights - expected)) > tolerance * max(1.0, float(np.abs(expected).max()))
