"""E[ĝ ĝᵀ] as it is added up: weights of ψψᵀ, and of ψvᵀ + vψᵀ, kept by (state, action) until the end.

∇log π of a state touches its own row of parameters alone. So a sum over steps of ψψᵀ is one number for each pair
`[P]`, and the rest is half of a symmetric matrix, of which the row of each pair `[P, w]`, or only its diagonal
component `[P]`, is added up.
"""

import itertools

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.exact.pair_sums import Onward, PairSums


class OuterSums:
    """A second moment, all of it or its diagonal (`PairSums.full`), as the steps of a recursion add to it."""

    def __init__(self, sums: PairSums) -> None:
        self._sums = sums
        pairs = len(sums.state)
        self._squares = np.zeros(pairs)
        self._half = np.zeros((pairs, sums.width) if sums.full else pairs)

    def add_squares(self, reach: Floats, weight: Floats) -> None:
        """Adds Σ reach[s] weight[s, a] ψψᵀ, for `[S]` and `[P]`."""
        self._squares += reach[self._sums.state] * weight

    def add_crosses(self, reach: Floats, onward: Onward) -> None:
        """Adds Σ reach[s] (ψ vᵀ + v ψᵀ) over pairs, v the vector of each pair."""
        sums = self._sums
        # Component (s, b) of Σ_a ψ(s, a) v(s, a) is v of action b itself, less π(b) times v of all actions.
        if sums.full:
            rows = onward.by_pair - sums.pi[:, None] * onward.by_state[sums.state]
            self._half += reach[sums.state][:, None] * rows
        else:
            own = onward.by_pair - sums.pi * onward.by_state[sums.state, sums.place]
            self._half += reach[sums.state] * own

    def add_state_squares(self, reach: Floats, weight: Floats, vectors: Floats) -> None:
        """Adds Σ_s reach[s] (u uᵀ + u vᵀ + v uᵀ), u = Σ_a weight ψ, v the state's vector `[S, w]`."""
        sums = self._sums
        own = sums.scores(weight)
        if sums.full:
            u = np.zeros(vectors.shape)
            u[sums.state, sums.place] = own
            self._half += (reach[sums.state] * own)[:, None] * (0.5 * u + vectors)[sums.state]
        else:
            self._half += reach[sums.state] * own * (0.5 * own + vectors[sums.state, sums.place])

    def total(self) -> Floats:
        """Returns the sum: the diagonal `[d]`, or all of it `[d, d]`."""
        sums, weight = self._sums, self._squares
        if not sums.full:
            # Component (s, b) of ψ is 1 − π(b) for action b itself, −π(b) for the others.
            others = sums.state_sum(weight)[sums.state] - weight
            return sums.by_param((1 - sums.pi) ** 2 * weight + sums.pi**2 * others + 2 * self._half)
        half = sums.matrix(self._half)
        matrix = half + half.T
        for lo, hi in itertools.pairwise([*sums.first_pair, len(sums.state)]):
            score = np.eye(hi - lo) - sums.pi[lo:hi]
            row = sums.param[lo:hi]
            matrix[np.ix_(row, row)] += score.T @ (weight[lo:hi, None] * score)
        return matrix
