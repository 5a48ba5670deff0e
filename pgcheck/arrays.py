"""The types of arrays, and a norm."""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def norm_of(values: Floats) -> float:
    """Returns ‖values‖₂ over all entries; intermediate results neither overflow nor underflow."""
    return math.hypot(*values.ravel().tolist())
