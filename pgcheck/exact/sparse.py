"""Products of a sparse matrix, whose cells stay where they are while their weights change, with a dense one."""

import itertools

import numpy as np

from pgcheck.arrays import Floats, Ints

FEW_COLUMNS = 64  # up to so many, all cells are multiplied at once; they fit in a processor's cache
SINGLE_THREAD = 250_000  # multiplications in a matrix product: larger ones wait for a second thread, if it is busy
MULTIPLICATION = 0.05  # nanoseconds in a matrix product, about
ROW = 2500.0  # nanoseconds of a row that is multiplied by itself, about
CELL = 0.6  # nanoseconds of a cell and column there, about

Terms = list[tuple[Floats, Floats]]  # weights of the entries [K], and what they are multiplied with [columns, width]


class SparseProduct:
    """Σ weight @ vectors, for weights at the same K places (row, column), some of which may coincide.

    The product goes the cheapest of three ways: as dense matrices, so small that no second thread is asked for; all
    cells at once, where vectors are narrow; or row by row.

    Attributes:
      nanoseconds: of a product with one term, about.
    """

    def __init__(self, row: Ints, column: Ints, shape: tuple[int, int], width: int) -> None:
        cells, self._cell = np.unique(row * shape[1] + column, return_inverse=True)
        self._cells = cells
        self._shape = shape
        self._width = width
        self._column = cells % shape[1]
        offset = np.searchsorted(cells // shape[1], np.arange(shape[0] + 1))
        self._rows = np.flatnonzero(np.diff(offset))
        self._first = offset[self._rows]
        self._spans = [
            (int(r), slice(int(lo), int(hi)))
            for r, (lo, hi) in zip(self._rows, itertools.pairwise([*self._first, len(cells)]), strict=True)
        ]
        dense = MULTIPLICATION * shape[0] * shape[1] * width
        single = ROW * len(self._rows) if width > FEW_COLUMNS else 4 * CELL * len(cells) * width
        sparse = single + CELL * len(cells) * width
        self._dense = dense <= sparse and shape[0] * shape[1] <= 10**7
        self._together = max(1, SINGLE_THREAD // max(1, shape[1] * width))
        self.nanoseconds = dense if self._dense else sparse

    def of(self, terms: Terms) -> Floats:
        """Returns Σ over terms of Σ_k weight[k] vectors[column_k] in each row `[rows, width]`."""
        sums = np.zeros((self._shape[0], self._width))
        for weight, vectors in terms:
            by_cell = np.bincount(self._cell, weights=weight, minlength=len(self._cells))
            if self._dense:
                matrix = np.zeros(self._shape)
                matrix.ravel()[self._cells] = by_cell
                for lo in range(0, self._shape[0], self._together):
                    rows = slice(lo, lo + self._together)
                    sums[rows] += matrix[rows] @ vectors
            elif self._width <= FEW_COLUMNS:
                parts = np.take(vectors, self._column, axis=0, mode="clip")
                parts *= by_cell[:, None]
                if len(parts):
                    sums[self._rows] += np.add.reduceat(parts, self._first, axis=0)
            else:
                for row, span in self._spans:
                    sums[row] += np.dot(by_cell[span], vectors[self._column[span]])
        return sums
