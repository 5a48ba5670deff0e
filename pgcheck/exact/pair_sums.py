"""Sums over (state, action) pairs and their outcomes, for vectors with a component for each parameter.

The second moments (`second_moments`) are made of ψ(s, a) = ∇log π(a|s) and of vectors that belong to states. With
parameter (s, b) the preference of action b in state s,

    component (s, b) of ψ(s, a) = 1{a = b} − π(b|s),   all other components are 0

so that no product needs a matrix of scores `[P, d]`, unless whole covariance matrices are wanted. States that share
an observation share parameters; their components add up.
"""

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import TooLargeError
from pgcheck.exact.bellman import first_outcomes
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy

MAX_VECTOR_NUMBERS = 20_000_000  # in a vector for each (state, action): 160 MB, and some are needed at once
MAX_NANOSECONDS = 20e9  # of a recursion, about
COLUMNS_TOGETHER = 64  # components that are summed together where outcomes are few; they fit in a processor's cache

Terms = list[tuple[Floats, Floats]]  # weights of the outcomes [K], vectors of the states [S, d]


class PairSums:
    """The (state, action) pairs of a problem, P of them, and sums over their outcomes.

    Vectors belong to pairs `[P, d]` or to states `[S, d]`; they have the policy's parameters as components.

    Attributes:
      mdp: the problem.
      full: whether second moments are whole matrices `[d, d]`, or their diagonals `[d]`.
      size: the number of parameters d.
      state, action, param: of each pair, and the number of its parameter `[P]`.
      pi: π(a|s) of each pair `[P]`.

    Raises:
      TooLargeError: vectors for all pairs take too much memory.
    """

    def __init__(self, mdp: MDP, policy: Policy, *, full: bool = False) -> None:
        self.mdp = mdp
        self.full = full
        self.size = len(policy.theta)
        self._first = first_outcomes(mdp)
        self.state = mdp.state[self._first]
        self.action = mdp.action[self._first]
        self.param = policy.index[self.state, self.action]
        self.pi = policy.probs()[self.state, self.action]
        self._first_pair = np.flatnonzero(np.r_[True, self.state[1:] != self.state[:-1]][: len(self.state)])
        self._acting = self.state[self._first_pair]
        pairs, outcomes = len(self.state), len(mdp.prob)
        self._first_outcome = self._first[self._first_pair]
        self._pair = np.repeat(np.arange(pairs), np.diff(np.r_[self._first, outcomes]))
        # A matrix product spends a tenth of the time on a number: it pays even where most cells of [S, S] are 0.
        self._dense = mdp.num_states**2 <= 20 * outcomes
        # Nanoseconds of one step, about.
        work = 6.0 * self.size * (mdp.num_states**2 / 5 if self._dense else 2.0 * outcomes)
        self._max_steps = min(int(MAX_NANOSECONDS / (2e5 + work)), MAX_VECTOR_NUMBERS // mdp.num_states)
        if pairs * self.size > MAX_VECTOR_NUMBERS:
            raise self._too_large()
        self._score = np.zeros((pairs, self.size))[: pairs if full else 0]
        if full:
            self._score[np.arange(pairs), self.param] = 1.0
            for lo, hi in zip(self._first_pair, [*self._first_pair[1:], pairs], strict=True):
                self._score[lo:hi, self.param[lo:hi]] -= self.pi[lo:hi]

    def check_steps(self, steps: int) -> None:
        """Raises TooLargeError where a recursion over so many steps takes too long or too much memory."""
        if steps > self._max_steps:
            raise self._too_large()

    def onward(self, terms: Terms) -> Floats:
        """Returns Σ weight[k] vectors[s′(k)] over each state's outcomes k `[S, d]`, summed over the terms."""
        sums = np.zeros((self.mdp.num_states, self.size))
        for weight, vectors in terms:
            if self._dense:
                sums += self._matrix(weight, self.mdp.state, self.mdp.num_states) @ vectors
                continue
            for lo in range(0, self.size, COLUMNS_TOGETHER):
                columns = slice(lo, lo + COLUMNS_TOGETHER)
                part = np.ascontiguousarray(vectors[:, columns])
                by_outcome = np.take(part, self.mdp.next_state, axis=0, mode="clip")
                by_outcome *= weight[:, None]
                sums[self._acting, columns] += np.add.reduceat(by_outcome, self._first_outcome, axis=0)
        return sums

    def pair_sum(self, values: Floats) -> Floats:
        """Returns the sums over each pair's outcomes `[P]`, of values `[K]`."""
        return np.add.reduceat(values, self._first)

    def state_sum(self, values: Floats) -> Floats:
        """Returns the sums over each state's pairs `[S, …]`, of values `[P, …]`."""
        sums = np.zeros((self.mdp.num_states, *values.shape[1:]))
        sums[self._acting] = np.add.reduceat(values, self._first_pair, axis=0)
        return sums

    def add_scores(self, weight: Floats, vectors: Floats) -> None:
        """Adds Σ_a weight[s, a] ψ(s, a) to each state's vector `[S, d]`, for weights `[P]`."""
        vectors[self.state, self.param] += self._own_components(weight)

    def squares(self, reach: Floats, weight: Floats) -> Floats:
        """Returns Σ reach[s] weight[s, a] ψψᵀ, for `[S]` and `[P]`: the diagonal `[d]`, or all `[d, d]`."""
        weight = reach[self.state] * weight
        if self.full:
            return self._score.T @ (weight[:, None] * self._score)
        # Component (s, b) of ψ is 1 − π(b) for action b itself, −π(b) for the others.
        others = self.state_sum(weight)[self.state] - weight
        return self._by_param((1 - self.pi) ** 2 * weight + self.pi**2 * others)

    def crosses(self, reach: Floats, terms: Terms, whole: Floats) -> Floats:
        """Returns Σ reach[s] (ψ vᵀ + v ψᵀ) over pairs, in the form of `squares`; v = Σ weight[k] vectors[s′(k)].

        Args:
          reach: `[S]`.
          terms: the weights and vectors of which v, a vector for each pair, is the sum.
          whole: Σ v over each state's pairs `[S, d]`: `onward(terms)`, which the caller has.
        """
        if self.full:
            half = np.zeros((self.size, self.size))
            for weight, vectors in terms:
                by_pair = self._matrix(weight * reach[self.mdp.state], self._pair, len(self.state)) @ vectors
                half += self._score.T @ by_pair
            return half + half.T
        # Component (s, b) of Σ_a ψ(s, a) v(s, a) is v_b of action b itself, less π(b) times v_b of all actions.
        own = np.zeros(len(self.state))
        for weight, vectors in terms:
            own += self.pair_sum(weight * vectors[self.mdp.next_state, self.param[self._pair]])
        return self._by_param(2 * reach[self.state] * (own - self.pi * whole[self.state, self.param]))

    def state_squares(self, reach: Floats, weight: Floats, vectors: Floats) -> Floats:
        """Returns Σ_s reach[s] (u uᵀ + u vᵀ + v uᵀ), u = Σ_a weight ψ, v the state's vector; as `squares` does."""
        if self.full:
            u = self.state_sum(weight[:, None] * self._score)
            half = u.T @ (reach[:, None] * (0.5 * u + vectors))
            return half + half.T
        own = self._own_components(weight)
        return self._by_param(reach[self.state] * own * (own + 2 * vectors[self.state, self.param]))

    def zeros(self) -> Floats:
        """Returns a second moment of 0."""
        return np.zeros((self.size, self.size) if self.full else self.size)

    def _too_large(self) -> TooLargeError:
        return TooLargeError(
            f"{self.mdp.name}: horizon {self.mdp.horizon:,} with {self.size:,} parameters is too large for the "
            f"exact covariance.\n  Lower the horizon."
        )

    def _matrix(self, weight: Floats, row: Ints, rows: int) -> Floats:
        """The weights of outcomes `[K]` as a matrix `[rows, S]` from the outcome's row to its next state."""
        shape = rows, self.mdp.num_states
        cell = row * shape[1] + self.mdp.next_state
        return np.bincount(cell, weights=weight, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)

    def _own_components(self, weight: Floats) -> Floats:
        """Component (s, b) of Σ_a weight[s, a] ψ(s, a) for each pair: w_b − π_b Σ_a w_a `[P]`."""
        return weight - self.pi * self.state_sum(weight)[self.state]

    def _by_param(self, values: Floats) -> Floats:
        """The sums over the pairs of each parameter `[d]`, of values `[P]`."""
        return np.bincount(self.param, weights=values, minlength=self.size).astype(np.float64)
