"""Calling somebody's estimator on batches: on one batch, or on many small ones that are drawn from it."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from pgcheck.arrays import Ints
from pgcheck.errors import EstimatorError
from pgcheck.estimators.base import Estimate, Gradients
from pgcheck.external.results import check_finite, converted
from pgcheck.trajectories.batch import Batch

NUMBERS = 2**21  # in the arrays of the small batches that are made together

PATH = ("starts", "outcomes")
KNOWN = tuple(  # what a batch works out when it is asked for; not what an estimator may have put there
    name for name, value in vars(Batch).items() if isinstance(value, cached_property) and name != "alterations"
)

Arrays = dict[str, "np.ndarray[Any, np.dtype[Any]]"]


class LocalCaller:
    """Calls a function of this process."""

    def __init__(self, function: Estimate, name: str) -> None:
        self.function = function
        self.name = name

    def whole(self, batch: Batch) -> Gradients:
        return call(self.function, batch)

    def groups(self, batch: Batch, index: Ints) -> Gradients:
        return call_groups(self.function, batch, index)


def call(function: Estimate, batch: Batch) -> Gradients:
    """Returns the answer to one batch; the estimator sees a copy of it, which it must leave as it was.

    Raises:
      EstimatorError: the result is no gradient, or is not finite, or the estimator wrote to the batch.
    """
    seen = batch.altered()
    for array in (seen.starts, seen.outcomes):
        array.flags.writeable = False
    path = seen.starts.copy(), seen.outcomes.copy()
    answer = converted(function(seen), seen)
    _check_untouched(dict(zip(PATH, path, strict=True)), {"starts": seen.starts, "outcomes": seen.outcomes})
    # What is large is left out: to make it anew would take as long as the call. Small batches come too.
    small = {name: array for name, array in _arrays(seen).items() if array.size <= NUMBERS}
    _check_untouched({name: getattr(batch, name) for name in small}, small)
    lengths = batch.lengths if answer.per_episode else batch.lengths[None]
    check_finite(answer, lengths, len(batch.outcomes) if answer.per_episode else 0)
    return answer


def call_groups(function: Estimate, batch: Batch, index: Ints) -> Gradients:
    """Returns one gradient for each small batch: what the estimator returned, or the mean of its rows.

    What is slow is done for many batches together: each array that the estimator turns out to use is cut from the
    large batch at once, and a small batch is made of views.
    """
    values = np.empty((len(index), *batch.theta.shape))
    longest = batch.lengths[index].max(axis=1, initial=0)
    per_episode = single = False
    constant = {name: getattr(batch, name) for name in ("probs", "theta", "behavior_probs")}
    for rows, steps in _of_one_length(longest):
        first = _shortened(batch.part(index[rows[0]]), steps)
        answer = converted(function(first), first)
        used = [name for name in _arrays(first) if name not in constant]
        size = max(1, NUMBERS // max(1, index.shape[1] * steps * (values[0].size if "score" in used else 1)))
        for lo in range(0, len(rows), size):
            some = rows[lo : lo + size]
            cut = {name: _cut(getattr(batch, name), index[some], steps) for name in used}
            outcomes = np.moveaxis(np.take(batch.outcomes[:steps], index[some], axis=1), 1, 0)
            starts = batch.starts[index[some]]
            outcomes.flags.writeable = starts.flags.writeable = False
            fixed = {
                "mdp": batch.mdp, "policy": batch.policy, "behavior": batch.behavior,
                "alterations": batch.alterations, **constant,
            }  # fmt: skip
            for k, row in enumerate(some):
                small = object.__new__(Batch)
                small.__dict__.update(fixed)
                small.__dict__["starts"] = starts[k]
                small.__dict__["outcomes"] = outcomes[k]
                for name, array in cut.items():
                    small.__dict__[name] = array[k]
                result = function(small)
                if type(result) is np.ndarray and result.dtype == np.float64 and result.shape == values.shape[1:]:
                    values[row] = result
                    continue
                answer = converted(result, small)
                per_episode, single = answer.per_episode, single or answer.single
                values[row] = answer.values.mean(axis=0)
            fresh = {name: _cut(getattr(batch, name), index[some], steps) for name in used}
            fresh["starts"] = batch.starts[index[some]]
            fresh["outcomes"] = np.moveaxis(np.take(batch.outcomes[:steps], index[some], axis=1), 1, 0)
            _check_untouched(fresh, {**cut, "starts": starts, "outcomes": outcomes})
    whole = Gradients(values, per_episode, single)
    check_finite(whole, batch.lengths[index])
    return whole


def _of_one_length(longest: Ints) -> Iterator[tuple[Ints, int]]:
    """The numbers of the batches whose longest episode is equally long."""
    order = np.argsort(longest, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(longest[order])) + 1):
        if len(rows):
            yield rows, int(longest[rows[0]])


def _shortened(batch: Batch, steps: int) -> Batch:
    """A batch without the padding beyond so many steps."""
    every = np.arange(len(batch))
    short = Batch(batch.mdp, batch.policy, batch.starts, batch.outcomes[:steps], batch.behavior)
    return short.altered(**{name: _cut(getattr(batch, name), every, steps) for name in batch.alterations})


def _cut(array: "np.ndarray[Any, np.dtype[Any]]", index: Ints, steps: int) -> "np.ndarray[Any, np.dtype[Any]]":
    """Rows of an array `[N]` or `[N, T, …]`, and of the latter their first steps."""
    rows = array[:, :steps][index] if array.ndim > 1 else array[index]
    rows.flags.writeable = False
    return rows


def _arrays(batch: Batch) -> Arrays:
    """The arrays that somebody has asked a batch for."""
    return {name: batch.__dict__[name] for name in KNOWN if name in batch.__dict__}


def _check_untouched(before: Arrays, after: Arrays) -> None:
    for name, array in after.items():
        if not np.array_equal(before[name], array):
            raise EstimatorError(f"the estimator wrote to batch.{name}; let it work on a copy")
