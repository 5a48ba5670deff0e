"""How an episode goes on: the matrix M of discounted probabilities from state to state, so many steps at once.

M(s, s′) = γ Σ_a π(a|s) Σ_k P(k|s, a) over the outcomes that lead to s′ and go on. Of few states it is dense, and its
powers take many steps at once; of many, one step goes from outcome to outcome.
"""

from typing import Protocol

import numpy as np

from pgcheck.arrays import Bools, Floats, Ints
from pgcheck.model.mdp import MDP

DENSE_STATES = 512  # of these the powers take 0.3 s
DOUBLINGS = 10  # of the steps that are taken at once
CALLS = 30_000  # outcomes whose products take as long as the calls of one step


class Survival(Protocol):
    """M of n states.

    Attributes:
      size: n.
      number: of steps that are taken at once.
      work: of one step, in products.
      terms: Σ_k M^k ρ, Σ_k M^k r and Σ_k k M^k ρ over these steps `[n, 3]`, for ρ the mean of |r| and the mean of r.
    """

    @property
    def size(self) -> int: ...
    @property
    def number(self) -> int: ...
    @property
    def work(self) -> int: ...
    @property
    def terms(self) -> Floats: ...

    def sizes(self, measure: Floats) -> Floats:
        """Returns w M^k ρ of each of these steps `[number]`, for w `[n]`."""
        ...

    def visits(self, measure: Floats) -> Floats:
        """Returns Σ_k w M^k `[n]`, for w `[n]`."""
        ...

    def ahead(self, measure: Floats) -> Floats:
        """Returns w M^number `[n]`, for w `[n]`."""
        ...

    def back(self, values: Floats) -> Floats:
        """Returns M^number v `[n, c]`, for v `[n, c]`."""
        ...


def survival(mdp: MDP, probs: Floats, reached: Bools) -> Survival:
    """Returns M of the states that are reached `[S]`, numbered in their order.

    Args:
      mdp: rewards are those of its outcomes.
      probs: π(a|s) `[S, A]`.
      reached: states that are not terminal, from which no outcome leads to another that is not.
    """
    place = np.cumsum(reached) - 1
    size = int(reached.sum())
    kept = reached[mdp.state] & (probs[mdp.state, mdp.action] > 0)
    row = place[mdp.state[kept]]
    joint = probs[mdp.state, mdp.action][kept] * mdp.prob[kept]
    reward = np.bincount(row, weights=joint * mdp.reward[kept], minlength=size).astype(np.float64)
    sizes = np.bincount(row, weights=joint * np.abs(mdp.reward[kept]), minlength=size).astype(np.float64)
    on = ~mdp.ends[kept]
    row, column, weight = row[on], place[mdp.next_state[kept][on]], mdp.gamma * joint[on]
    if size > DENSE_STATES:
        return _Links(row, column, weight, sizes, reward)
    matrix = np.bincount(row * size + column, weights=weight, minlength=size * size)
    return _Powers(matrix.reshape(size, size).astype(np.float64), sizes, reward)


class _Powers:
    """The powers of a dense matrix."""

    def __init__(self, matrix: Floats, sizes: Floats, reward: Floats) -> None:
        self.size, self.number, self.work = len(matrix), 2**DOUBLINGS, len(matrix)
        self._sizes = np.empty((self.size, self.number))
        self._sizes[:, 0] = sizes
        self._visits, self._power, steps = np.eye(self.size), matrix, 1
        for _ in range(DOUBLINGS):
            self._sizes[:, steps : 2 * steps] = self._power @ self._sizes[:, :steps]
            self._visits = self._visits + self._power @ self._visits
            self._power, steps = self._power @ self._power, 2 * steps
        late = self._sizes @ np.arange(self.number, dtype=np.float64)
        self.terms = np.stack([self._sizes.sum(axis=1), self._visits @ reward, late], axis=1)

    def sizes(self, measure: Floats) -> Floats:
        return np.asarray(measure @ self._sizes)

    def visits(self, measure: Floats) -> Floats:
        return np.asarray(measure @ self._visits)

    def ahead(self, measure: Floats) -> Floats:
        return np.asarray(measure @ self._power)

    def back(self, values: Floats) -> Floats:
        return np.asarray(self._power @ values)


class _Links:
    """One step at a time, from outcome to outcome."""

    def __init__(self, row: Ints, column: Ints, weight: Floats, sizes: Floats, reward: Floats) -> None:
        self.size, self.number, self.work = len(sizes), 1, len(row) + CALLS
        self.terms = np.stack([sizes, reward, np.zeros(self.size)], axis=1)
        self._row, self._column, self._weight, self._sizes = row, column, weight, sizes

    def sizes(self, measure: Floats) -> Floats:
        return np.array([measure @ self._sizes])

    def visits(self, measure: Floats) -> Floats:
        return measure

    def ahead(self, measure: Floats) -> Floats:
        by_link = self._weight * measure[self._row]
        return np.bincount(self._column, weights=by_link, minlength=self.size).astype(np.float64, copy=False)

    def back(self, values: Floats) -> Floats:
        by_link = self._weight[:, None] * values[self._column]
        sums = [np.bincount(self._row, weights=column, minlength=self.size) for column in by_link.T]
        return np.stack(sums, axis=1).astype(np.float64, copy=False)
