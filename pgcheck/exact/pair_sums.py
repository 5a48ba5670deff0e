"""Sums over (state, action) pairs and their outcomes, for vectors with a component for each parameter.

The second moments (`second_moments`) are made of ψ(s, a) = ∇log π(a|s) and of vectors that belong to states. With
parameter (s, b) the preference of action b in state s,

    component (s, b) of ψ(s, a) = 1{a = b} − π(b|s),   all other components are 0

so that no product needs a matrix of scores `[P, d]`. States that share an observation share parameters; their
components add up. A policy that is no table of preferences is looked at through one with the same π, in which every
pair has a parameter; sums are pulled back to its own θ in the end.

What follows from a state has components of the parameters alone that can still be met. Where an MDP falls into parts
that never meet, as that of a taxi does by its destination, each part's vectors have a place for each parameter of the
part, and not of the whole (`parts`): w places, which of most MDPs are all d.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import TooLargeError
from pgcheck.exact.bellman import first_outcomes
from pgcheck.exact.parts import Parts
from pgcheck.exact.sparse import SparseProduct, Terms
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy, pair_scores
from pgcheck.model.softmax import TabularSoftmax

MAX_VECTOR_NUMBERS = 20_000_000  # in a vector for each (state, action): 160 MB, and some are needed at once
MAX_NANOSECONDS = 20e9  # of a recursion, about
PRODUCTS = 6  # in a step, at most
ROUNDED = 2.0**-52  # relative error of one addition, and of the product before it


@dataclass(frozen=True, eq=False)
class Onward:
    """v(s, a) = Σ_k weight[k] vectors[s′(k)] of each pair.

    Attributes:
      by_state: Σ_a v(s, a) `[S, w]`.
      by_pair: v(s, a) `[P, w]`, or of it only the component of the pair's own parameter `[P]`.
    """

    by_state: Floats
    by_pair: Floats


class PairSums:
    """The (state, action) pairs of a problem, P of them, and sums over their outcomes.

    Vectors belong to pairs `[P, w]` or to states `[S, w]`; they have the parameters of their part as components.

    Attributes:
      mdp: the problem.
      full: whether second moments are whole matrices `[d, d]`, or their diagonals `[d]`.
      size: the number of parameters d of the table.
      state, action, param, place: of each pair, the number of its parameter, and its place in vectors `[P]`.
      pi: π(a|s) of each pair `[P]`.
      first_pair: the first pair of each state that acts.
      progress: called with the fraction of a recursion that is done, 0 to 1, from time to time.

    Raises:
      TooLargeError: vectors for all pairs take too much memory.
    """

    def __init__(
        self, mdp: MDP, policy: Policy, *, full: bool = False, progress: Callable[[float], None] | None = None
    ) -> None:
        self.mdp = mdp
        self.progress = progress
        self._policy = policy
        table = (
            policy if isinstance(policy, TabularSoftmax) else TabularSoftmax.from_probs(policy.probs(), mdp.available)
        )
        self.full = full or table is not policy
        self._diagonal = not full
        self.size = len(table.theta)
        self._first = first_outcomes(mdp)
        self.state = mdp.state[self._first]
        self.action = mdp.action[self._first]
        self.param = table.numbers(self.state, self.action)
        self.pi = policy.probs()[self.state, self.action]
        self.first_pair = np.flatnonzero(np.r_[True, self.state[1:] != self.state[:-1]][: len(self.state)])
        self._acting = self.state[self.first_pair]
        pairs, outcomes = len(self.state), len(mdp.prob)
        self._parts = Parts(mdp, self.state, self.param, self.size)
        self.place = self._parts.place[self.param]
        self.width = self._parts.width
        if pairs * (self.size if self.full else self.width) > MAX_VECTOR_NUMBERS:
            raise self._too_large()
        self._tolerance = ROUNDED * (4 + np.bincount(mdp.state, minlength=mdp.num_states))[self.state]
        pair = np.repeat(np.arange(pairs), np.diff(np.r_[self._first, outcomes]))
        self._going = np.flatnonzero(~mdp.ends)
        self._target = mdp.next_state[self._going]
        self._pair = pair[self._going]
        self._own = self.place[self._pair]
        row, rows = (self._pair, pairs) if self.full else (mdp.state[self._going], mdp.num_states)
        self._product = SparseProduct(row, self._target, (rows, mdp.num_states), self.width)
        work = 2e5 + PRODUCTS * self._product.nanoseconds
        self._max_steps = min(int(MAX_NANOSECONDS / work), MAX_VECTOR_NUMBERS // mdp.num_states)

    def check_steps(self, steps: int) -> None:
        """Raises TooLargeError where a recursion over so many steps takes too long or too much memory."""
        if steps > self._max_steps:
            raise self._too_large()

    def onward(self, terms: Terms) -> Onward:
        """Returns Σ weight[k] vectors[s′(k)] over the outcomes k that do not end the episode, summed over terms.

        Args:
          terms: weights of the outcomes `[K]`, vectors of the states `[S, w]`.
        """
        going = [(weight[self._going], vectors) for weight, vectors in terms]
        sums = self._product.of(going)
        if self.full:
            return Onward(self.state_sum(sums), sums)
        own = np.zeros(len(self.state))
        for weight, vectors in going:
            own += np.bincount(self._pair, weight * vectors[self._target, self._own], len(own))
        return Onward(sums, own)

    def difference(self, onward: Onward, factor: Floats, other: Onward) -> Onward:
        """Returns `onward` less `factor` times `other`, for a factor of each state `[S]`."""
        by_pair = factor[self.state]
        return Onward(
            onward.by_state - factor[:, None] * other.by_state,
            onward.by_pair - (by_pair[:, None] if self.full else by_pair) * other.by_pair,
        )

    def pair_sum(self, values: Floats) -> Floats:
        """Returns the sums over each pair's outcomes `[P]`, of values `[K]`."""
        return np.add.reduceat(values, self._first)

    def state_sum(self, values: Floats) -> Floats:
        """Returns the sums over each state's pairs `[S, …]`, of values `[P, …]`."""
        sums = np.zeros((self.mdp.num_states, *values.shape[1:]))
        sums[self._acting] = np.add.reduceat(values, self.first_pair, axis=0)
        return sums

    def scores(self, weight: Floats) -> Floats:
        """Returns component (s, b) of Σ_a weight[s, a] ψ(s, a) for each pair `[P]`: w_b − π_b Σ_a w_a.

        What rounding alone can have left is 0: weights that are π itself leave exactly nothing.
        """
        components = weight - self.pi * self.state_sum(weight)[self.state]
        components[np.abs(components) <= self._tolerance * np.abs(weight)] = 0.0
        return components

    def add_scores(self, weight: Floats, vectors: Floats) -> None:
        """Adds Σ_a weight[s, a] ψ(s, a) to each state's vector `[S, w]`, for weights `[P]`."""
        vectors[self.state, self.place] += self.scores(weight)

    def mean(self, weight: Floats, vectors: Floats) -> Floats:
        """Returns Σ_s weight[s] vectors[s] with all its components `[d]`, for `[S]` and `[S, w]`."""
        if self.width == self.size:
            return np.asarray(weight @ vectors)
        states = np.flatnonzero(weight)
        own, number = self._parts.numbers(states)
        terms = weight[states, None] * vectors[states]
        return np.bincount(number[own], weights=terms[own], minlength=self.size).astype(np.float64)

    def matrix(self, rows: Floats) -> Floats:
        """Returns the sums over the pairs of each parameter with all components `[d, d]`, of vectors `[P, w]`."""
        matrix = np.zeros((self.size, self.size))
        if self.width == self.size:
            np.add.at(matrix, self.param, rows)
        else:
            own, number = self._parts.numbers(self.state)
            np.add.at(matrix, (np.repeat(self.param, np.count_nonzero(own, axis=1)), number[own]), rows[own])
        return matrix

    def by_param(self, values: Floats) -> Floats:
        """Returns the sums over the pairs of each parameter `[d]`, of values `[P]`."""
        return np.bincount(self.param, weights=values, minlength=self.size).astype(np.float64)

    def at_theta(self, vector: Floats) -> Floats:
        """Returns a vector with a component for each parameter of the table, pulled back to θ `[d]`."""
        return vector if self._scores is None else vector @ self._scores

    def second_at_theta(self, second: Floats) -> Floats:
        """Returns a second moment pulled back to θ: all of it `[d, d]`, or its diagonal `[d]`.

        Of a policy that is no table, Σ [P, P] becomes Jᵀ Σ J; its diagonal needs no `[d, d]` matrix.
        """
        if self._scores is None:
            return second
        onward = second @ self._scores
        return np.sum(self._scores * onward, axis=0) if self._diagonal else self._scores.T @ onward

    @cached_property
    def _scores(self) -> Floats | None:
        """∇log π of each pair `[P, d]`; None where the table is the policy itself.

        They stand for J = ∂logits/∂θ: the components of a state sum to 0 in all that is pulled back, so that what the
        rows of a state have in common makes no difference.
        """
        if isinstance(self._policy, TabularSoftmax):
            return None
        if len(self.state) * len(self._policy.theta) > MAX_VECTOR_NUMBERS:
            raise self._too_large()
        return pair_scores(self._policy, self.state, self.action)

    def report(self, left: int, steps: int) -> None:
        """Reports how far a recursion has come that has so many of its steps left."""
        if self.progress is not None:
            self.progress(1 - left / steps)

    def _too_large(self) -> TooLargeError:
        return TooLargeError(
            f"{self.mdp.name}: horizon {self.mdp.horizon:,} with {self.size:,} parameters is too large for the "
            f"exact covariance.\n  Lower the horizon."
        )
