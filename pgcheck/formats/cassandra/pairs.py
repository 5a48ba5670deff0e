"""States that are pairs (state, observation): what a policy without memory sees of a POMDP.

The policy sees o. From (s, o), whatever o is, action a leads to (s′, o′) with T(s′|s, a) O(o′|a, s′), and pays
R(a, s, s′, o′). What is seen before the first action is drawn from O, where it is the same for all actions; elsewhere
the format leaves it open, and it is an observation of its own, which all first states show.
"""

from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Bools, Floats, Ints
from pgcheck.formats.cassandra.kernels import Kernel, check_size, spread
from pgcheck.formats.cassandra.tables import Table

SAME = 1e-9  # by which probabilities of one observation may differ, as where they are rounded differently
FIRST = "start"  # the name of what is seen before the first action, where the format leaves it open


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs that can occur, N of them, and K outcomes.

    Attributes:
      own, sight: the state and the observation of each pair `[N]`; as observation, their number is `FIRST`.
      start: the probability of each pair to be the first `[N]`.
      resting: whether its state is never left and never pays `[N]`; it has no outcomes.
      state, action, next_state, prob, reward: the outcomes, between pairs `[K]`.
      drawn: whether the first observation is drawn as any other.
    """

    own: Ints
    sight: Ints
    start: Floats
    resting: Bools
    state: Ints
    action: Ints
    next_state: Ints
    prob: Floats
    reward: Floats
    drawn: bool


def pairs_of(file: str, transitions: Kernel, observations: Kernel, reward: Table, start: Floats) -> Pairs:
    """Returns the pairs that can occur from the start on.

    Raises:
      TooLargeError: more than 20 million outcomes.
    """
    size, sights = len(start), observations.shape[2]
    t = transitions
    kept = _reached(start > 0, t)[t.j]
    action, state, entered, prob = t.i[kept], t.j[kept], t.k[kept], t.prob[kept]
    begin, count = observations.rows(action, entered)
    check_size(file, "outcomes of states and observations", int(count.sum()))
    which, entry = spread(begin, count)
    action, state, entered, prob = action[which], state[which], entered[which], prob[which]
    seen = observations.k[entry]
    total = np.bincount(observations.i * size + observations.j, weights=observations.prob)
    prob = prob * observations.prob[entry] / total[action * size + entered]
    rewards = reward.at(action, state, entered, seen)
    resting = np.ones(size, dtype=np.bool_)
    resting[state[(entered != state) | (rewards != 0)]] = False
    kept = ~resting[state]
    action, state, entered, seen = action[kept], state[kept], entered[kept], seen[kept]
    prob, rewards = prob[kept], rewards[kept]

    first, first_prob, drawn = _first(start, observations)
    wide = sights + 1
    next_pair = entered * wide + seen
    pairs = np.unique(np.concatenate([first, next_pair]))
    own, sight = np.divmod(pairs, wide)
    offset = np.searchsorted(own, np.arange(size + 1)).astype(np.int64)
    many = offset[state + 1] - offset[state]
    check_size(file, "outcomes of pairs of states and observations", int(many.sum()))
    which, pair = spread(offset[state], many)
    first_of = np.zeros(len(pairs))
    first_of[np.searchsorted(pairs, first)] = first_prob
    return Pairs(
        own, sight, first_of, resting[own], pair, action[which], np.searchsorted(pairs, next_pair)[which],
        prob[which], rewards[which], drawn,
    )  # fmt: skip


def _reached(first: Bools, transitions: Kernel) -> Bools:
    """The states that are reached from the first ones `[S]`."""
    order = np.argsort(transitions.j, kind="stable")
    target = transitions.k[order]
    offset = np.searchsorted(transitions.j[order], np.arange(len(first) + 1)).astype(np.int64)
    seen, frontier = first.copy(), np.flatnonzero(first)
    while len(frontier):
        _, links = spread(offset[frontier], offset[frontier + 1] - offset[frontier])
        found = np.unique(target[links])
        frontier = found[~seen[found]]
        seen[frontier] = True
    return seen


def _first(start: Floats, observations: Kernel) -> tuple[Ints, Floats, bool]:
    """The first pairs (state x (O + 1) + observation), their probabilities, and whether observations are drawn."""
    o, wide = observations, observations.shape[2] + 1
    row = o.i * len(start) + o.j
    chance = o.prob / np.bincount(row, weights=o.prob)[row]
    among = start[o.j] > 0
    of_first = among & (o.i == 0)
    pair, prob = o.j[of_first] * wide + o.k[of_first], chance[of_first]
    others = among & (o.i > 0)
    place = np.minimum(np.searchsorted(pair, o.j[others] * wide + o.k[others]), len(pair) - 1)
    same = (pair[place] == o.j[others] * wide + o.k[others]) & (np.abs(prob[place] - chance[others]) <= SAME)
    as_many = np.count_nonzero(others) == len(pair) * (o.shape[0] - 1)
    if as_many and same.all():
        return pair, start[pair // wide] * prob, True
    states = np.flatnonzero(start)
    return states * wide + o.shape[2], start[states], False
