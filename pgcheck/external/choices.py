"""What can be drawn in a step of an environment: choices with their probabilities, and the table of all outcomes."""

import operator
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.model.mdp import MDP

OutcomeTable = dict[int, dict[int, list[tuple[float, int, float, bool]]]]


class Choice(NamedTuple):
    """A draw: its answers are numbered from `first`, with these probabilities and their running sums."""

    first: int
    probs: tuple[float, ...]
    sums: tuple[float, ...]

    @classmethod
    def of(cls, first: int, probs: Floats) -> "Choice":
        listed = tuple(probs.tolist())
        return cls(first, listed, tuple(accumulate(listed)))


def outcome_table(mdp: MDP) -> OutcomeTable:
    """Returns the outcomes of an MDP as Gymnasium environments have them: P[s][a] = [(p, s', r, done), ...].

    A state has the actions that it offers. A terminal state has all, and they lead back to it and end.
    """
    table: OutcomeTable = {s: {} for s in range(mdp.num_states)}
    for s in np.flatnonzero(mdp.terminal).tolist():
        table[s] = {a: [(1.0, s, 0.0, True)] for a in range(mdp.num_actions)}
    columns = (mdp.state, mdp.action, mdp.prob, mdp.next_state, mdp.reward, mdp.ends)
    for s, a, p, following, reward, ends in zip(*(column.tolist() for column in columns), strict=True):
        table[s].setdefault(a, []).append((p, following, reward, ends))
    return table


def number_of(action: Any) -> int | None:
    """Returns the number of an action: an integer, or an array or tensor of one whole number; None for all else."""
    try:
        return operator.index(action)
    except TypeError:
        pass
    try:
        value = action.item() if hasattr(action, "item") else action
        return int(value) if int(value) == value else None
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None
