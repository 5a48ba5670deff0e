"""A tabular softmax policy, with what a policy gradient needs of it: π, and sums of ∇log π."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pgcheck.arrays import Bools, Floats, Ints, brief
from pgcheck.errors import ModelError
from pgcheck.model.mdp import MDP


@dataclass(frozen=True, eq=False)
class TabularSoftmax:
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
    def of(cls, mdp: MDP, preferences: Mapping[tuple[str, str], float] | None = None) -> "TabularSoftmax":
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
        name_of_row = [mdp.observations[o] for o in seen[np.argsort(first)].tolist()]
        pairs = zip(*(index.tolist() for index in np.nonzero(rows)), strict=True)
        parameters = tuple((name_of_row[r], mdp.actions[a]) for r, a in pairs)
        theta = np.zeros(len(parameters))
        if preferences:
            theta[:] = [preferences.get(key, 0.0) for key in parameters]
        theta.flags.writeable = index.flags.writeable = False
        return cls(theta, parameters, index)

    @classmethod
    def from_probs(cls, probs: Floats, offered: Bools) -> "TabularSoftmax":
        """Returns the softmax with this π(a|s) `[S, A]`, with a parameter for each pair that is offered `[S, A]`."""
        index = np.where(offered, np.cumsum(offered).reshape(offered.shape) - 1, -1)
        pairs = zip(*np.nonzero(offered), strict=True)
        theta = np.log(np.maximum(probs[offered], np.finfo(np.float64).tiny))
        return cls(theta, tuple((str(s), str(a)) for s, a in pairs), index)

    def __repr__(self) -> str:
        return f"TabularSoftmax({len(self.theta)} preferences of {len(self.index)} states, theta={brief(self.theta)})"

    def logits(self) -> Floats:
        """Returns the preference of each action in each state `[S, A]`; 0 where s does not offer a."""
        offered = self.index >= 0
        return np.where(offered, self.theta[self.index], 0.0) if len(self.theta) else np.zeros(self.index.shape)

    def probs(self) -> Floats:
        """Returns π(a|s) `[S, A]`; rows of terminal states are 0."""
        return softmax(self.logits(), self.index >= 0)

    def prob_of_parameters(self) -> Floats:
        """Returns π(a|s) of each parameter's action, in the states that show its observation `[d]`."""
        prob = np.zeros(len(self.theta))
        offered = self.index >= 0
        prob[self.index[offered]] = self.probs()[offered]
        return prob

    @property
    def freedom(self) -> int:
        """How many directions ∇log π can have: actions beyond the first, in each observation that has actions."""
        rows = {tuple(row[row >= 0].tolist()) for row in self.index if np.any(row >= 0)}
        return sum(len(row) - 1 for row in rows)

    def numbers(self, states: Ints, actions: Ints) -> Ints:
        """Returns the number of the parameter that each state uses for an action; -1 where it does not offer it.

        Arguments and result have one shape.
        """
        return self.index[states, actions]

    def along(self, direction: Floats) -> Floats:
        """Returns ∇log π(a|s) · v `[S, A]` for a direction v `[d]`; 0 where s does not offer a."""
        offered = self.index >= 0
        table = replace(self, theta=direction).logits()
        return np.where(offered, table - np.sum(self.probs() * table, axis=1, keepdims=True), 0.0)

    def pullback(self, weights: Floats) -> Floats:
        """Returns Σ_{s,a} w[s, a] ∇_θ log π(a|s) `[..., d]`.

        With ∂log π(a|s)/∂θ[o(s), b] = 1{a = b} − π(b|s), component (o, a) is
        Σ_{s sees o} (w[s, a] − π(a|s) Σ_b w[s, b]).

        Args:
          weights: the weight of each ∇log π(a|s) `[..., S, A]`; ignored where s does not offer a.
        """
        return self.logit_pullback(centred(weights, self.probs(), self.index >= 0))

    def logit_pullback(self, weights: Floats) -> Floats:
        """Returns Σ_{s,a} w[s, a] ∇_θ θ[o(s), a] `[..., d]`: the weight of each logit in place of each ∇log π(a|s).

        Args:
          weights: `[..., S, A]`; ignored where s does not offer a.
        """
        by_pair, parameter = weights.reshape(-1, self.index.size), self.index.ravel()
        offered = np.flatnonzero(parameter >= 0)
        if len(offered) == len(self.theta):  # no observation is shared
            own = np.take(by_pair, offered[np.argsort(parameter[offered])], axis=1)
            return own.reshape(*weights.shape[:-2], len(self.theta))
        # An extra component, which is cut off, takes the actions that a state does not offer.
        gradient = np.zeros((*weights.shape[:-2], len(self.theta) + 1))
        np.add.at(gradient.reshape(len(by_pair), -1).T, parameter, by_pair.T)
        return gradient[..., :-1]


def softmax(logits: Floats, offered: Bools) -> Floats:
    """Returns exp x[s, a] / Σ_b exp x[s, b] over the actions that each state offers `[S, A]`; else 0."""
    values = np.where(offered, logits, -np.inf)
    greatest = np.max(values, axis=1, keepdims=True, initial=-np.inf)
    greatest[np.isneginf(greatest)] = 0.0
    # Subtracting the maximum first keeps preferences of ±1000 from overflowing.
    odds = np.exp(values - greatest)
    return np.asarray(odds / np.maximum(odds.sum(axis=1, keepdims=True), 1.0))


def centred(weights: Floats, probs: Floats, offered: Bools) -> Floats:
    """Returns w[s, a] − π(a|s) Σ_b w[s, b] `[..., S, A]`: what weights of ∇log π weigh the logits with.

    The difference is taken after subtracting the likeliest action's share from every action, so that
    a weight common to all actions cancels exactly and not in the last digits: with preferences of
    ±100 the plain form keeps 7 digits and this one 13.

    Args:
      weights: of each ∇log π(a|s) `[..., S, A]`; ignored where s does not offer a.
      probs: π(a|s) `[S, A]`.
      offered: whether s offers a `[S, A]`.
    """
    likeliest = np.argmax(probs, axis=1)[:, None]
    scale = np.take_along_axis(probs, likeliest, axis=1)
    to_all = np.broadcast_to(likeliest, (*weights.shape[:-1], 1))
    common = np.take_along_axis(weights, to_all, axis=-1)
    common = np.divide(common, scale, where=scale > 0, out=np.zeros(common.shape))
    excess = np.where(offered, weights - probs * common, 0.0)
    np.put_along_axis(excess, to_all, 0.0, axis=-1)
    return np.asarray(excess - probs * excess.sum(axis=-1, keepdims=True))
