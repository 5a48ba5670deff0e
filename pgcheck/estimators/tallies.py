"""What is made of rollouts: tallies take them in, some at a time; sums over parts of them make that of all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from pgcheck.arrays import Floats, Ints, fields_alone
from pgcheck.estimators.base import Estimator, gradients
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.dealing import Dealt
from pgcheck.trajectories.parts import Part
from pgcheck.trajectories.paths import measured, padded, paths_above, sampled_paths
from pgcheck.trajectories.sampling import Sampler
from pgcheck.workers.executor import Arrays, Executor, fractions


class Tally(Protocol):
    """Takes in rollouts, some at a time."""

    def add(self, batch: Batch, counts: Floats) -> None:
        """Takes in trajectories and how often each was drawn `[N]`."""


class Summed(Tally, Protocol):
    """Sums something over rollouts; the sums of parts of them make that of all."""

    def empty(self) -> "Summed":
        """Returns another that has taken in nothing."""

    def sums(self) -> Arrays:
        """Returns the sums so far."""

    def add_sums(self, sums: Arrays) -> None:
        """Adds those of other rollouts."""


class SumTally:
    """Σ shares · ĝ and Σ shares over the rollouts: the mean, the ratio, or the mean over distinct trajectories."""

    def __init__(self, estimator: Estimator, policy: Policy) -> None:
        self.estimator, self.policy = estimator, policy
        self.total = np.zeros(len(policy.theta))
        self.shares = 0.0

    def add(self, batch: Batch, counts: Floats) -> None:
        """Takes in trajectories and how often each was drawn `[N]`."""
        shares = self.estimator.shares(batch, counts)
        self.shares += float(shares.sum())
        self.total += self.estimator.weighted_sum(batch, shares)

    def empty(self) -> "SumTally":
        """Returns another that has taken in nothing."""
        return SumTally(self.estimator, self.policy)

    def sums(self) -> Arrays:
        """Returns Σ shares · ĝ `[d]` and Σ shares."""
        return self.total, np.array(self.shares)

    def add_sums(self, sums: Arrays) -> None:
        """Adds those of other rollouts."""
        self.total += sums[0]
        self.shares += float(sums[1])

    def estimate(self) -> Floats:
        """Returns ĝ_N `[d]`."""
        return self.total / (self.shares if self.shares > 0 else 1.0)


class BatchTally:
    """All rollouts, each trajectory as often as it was drawn, for an estimator that makes one gradient of them."""

    def __init__(self, estimator: Estimator, mdp: MDP, policy: Policy) -> None:
        self.estimator = estimator
        self._mdp = mdp
        self._policy = policy
        self._paths: list[Ints] = []

    def add(self, batch: Batch, counts: Floats) -> None:
        """Takes in trajectories and how often each was drawn `[N]`."""
        paths = np.vstack([batch.starts, batch.outcomes])
        self._paths.append(np.repeat(paths, counts.astype(np.int64), axis=1))

    def estimate(self) -> Floats:
        """Returns ĝ_N `[d]`."""
        batch = Batch.from_paths(self._mdp, self._policy, padded(self._mdp, self._paths))
        return batch.flattened(gradients(self.estimator, batch).values.mean(axis=0))


def tally(
    sampler: Sampler,
    policy: Policy,
    tallies: Sequence[Tally],
    *,
    distinct: bool,
    progress: Callable[[float], None] | None = None,
) -> float:
    """Walks through a sampler's rollouts, hands them to each tally, and returns the sum of their returns.

    Args:
      sampler: made with `paths=True`.
      policy: the point θ at which the gradient is taken.
      tallies: take in the rollouts.
      distinct: whether each trajectory must come once, with its count.
      progress: called with the fraction done, 0 to 1, from time to time.
    """
    value = 0.0
    for batch, counts, returns in measured(
        sampler.mdp, policy, sampled_paths(sampler, distinct=distinct), sampler.policy
    ):
        value += _taken_in(tallies, batch, counts, returns)
        if progress is not None:
            progress(sampler.fraction())
    return value


def tally_parts(
    sampler: Sampler,
    policy: Policy,
    tallies: Sequence[Summed],
    executor: Executor,
    *,
    distinct: bool,
    progress: Callable[[float], None] | None = None,
) -> float:
    """Does what `tally` does, in the parts that so many rollouts are cut into."""
    dealt, value = Dealt(sampler), 0.0
    for batch, counts, returns in measured(sampler.mdp, policy, paths_above(dealt), sampler.policy):
        value += _taken_in(tallies, batch, counts, returns)
    parts = dealt.parts()
    task = Tallied(sampler.mdp, sampler.policy, policy, sampler.n, tuple(it.empty() for it in tallies), distinct)
    for returns, *sums in fractions(executor.map(task, parts), len(parts), progress):
        value += float(returns)
        for each in tallies:
            width = len(each.sums())
            each.add_sums(tuple(sums[:width]))
            del sums[:width]
    return value


def _taken_in(tallies: Sequence[Tally], batch: Batch, counts: Floats, returns: Floats) -> float:
    for each in tallies:
        each.add(batch, counts)
    return float(counts @ returns)


@dataclass(frozen=True, eq=False)
class Tallied:
    """What comes of a part's rollouts (`Task`): the sum of their returns, and the sums of each tally.

    Attributes:
      mdp: the model.
      actor: draws the actions.
      target: the point θ at which the gradient is taken.
      n: the number of all rollouts.
      tallies: empty ones.
      distinct: whether each trajectory must come once, with its count.
    """

    mdp: MDP
    actor: Policy
    target: Policy
    n: int
    tallies: tuple[Summed, ...]
    distinct: bool

    @property
    def label(self) -> str:
        """What is done."""
        return f"sampling {self.mdp.name}"

    @cached_property
    def _sampler(self) -> Sampler:
        return Sampler(self.mdp, self.actor, self.n, np.random.default_rng(0), paths=True, target=self.target)

    __getstate__ = fields_alone

    def __call__(self, part: Part, /) -> Arrays:
        """Returns the sum of the returns, and the arrays of each tally, one after the other."""
        tallies = [it.empty() for it in self.tallies]
        value = tally(self._sampler.of_part(part.block()), self.target, tallies, distinct=self.distinct)
        return np.array(value), *(array for each in tallies for array in each.sums())
