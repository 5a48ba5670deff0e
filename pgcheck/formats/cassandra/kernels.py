"""The tables of a .POMDP file → what can happen: transitions, observations, rewards; rows that do not sum to 1."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import TooLargeError
from pgcheck.formats.assembling import LOOSE_SLACK, listed
from pgcheck.formats.cassandra.sections import Sections
from pgcheck.formats.cassandra.tables import MAX_CELLS, Table
from pgcheck.formats.reader import cropped
from pgcheck.formats.transitions import sum_text

MAX_STEPS = 100_000_000  # outcomes x observations
BLOCK = 1_000_000  # of them at once


@dataclass(frozen=True, eq=False)
class Kernel:
    """P(k | i, j) where it is not 0, in the order of i, j and k: `[n]` each.

    Attributes:
      i: the action.
      j: the state that is left, or for observations the one that is entered.
      k: the state that is entered, or the observation.
      prob: positive.
      shape: how many i, j and k there are.
    """

    i: Ints
    j: Ints
    k: Ints
    prob: Floats
    shape: tuple[int, ...]

    @cached_property
    def offset(self) -> Ints:
        """Where the entries of row i, j begin, at i · shape[1] + j, and where the last end."""
        rows = self.i * self.shape[1] + self.j
        return np.searchsorted(rows, np.arange(self.shape[0] * self.shape[1] + 1)).astype(np.int64)

    def rows(self, i: Ints, j: Ints) -> tuple[Ints, Ints]:
        """Returns where the entries of rows begin, and how many there are."""
        row = i * self.shape[1] + j
        return self.offset[row], self.offset[row + 1] - self.offset[row]


def kernel(sections: Sections, word: str, start: Floats) -> Kernel:
    """Returns the probabilities of T or O. Rows that do not sum to 1 are noted, at the last line that set them.

    Raises:
      TooLargeError: more than 20 million of them.
    """
    table = sections.tables[word].freeze()
    try:
        i, j, k, prob = table.nonzero(start)
    except TooLargeError as error:
        raise TooLargeError(f"{sections.text.problems.file}: {word}: {error}") from None
    _check_sums(sections, word, table, i * table.shape[1] + j, prob)
    return Kernel(i, j, k, prob, table.shape)


def _check_sums(sections: Sections, word: str, table: Table, row: Ints, prob: Floats) -> None:
    """Notes rows that do not sum to 1: one for a line that set some last, one for an action with rows never set."""
    total = np.bincount(row, weights=prob, minlength=table.shape[0] * table.shape[1])
    wrong = np.flatnonzero(np.abs(total - 1) > LOOSE_SLACK)
    if not len(wrong):
        return
    text, states, actions = sections.text, sections.names["states"].names, sections.names["actions"]
    times = table.row_times().ravel()[wrong]
    never, wrong_sum = wrong[times < 0], wrong[times >= 0]
    action, state = np.divmod(never, len(states))
    for a in np.unique(action).tolist():
        these = state[action == a].tolist()
        head = f"{word}: {cropped(actions.names[a])}"
        names = listed([states[s] for s in these[:7]] + [""] * (len(these) - 7))
        text.fail(actions.places[min(a, len(actions.places) - 1)], f"{head}: no probabilities for {names}")
    order = np.lexsort((wrong_sum, times[times >= 0]))
    row, time = wrong_sum[order], times[times >= 0][order]
    first = np.flatnonzero(np.append(True, np.diff(time) != 0)) if len(row) else row
    for begin, end in zip(first.tolist(), np.append(first[1:], len(row)).tolist(), strict=False):
        a, s = divmod(int(row[begin]), len(states))
        more = f" (and so in {end - begin - 1:,} more rows)" if end - begin > 1 else ""
        where = f"{word}: {cropped(actions.names[a])} : {cropped(states[s])}"
        text.fail(sections.places[int(time[begin])], f"{where}: {sum_text(float(total[row[begin]]))}{more}")


def mean_rewards(file: str, reward: Table, transitions: Kernel, observations: Kernel | None) -> tuple[Floats, bool]:
    """Returns the reward of each transition, its mean over what may be observed, and whether that varies.

    Raises:
      TooLargeError: more than 100 million combinations of transitions and observations.
    """
    t = transitions
    if observations is None or not reward.says(3):
        every = () if observations is None else (np.zeros(len(t.i), dtype=np.int64),)
        return reward.at(t.i, t.j, t.k, *every), False
    _, count = observations.rows(t.i, t.k)
    if count.sum() > MAX_STEPS:
        raise TooLargeError(f"{file}: {count.sum():,} transitions x observations; the limit is {MAX_STEPS:,}.")
    mean, varies = np.zeros(len(t.i)), False
    ends = np.cumsum(count)
    begin = 0
    while begin < len(count):
        end = max(begin + 1, int(np.searchsorted(ends, (ends[begin - 1] if begin else 0) + BLOCK)))
        which, entry = spread(*observations.rows(t.i[begin:end], t.k[begin:end]))
        rewards = reward.at(*(axis[begin:end][which] for axis in (t.i, t.j, t.k)), observations.k[entry])
        weight = observations.prob[entry]
        first = np.cumsum(count[begin:end]) - count[begin:end]
        least, most = np.minimum.reduceat(rewards, first), np.maximum.reduceat(rewards, first)
        averages = np.add.reduceat(weight * rewards, first) / np.add.reduceat(weight, first)
        mean[begin:end] = np.where(least == most, least, averages)
        varies |= bool(np.any(least != most))
        begin = end
    return mean, varies


def spread(begin: Ints, count: Ints) -> tuple[Ints, Ints]:
    """Returns, for rows that begin at these entries and have as many, the row of each entry, and its number."""
    which = np.repeat(np.arange(len(begin)), count)
    return which, np.arange(len(which)) + np.repeat(begin - np.cumsum(count) + count, count)


def check_size(file: str, what: str, many: int) -> None:
    """Raises TooLargeError for more than 20 million of something."""
    if many > MAX_CELLS:
        raise TooLargeError(f"{file}: {many:,} {what}; the limit is {MAX_CELLS:,}.")
