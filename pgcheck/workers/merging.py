"""Sums of what parts come to, in the parts' order."""

import numpy as np

from pgcheck.arrays import Floats


class RunningSum:
    """A sum of arrays of one shape, component by component; numbers stand for arrays of them.

    It is compensated (Neumaier): the rounding of each addition is added up too, so that the error does not grow with
    the number of terms.
    """

    def __init__(self) -> None:
        self._sum: Floats = np.zeros(())
        self._lost: Floats = np.zeros(())

    def add(self, term: Floats) -> None:
        """Adds an array."""
        new = self._sum + term
        part = new - self._sum
        self._lost = self._lost + ((self._sum - (new - part)) + (term - part))
        self._sum = new

    @property
    def total(self) -> Floats:
        """The sum."""
        return np.asarray(self._sum + self._lost)
