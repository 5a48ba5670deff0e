"""Parameters that are arrays with names, as flat vectors; and the one-hot rows that a network sees by default.

The parameters of a network are laid out in its own order, each flattened in C order.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.model.mdp import MDP

Shapes = Mapping[str, tuple[int, ...]]  # of arrays by their names, in order


def element_names(shapes: Shapes) -> tuple[tuple[str, ...], ...]:
    """Returns one name for each element, like `0.weight[3,17]`; that of a scalar is the array's own."""
    return tuple((name,) for array, shape in shapes.items() for name in _names_in(array, shape))


def sizes(shapes: Shapes) -> dict[str, int]:
    """Returns how many elements each array has."""
    return {name: int(np.prod(shape, dtype=np.int64)) for name, shape in shapes.items()}


def parts(vector: Floats, shapes: Shapes) -> dict[str, Floats]:
    """Returns the arrays by name that a vector `[d]` holds one after the other."""
    ends = np.cumsum(list(sizes(shapes).values()))
    return {
        name: part.reshape(shape)
        for (name, shape), part in zip(shapes.items(), np.split(vector, ends[:-1]), strict=True)
    }


def joined(arrays: Iterable[Floats], leading: int = 0) -> Floats:
    """Returns arrays flattened side by side `[..., d]`, behind so many leading axes that all of them have."""
    return np.concatenate([array.reshape(*array.shape[:leading], -1) for array in arrays], axis=-1)


def one_hot_rows(mdp: MDP) -> list[Floats]:
    """Returns the one-hot rows of the states that a network may be made for: `[S, S]` and `[S, O]`.

    States that share an observation share a row: that of the first of them, or that of the observation. The two are
    the same where no states do.
    """
    first = np.unique(mdp.observation, return_index=True)[1]
    by_state = np.eye(mdp.num_states)[first[mdp.observation]]
    by_observation = np.eye(len(mdp.observations))[mdp.observation]
    return [by_state] if by_state.shape == by_observation.shape else [by_state, by_observation]


def _names_in(array: str, shape: tuple[int, ...]) -> Iterator[str]:
    if not shape:
        return iter((array,))
    return (f"{array}[{','.join(map(str, place))}]" for place in itertools.product(*map(range, shape)))
