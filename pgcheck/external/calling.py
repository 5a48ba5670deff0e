"""Calling a user's function: on one batch, or on many small ones whose episodes are taken from a large one."""

import pickle
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import EstimatorError, UsageError
from pgcheck.estimators.base import Estimate, is_per_episode
from pgcheck.external.estimator import External
from pgcheck.external.results import check_finite, converted
from pgcheck.trajectories.batch import Batch

MAX_NUMBERS = 2**21  # in the arrays of the small batches that are made together

PATH = ("starts", "outcomes")
MADE_ON_DEMAND = tuple(  # what a batch works out when it is asked for; not what an estimator may have put there
    name for name, value in vars(Batch).items() if isinstance(value, cached_property) and name != "alterations"
)

Arrays = dict[str, "np.ndarray[Any, np.dtype[Any]]"]


class LocalFunction(External):
    """A function that is called in this process."""

    def __init__(self, function: Estimate, name: str) -> None:
        super().__init__(name)
        self.function = function

    def __getstate__(self) -> dict[str, object]:
        """Returns what is sent to another process: the function by its place.

        Raises:
          UsageError: it has none, as a lambda.
        """
        try:
            pickle.dumps(self.function)
        except Exception as error:
            raise UsageError(
                f"{self.name} cannot be sent to other processes: {error}\n"
                "  Define it at the top of a module, or do without workers"
            ) from None
        return self.__dict__

    def __call__(self, batch: Batch, /) -> Floats:
        """Returns `call` of the function."""
        return call(self.function, batch)

    def of_batches(self, batch: Batch, index: Ints) -> Floats:
        """Returns `call_on_batches` of the function."""
        return call_on_batches(self.function, batch, index)


def call(function: Estimate, batch: Batch) -> Floats:
    """Returns what a function makes of a batch, `[N, *theta.shape]` or `[*theta.shape]`.

    The function sees a copy of the batch, which it must leave as it was.

    Raises:
      EstimatorError: the result is something else than finite gradients, or the function wrote to the batch.
    """
    seen = batch.altered()
    for array in (seen.starts, seen.outcomes):
        array.flags.writeable = False
    path = seen.starts.copy(), seen.outcomes.copy()
    gradients = converted(function(seen), seen)
    _check_untouched(dict(zip(PATH, path, strict=True)), {"starts": seen.starts, "outcomes": seen.outcomes})
    # What is large is left out: to make it anew would take as long as the call. Small batches come too.
    small = {name: array for name, array in _arrays(seen).items() if array.size <= MAX_NUMBERS}
    _check_untouched({name: getattr(batch, name) for name in small}, small)
    if is_per_episode(gradients, batch):
        check_finite(gradients, batch.lengths, len(batch.outcomes))
    else:
        check_finite(gradients[None], batch.lengths[None])
    return gradients


def call_on_batches(function: Estimate, batch: Batch, index: Ints) -> Floats:
    """Returns one gradient for each small batch: what the function returned, or the mean of its rows.

    What is slow is done for many batches together: each array that the function turns out to use is cut from the
    large batch at once, and a small batch is made of views.

    Args:
      function: the estimator.
      batch: holds the episodes.
      index: the numbers of each small batch's episodes in `batch` `[M, B]`.
    """
    values = np.empty((len(index), *batch.theta.shape))
    longest = batch.lengths[index].max(axis=1, initial=0)
    constant = {name: getattr(batch, name) for name in ("probs", "theta", "behavior_probs", "reference_probs")}
    fixed = {
        "mdp": batch.mdp, "policy": batch.policy, "behavior": batch.behavior,
        "alterations": batch.alterations, **constant,
    }  # fmt: skip
    used: list[str] = []
    lo = 0
    while lo < len(index):
        row = lo + int(np.argmax(longest[lo:]))
        first = _shortened(batch.part(index[row]), int(longest[row]))
        converted(function(first), first)
        used = list(dict.fromkeys([*used, *(name for name in _arrays(first) if name not in constant)]))
        width = values[0].size if "score" in used else 1
        size = max(1, MAX_NUMBERS // max(1, index.shape[1] * int(longest[row]) * width))
        part = np.arange(lo, min(lo + size, len(index)))
        cut = [(part[rows], steps) for rows, steps in _of_one_length(longest[part])]
        arrays = [_cut_arrays(batch, used, index[rows], steps) for rows, steps in cut]
        place: dict[int, tuple[Arrays, int]] = {}
        for (rows, _), of in zip(cut, arrays, strict=True):
            place.update({row: (of, k) for k, row in enumerate(rows.tolist())})
        for row in part.tolist():  # in their order: a function that remembers is not to see them by length
            of, k = place[row]
            small = object.__new__(Batch)  # the arrays are right already: there is nothing to check or to make
            small.__dict__.update(fixed)
            for name, array in of.items():
                small.__dict__[name] = array[k]
            result = function(small)
            if type(result) is np.ndarray and result.dtype == np.float64 and result.shape == values.shape[1:]:
                values[row] = result
                continue
            gradients = converted(result, small)
            values[row] = gradients.mean(axis=0) if is_per_episode(gradients, small) else gradients
        for (rows, steps), of in zip(cut, arrays, strict=True):
            _check_untouched(_cut_arrays(batch, used, index[rows], steps), of)
        lo += size
    check_finite(values, batch.lengths[index])
    return values


def _cut_arrays(batch: Batch, names: list[str], index: Ints, steps: int) -> Arrays:
    """Arrays of a batch, cut for many small batches at once, and the paths that they are made from."""
    arrays = {name: _cut(getattr(batch, name), index, steps) for name in names}
    arrays["starts"] = batch.starts[index]
    arrays["outcomes"] = np.moveaxis(np.take(batch.outcomes[:steps], index, axis=1), 1, 0)
    for name in PATH:
        arrays[name].flags.writeable = False
    return arrays


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
    """The arrays that a batch has made because they were asked for."""
    return {name: batch.__dict__[name] for name in MADE_ON_DEMAND if name in batch.__dict__}


def _check_untouched(before: Arrays, after: Arrays) -> None:
    for name, array in after.items():
        if not np.array_equal(before[name], array):
            raise EstimatorError(f"the estimator wrote to batch.{name}; let it work on a copy")
