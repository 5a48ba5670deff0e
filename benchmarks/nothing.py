"""A task without work, in a module that loads nothing else."""

import numpy as np

from pgcheck.workers.executor import Arrays


class Nothing:
    """A part is a number, and comes to that."""

    label = "nothing"

    def __call__(self, part: int, /) -> Arrays:
        return (np.array(part),)
