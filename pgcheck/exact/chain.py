"""The Markov chain that a policy makes of an MDP, with an end that is a state like any other.

Episodes that end enter one more state, number S, which they never leave and in which there is no reward. Every row of
transition probabilities then sums to 1: adding a constant to all values of V′ adds γ times it to all values of V. The
pairs (s, a) stand in the order of the MDP's outcomes, P of them; values of states are arrays `[S + 1]`.
"""

from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.model.mdp import MDP
from pgcheck.trajectories.kept import kept

ROUNDOFF = 2.0**-53
DENSE_CELLS = 2**13  # matrices up to this size are kept whole; beyond it, only what is not 0


class Links:
    """A matrix of which only some cells are not 0: Σ over links of weight, from row to column.

    Args:
      row, column: the ends of each link, sorted by row.
      shape: the numbers of rows and columns.
    """

    def __init__(self, row: Ints, column: Ints, shape: tuple[int, int]) -> None:
        self.row, self.column, self.shape = row, column, shape
        self.cells = shape[0] * shape[1]
        self.is_dense = self.cells <= DENSE_CELLS
        self.work = self.cells if self.is_dense else len(row)  # products in one multiplication
        self._cell = column * shape[0] + row
        self._first = np.flatnonzero(np.r_[True, row[1:] != row[:-1]][: len(row)])
        self._rows = row[self._first]

    def weighted(self, weight: Floats) -> "Weighted":
        """Returns the matrix with these weights of the links."""
        return Weighted(self, weight)

    def dense(self, weight: Floats) -> Floats:
        """Returns the transposed matrix `[columns, rows]`."""
        flat = np.bincount(self._cell, weights=weight, minlength=self.cells)
        return flat.reshape(self.shape[::-1]).astype(np.float64, copy=False)

    def row_sums(self, terms: Floats) -> Floats:
        """Returns the sums over each row's links `[..., rows]`, of terms `[..., links]`."""
        if len(self._rows) == self.shape[0]:
            return np.add.reduceat(terms, self._first, axis=-1)
        sums = np.zeros((*terms.shape[:-1], self.shape[0]))
        if len(self._rows):
            sums[..., self._rows] = np.add.reduceat(terms, self._first, axis=-1)
        return sums


class Weighted:
    """Links with weights: a matrix M that multiplies values from either side."""

    def __init__(self, links: Links, weight: Floats) -> None:
        self._links, self._weight = links, weight
        self._transposed = links.dense(weight) if links.is_dense else None

    def back(self, values: Floats) -> Floats:
        """Returns M v `[..., rows]`, for v `[..., columns]`."""
        if self._transposed is not None:
            product: Floats = np.dot(values, self._transposed)
            return product
        # `take` with a mode that needs no check, and a product in place, take half of the time of plain indexing.
        terms = np.take(values, self._links.column, axis=-1, mode="clip")
        terms *= self._weight
        return self._links.row_sums(terms)

    def ahead(self, measure: Floats) -> Floats:
        """Returns v M `[columns]`, for v `[rows]`."""
        if self._transposed is not None:
            product: Floats = np.dot(self._transposed, measure)
            return product
        links = self._links
        by_link = self._weight * measure[links.row]
        return np.bincount(links.column, weights=by_link, minlength=links.shape[1]).astype(np.float64, copy=False)


@dataclass(frozen=True, eq=False)
class Layout:
    """What the recursions need of an MDP, whatever the policy.

    Attributes:
      state, action: of each pair `[P]`.
      pairs: links from pairs to the states that follow, one for each outcome.
      discounted: γ P(k|s, a) `[K]`, their weights.
      states: links from states to states, one for each outcome and one for each state without any.
      link_pair: the pair of each of these; P where it has none.
      link_discounted: γ P(k|s, a) of each; γ where it has no outcome.
      by_state: links from states to their pairs.
      reward, reward_size: Σ_k P r and Σ_k P |r| `[P]`.
      additions: outcomes and actions of the state, and how far Σ_k P(k|s, a) may miss 1 in units of u `[P]`.
      fan_in: the greatest number of outcomes that lead to one state.
      gap: the smallest difference between two rewards; where all are the same, their size.
    """

    state: Ints
    action: Ints
    pairs: Links
    discounted: Floats
    states: Links
    link_pair: Ints
    link_discounted: Floats
    by_state: Links
    reward: Floats
    reward_size: Floats
    additions: Floats
    fan_in: int
    gap: float


