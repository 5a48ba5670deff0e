"""Arrays of numbers as text and bytes, and back, bit for bit.

The text says the type, shape and order in memory of each array; the bytes are those of the numbers, one array after
the other. Reading them makes numbers and nothing else: there is no pickle that could run anything.
"""

import json

import numpy as np

from pgcheck.workers.executor import Arrays

NUMBERS = "biufc"  # the kinds of types whose values are their bytes


def packed(arrays: Arrays) -> tuple[str, bytes]:
    """Returns what the arrays are, and their numbers.

    Raises:
      TypeError: an array holds something else than numbers.
    """
    known = [np.asarray(array) for array in arrays]
    for array in known:
        if array.dtype.kind not in NUMBERS:
            raise TypeError(f"a part's result holds {array.dtype}; only arrays of numbers can be kept")
    orders = ["F" if array.flags.fnc else "C" for array in known]
    text = json.dumps([[array.dtype.str, array.shape, order] for array, order in zip(known, orders, strict=True)])
    return text, b"".join(array.tobytes("A") for array in known)


def unpacked(text: str, data: bytes) -> Arrays:
    """Returns the arrays, each in memory of its own: sums over them then add in the order that they always do.

    Raises:
      ValueError, TypeError: text and bytes are not those that `packed` makes.
    """
    arrays = []
    offset = 0
    for code, shape, order in json.loads(text):
        dtype = np.dtype(code)
        if dtype.kind not in NUMBERS:
            raise ValueError(f"an array of {dtype}; expected numbers")
        array = np.ndarray(shape, dtype, data, offset, order=order).copy(order)
        arrays.append(array)
        offset += array.nbytes
    if offset != len(data):
        raise ValueError(f"{offset:,} bytes are described, and {len(data):,} are there")
    return tuple(arrays)
