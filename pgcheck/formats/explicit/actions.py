"""The choices of an explicit model → actions with names: their labels, and numbers where they have none."""

import numpy as np

from pgcheck.arrays import Bools, Ints

NUMBERS = "not every choice has a label: actions are the numbers of choices"
SOME = "not every choice has a label: those without one are numbered"


def actions_of(state: Ints, choice: Ints, name: Ints, names: tuple[str, ...]) -> tuple[Ints, tuple[str, ...], str]:
    """Returns the action of each transition `[K]`, the names of the actions, and a clause on those without label.

    A label that several choices of a state have becomes as many actions: `go`, `go 2`, in the order of the choices.
    A choice without a label has its number among the state's choices without one: in a POMDP the labels of others
    still tell which actions are the same, whatever the order of choices is.

    Args:
      state, choice: of the transitions `[K]`, in any order.
      name: the number of each transition's label among `names`; -1 where it has none `[K]`.
      names: the labels.
    """
    if not len(state):
        return choice, ("0",), ""
    if (name < 0).all():
        return choice, tuple(map(str, range(int(choice.max()) + 1))), NUMBERS
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
        if at < 0:
            texts.append(_unused(str(again), taken))
        else:
            texts.append(_unused(f"{names[at]} {again + 1}", taken) if again else names[at])
    return place[kind.ravel()][which.ravel()], tuple(texts), SOME if (name < 0).any() else ""


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


def _unused(name: str, taken: set[str]) -> str:
    """A name for choices that have no label of their own, which no label is."""
    while name in taken:
        name += "'"
    taken.add(name)
    return name
