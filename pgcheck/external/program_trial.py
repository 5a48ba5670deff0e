"""A small model that tells whether a program takes a header after its first: its gradients have another size."""

import numpy as np

from pgcheck.external.program_answers import Shapes
from pgcheck.model.mdp import MDP
from pgcheck.model.softmax import TabularSoftmax
from pgcheck.trajectories.batch import Batch


def other_model(shapes: Shapes) -> Batch:
    """Returns two episodes of a model on which no gradient has the size of one on a model with these shapes.

    A program that goes on with its first model would not show on a second one whose gradients have the same size.
    """
    taken = {int(np.prod(shape)) for shape in shapes.of_gradient}
    steps = next(n for n in range(3, 9) if not {2 * n, 2 * n + 2} & taken)
    number = np.arange(steps + 1)
    names = tuple(f"s{i}" for i in number)
    state = np.repeat(number[:-1], 2)
    size = len(state)
    mdp = MDP(
        "a row of states", names, ("one", "other"), steps, 0.5, np.eye(steps + 1)[0], number == steps, names, number,
        state, np.tile([0, 1], steps), state + 1, np.ones(size), np.ones(size), np.zeros(size, dtype=np.bool_),
    )  # fmt: skip
    paths = np.array([[0, *range(0, size, 2)], [0, *range(1, size, 2)]])
    return Batch.from_paths(mdp, TabularSoftmax.of(mdp, {}), paths.T)
