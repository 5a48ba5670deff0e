"""Beyond the models: a long episode, large and small rewards, for estimators that pass on all models.

An estimator whose weights are as expected in a chain of few steps has to weight a long chain alike. Where the
behavior draws the episodes of the models, another policy draws those of the chains, so that the ratios are not 1.
"""

from collections.abc import Callable

import numpy as np

from pgcheck.arrays import Bools, Floats
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.impulses import (
    alternating,
    chain,
    chain_behavior,
    chain_episodes,
    coefficients,
    impulses,
)
from pgcheck.verification.influence import influences
from pgcheck.verification.probing import CHAIN_GAMMA, CHAIN_STEPS, Prober

LONG_STEPS = 64  # of the long episode, each in a state of its own
SIZES = (1e4, -1e4, 1e-3)  # of single rewards

Expected = Callable[[int, float], list[Floats]]  # from the steps of a chain and γ to each right W [T, T]


def beyond_models(prober: Prober, gamma: float, expected: Expected) -> list[Diagnosis] | None:
    """Returns what is wrong with a long episode, or with large or small rewards; empty where nothing is.

    None where the weights of few steps are none of those that are expected, so that they say nothing of many.

    Args:
      prober: calls the estimator.
      gamma: γ of the chains.
      expected: the W that are right, of which k ≥ t counts.
    """
    # Where γ^k falls fast, late steps hardly show: a greater γ is used, unless the code has a γ of its own.
    for g in (max(gamma, CHAIN_GAMMA), gamma):
        which = _which(prober, g, expected)
        if which is not None:
            return _beyond(prober, g, which, expected)
    return None


def _beyond(prober: Prober, gamma: float, which: int, expected: Expected) -> list[Diagnosis]:
    """What is wrong, of an estimator with this one of the expected weights in a chain of few steps."""

    def right(steps: int) -> Floats:
        return expected(steps, gamma)[which]

    for size in SIZES:
        weights = _weights(prober, CHAIN_STEPS, gamma, size)
        if weights is not None and _is_wrong(weights, right(CHAIN_STEPS), prober.rounding).any():
            return [Diagnosis("reach", "reach/rewards", (("reward", size),))]
    if prober.contract.by_episode and _is_right_at_length(prober, LONG_STEPS, gamma, right(LONG_STEPS)):
        return []
    weights = _weights(prober, LONG_STEPS, gamma, 1.0)
    if weights is None:
        return []
    wrong = np.flatnonzero(_is_wrong(weights, right(LONG_STEPS), prober.rounding).any(axis=(0, 1)))
    if not len(wrong):
        return []
    return [Diagnosis("reach", "reach/steps", (("steps", LONG_STEPS), ("step", int(wrong[0]))))]


def _which(prober: Prober, gamma: float, expected: Expected) -> int | None:
    """Which of the expected weights W is in a chain of few steps; None where it is none of them."""
    weights = _weights(prober, CHAIN_STEPS, gamma, 1.0)
    if weights is None:
        return None
    families = expected(CHAIN_STEPS, gamma)
    fitting = (i for i, right in enumerate(families) if not _is_wrong(weights, right, prober.rounding).any())
    return next(fitting, None)


def _weights(prober: Prober, steps: int, gamma: float, size: float) -> Floats | None:
    """W by rewards of one size, of an episode or of each of a pair `[M, T, T]`; None where it cannot be had."""

    def rescaled(batch: Batch) -> Floats:
        return np.asarray(prober.each(batch.altered(rewards=size * batch.rewards)) / size)

    try:
        if prober.contract.by_episode:
            return impulses(rescaled, steps, gamma, off_policy=prober.off_policy)[None]
        pair = influences(prober.estimator, 2, gamma, steps=steps, reward=size, off_policy=prober.off_policy)
        return np.stack([pair[i, :, i] for i in range(2)]) / prober.scale
    except Exception:  # the estimator may be made for one model only
        return None


def _is_right_at_length(prober: Prober, steps: int, gamma: float, right: Floats) -> bool:
    """Whether the steps of a long episode are weighted right by its last reward and by the middle one.

    A few episodes tell what all impulses would, which are looked at where these do not.
    """
    mdp, policy = chain(steps, gamma)
    columns = (steps // 2 - 1, steps - 1)
    rewards = np.zeros((len(columns) + 1, steps))
    rewards[np.arange(len(columns)), columns] = 1.0
    behavior = chain_behavior(mdp, steps) if prober.off_policy else None
    batch = chain_episodes(mdp, policy, [alternating(steps)] * len(rewards), behavior=behavior)
    try:
        weights = coefficients(batch, prober.each(batch.altered(rewards=rewards)))
    except Exception:  # the estimator may be made for one model only
        return True
    off = [np.abs(weights[i] - weights[-1] - right[:, k])[: k + 1].max() for i, k in enumerate(columns)]
    return float(max(off)) <= prober.rounding


def _is_wrong(weights: Floats, right: Floats, tolerance: float) -> Bools:
    """The rows t and columns k ≥ t in which W is not what it has to be `[M, T, T]`."""
    return np.abs(np.triu(weights - right)) > tolerance * max(1.0, float(np.abs(right).max()))
