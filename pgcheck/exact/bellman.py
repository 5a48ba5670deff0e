"""One step of the Bellman recursion, at every (state, action) pair.

    Q(s, a) = Σ_k P(k|s, a) (r_k + γ V′(s′_k)),   V(s) = Σ_a π(a|s) Q(s, a)

V′ is the value with one step fewer to go, and γ V′ is 0 where outcome k ends the episode. The pairs stand in the
order of the MDP's outcomes, P of them: their values are arrays `[P]`, those of outcomes `[K]`, of states `[S]`.
"""

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.model.mdp import MDP

NEGLIGIBLE = 1e-290  # a probability: smaller ones become subnormal numbers, which are slow and never quite 0


def first_outcomes(mdp: MDP) -> Ints:
    """Returns the number of the first outcome of each (state, action) pair `[P]`."""
    pair = mdp.state * mdp.num_actions + mdp.action
    return np.flatnonzero(np.r_[True, pair[1:] != pair[:-1]][: len(pair)])


class Bellman:
    """The recursion for one MDP and one policy.

    Attributes:
      state, action: of each pair `[P]`.
      pi: π(a|s) of each pair `[P]`.
      likeliest: the pair of the likeliest action in each pair's state `[P]`.
    """

    def __init__(self, mdp: MDP, probs: Floats) -> None:
        self.mdp = mdp
        self._first = first_outcomes(mdp)
        self.state, self.action = mdp.state[self._first], mdp.action[self._first]
        self.pi = probs[self.state, self.action]
        number = np.zeros(probs.shape, dtype=np.int64)
        number[self.state, self.action] = np.arange(len(self._first))
        self.likeliest = number[self.state, np.argmax(probs, axis=1)[self.state]]
        self._discount = np.where(mdp.ends, 0.0, mdp.gamma)

    def outcome_values(self, following: Floats) -> Floats:
        """Returns r + γ V′(s′) `[K]`, for V′ `[S]`."""
        return self.mdp.reward + self._discount * following[self.mdp.next_state]

    def action_values(self, following: Floats) -> Floats:
        """Returns Q(s, a) `[P]`, for V′ `[S]`."""
        return np.add.reduceat(self.mdp.prob * self.outcome_values(following), self._first)

    def state_means(self, values: Floats) -> Floats:
        """Returns Σ_a π(a|s) x(s, a) `[S]`, for x `[P]`; V for Q."""
        return np.bincount(self.state, weights=self.pi * values, minlength=self.mdp.num_states).astype(np.float64)

    def differences(self, q: Floats) -> Floats:
        """Returns Q(s, a) − Q(s, likeliest action) `[P]`: a value that is common to all actions costs no digits."""
        differences: Floats = q - q[self.likeliest]
        return differences
