"""Dense tables of probabilities and rewards → the sparse columns of an MDP."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pgcheck.arrays import Bools, Floats, Ints
from pgcheck.errors import ModelError, UsageError

AXES = ("sat", "ast", "tsa", "sta", "ats")  # s the state that is left, a the action, t the state that is entered


class Columns(NamedTuple):
    """Outcomes with their ends, probabilities and rewards `[K]`, of S states and A actions."""

    state: Ints
    action: Ints
    next_state: Ints
    prob: Floats
    reward: Floats
    num_states: int
    num_actions: int

    def without(self, states: Bools) -> "Columns":
        """Returns the outcomes of all states but these `[S]`."""
        kept = ~states[self.state]
        return self._replace(
            state=self.state[kept], action=self.action[kept], next_state=self.next_state[kept], prob=self.prob[kept],
            reward=self.reward[kept],
        )  # fmt: skip


def columns_of(
    transitions: ArrayLike, rewards: ArrayLike, axes: str, rewards_on: str, *, finite: bool = True
) -> Columns:
    """Returns the outcomes in dense tables whose probability is not 0; arguments are those of `MDP.from_arrays`.

    With `finite=False` entries may be infinite or NaN: for callers who judge outcomes, each in its place.

    Raises:
      ModelError: the shapes do not fit, or an entry is not a number.
      UsageError: `axes` or `rewards_on` is none of the known words.
    """
    if axes not in AXES:
        raise UsageError(f"axes {axes!r}; expected one of {', '.join(AXES)} (s state, a action, t next state)")
    if rewards_on not in ("leave", "enter"):
        raise UsageError(f"rewards_on {rewards_on!r}; expected leave or enter")
    order = [axes.index(axis) for axis in "sat"]
    probs = _numbers(transitions, "transitions", finite=finite)
    table = probs.transpose(order) if probs.ndim == 3 else probs
    if table.ndim != 3 or table.shape[0] != table.shape[2]:
        wanted = ", ".join({"s": "S", "a": "A", "t": "S"}[axis] for axis in axes)
        fitting = [other for other in AXES if probs.ndim == 3 and _fits(probs.shape, other)]
        hint = f"; this shape fits axes={' or '.join(map(repr, fitting))}" if fitting else ""
        raise ModelError(f"transitions have shape {probs.shape}; axes={axes!r} expects [{wanted}]{hint}")
    state, action, next_state = np.nonzero(table)
    given = _numbers(rewards, "rewards", finite=finite)
    states, actions = table.shape[:2]
    if given.shape == (states,):
        reward = given[state if rewards_on == "leave" else next_state]
    elif given.shape == (states, actions):
        reward = given[state, action]
    elif given.shape == probs.shape:
        reward = given.transpose(order)[state, action, next_state]
    else:
        raise ModelError(
            f"rewards have shape {given.shape}; expected [S] = ({states},), [S, A] = ({states}, {actions}), "
            f"or {probs.shape}, as the transitions"
        )
    return Columns(state, action, next_state, table[state, action, next_state], reward, states, actions)


def distribution(start: int | ArrayLike, size: int, name: str) -> Floats:
    """Returns the probability of each state `[S]`, where one state or all probabilities are given.

    Raises:
      ModelError: there is no such state.
    """
    if np.ndim(start):
        return np.array(start, dtype=np.float64)
    first = np.zeros(size)
    first[numbers_of_states(np.reshape(np.asarray(start), 1), size, name, "start")] = 1.0
    return first


def numbers_of_states(given: ArrayLike, size: int, name: str, what: str) -> Ints:
    """Returns numbers of states, where numbers or a mask `[S]` are given; `what` they are stands in the error.

    Raises:
      ModelError: there are no such states.
    """
    values = np.asarray(given)
    if values.dtype == np.bool_ and values.shape == (size,):
        return np.flatnonzero(values)
    whole = not values.size or np.issubdtype(values.dtype, np.integer)
    if values.ndim != 1 or not whole or np.any((values < 0) | (values >= size)):
        raise ModelError(f"{name}: {what} {values.tolist()}; expected numbers of states, 0 to {size - 1}")
    return values.astype(np.int64)


def _fits(shape: tuple[int, ...], axes: str) -> bool:
    return shape[axes.index("s")] == shape[axes.index("t")]


def _numbers(values: ArrayLike, what: str, *, finite: bool) -> Floats:
    """The values as double precision; `finite`: they must be."""
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{what} are not an array of numbers: {error}") from None
    if finite and not np.all(np.isfinite(numbers)):
        raise ModelError(f"{what} hold a value that is not finite")
    return numbers
