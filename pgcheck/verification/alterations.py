"""What is done to episodes to see how an estimator responds, and the lengths of batches that may divide it."""

from collections.abc import Callable

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.trajectories.batch import Batch


def all_terminated(batch: Batch) -> Batch:
    """Returns the episodes as if every one had terminated."""
    return batch.altered(terminated=np.ones(len(batch), dtype=np.bool_))


def all_cut_off(batch: Batch) -> Batch:
    """Returns the episodes as if the horizon had cut every one off."""
    return batch.altered(terminated=np.zeros(len(batch), dtype=np.bool_))


def no_rewards(batch: Batch) -> Batch:
    """Returns the episodes with every reward 0."""
    return batch.altered(rewards=np.zeros(batch.rewards.shape))


def next_states_moved(batch: Batch) -> Batch:
    """Returns the episodes with every next state replaced by the one after it in number."""
    return batch.altered(next_states=np.where(batch.mask, (batch.next_states + 1) % batch.num_states, 0))


def mean_length(lengths: Ints) -> Floats:
    """Returns the mean number of steps of each batch's episodes `[M]`, for their lengths `[M, B]`."""
    return np.asarray(lengths.mean(axis=1))


def padded_length(lengths: Ints) -> Floats:
    """Returns the number of steps of each batch's longest episode `[M]`."""
    return np.asarray(lengths.max(axis=1), dtype=np.float64)


def rewards_times(factor: float) -> Callable[[Batch], Batch]:
    """Returns the change that multiplies all rewards."""
    return lambda batch: batch.altered(rewards=factor * batch.rewards)
