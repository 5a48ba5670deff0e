"""The exact expectation of an estimator: over all episodes, or over all batches of B episodes."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.estimators import expectation
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.contract import Contract
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.draws import by_start
from pgcheck.verification.calls import CoupledRowsError, EachEpisode
from pgcheck.verification.setting import Setting

BATCHES_A_REQUEST = 8192
MOST_NUMBERS = 2**23  # in the gradients of a request

Fraction = Callable[[float], None]  # is called with the fraction done


@dataclass(frozen=True, eq=False)
class Expectation:
    """E[ĝ] over all batches of B episodes.

    Attributes:
      batch_size: B; 1 where each episode has its own gradient.
      mean: E[ĝ] `[*theta.shape]`.
      trace: B tr Cov(ĝ): for a mean over episodes, the trace of the covariance of one episode's estimate.
      single: whether numbers came in single precision.
    """

    batch_size: int
    mean: Floats
    trace: float
    single: bool


def over_episodes(
    estimator: Estimator, setting: Setting, contract: Contract, *, progress: Fraction | None = None
) -> Expectation | None:
    """Returns Σ_τ P(τ) ĝ(τ), block by block; None where rows turn out to depend on their batch after all.

    P is the probability under the policy that draws the episodes.
    """
    each = EachEpisode(estimator, setting, contract)

    def flat(batch: Batch) -> Floats:
        return each(batch).reshape(len(batch), -1)

    try:
        sums = expectation.over_episodes(flat, setting.mdp, setting.policy, setting.actor, progress=progress)
    except CoupledRowsError:
        return None
    return Expectation(1, sums.mean.reshape(each.shape), sums.trace, each.single)


def number_of_batches(episodes: int, size: int, contract: Contract) -> int:
    """Returns how many batches of `size` out of so many episodes an estimator is called with."""
    return episodes**size if contract.ordered else math.comb(episodes + size - 1, size)


def over_batches(
    estimator: Estimator,
    batch: Batch,
    prob: Floats,
    size: int,
    contract: Contract,
    *,
    same_start: bool = False,
    progress: Fraction | None = None,
) -> Expectation:
    """Returns Σ P(τ_1) … P(τ_B) ĝ(τ_1, …, τ_B) over all batches of B = `size` independent episodes.

    Where they share s_0, it is Σ_s P(s_0 = s) Σ P(τ_1|s) … P(τ_B|s) ĝ(τ_1, …, τ_B), τ_1, …, τ_B from s on. Where the
    order of the episodes does not matter, one batch stands for all its orders, with its multinomial weight.
    """
    mean = np.zeros(batch.theta.shape)
    square, done = 0.0, 0
    together = 1 + MOST_NUMBERS // (1 + mean.size)
    groups = list(by_start(batch)) if same_start else [np.arange(len(batch))]
    total = sum(number_of_batches(len(numbers), size, contract) for numbers in groups)
    for numbers in groups:
        start = math.fsum(prob[numbers]) if same_start else 1.0
        for members in _batches(len(numbers), size, contract.ordered, together):
            index = numbers[members]
            weight = start * np.prod(prob[index] / start, axis=1)
            if not contract.ordered:
                weight *= math.factorial(size) / _repeats(index)
            gradients = estimator.of_batches(batch, index)
            mean += np.tensordot(weight, gradients, axes=1)
            square += float(weight @ np.sum(gradients.reshape(len(weight), -1) ** 2, axis=1))
            done += len(index)
            if progress is not None:
                progress(done / total)
    return Expectation(size, mean, size * max(square - float(np.sum(mean**2)), 0.0), contract.single)


def _batches(episodes: int, size: int, ordered: bool, most: int) -> Iterator[Ints]:
    """All tuples, or all multisets, of so many episodes, at most so many at a time `[m, size]`."""
    numbers = range(episodes)
    batches = (
        itertools.product(numbers, repeat=size) if ordered else itertools.combinations_with_replacement(numbers, size)
    )
    while request := list(itertools.islice(batches, min(BATCHES_A_REQUEST, most))):
        yield np.array(request, dtype=np.int64)


def _repeats(index: Ints) -> Floats:
    """Π m! over the number of times m that each member stands in a sorted row `[n]`."""
    product, run = np.ones(len(index)), np.ones(len(index))
    for member, following in itertools.pairwise(index.T):
        run = np.where(member == following, run + 1, 1.0)
        product *= run
    return product
