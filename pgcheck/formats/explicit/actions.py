"""The choices of an explicit model → actions with names: labels where every choice has one, else numbers."""

import numpy as np

from pgcheck.arrays import Bools, Ints


def actions_of(state: Ints, choice: Ints, name: Ints, names: tuple[str, ...]) -> tuple[Ints, tuple[str, ...], bool]:
    """Returns the action of each transition `[K]`, the names of the actions, and whether they are labels.

    A label that several choices of a state have becomes as many actions: `go`, `go 2`, in the order of the choices.

    Args:
      state, choice: of the transitions `[K]`, in any order.
      name: the number of each transition's label among `names`; -1 where it has none `[K]`.
      names: the labels.
    """
    if not len(state):
        return choice, ("0",), False
    if (name < 0).any():
        return choice, tuple(map(str, range(int(choice.max()) + 1))), False
    pair = state * (int(choice.max()) + 1) + choice
    _, first, which = np.unique(pair, return_index=True, return_inverse=True)
    rank = _ranks(state[first], name[first])
    label, times = name[first], int(rank.max()) + 1
    kinds, appears, kind = np.unique(label * times + rank, return_index=True, return_inverse=True)
    order = np.argsort(first[appears], kind="stable")  # actions by their first appearance
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    taken, texts = set(names), []
    for number in kinds[order].tolist():
        at, again = divmod(number, times)
        texts.append(_unused(names[at], again, taken) if again else names[at])
    return place[kind.ravel()][which.ravel()], tuple(texts), True


def choosing(state: Ints, choice: Ints, size: int) -> Bools:
    """Returns which states have two choices or more `[S]`."""
    lowest = np.full(size, np.iinfo(np.int64).max)
    np.minimum.at(lowest, state, choice)
    more = np.zeros(size, dtype=np.bool_)
    more[state[choice != lowest[state]]] = True
    return more


def _ranks(state: Ints, label: Ints) -> Ints:
    """How many choices of the same state and label stand before each; choices are sorted by state, then number."""
    order = np.lexsort((label, state))
    starts = np.r_[True, (np.diff(state[order]) != 0) | (np.diff(label[order]) != 0)]
    begin = np.flatnonzero(starts)
    rank = np.empty_like(label)
    rank[order] = np.arange(len(order)) - np.repeat(begin, np.diff(np.r_[begin, len(order)]))
    return rank


def _unused(label: str, again: int, taken: set[str]) -> str:
    """A name for the choice that has a label again, which no label is."""
    name = f"{label} {again + 1}"
    while name in taken:
        name += "'"
    taken.add(name)
    return name
