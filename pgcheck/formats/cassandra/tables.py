"""Tables that are written line by line, where later lines override earlier ones and `*` stands for every index.

A line is kept as it is written, never spread over the cells that it is for: lines with `*` in the same places make a
layer, sorted by the other indices, and the value of a cell is that of the latest line among the layers. So memory
grows with the file, and not with the table.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import TooLargeError

ANY = -1  # the index that `*` stands for
IDENTITY, RESET = -1.0, -2.0  # values that are no probabilities: of the identity, and of the start's
MAX_CELLS = 20_000_000  # of a table that are not 0, before it is spread

Said = tuple[bool, ...]  # on which axes a line says the index
DIAGONAL = np.array([-1])  # the last index of a cell of the identity: its second


@dataclass(frozen=True, eq=False)
class _Layer:
    """The latest line for each combination of the indices that its lines say: keys in order, values, times `[n]`."""

    keys: Ints
    values: Floats
    times: Ints


class Table:
    """A table with the axes of `shape`; where no line says otherwise, it is 0."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self._written: dict[Said, tuple[array[int], array[float], array[int]]] = {}
        self._layers: dict[Said, _Layer] = {}

    def write(self, at: Sequence[int], values: float | Floats, time: int) -> None:
        """Writes one value, or one for each cell of the axes that `at` leaves out; times never decrease."""
        rest = self.shape[len(at) :]
        said = (*(index != ANY for index in at), *(True for _ in rest))
        key = 0
        for index, size in zip(at, self.shape, strict=False):
            key = key if index == ANY else key * size + index
        if said not in self._written:
            self._written[said] = array("q"), array("d"), array("q")
        keys, numbers, times = self._written[said]
        if isinstance(values, float):
            keys.append(key)
            numbers.append(values)
            times.append(time)
            return
        count = prod(rest)
        keys.frombytes((key * count + np.arange(count)).tobytes())
        numbers.frombytes(values.tobytes())
        times.frombytes(np.full(count, time).tobytes())

    def write_all(self, cells: Ints, values: Floats, times: Ints) -> None:
        """Writes values `[n]` to cells `[n, axes]`, where ANY is an index as any other; times never decrease."""
        patterns, which = np.unique(cells != ANY, axis=0, return_inverse=True)
        for pattern, said in enumerate(patterns.tolist()):
            chosen = np.flatnonzero(which.ravel() == pattern)
            columns = self._written.setdefault(tuple(said), (array("q"), array("d"), array("q")))
            keys = _keys(said, self.shape, tuple(cells[chosen].T))
            columns[0].frombytes(keys.tobytes())
            columns[1].frombytes(values[chosen].tobytes())
            columns[2].frombytes(times[chosen].tobytes())

    def freeze(self) -> "Table":
        """Returns itself, when all is written: of each layer's lines the latest are left."""
        while self._written:
            said, columns = self._written.popitem()
            keys, times = (np.frombuffer(columns[i], dtype=np.int64) for i in (0, 2))
            order = np.argsort(keys, kind="stable")
            order = order[np.append(np.diff(keys[order]) != 0, True)]
            self._layers[said] = _Layer(keys[order], np.frombuffer(columns[1])[order], times[order])
        return self

    def says(self, axis: int) -> bool:
        """Whether any line says the index on an axis."""
        return any(said[axis] for said in self._layers)

    def at(self, *cells: Ints) -> Floats:
        """Returns the values of cells, given by their indices on each axis `[n]`."""
        values, latest = np.zeros(len(cells[0])), np.full(len(cells[0]), -1)
        for said, layer in self._layers.items():
            keys = _keys(said, self.shape, cells)
            place = np.searchsorted(layer.keys, keys)
            place[place == len(layer.keys)] = 0
            later = (layer.keys[place] == keys) & (layer.times[place] > latest)
            values[later], latest[later] = layer.values[place[later]], layer.times[place[later]]
        return values

    def nonzero(self, start: Floats) -> tuple[Ints, Ints, Ints, Floats]:
        """Returns where a table of three axes is not 0 `[n]`, in order, and its values `[n]`.

        Args:
          start: the last axis of rows that are RESET.

        Raises:
          TooLargeError: more than 20 million cells would have to be looked at.
        """
        parts = [
            (said, layer.keys[chosen], last)
            for said, layer in self._layers.items()
            for chosen, last in self._last_indices(said, layer, np.flatnonzero(start))
        ]
        many = sum(len(keys) * prod(self._spread(said, last)) for said, keys, last in parts)
        if many > MAX_CELLS:
            raise TooLargeError(f"{many:,} probabilities that are not 0; the limit is {MAX_CELLS:,}.")
        cells = [self._cells(said, keys, last) for said, keys, last in parts]
        flat = cells[0] if len(cells) == 1 else np.concatenate([np.zeros(0, dtype=np.int64), *cells])
        flat = np.unique(flat)
        rest, k = np.divmod(flat, self.shape[2])
        i, j = np.divmod(rest, self.shape[1])
        values = self.at(i, j, k)
        values = np.where(values == IDENTITY, j == k, values)
        resets = np.flatnonzero(values == RESET)
        values[resets] = start[k[resets]]
        kept = values != 0
        return i[kept], j[kept], k[kept], values[kept]

    def row_times(self) -> Ints:
        """Returns when a row of a table of three axes was last written; -1 is never `[n0, n1]`."""
        times = np.full(self.shape[:2], -1)
        for said, layer in self._layers.items():
            rows = np.full([size if known else 1 for known, size in zip(said, times.shape, strict=False)], -1)
            indices = iter(_indices(said, self.shape, layer.keys))
            none = np.zeros_like(layer.keys)
            np.maximum.at(rows, tuple(next(indices) if known else none for known in said[:2]), layer.times)
            np.maximum(times, rows, out=times)
        return times

    def _last_indices(self, said: Said, layer: _Layer, first: Ints) -> list[tuple[Ints, Ints | None]]:
        """Lines of a layer that may hold values other than 0, and the last indices of these; None: they say it."""
        values = layer.values
        if said[2]:
            return [(np.flatnonzero(values), None)]
        every = np.arange(self.shape[2])
        parts = [
            (np.flatnonzero(values > 0), every), (np.flatnonzero(values == RESET), first),
            (np.flatnonzero(values == IDENTITY), DIAGONAL),
        ]  # fmt: skip
        return [(chosen, last) for chosen, last in parts if len(chosen)]

    def _spread(self, said: Said, last: Ints | None) -> list[int]:
        """Over how many cells each line is spread, axis by axis."""
        sizes = [1 if known else size for known, size in zip(said[:2], self.shape[:2], strict=True)]
        return [*sizes, 1 if last is None else len(last)]

    def _cells(self, said: Said, keys: Ints, last: Ints | None) -> Ints:
        """The flat numbers of the cells of lines."""
        indices = iter(_indices(said, self.shape, keys))
        i = next(indices)[:, None, None, None] if said[0] else np.arange(self.shape[0])[:, None, None]
        j = next(indices)[:, None, None, None] if said[1] else np.arange(self.shape[1])[:, None]
        k = next(indices)[:, None, None, None] if last is None else j if last is DIAGONAL else last
        everywhere = np.zeros((len(keys), 1, 1, 1), dtype=np.int64)
        return np.ravel(everywhere + (i * self.shape[1] + j) * self.shape[2] + k)


def _keys(said: Sequence[bool], shape: tuple[int, ...], cells: Sequence[Ints]) -> Ints:
    """The keys of cells in a layer `[n]`."""
    keys = np.zeros(len(cells[0]), dtype=np.int64)
    for known, size, indices in zip(said, shape, cells, strict=True):
        if known:
            keys *= size
            keys += indices
    return keys


def _indices(said: Said, shape: tuple[int, ...], keys: Ints) -> list[Ints]:
    """The indices that keys of a layer stand for, of the axes that its lines say."""
    indices = []
    for known, size in reversed(list(zip(said, shape, strict=True))):
        if known:
            keys, index = np.divmod(keys, size)
            indices.append(index)
    return indices[::-1]
