"""Larger batches than can be enumerated: drawn episodes, against what batches of one, two and three imply.

Where the gradient of a batch is the mean of its episodes' gradients, or of its pairs' (leave-one-out baselines), the
gradient of a large batch is known exactly. Where it is not that, its expectation decides, by repeated draws.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.estimators.base import Estimator, gradients
from pgcheck.estimators.contract import Contract, differ
from pgcheck.estimators.off_policy import PER_DECISION
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.calls import each_episode
from pgcheck.verification.setting import Setting

SIZES = (5, 8, 64, 1000)
BATCHES = 4  # of each size that are compared, as far as there are episodes
POOL = 40  # distinct episodes from which large batches are made, where all pairs of them are called for
GROUPS = 32  # of repeated draws, whose means are compared
EPISODES = 16_000  # of the repeated draws of one batch size, or a batch in each group
# Student's t with 31 degrees of freedom exceeds 9 with probability 4e-10: at 4 sizes, along ∇J and in each of up to
# 100 components, a right estimator fails with probability 2e-7.
CRITICAL = 9.0
MAX_CONTROL = 4.0  # beyond which a right estimator is too far off in the same draws for these to tell anything

Outcome = Literal["right", "wrong", "unknown", "raised"]


@dataclass(frozen=True)
class Stretched:
    """What batches of one size of drawn episodes show.

    Attributes:
      model: the model's name.
      batch_size: B.
      outcome: `right`: equal to what small batches imply, or no bias in repeated draws; `wrong`: biased; `unknown`:
        not what small batches imply, though the draws show no bias, or they do not tell; `raised`: the estimator
        raised an error.
      exact: whether it was compared with a gradient that is known exactly.
      factor: the estimate over the gradient, where it is wrong.
      counted: how many of the batch's episodes count, where only the first ones do.
      bound: on the relative bias along ∇J, where repeated draws decided that it is right.
    """

    model: str
    batch_size: int
    outcome: Outcome
    exact: bool
    factor: float | None = None
    counted: int | None = None
    bound: float | None = None


def stretched(
    estimator: Estimator,
    contract: Contract,
    setting: Setting,
    gradient: Floats,
    rng: np.random.Generator,
    *,
    expected: Callable[[int], Floats] | None = None,
) -> list[Stretched]:
    """Returns what larger batches of a model's episodes show of an estimator that is as expected for small ones.

    Args:
      estimator, contract: the estimator.
      setting: the model, and who draws its episodes.
      gradient: ∇J `[*theta.shape]`.
      rng: draws the episodes.
      expected: from B to the expectation that is due; None is the gradient.
    """
    due = expected or (lambda size: gradient)
    results: list[Stretched] = []
    stretch: _Stretch | None = None
    for size in SIZES:
        try:
            stretch = stretch or _Stretch(estimator, contract, setting, gradient, rng, due)
            results.append(stretch.at(size))
        except _CallError:  # memory, or a limit of the estimator's own: such batches cannot be judged
            return [*results, Stretched(setting.mdp.name, size, "raised", False)]
    return results


class _CallError(Exception):
    """The estimator raised an error."""


@contextlib.contextmanager
def _calling() -> Iterator[None]:
    """Raises _CallError where an estimator raises whatever it may."""
    try:
        yield
    except Exception as error:
        raise _CallError from error


class _Stretch:
    """Episodes of a model, and what an estimator makes of small batches of them."""

    def __init__(
        self, estimator: Estimator, contract: Contract, setting: Setting, gradient: Floats,
        rng: np.random.Generator, due: Callable[[int], Floats],
    ) -> None:  # fmt: skip
        self.estimator, self.contract, self.setting = estimator, contract, setting
        self.name, self.gradient, self.rng, self.due = setting.mdp.name, gradient, rng, due
        # Where the episodes of a batch share s_0, these are episodes from one state.
        self.batch, numbers = setting.drawn(SIZES[-1], 1, rng)
        self.drawn = numbers[0]
        self.rounding = 1e-4 if contract.single else 1e-9
        self.pool = np.unique(self.drawn)[:POOL]
        self.alone: Floats | None = None
        self.pairs: Floats | None = None
        if contract.by_episode or contract.mean_of_few:
            with _calling():
                self.alone = each_episode(estimator, self.batch, contract).values
        elif not contract.ordered:
            self.drawn = rng.choice(self.pool, SIZES[-1])
            self.pairs = self._of_pairs()
        # The greatest gradient of small batches: that of a large one is right up to its rounding.
        known = self.alone if self.pairs is None else self.pairs
        self.size = 0.0 if known is None else float(np.abs(known).max(initial=0))

    def at(self, size: int) -> Stretched:
        """Returns what batches of B = `size` show."""
        batches = self.drawn[: min(BATCHES, len(self.drawn) // size) * size].reshape(-1, size)
        for index in batches:
            expected = self._expected(index)
            if expected is None:
                return self._by_draws(size)
            if float(np.max(np.abs(self._value(index) - expected))) > self.rounding * self.size:
                if counted := self._counted(batches):  # whose expectation is known: a part of ∇J
                    return Stretched(self.name, size, "wrong", True, counted / size, counted)
                by_draws = self._by_draws(size)
                # It is not what small batches imply, although no bias shows in the draws.
                return replace(by_draws, outcome="unknown") if by_draws.outcome == "right" else by_draws
        return Stretched(self.name, size, "right", True)

    def _value(self, index: Ints) -> Floats:
        """The gradient of a batch, or its rows."""
        if self.contract.rows and self.contract.by_episode:
            with _calling():
                return gradients(self.estimator, self.batch.part(index)).values
        return self._gradients(self.batch, index[None])

    def _gradients(self, batch: Batch, index: Ints) -> Floats:
        """The gradients of batches."""
        with _calling():
            return self.estimator.of_batches(batch, index)

    def _expected(self, index: Ints) -> Floats | None:
        """What small batches imply for `_value`; None where they imply nothing."""
        if self.alone is not None:
            return self.alone[index] if self.contract.rows else self.alone[index].mean(axis=0)[None]
        if self.pairs is None:
            return None
        members, number = np.unique(index, return_counts=True)
        column = np.searchsorted(self.pool, members)
        weight = np.triu(number[:, None] * number, 1) + np.diag(number * (number - 1) / 2)
        pairs = self.pairs[column[:, None], column]
        return np.asarray(np.tensordot(weight / math.comb(len(index), 2), pairs, axes=2))[None]

    def _of_pairs(self) -> Floats | None:
        """The gradients of all pairs of the pool `[P, P, *theta.shape]`; None where triples are not their mean."""
        pool = self.pool
        first, second = np.triu_indices(len(pool))
        values = self._gradients(self.batch, np.stack([pool[first], pool[second]], axis=1))
        pairs = np.empty((len(pool), len(pool), *values.shape[1:]))
        pairs[first, second] = pairs[second, first] = values
        triples = self.rng.integers(0, len(pool), (POOL, 3))
        means = (pairs[triples[:, 0], triples[:, 1]] + pairs[triples[:, 1], triples[:, 2]]
                 + pairs[triples[:, 0], triples[:, 2]]) / 3  # fmt: skip
        of_triples = self._gradients(self.batch, pool[triples])
        return None if differ(of_triples, means, self.contract.single) else pairs

    def _counted(self, batches: Ints) -> int | None:
        """How many episodes count, where the gradient of each batch is the sum of the first ones' over B."""
        if self.alone is None or self.contract.rows:
            return None
        values = self._gradients(self.batch, batches)
        sums = np.cumsum(self.alone[batches], axis=1) / batches.shape[1]
        off = np.abs(sums - values[:, None]).reshape(*batches.shape, -1).max(axis=(0, 2))
        near = np.flatnonzero(off <= self.rounding * self.size)
        return int(near[0]) + 1 if len(near) else None

    def _by_draws(self, size: int) -> Stretched:
        """Whether the mean of repeated batches is off, along ∇J or in a component, by more than chance explains.

        Subtracted from each batch's gradient is one whose expectation is known, of the same episodes, so that less is
        left to chance: what small batches imply, where that is a mean over episodes, else per-decision, which is
        reward-to-go where the policy itself drew the episodes.
        """
        due = self.due(size)
        square = float(np.sum(due**2))
        if square == 0:
            return Stretched(self.name, size, "unknown", False)
        repeats = GROUPS * max(1, EPISODES // (GROUPS * size))
        batch, index = self.setting.drawn(size, repeats, self.rng)
        values = self._gradients(batch, index)
        if self.alone is not None and not self.contract.rows:
            center = self.due(1)
            with _calling():
                each = each_episode(self.estimator, batch, self.contract).values
        else:
            factor = float(np.sum(due * self.gradient)) / (float(np.sum(self.gradient**2)) or 1.0)
            center = factor * self.gradient
            each = factor * batch.shaped(PER_DECISION.each(batch))
        reference, unit = each[index].mean(axis=1), due.ravel() / math.sqrt(square)

        def by_group(off: Floats) -> Floats:
            """Means of groups over ‖due‖, along it and in each component `[GROUPS, 1 + d]`."""
            off = off.reshape(repeats, -1) / math.sqrt(square)
            columns = np.column_stack([off @ unit, off])
            return np.asarray(columns.reshape(GROUPS, repeats // GROUPS, -1).mean(axis=1))

        excess, control = by_group(values - reference - (due - center)), by_group(reference - center)
        is_fair = np.array([abs(_t(column)) <= MAX_CONTROL for column in control.T])
        if not is_fair[0]:
            return Stretched(self.name, size, "unknown", False)
        # A part too small to matter is rounding, whatever its t.
        off, least = excess.mean(axis=0), 1e-4 if self.contract.single else 1e-6
        is_far = np.array([abs(_t(column)) > CRITICAL for column in excess.T]) & (np.abs(off) > least)
        if np.any(is_far & is_fair):
            return Stretched(self.name, size, "wrong", False, 1 + float(off[0]))
        bound = abs(float(off[0])) + CRITICAL * float(excess[:, 0].std(ddof=1)) / math.sqrt(GROUPS)
        return Stretched(self.name, size, "right", False, bound=bound)


def _t(values: Floats) -> float:
    """Student's t of a sample; 0 where all of it is 0."""
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    if mean == 0:
        return 0.0
    return mean / deviation * math.sqrt(len(values)) if deviation > 0 else math.copysign(math.inf, mean)
