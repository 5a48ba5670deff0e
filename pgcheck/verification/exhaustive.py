"""The exact expectation of an estimator: over all episodes, or over all batches of B episodes."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from pgcheck.arrays import Floats, Ints, fields_alone
from pgcheck.estimators import expectation
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.contract import Contract
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.draws import by_start
from pgcheck.trajectories.ranges import Ranges
from pgcheck.verification.calls import CoupledRowsError, EachEpisode
from pgcheck.verification.setting import Setting
from pgcheck.workers.executor import HERE, Arrays, Executor, fractions
from pgcheck.workers.merging import RunningSum

BLOCKS = 64  # of batches, at least, where there are so many
FEWEST_BATCHES, BATCHES_A_REQUEST = 256, 8192  # in a block
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
    estimator: Estimator,
    setting: Setting,
    contract: Contract,
    *,
    progress: Fraction | None = None,
    executor: Executor = HERE,
) -> Expectation | None:
    """Returns Σ_τ P(τ) ĝ(τ), range by range; None where rows turn out to depend on their batch after all.

    P is the probability under the policy that draws the episodes.
    """
    task = _OverEpisodes(estimator, setting, contract)
    single = contract.single

    def noted(results: Iterator[Arrays]) -> Iterator[Arrays]:
        nonlocal single
        for result in results:
            single = single or bool(result[-1])
            yield result

    try:
        sums = expectation.merged(noted(executor.map(task, range(len(task.ranges)))), progress)
    except CoupledRowsError:
        return None
    return Expectation(1, sums.mean, sums.trace, single)


@dataclass(frozen=True, eq=False)
class _OverEpisodes:
    """What an estimator makes of a range of episodes (`Task`), by its number."""

    estimator: Estimator
    setting: Setting
    contract: Contract

    @property
    def label(self) -> str:
        """What is done."""
        return f"{self.estimator.name} on {self.setting.mdp.name}"

    @cached_property
    def ranges(self) -> Ranges:
        """All episodes."""
        return Ranges(self.setting.mdp, self.setting.policy, self.setting.actor)

    __getstate__ = fields_alone

    def __call__(self, number: int, /) -> Arrays:
        """Returns Σ P ĝ `[*theta.shape]`, Σ P ĝ² `[d]`, Σ P, and whether numbers came in single precision.

        Raises:
          CoupledRowsError: rows depend on the batch around them.
        """
        each = EachEpisode(self.estimator, self.setting, self.contract, number)

        def flat(batch: Batch) -> Floats:
            return each(batch).reshape(len(batch), -1)

        mean, second, mass = expectation.sums_over(self.ranges.batches(number), flat)
        return mean.reshape(each.shape if mean.ndim else ()), second, mass, np.array(each.single)


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
    executor: Executor = HERE,
) -> Expectation:
    """Returns Σ P(τ_1) … P(τ_B) ĝ(τ_1, …, τ_B) over all batches of B = `size` independent episodes.

    Where they share s_0, it is Σ_s P(s_0 = s) Σ P(τ_1|s) … P(τ_B|s) ĝ(τ_1, …, τ_B), τ_1, …, τ_B from s on. Where the
    order of the episodes does not matter, one batch stands for all its orders, with its multinomial weight.
    """
    task = _OverBatches(estimator, batch, prob, size, contract, same_start)
    parts = task.parts()
    mean, second = RunningSum(), RunningSum()
    for first, squares in fractions(executor.map(task, parts), len(parts), progress):
        mean.add(first)
        second.add(squares)
    trace = float(second.total.sum()) - float(np.sum(mean.total**2))
    return Expectation(size, mean.total, size * max(trace, 0.0), contract.single)


Block = tuple[int, int, int]  # the number of the group, that of the first of its batches, and the one after the last


@dataclass(frozen=True, eq=False)
class _OverBatches:
    """What an estimator makes of a block of batches (`Task`)."""

    estimator: Estimator
    batch: Batch
    prob: Floats
    size: int
    contract: Contract
    same_start: bool

    @property
    def label(self) -> str:
        """What is done."""
        return f"{self.estimator.name} on batches of {self.size} of {self.batch.mdp.name}"

    @cached_property
    def groups(self) -> list[Ints]:
        """The numbers of the episodes that may stand in a batch together."""
        return list(by_start(self.batch)) if self.same_start else [np.arange(len(self.batch))]

    def parts(self) -> list[Block]:
        """Returns the blocks, which follow from the problem."""
        numbers = [number_of_batches(len(group), self.size, self.contract) for group in self.groups]
        most = min(BATCHES_A_REQUEST, 1 + MOST_NUMBERS // (1 + self.batch.theta.size))
        together = min(most, max(FEWEST_BATCHES, -(-sum(numbers) // BLOCKS)))
        return [
            (group, first, min(first + together, number))
            for group, number in enumerate(numbers)
            for first in range(0, number, together)
        ]

    def __getstate__(self) -> dict[str, object]:
        batch = self.batch
        travels = fields_alone(self)
        travels["batch"] = Setting(batch.mdp, batch.policy, batch.behavior), batch.starts, batch.outcomes
        return {**travels, "altered": {name: getattr(batch, name) for name in batch.alterations}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        setting, starts, outcomes = state["batch"]
        batch = Batch(setting.mdp, setting.policy, starts, outcomes, setting.behavior)
        self.__dict__.update(state, batch=batch.altered(**state.pop("altered")))

    def __call__(self, block: Block, /) -> Arrays:
        """Returns Σ P ĝ `[*theta.shape]` and Σ P ĝ² `[d]`."""
        number, first, end = block
        group = self.groups[number]
        index = group[batches_at(np.arange(first, end), len(group), self.size, ordered=self.contract.ordered)]
        start = math.fsum(self.prob[group]) if self.same_start else 1.0
        weight = start * np.prod(self.prob[index] / start, axis=1)
        if not self.contract.ordered:
            weight *= math.factorial(self.size) / _repeats(index)
        gradients = self.estimator.of_batches(self.batch, index)
        mean, squares = expectation.weighted_sums(weight, gradients.reshape(len(index), -1))
        return mean.reshape(gradients.shape[1:]), squares


def batches_at(numbers: Ints, episodes: int, size: int, *, ordered: bool) -> Ints:
    """Returns the batches `[m, size]` with these numbers `[m]` among all tuples, or all multisets, of the episodes.

    They are numbered in the order of the dictionary.
    """
    index = np.empty((len(numbers), size), dtype=np.int64)
    rest = numbers
    if ordered:
        for place in reversed(range(size)):
            rest, index[:, place] = np.divmod(rest, episodes)
        return index
    least = np.zeros(len(numbers), dtype=np.int64)  # that the next member may be
    for place in range(size):
        at_least = _numbers_from(episodes, size - place)
        sought = at_least[least] - rest
        member = np.searchsorted(-at_least, -sought, side="right") - 1
        index[:, place], rest, least = member, at_least[member] - sought, member
    return index


@lru_cache
def _numbers_from(episodes: int, size: int) -> Ints:
    """How many multisets of `size` episodes have no member below 0, 1, …, and below the number of episodes."""
    return np.array([math.comb(episodes - least + size - 1, size) for least in range(episodes + 1)], dtype=np.int64)


def _repeats(index: Ints) -> Floats:
    """Π m! over the number of times m that each member stands in a sorted row `[n]`."""
    product, run = np.ones(len(index)), np.ones(len(index))
    for member, following in itertools.pairwise(index.T):
        run = np.where(member == following, run + 1, 1.0)
        product *= run
    return product
