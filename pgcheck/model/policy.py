"""A tabular softmax policy, with what a policy gradient needs of it: π, ∇log π, and sums of ∇log π."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, Ints, brief
from pgcheck.errors import ModelError
from pgcheck.model.mdp import MDP


@dataclass(frozen=True, eq=False)
class Policy:
    """π_θ(a|s) = exp θ[o(s), a] / Σ_b exp θ[o(s), b], over the actions that state s offers.

    Attributes:
      theta: the preferences θ `[d]`, in the order of `parameters`.
      parameters: the (observation, action) of each preference, by name.
      index: the number of the preference that state s uses for action a `[S, A]`; -1 where s does not offer a.
    """

    theta: Floats
    parameters: tuple[tuple[str, str], ...]
    index: Ints

    @classmethod
    def softmax(cls, mdp: MDP, preferences: Mapping[tuple[str, str], float] | None = None) -> "Policy":
        """Returns the softmax policy of `mdp` with these preferences; one left out is 0.

        Args:
          mdp: says which actions each state offers, and which states share an observation.
          preferences: from (observation, action), by name, to θ. Keys that the model lacks are ignored.

        Raises:
          ModelError: states that share an observation offer different actions.
        """
        # Rows of preferences stand in the order in which states that act first show their observation.
        acting = np.flatnonzero(mdp.available.any(axis=1))
        seen, first = np.unique(mdp.observation[acting], return_index=True)
        row_of = np.full(len(mdp.observations), -1, dtype=np.int64)
        row_of[seen[np.argsort(first)]] = np.arange(len(seen))
        rows = np.zeros((len(seen), mdp.num_actions), dtype=np.bool_)
        rows[row_of[mdp.observation[acting]]] = mdp.available[acting]
        if not np.array_equal(rows[row_of[mdp.observation[acting]]], mdp.available[acting]):
            raise ModelError(f"{mdp.name}: states that share an observation must offer the same actions")
        number = np.where(rows, np.cumsum(rows).reshape(rows.shape) - 1, -1)
        index = np.full(mdp.available.shape, -1, dtype=np.int64)
        index[acting] = number[row_of[mdp.observation[acting]]]
        index[~mdp.available] = -1
        name_of_row = {int(row): mdp.observations[o] for o, row in enumerate(row_of) if row >= 0}
        parameters = tuple((name_of_row[int(r)], mdp.actions[int(a)]) for r, a in zip(*np.nonzero(rows), strict=True))
        given = preferences or {}
        theta = np.array([given.get(key, 0.0) for key in parameters], dtype=np.float64)
        theta.flags.writeable = index.flags.writeable = False
        return cls(theta, parameters, index)

    def __repr__(self) -> str:
        return f"Policy({len(self.theta)} preferences of {len(self.index)} states, theta={brief(self.theta)})"

    def probs(self) -> Floats:
        """Returns π(a|s) `[S, A]`; rows of terminal states are 0."""
        offered = self.index >= 0
        if not len(self.theta):
            return np.zeros(self.index.shape)
        logits = np.where(offered, self.theta[self.index], -np.inf)
        greatest = np.max(logits, axis=1, keepdims=True)
        greatest[np.isneginf(greatest)] = 0.0
        # Subtracting the maximum first keeps preferences of ±1000 from overflowing.
        odds = np.exp(logits - greatest)
        probs: Floats = odds / np.maximum(odds.sum(axis=1, keepdims=True), 1.0)
        return probs

    def prob_of_parameters(self) -> Floats:
        """Returns π(a|s) of each parameter's action, in the states that show its observation `[d]`."""
        prob = np.zeros(len(self.theta))
        offered = self.index >= 0
        prob[self.index[offered]] = self.probs()[offered]
        return prob

    def score(self, states: Ints, actions: Ints) -> Floats:
        """Returns ∇_θ log π(a|s) `[..., d]`, for states and actions of one shape `[...]`.

        The component of the action itself, 1 − π(a|s), is summed from the others: with a preference of 40
        the difference would be 0.0 instead of 8.5e-18.
        """
        by_action = -self.probs()[states]
        np.put_along_axis(by_action, actions[..., None], 0.0, axis=-1)
        np.put_along_axis(by_action, actions[..., None], -by_action.sum(axis=-1, keepdims=True), axis=-1)
        # Actions that a state does not offer have index -1: they fall into an extra component, which is cut off.
        score = np.zeros((*states.shape, len(self.theta) + 1))
        np.put_along_axis(score, self.index[states] % (len(self.theta) + 1), by_action, axis=-1)
        return score[..., :-1]

    def pullback(self, weights: Floats) -> Floats:
        """Returns Σ_{s,a} w[s, a] ∇_θ log π(a|s) `[..., d]`.

        With ∂log π(a|s)/∂θ[o(s), b] = 1{a = b} − π(b|s), component (o, a) is
        Σ_{s sees o} (w[s, a] − π(a|s) Σ_b w[s, b]).

        The difference is taken after subtracting the likeliest action's share from every action, so that
        a weight common to all actions cancels exactly and not in the last digits: with preferences of
        ±100 the plain form keeps 7 digits and this one 13.

        Args:
          weights: the weight of each ∇log π(a|s) `[..., S, A]`; ignored where s does not offer a.
        """
        probs = self.probs()
        offered = self.index >= 0
        likeliest = np.argmax(probs, axis=1)[:, None]
        scale = np.take_along_axis(probs, likeliest, axis=1)
        to_all = np.broadcast_to(likeliest, (*weights.shape[:-1], 1))
        common = np.take_along_axis(weights, to_all, axis=-1)
        common = np.divide(common, scale, where=scale > 0, out=np.zeros(common.shape))
        excess = np.where(offered, weights - probs * common, 0.0)
        np.put_along_axis(excess, to_all, 0.0, axis=-1)
        by_state = excess - probs * excess.sum(axis=-1, keepdims=True)
        # An extra component, which is cut off, takes the actions that a state does not offer.
        gradient = np.zeros((*weights.shape[:-2], len(self.theta) + 1))
        by_pair = by_state.reshape(-1, self.index.size)
        np.add.at(gradient.reshape(len(by_pair), -1).T, self.index.ravel(), by_pair.T)
        return gradient[..., :-1]
