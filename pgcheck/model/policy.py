"""What a policy is: its parameters θ, its table π(a|s), and the pullback of weights of ∇log π to θ.

On a finite MDP every policy is a table of logits, whatever computes it. The gradient with respect to the table is
found once; the pullback takes it to θ, by ∇_θ J = (∂logits/∂θ)ᵀ ∇_logits J. Everything beyond `model/` knows policies
by this protocol and by the functions below.
"""

from typing import Protocol

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.model.softmax import TabularSoftmax

MAX_SCORES = 2**24  # numbers in the tables of weights that are pulled back together


class Policy(Protocol):
    """π_θ(a|s), and what a policy gradient needs of it.

    Attributes:
      theta: θ `[d]`.
      parameters: the names of each parameter: (observation, action), or one name.
    """

    @property
    def theta(self) -> Floats: ...
    @property
    def parameters(self) -> tuple[tuple[str, ...], ...]: ...

    def __hash__(self) -> int: ...

    def probs(self) -> Floats:
        """Returns π(a|s) `[S, A]`; 0 where s does not offer a, and in rows of terminal states."""

    def pullback(self, weights: Floats) -> Floats:
        """Returns Σ_{s,a} w[s, a] ∇_θ log π(a|s) `[..., d]`, for weights `[..., S, A]`."""


# `Policy.softmax(mdp)` came before there were other policies; it is still understood.
setattr(Policy, "softmax", TabularSoftmax.of)  # noqa: B010


def pair_scores(policy: Policy, states: Ints, actions: Ints) -> Floats:
    """Returns ∇_θ log π(a|s) of P pairs `[P, d]`, for their states and actions `[P]`.

    The component of the action itself, 1 − π(a|s), is as precise as π: with a preference of 40 it is 8.5e-18.
    """
    shape = policy.probs().shape
    scores = np.zeros((len(states), len(policy.theta)))
    size = max(1, MAX_SCORES // (shape[0] * shape[1] + len(policy.theta)))
    for lo in range(0, len(states), size):
        rows = slice(lo, lo + size)
        one_hot = np.zeros((len(states[rows]), *shape))
        one_hot[np.arange(len(one_hot)), states[rows], actions[rows]] = 1.0
        scores[rows] = policy.pullback(one_hot)
    return scores


def score(policy: Policy, states: Ints, actions: Ints) -> Floats:
    """Returns ∇_θ log π(a|s) `[..., d]`, for states and actions of one shape `[...]`."""
    size = policy.probs().shape[1]
    pairs, place = np.unique(states * size + actions, return_inverse=True)
    return pair_scores(policy, pairs // size, pairs % size)[place.reshape(states.shape)]


def along(policy: Policy, direction: Floats) -> Floats:
    """Returns ∇_θ log π(a|s) · v `[S, A]` for a direction v `[d]`; 0 where s does not offer a."""
    if isinstance(policy, TabularSoftmax):
        return policy.along(direction)
    table = np.zeros(policy.probs().shape)
    states, actions = np.nonzero(policy.probs())
    table[states, actions] = pair_scores(policy, states, actions) @ direction
    return table


def freedom(policy: Policy) -> int:
    """Returns how many directions ∇_θ log π(a|s) can have: the rank of all of them together."""
    if isinstance(policy, TabularSoftmax):
        return policy.freedom
    return int(np.linalg.matrix_rank(pair_scores(policy, *np.nonzero(policy.probs()))))


def steepness(policy: Policy) -> float:
    """Returns half of a bound on ‖∇_θ log π(a|s)‖₂; 1 for a table, and where the policy does not tell."""
    return float(getattr(policy, "steepness", 1.0))


def logits(policy: Policy) -> Floats:
    """Returns the logit of each action in each state `[S, A]`; 0 where s does not offer it.

    Of a policy that does not tell its logits these are log π(a|s).
    """
    own = getattr(policy, "logits", None)
    if own is not None:
        return np.asarray(own())
    probs = policy.probs()
    return np.log(np.where(probs > 0, probs, 1.0))


def logit_pullback(policy: Policy, weights: Floats) -> Floats:
    """Returns Σ_{s,a} w[s, a] ∂logit(s, a)/∂θ `[..., d]`, for weights `[..., S, A]`.

    Of a policy that does not tell its logits these are log π(a|s).
    """
    own = getattr(policy, "logit_pullback", None)
    pulled_back: Floats = policy.pullback(weights) if own is None else own(weights)
    return pulled_back
