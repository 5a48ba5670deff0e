"""Whether a program answers batches in their order: those that it gets one by one, and those that come together."""

from collections.abc import Callable, Sequence

import numpy as np

from pgcheck.arrays import Floats

PAIRS = 8  # of batches that are sent together
CLOSE = 1e-4  # relative differences that count as none, also in single precision

Ask = Callable[[Sequence[int]], Floats]  # sends some of two batches, 0 and 1, together; the gradient of each


def order_fault(ask: Ask) -> tuple[int, str] | None:
    """Returns which line is the answer to another batch, counted from the last one back, and what is wrong with it.

    None where all are in order, or no two answers to one batch are alike, so that nothing can be told.
    """
    first, again, other, other_again = (ask([number])[0] for number in (0, 0, 1, 1))
    if np.array_equal(again, other) and not _alike(other, other_again):
        return 1, "is the answer to the batch before"
    if not _alike(first, again) or not _alike(other, other_again):
        return None
    together = ask([0, 1] * PAIRS)
    for back, answer in enumerate(together[::-1]):
        if not _alike(answer, first if back % 2 else other):
            return back, "is not the answer that its batch has when it is sent alone"
    return None


def _alike(gradient: Floats, other: Floats) -> bool:
    scale = max(float(np.max(np.abs(gradient))), float(np.max(np.abs(other))))
    return float(np.max(np.abs(gradient - other))) <= CLOSE * scale
