"""Trajectories as arrays `[N, T]`: the form in which estimators and lists get them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pgcheck.arrays import Bools, Floats, Ints
from pgcheck.model.mdp import MDP
from pgcheck.model.objective import bonus
from pgcheck.model.policy import Policy
from pgcheck.model.policy import score as score_of
from pgcheck.model.softmax import TabularSoftmax

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Episode:
    """One trajectory of L steps.

    Attributes:
      states, actions, next_states: by number `[L]`.
      rewards: r_t `[L]`.
      terminated: False if the horizon cut it off.
    """

    states: Ints
    actions: Ints
    rewards: Floats
    next_states: Ints
    terminated: bool


@dataclass(frozen=True, eq=False)
class Batch:
    """N trajectories, padded with 0 to the length T of the longest; all arrays are read-only.

    The arrays `[N, T]` are computed when they are first asked for; they lie in memory step by step.

    Attributes:
      mdp, policy: the problem that they come from.
      starts: s_0, also of trajectories of length 0 `[N]`.
      outcomes: the number of each step's outcome among the MDP's; `mdp.padding` beyond the end `[T, N]`.
      behavior: the policy that drew the actions, where that was not `policy`.
    """

    mdp: MDP
    policy: Policy
    starts: Ints
    outcomes: Ints
    behavior: Policy | None = None

    @classmethod
    def from_paths(cls, mdp: MDP, policy: Policy, paths: Ints, behavior: Policy | None = None) -> "Batch":
        """Returns the trajectories that take these paths.

        Args:
          mdp, policy: the problem that they come from.
          paths: the first state, then the outcomes' numbers, `mdp.padding` beyond the end `[1 + T, N]`.
          behavior: the policy that drew the actions, where that was not `policy`.
        """
        longest = len(paths)
        while longest > 1 and np.all(paths[longest - 1] == mdp.padding):
            longest -= 1
        return cls(mdp, policy, _read_only(paths[0]), _read_only(paths[1:longest]), behavior)

    def altered(self, **arrays: NDArray[np.generic]) -> "Batch":
        """Returns the same trajectories with these arrays, like `rewards` or `terminated`, in place of their own."""
        changed = Batch(self.mdp, self.policy, self.starts, self.outcomes, self.behavior)
        kept = {name: self.__dict__[name] for name in self.alterations}
        frozen = {name: _read_only(array.copy()) for name, array in arrays.items()}
        changed.__dict__.update({**kept, **frozen, "alterations": (*kept, *frozen)})
        return changed

    def part(self, rows: slice | Ints) -> "Batch":
        """Returns some of the trajectories, padded as they are here, with their altered arrays."""
        part = Batch(self.mdp, self.policy, self.starts[rows], self.outcomes[:, rows], self.behavior)
        return part.altered(**{name: self.__dict__[name][rows] for name in self.alterations})

    @cached_property
    def alterations(self) -> tuple[str, ...]:
        """The names of the arrays that were replaced."""
        return ()

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[Episode]:
        for i, length in enumerate(self.lengths.tolist()):
            yield Episode(
                self.states[i, :length],
                self.actions[i, :length],
                self.rewards[i, :length],
                self.next_states[i, :length],
                bool(self.terminated[i]),
            )

    @property
    def gamma(self) -> float:
        """γ."""
        return self.mdp.gamma

    @property
    def horizon(self) -> int:
        """The greatest number of steps."""
        return self.mdp.horizon

    @property
    def num_states(self) -> int:
        """S."""
        return self.mdp.num_states

    @property
    def num_actions(self) -> int:
        """A."""
        return self.mdp.num_actions

    @cached_property
    def states(self) -> Ints:
        """s_t `[N, T]`."""
        return self._at_steps(self.mdp.state)

    @cached_property
    def actions(self) -> Ints:
        """a_t `[N, T]`."""
        return self._at_steps(self.mdp.action)

    @cached_property
    def next_states(self) -> Ints:
        """s_{t+1} `[N, T]`."""
        return self._at_steps(self.mdp.next_state)

    @cached_property
    def rewards(self) -> Floats:
        """r_t, not discounted `[N, T]`."""
        return self._at_steps(self.mdp.reward)

    @cached_property
    def mask(self) -> Bools:
        """True at the steps that belong to the trajectory `[N, T]`."""
        return _read_only((self.outcomes != self.mdp.padding).T)

    @cached_property
    def lengths(self) -> Ints:
        """The number of steps L `[N]`."""
        return _read_only(np.sum(self.mask, axis=1, dtype=np.int64))

    @cached_property
    def terminated(self) -> Bools:
        """False where the horizon cut the trajectory off `[N]`."""
        terminated = self.mdp.terminal[self.starts]
        longer = np.flatnonzero(self.lengths)  # than 0
        terminated[longer] = self.mdp.ends[self.outcomes[self.lengths[longer] - 1, longer]]
        return _read_only(terminated)

    @cached_property
    def probs(self) -> Floats:
        """π(a|s) `[S, A]`."""
        return _read_only(self.policy.probs())

    @cached_property
    def behavior_probs(self) -> Floats:
        """The probabilities `[S, A]` by which the actions were drawn: those of `behavior`, or π."""
        return self.probs if self.behavior is None else _read_only(self.behavior.probs())

    @cached_property
    def reference_probs(self) -> Floats:
        """π_ref(a|s) `[S, A]`; those of π where the model has no reference."""
        return self.probs if self.mdp.reference is None else _read_only(self.mdp.reference.copy())

    @property
    def entropy(self) -> float:
        """α, the coefficient of the entropy in the objective; 0 without one."""
        return self.mdp.entropy

    @property
    def kl(self) -> float:
        """β, the coefficient of KL(π ‖ π_ref) in the objective; 0 without one."""
        return self.mdp.kl

    @cached_property
    def credits(self) -> Floats:
        """r′_t = r_t − α log π(a_t|s_t) − β log(π(a_t|s_t) / π_ref(a_t|s_t)) `[N, T]`: what the objective adds up."""
        if not self.entropy and not self.kl:
            return self.rewards
        added = bonus(self.mdp, self.policy)[self.states, self.actions]
        return _read_only(np.asarray(np.where(self.mask, self.rewards + added, self.rewards), order="F"))

    @cached_property
    def theta(self) -> Floats:
        """The policy's parameters: `[S, A]` of a softmax with a row for every state and every action, else `[d]`.

        Rows of terminal states are 0.
        """
        return _read_only(self.shaped(self.policy.theta))

    @cached_property
    def score(self) -> Floats:
        """∇log π(a_t|s_t) `[N, T, *theta.shape]`, 0 beyond the end."""
        score = score_of(self.policy, self.states, self.actions)
        score[~self.mask] = 0.0
        return _read_only(self.shaped(score))

    def shaped(self, vector: Floats) -> Floats:
        """Returns parameters, or gradients, `[..., d]` in the shape of theta, `[..., *theta.shape]`."""
        mdp = self.mdp
        acting = ~mdp.terminal
        if not isinstance(self.policy, TabularSoftmax):
            return vector.copy()
        if len(mdp.observations) < mdp.num_states or not mdp.available[acting].all():
            return vector.copy()
        table = np.zeros((*vector.shape[:-1], mdp.num_states, mdp.num_actions))
        table[..., acting, :] = vector.reshape(*vector.shape[:-1], int(acting.sum()), mdp.num_actions)
        return table

    def flattened(self, values: Floats) -> Floats:
        """Returns values in the shape of theta, `[..., *theta.shape]`, as `[..., d]`; rows of terminal states go."""
        if self.theta.ndim == 1:
            return values
        rows = values[..., ~self.mdp.terminal, :]
        return rows.reshape(*values.shape[:-2], rows.shape[-2] * rows.shape[-1])

    def _at_steps(self, column: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """A column of the MDP's outcomes, looked up for every step `[N, T]`."""
        beyond = np.append(column, np.zeros(1, dtype=column.dtype))
        return _read_only(np.take(beyond, self.outcomes, mode="clip").T)


def _read_only(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    array.flags.writeable = False
    return array
