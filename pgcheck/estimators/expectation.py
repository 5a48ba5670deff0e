"""The exact expectation of an estimator: the sum over all episodes, each weighted by its probability."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pgcheck.arrays import Floats, fields_alone
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.ranges import Ranges
from pgcheck.workers.executor import HERE, Arrays, Executor
from pgcheck.workers.merging import RunningSum

Each = Callable[[Batch], Floats]


@dataclass(frozen=True, eq=False)
class EpisodeSums:
    """Sums over all episodes.

    Attributes:
      mean: Σ P(τ) ĝ(τ) `[d]`.
      second: Σ P(τ) ĝ(τ) ĝ(τ)ᵀ, its diagonal `[d]` or all of it `[d, d]`.
    """

    mean: Floats
    second: Floats

    @property
    def trace(self) -> float:
        """tr Cov ĝ, of sums whose `second` is a diagonal."""
        return max(float(self.second.sum()) - float(np.sum(self.mean**2)), 0.0)


def over_episodes(
    each: Each,
    mdp: MDP,
    policy: Policy,
    actor: Policy,
    *,
    full: bool = False,
    progress: Callable[[float], None] | None = None,
    executor: Executor = HERE,
) -> EpisodeSums:
    """Returns Σ_τ P(τ) ĝ(τ) and Σ_τ P(τ) ĝ(τ) ĝ(τ)ᵀ, range by range.

    Args:
      each: gives ĝ of each episode of a batch `[N, d]`, for any d. Other processes need one that can be pickled.
      mdp, policy: the problem, and the point θ at which the gradient is taken.
      actor: draws the actions; P is the probability under this policy.
      full: whether the whole second moment is wanted, or its diagonal.
      progress: called with the probability of the episodes that are done.
      executor: who does the ranges.
    """
    task = _OverEpisodes(each, mdp, policy, actor, full)
    results = executor.map(task, range(len(Ranges(mdp, policy, actor))))
    return merged(results, progress)


@dataclass(frozen=True, eq=False)
class _OverEpisodes:
    """The sums over a range of episodes (`Task`), by its number."""

    each: Each
    mdp: MDP
    policy: Policy
    actor: Policy
    full: bool

    @property
    def label(self) -> str:
        """What is done."""
        return f"expectations of {self.mdp.name}"

    @cached_property
    def _ranges(self) -> Ranges:
        return Ranges(self.mdp, self.policy, self.actor)

    __getstate__ = fields_alone

    def __call__(self, number: int, /) -> Arrays:
        """Returns the sums: of gradients, of their squares or products, and of probabilities."""
        return sums_over(self._ranges.batches(number), self.each, full=self.full)


def sums_over(batches: Iterable[tuple[Batch, Floats]], each: Each, *, full: bool = False) -> Arrays:
    """Returns Σ p ĝ `[d]`, Σ p ĝ ĝᵀ, its diagonal `[d]` or all of it `[d, d]`, and Σ p over some episodes.

    Args:
      batches: the episodes, with p of each.
      each: as in `over_episodes`.
      full: whether the whole second moment is wanted.
    """
    mean, second, mass = RunningSum(), RunningSum(), RunningSum()
    for batch, prob in batches:
        gradients = each(batch)
        first, squares = weighted_sums(prob, gradients)
        mean.add(first)
        second.add(with_diagonal(gradients.T @ (prob[:, None] * gradients), squares) if full else squares)
        mass.add(prob.sum())
    return mean.total, second.total, mass.total


def weighted_sums(weights: Floats, rows: Floats) -> tuple[Floats, Floats]:
    """Returns Σ w x `[d]` and Σ w x² `[d]` of rows x `[N, d]`, with weights `[N]`.

    They are summed by NumPy, pairwise: a product of matrices is summed in an order that depends on how many threads
    the library for linear algebra has.
    """
    columns = np.ascontiguousarray(rows.T)
    weighted = weights * columns
    return weighted.sum(axis=1), (weighted * columns).sum(axis=1)


def with_diagonal(products: Floats, squares: Floats) -> Floats:
    """Returns a product of matrices `[d, d]` with this diagonal `[d]`: its own has bits that depend on the machine.

    The matrix is changed in place.
    """
    np.fill_diagonal(products, squares)
    return products


def merged(results: Iterable[Arrays], progress: Callable[[float], None] | None = None) -> EpisodeSums:
    """Returns the sums of what `sums_over` returned for each range, in their order; more arrays may follow those.

    Args:
      results: of the ranges.
      progress: called with the probability of the episodes that are done.
    """
    mean, second, done = RunningSum(), RunningSum(), 0.0
    for first, squares, mass, *_ in results:
        mean.add(first)
        second.add(squares)
        done += float(mass)
        if progress is not None:
            progress(done)
    return EpisodeSums(mean.total, second.total)