@kept
def layout(mdp: MDP) -> Layout:
    """Returns the layout of an MDP; the same one when it is asked for again."""
    end = mdp.num_states
    number = mdp.state * mdp.num_actions + mdp.action
    start_of_pair = np.r_[True, number[1:] != number[:-1]][: len(number)]
    pair = np.cumsum(start_of_pair) - 1
    state, action = mdp.state[start_of_pair], mdp.action[start_of_pair]
    target = np.where(mdp.ends, end, mdp.next_state)
    fan_out = np.bincount(mdp.state, minlength=end + 1)
    resting = np.flatnonzero(fan_out == 0)
    source, following = np.r_[mdp.state, resting], np.r_[target, resting]
    order = np.argsort(source, kind="stable")
    pairs = Links(pair, target, (len(state), end + 1))
    missing = np.abs(pairs.row_sums(mdp.prob) - 1) / ROUNDOFF + np.bincount(pair) - 1
    apart = np.diff(np.sort(mdp.reward))
    greatest = float(np.abs(mdp.reward).max(initial=0))
    discounted = mdp.gamma * mdp.prob
    return Layout(
        state, action, pairs, discounted,
        Links(source[order], following[order], (end + 1, end + 1)),
        np.r_[pair, np.full(len(resting), len(state))][order],
        np.r_[discounted, np.full(len(resting), mdp.gamma)][order],
        Links(state, np.arange(len(state)), (end + 1, len(state))),
        pairs.row_sums(mdp.prob * mdp.reward),
        pairs.row_sums(mdp.prob * np.abs(mdp.reward)),
        (fan_out + np.bincount(state, minlength=end + 1))[state] + missing,
        int(np.bincount(target, minlength=end + 1)[:end].max()),
        float(apart[apart > 0].min(initial=np.inf)) if apart.any() else greatest,
    )  # fmt: skip


class Chain:
    """The chain of one MDP and one policy.

    Attributes:
      pi: π(a|s) of each pair `[P]`.
      likeliest: the pair of the likeliest action in each pair's state `[P]`.
      reward: Σ_a π Σ_k P r of each state `[S + 1]`.
      step: γ Σ_a π Σ_k P from state to state.
      roundings: m(s, a), see `_roundings` `[P]`.
      most_roundings: the greatest of them.
    """

    def __init__(self, mdp: MDP, probs: Floats) -> None:
        self.layout = layout(mdp)
        state, action = self.layout.state, self.layout.action
        self.pi = probs[state, action]
        pair_number = np.zeros(probs.shape, dtype=np.int64)
        pair_number[state, action] = np.arange(len(state))
        self.likeliest = pair_number[state, np.argmax(probs, axis=1)[state]]
        self.reward = self.layout.by_state.row_sums(self.pi * self.layout.reward)
        self.roundings = self._roundings()
        joint = np.append(self.pi, 1.0)[self.layout.link_pair] * self.layout.link_discounted
        self.step = self.layout.states.weighted(joint)
        self._onward = self.layout.pairs.weighted(self.layout.discounted)
        self.most_roundings = float(self.roundings.max())
        self._pair_noise = ROUNDOFF * self.roundings
        self._noise = self.layout.states.weighted(
            np.append(self._pair_noise, 2 * ROUNDOFF)[self.layout.link_pair] * joint
        )
        self._reward_noise = self.layout.by_state.row_sums(self.pi * self._pair_noise * self.layout.reward_size)

    def action_values(self, following: Floats) -> Floats:
        """Returns Q(s, a) `[..., P]`, for V′ `[..., S + 1]`."""
        return self._onward.back(following) + self.layout.reward

    def action_noise(self, following: Floats, errors: Floats) -> Floats:
        """Returns a bound on the error of `action_values` `[..., P]`, where that of V′ is at most `errors`."""
        sizes = self._onward.back(np.abs(following)) + self.layout.reward_size
        return self._onward.back(errors) + self._pair_noise * sizes

    def noise(self, following: Floats) -> Floats:
        """Returns a bound on the rounding of r + γ P V′ itself `[..., S + 1]`, for V′ `[..., S + 1]`."""
        return self._noise.back(np.abs(following)) + self._reward_noise

    def _roundings(self) -> Floats:
        """m(s, a): the roundings that one step through (s, a) can suffer, in units of u of its size `[P]`.

        - A term of r + γ P V′ takes part in sums over outcomes of its state and over actions, twice where it has π in
          it, with fewer additions than outcomes and actions; 8 cover the products and two exps.
        - exp turns the rounding of its argument, the distance of a logit from the greatest, into a relative
          error: as many units as the distance; the sum in the denominator of π has the mean distance.
        - A row of P misses 1.
        """
        layout = self.layout
        distance = -np.log(np.where(self.pi > 0, self.pi / self.pi[self.likeliest], 1.0))
        mean = layout.by_state.row_sums(self.pi * distance)
        return distance + (mean + 8.0)[layout.state] + layout.additions
