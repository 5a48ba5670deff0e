"""The arrays that everything is made of."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def norm_of(values: Floats) -> float:
    """Returns ‖values‖₂, of all entries, without overflow or underflow on the way."""
    return math.hypot(*values.ravel().tolist())
