"""Known mistakes of the score: G_t is right, but what it weights is not ∇log π(a_t|s_t).

Each looks up a pair of state and action that is not that of the step, or forgets to subtract π.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from pgcheck.arrays import Bools, Floats, Ints
from pgcheck.estimators.mistakes.weights import Mistake, dropped_gamma, public_id, with_gamma_t
from pgcheck.estimators.weights import all_steps, returns
from pgcheck.model.policy import logit_pullback
from pgcheck.trajectories.batch import Batch

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pair of state and action that each step looks up.

    Attributes:
      states, actions: by number `[N, T]`.
      mask: False where nothing is looked up `[N, T]`.
    """

    states: Ints
    actions: Ints
    mask: Bools


@dataclass(frozen=True, eq=False)
class MisplacedScore(Mistake):
    """A known mistake that weights something other than ∇log π(a_t|s_t).

    Attributes:
      pairs: the state and action that stand in place of s_t and a_t.
      subtracts_pi: False where it is the gradient of the logit of the action, not of log π.
    """

    weighs_own_steps: ClassVar[bool] = False
    pairs: Callable[[Batch], Pairs] = lambda batch: own_pairs(batch)
    subtracts_pi: bool = True

    def each(self, batch: Batch) -> Floats:
        """Returns the estimate of each episode `[N, *theta.shape]`."""
        pairs, weights = self.pairs(batch), self.weights(batch)
        table = np.zeros((len(batch), batch.num_states, batch.num_actions))
        row, t = np.nonzero(pairs.mask)
        np.add.at(table, (row, pairs.states[row, t], pairs.actions[row, t]), weights[row, t])
        return batch.shaped(self._pulled_back(batch, table))

    def mean(self, batch: Batch, prob: Floats) -> Floats:
        """Returns Σ_τ P(τ) ĝ(τ) over the episodes of a batch `[*theta.shape]`, for probabilities `[N]`."""
        pairs = self.pairs(batch)
        weights = (prob[:, None] * self.weights(batch))[pairs.mask]
        table = np.zeros((batch.num_states, batch.num_actions))
        np.add.at(table, (pairs.states[pairs.mask], pairs.actions[pairs.mask]), weights)
        return batch.shaped(self._pulled_back(batch, table))

    def _pulled_back(self, batch: Batch, table: Floats) -> Floats:
        """From weights of pairs `[..., S, A]` to θ `[..., d]`."""
        policy = batch.policy
        if self.subtracts_pi:  # also where the state does not offer the action
            table = table - batch.probs * table.sum(axis=-1, keepdims=True)
        return logit_pullback(policy, table)


def own_pairs(batch: Batch) -> Pairs:
    """(s_t, a_t)."""
    return Pairs(batch.states, batch.actions, batch.mask)


def next_actions(batch: Batch) -> Pairs:
    """(s_t, a_{t+1}); nothing at the last step."""
    return Pairs(batch.states, _shifted(batch.actions), _shifted(batch.mask))


def next_states(batch: Batch) -> Pairs:
    """(s_{t+1}, a_t); nothing at the last step."""
    return Pairs(_shifted(batch.states), batch.actions, _shifted(batch.mask))


def _shifted(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    """Each step's successor `[N, T]`; 0 after the last."""
    shifted = np.zeros_like(array)
    shifted[:, :-1] = array[:, 1:]
    return shifted


def _whole_return(batch: Batch) -> Floats:
    """w_t = R."""
    return all_steps(batch, returns(batch))


def _slips() -> tuple[MisplacedScore, ...]:
    """Each slip with γ^t G_t, and with G_t; the whole return matters where the score's expectation is not 0."""
    slips = []
    for cause, pairs, subtracts_pi in (
        ("score-without-pi", own_pairs, False),
        ("score-of-next-step/action", next_actions, True),
        ("score-of-next-step/state", next_states, True),
    ):
        name = public_id(cause)
        slips += [
            MisplacedScore(with_gamma_t(dropped_gamma), (name,), cause, (), pairs, subtracts_pi),
            MisplacedScore(_whole_return, (name,), cause, (), pairs, subtracts_pi),
            MisplacedScore(dropped_gamma, (name, "dropped-gamma"), cause, ("without-gamma-t",), pairs, subtracts_pi),
        ]
    return tuple(slips)


MISPLACED_SCORES: tuple[MisplacedScore, ...] = _slips()
