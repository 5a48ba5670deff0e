"""Which episode of a batch has a part in what: by impulses, in batches whose episodes have no state in common.

W[i, t, j, k] is what a unit reward at step k of episode j adds to the coefficient of step t of episode i.
"""

from collections.abc import Sequence

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.estimators.base import Estimator
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.findings import Finding
from pgcheck.verification.impulses import alternating, chain, chain_behavior, chain_episodes, coefficients
from pgcheck.verification.probing import CHAIN_STEPS, Length, Prober

USUAL_SIZES = (2, 3, 8)  # batches that are looked at, beside those of the findings


def influences(
    estimator: Estimator,
    size: int,
    gamma: float,
    *,
    steps: int = CHAIN_STEPS,
    reward: float = 1.0,
    terminated: bool = True,
    off_policy: bool = False,
) -> Floats:
    """Returns W `[B, T, B, T]` of batches of `size` episodes, times B: 1 where a mean has a weight of 1.

    Args:
      estimator: of whole batches.
      size: B.
      gamma: γ of the chains.
      steps: T.
      reward: the size of the single rewards, by which the weights are divided.
      terminated: whether the episodes terminate, or the horizon cuts them off.
      off_policy: whether another policy draws them.
    """
    mdp, policy = chain(steps, gamma, terminated=terminated, copies=size)
    impulse = np.vstack([np.eye(size * steps), np.zeros((1, size * steps))])  # the last batch has no reward
    starts = np.tile(np.arange(size) * (steps + 1), len(impulse))
    behavior = chain_behavior(mdp, steps) if off_policy else None
    batch = chain_episodes(mdp, policy, [alternating(steps)] * len(starts), starts, behavior)
    batch = batch.altered(rewards=reward * impulse.reshape(-1, steps))
    gradients = estimator.of_batches(batch, np.arange(len(starts)).reshape(-1, size))
    by_copy = np.asarray(gradients, dtype=np.float64).reshape(len(starts), steps + 1, -1)
    weights = coefficients(batch, by_copy).reshape(len(impulse), size, steps)
    added = (weights[:-1] - weights[-1]).reshape(size, steps, size, steps)
    return np.asarray(size / reward * np.moveaxis(added, (0, 1), (2, 3)))


def find_leak(prober: Prober) -> Diagnosis | None:
    """Returns whether returns go on into the following episode of a batch, as if both were one long episode.

    The following one may be that before it in the batch; the returns may be standardised afterwards.
    """
    for terminated, cause in ((True, "leaks-between-episodes"), (False, "leaks-between-episodes/cut")):
        try:
            weights = influences(prober.estimator, 2, prober.gamma, terminated=terminated)
        except Exception:  # the estimator may be made for one model only
            return None
        noise = prober.rounding * float(np.abs(weights).max())
        by_step = prober.gamma ** np.arange(CHAIN_STEPS, dtype=np.float64)[:, None, None]
        for first, second in ((0, 1), (1, 0)):
            for divisor in (np.ones_like(by_step), by_step):
                if _is_one_list(weights[[first, second]][:, :, [first, second]] / divisor, noise):
                    return Diagnosis("leaks-between-episodes", cause)
    return None


def _is_one_list(weights: Floats, noise: float) -> bool:
    """Whether the weights of two episodes `[2, T, 2, T]` are those of one long episode, but for a common shift."""
    # A reward of the first episode is nothing to the second, and the first reward of the second nothing to its rest.
    row = np.concatenate([weights[0, 0, 0], weights[0, 0, 1]])
    if float(np.abs(weights[1, :, 0]).max()) <= noise:
        # In one row, W of a long episode is geometric from t on; so it is across the border.
        return abs(row[CHAIN_STEPS]) > noise and bool(np.abs(row[1:] * row[0] - row[:-1] * row[1]).max() <= noise)
    shift = weights[1, 1:, 1, 0]
    if np.ptp(shift) > noise or np.ptp(np.append(weights[1, :, 0, 0], weights[0, 1:, 0, 0])) > noise:
        return False
    column = np.append(weights[0, :, 1, 0], weights[1, 0, 1, 0]) - shift[0]
    return abs(column[-2]) > noise and bool(np.abs(column[1:] * column[-2] - column[:-1] * column[-1]).max() <= noise)


def find_unused(prober: Prober, findings: Sequence[Finding]) -> tuple[Diagnosis, Length] | None:
    """Returns whether some episodes of a batch have no part in the result, and what makes up for them in the divisor.

    None where all have. Episodes that another batch size leaves out are found too.
    """
    parts: dict[int, int] = {}
    for size in sorted({*USUAL_SIZES, *(finding.batch_size for finding in findings)}):
        try:
            parts[size] = _number_used(influences(prober.estimator, size, prober.gamma), prober.rounding)
        except Exception:  # the estimator may be made for one model only
            return None
    partly = [size for size, used in parts.items() if 0 < used < size]
    if not partly:
        return None

    def over_used(lengths: Ints) -> Floats:
        count, size = lengths.shape
        return np.full(count, size / (parts.get(size) or size))

    figures = (("used", parts[partly[0]]), ("few", partly[0]))
    return Diagnosis("batch-coupled", "batch-coupled/subset", figures), over_used


def _number_used(weights: Floats, rounding: float) -> int:
    """How many episodes have a weight, or a reward that has one."""
    size = np.abs(weights)
    is_used = np.maximum(size.max(axis=(1, 2, 3)), size.max(axis=(0, 1, 3))) > rounding * float(size.max())
    return int(is_used.sum())
