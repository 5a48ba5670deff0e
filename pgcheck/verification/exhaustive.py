"""The exact expectation of somebody's estimator: over all episodes, or over all batches of B of them."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pgcheck.errors import EstimatorError
from pgcheck.external.calling import Caller
from pgcheck.external.results import Answer
from pgcheck.model.mdp import MDP, Floats, Ints
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.paths import enumerated_paths, measured

SOME = 23  # episodes on which it is found out what kind of function an estimator is
CHECKED = 20  # blocks of which some rows are called for by themselves
LOT = 8192  # batches that are asked for together

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Habits:
    """What kind of function an estimator is, found out by calling it.

    Attributes:
      rows: it returns one gradient for each episode.
      coupled: it returns rows, but a row changes when the batch around it does.
      ordered: the gradient of a batch depends on the order of its episodes.
      plain_mean: the gradient of a batch is the mean of those of its episodes alone.
      single: its numbers come in single precision.
    """

    rows: bool
    coupled: bool
    ordered: bool
    plain_mean: bool
    single: bool

    @property
    def by_episode(self) -> bool:
        """Whether batches of one episode tell everything."""
        return self.plain_mean if not self.rows else not self.coupled


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


def listed(mdp: MDP, policy: Policy, most: int | None = None) -> tuple[Batch, Floats]:
    """Returns all trajectories of a model as one batch, and their probabilities; or at least `most` of them."""
    paths: list[Ints] = []
    prob: list[Floats] = []
    for lot, p, _ in enumerated_paths(mdp, policy):
        paths.append(lot)
        prob.append(p)
        if most is not None and sum(map(len, prob)) >= most:
            break
    whole = np.full((max(map(len, paths)), sum(lot.shape[1] for lot in paths)), mdp.ended, dtype=np.int64)
    column = 0
    for lot in paths:
        whole[: len(lot), column : column + lot.shape[1]] = lot
        column += lot.shape[1]
    return Batch.from_paths(mdp, policy, whole), np.concatenate(prob)


def check_again(caller: Caller, batch: Batch, first: Answer) -> None:
    """Raises EstimatorError where an estimator no longer gives the same numbers for the same batch."""
    again = caller.whole(batch)
    if first.values.shape != again.values.shape or _differ(first.values, again.values, False):
        raise EstimatorError(
            f"{caller.name} gave other numbers when it was called again with the same batch; a check needs a "
            "function of the batch alone, without random numbers or memory"
        )


def some_of(batch: Batch) -> Batch:
    """Returns some episodes of a batch, short and long, so many that a transposed result shows."""
    order = np.argsort(batch.lengths, kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, SOME).astype(np.int64))]
    if len(chosen) in batch.theta.shape:
        chosen = np.append(chosen, chosen[-1])
    return batch.part(chosen)


def habits(caller: Caller, batch: Batch) -> Habits:
    """Returns what kind of function an estimator is, from some episodes of `batch`.

    Raises:
      EstimatorError: it gives other numbers when it is called again, or can be called on no batch.
    """
    some = some_of(batch)
    first = caller.whole(some)
    check_again(caller, some, first)
    if first.per_episode:
        backwards = caller.whole(some.part(np.arange(len(some))[::-1]))
        coupled = _differ(first.values, backwards.values[::-1], first.single)
        if not coupled:
            coupled = _rows_change(caller, some, first.values, first.single)
        return Habits(True, coupled, coupled, not coupled, first.single)
    n = len(some)
    rng = np.random.default_rng(0)  # of no consequence but for which batches are looked at
    index = np.array([rng.permutation(np.arange(max(n, 3)) % n)[:3] for _ in range(SOME)])
    index[0] = index[0, 0]  # three alike
    index[1::4, 1] = index[1::4, 0]  # two alike
    means = caller.groups(some, index)
    ordered = any(
        _differ(means.values, caller.groups(some, index[:, order]).values, first.single)
        for order in ([1, 0, 2], [0, 2, 1], [2, 0, 1])
    )
    try:
        alone = caller.groups(some, np.arange(n)[:, None]).values
    except Exception:  # not finite, or refused: it is not made for batches of one
        plain = False
    else:
        plain = not _differ(means.values, alone[index].mean(axis=1), first.single)
        plain = plain and not _differ(first.values[0], alone.mean(axis=0), first.single)
    return Habits(False, False, ordered, plain, first.single)


def over_episodes(
    caller: Caller, mdp: MDP, policy: Policy, kind: Habits, *, progress: Progress | None = None
) -> Expectation | None:
    """Returns Σ_τ P(τ) ĝ(τ), block by block; None where rows turn out to depend on the batch after all."""
    mean: Floats | None = None
    square, done, single = 0.0, 0.0, kind.single
    for number, (batch, prob, _) in enumerate(measured(mdp, policy, enumerated_paths(mdp, policy), policy)):
        if kind.rows:
            answer = caller.whole(batch)
            checked = np.unique(np.linspace(0, len(batch) - 1, 3).astype(np.int64))
            if number < CHECKED and _rows_change(caller, batch, answer.values, answer.single, checked):
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


def calls_for(count: int, size: int, kind: Habits) -> int:
    """Returns how many batches of `size` there are of so many episodes."""
    return count**size if kind.ordered else math.comb(count + size - 1, size)


def over_batches(
    caller: Caller, batch: Batch, prob: Floats, size: int, kind: Habits, *, progress: Progress | None = None
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


def _rows_change(caller: Caller, batch: Batch, values: Floats, single: bool, rows: Ints | None = None) -> bool:
    """Whether rows change when their episode stands in a batch by itself."""
    rows = np.arange(len(batch)) if rows is None else rows
    try:
        alone = caller.groups(batch, rows[:, None]).values
    except Exception:  # not finite, or refused
        return True
    return _differ(values[rows], alone, single)


def _differ(one: Floats, other: Floats, single: bool) -> bool:
    """Whether numbers differ by more than rounding in another order of summation can explain."""
    scale = float(np.max(np.abs(one), initial=0.0))
    return float(np.max(np.abs(one - other), initial=0.0)) > (1e-4 if single else 1e-9) * scale
