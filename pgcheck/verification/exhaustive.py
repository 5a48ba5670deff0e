"""The exact expectation of somebody's estimator: over all episodes, or over all batches of B of them."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.estimators.base import Caller
from pgcheck.estimators.contract import Contract, rows_change
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.paths import enumerated_paths, measured

CHECKED = 20  # blocks of which some rows are called for by themselves
LOT = 8192  # batches that are asked for together

Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Expectation:
    """E[ĝ] over all batches of B episodes.

    Attributes:
      batch_size: B; 1 where each episode has its own gradient.
      mean: `[*theta.shape]`.
      trace: B times the trace of the covariance: that of one episode, for a mean.
      single: whether numbers came in single precision.
    """

    batch_size: int
    mean: Floats
    trace: float
    single: bool


def over_episodes(
    caller: Caller, mdp: MDP, policy: Policy, kind: Contract, *, progress: Progress | None = None
) -> Expectation | None:
    """Returns Σ_τ P(τ) ĝ(τ), block by block; None where rows turn out to depend on the batch after all."""
    mean: Floats | None = None
    square, done, single = 0.0, 0.0, kind.single
    for number, (batch, prob, _) in enumerate(measured(mdp, policy, enumerated_paths(mdp, policy), policy)):
        if kind.rows:
            answer = caller.whole(batch)
            checked = np.unique(np.linspace(0, len(batch) - 1, 3).astype(np.int64))
            if number < CHECKED and rows_change(caller, batch, answer.values, answer.single, checked):
                return None
        else:
            answer = caller.groups(batch, np.arange(len(batch))[:, None])
        if mean is None:
            mean = np.zeros(answer.values.shape[1:])
        mean += np.tensordot(prob, answer.values, axes=1)
        square += float(prob @ np.sum(answer.values.reshape(len(prob), -1) ** 2, axis=1))
        single = single or answer.single
        done += float(prob.sum())
        if progress is not None:
            progress(done)
    assert mean is not None
    return Expectation(1, mean, max(square - float(np.sum(mean**2)), 0.0), single)


def calls_for(count: int, size: int, kind: Contract) -> int:
    """Returns how many batches of `size` there are of so many episodes."""
    return count**size if kind.ordered else math.comb(count + size - 1, size)


def over_batches(
    caller: Caller, batch: Batch, prob: Floats, size: int, kind: Contract, *, progress: Progress | None = None
) -> Expectation:
    """Returns the expectation over all batches of `size` independent episodes.

    Where the order does not matter, a batch stands for all its orders: multinomial weights.
    """
    mean = np.zeros(batch.theta.shape)
    square, done, single = 0.0, 0, kind.single
    for index in _batches(len(batch), size, kind.ordered):
        weight = np.prod(prob[index], axis=1)
        if not kind.ordered:
            weight *= math.factorial(size) / _repeats(index)
        answer = caller.groups(batch, index)
        mean += np.tensordot(weight, answer.values, axes=1)
        square += float(weight @ np.sum(answer.values.reshape(len(weight), -1) ** 2, axis=1))
        single = single or answer.single
        done += len(index)
        if progress is not None:
            progress(done / calls_for(len(batch), size, kind))
    return Expectation(size, mean, size * max(square - float(np.sum(mean**2)), 0.0), single)


def _batches(count: int, size: int, ordered: bool) -> Iterator[Ints]:
    """All tuples, or all multisets, of so many episodes, some at a time `[m, size]`."""
    numbers = range(count)
    every = (
        itertools.product(numbers, repeat=size) if ordered else itertools.combinations_with_replacement(numbers, size)
    )
    while some := list(itertools.islice(every, LOT)):
        yield np.array(some, dtype=np.int64)


def _repeats(index: Ints) -> Floats:
    """Π m! over the times m that each member stands in a sorted row `[n]`."""
    product, run = np.ones(len(index)), np.ones(len(index))
    for one, other in itertools.pairwise(index.T):
        run = np.where(one == other, run + 1, 1.0)
        product *= run
    return product
