"""Trajectories as arrays: what lists of trajectories and estimators are made of."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pgcheck.mdp import MDP, Bools, Floats, Ints
from pgcheck.policy import Policy

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Episode:
    """One trajectory of L steps.

    Attributes:
      states, actions, next_states: by number `[L]`.
      rewards: r_t `[L]`.
      terminated: False where the horizon cut it off.
    """

    states: Ints
    actions: Ints
    rewards: Floats
    next_states: Ints
    terminated: bool


@dataclass(frozen=True, eq=False)
class Batch:
    """N trajectories, padded with 0 to the length T of the longest; all arrays are read-only.

    Attributes:
      states, actions, next_states: by number `[N, T]`.
      rewards: r_t `[N, T]`, not discounted.
      lengths: the number of steps L `[N]`.
      terminated: False where the horizon cut the trajectory off `[N]`.
      starts: s_0, also of trajectories of length 0 `[N]`.
      mdp, policy: where they come from.
    """

    states: Ints
    actions: Ints
    next_states: Ints
    rewards: Floats
    lengths: Ints
    terminated: Bools
    starts: Ints
    mdp: MDP
    policy: Policy

    @classmethod
    def from_paths(cls, mdp: MDP, policy: Policy, paths: Ints) -> "Batch":
        """Returns the trajectories that take these paths.

        Args:
          mdp, policy: where they come from.
          paths: the first state, then the outcomes' numbers, -1 beyond the end `[N, 1 + T]`.
        """
        outcome = paths[:, 1:]
        lengths = np.sum(outcome >= 0, axis=1)
        outcome = outcome[:, : int(lengths.max(initial=0))]
        taken = outcome >= 0
        states, actions, next_states = (np.zeros(outcome.shape, dtype=np.int64) for _ in range(3))
        rewards = np.zeros(outcome.shape)
        states[taken] = mdp.state[outcome[taken]]
        actions[taken] = mdp.action[outcome[taken]]
        next_states[taken] = mdp.next_state[outcome[taken]]
        rewards[taken] = mdp.reward[outcome[taken]]
        terminated = mdp.terminal[paths[:, 0]]
        some = np.flatnonzero(lengths)
        terminated[some] = mdp.ends[outcome[some, lengths[some] - 1]]
        starts = paths[:, 0].copy()
        for array in (states, actions, next_states, rewards, lengths, terminated, starts):
            array.flags.writeable = False
        return cls(states, actions, next_states, rewards, lengths, terminated, starts, mdp, policy)

    def __len__(self) -> int:
        return len(self.lengths)

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
        return self.mdp.gamma

    @property
    def horizon(self) -> int:
        return self.mdp.horizon

    @property
    def num_states(self) -> int:
        return self.mdp.num_states

    @property
    def num_actions(self) -> int:
        return self.mdp.num_actions

    @cached_property
    def mask(self) -> Bools:
        """True at the steps that belong to the trajectory `[N, T]`."""
        return _read_only(np.arange(self.states.shape[1]) < self.lengths[:, None])

    @cached_property
    def probs(self) -> Floats:
        """π(a|s) `[S, A]`."""
        return _read_only(self.policy.probs())

    @cached_property
    def theta(self) -> Floats:
        """The policy's parameters: `[S, A]` where every state has a row of its own and every action, else `[d]`.

        Rows of terminal states are 0.
        """
        return _read_only(self._shaped(self.policy.theta))

    @cached_property
    def score(self) -> Floats:
        """∇log π(a_t|s_t) `[N, T, *theta.shape]`, 0 beyond the end."""
        score = self.policy.score(self.states, self.actions)
        score[~self.mask] = 0.0
        return _read_only(self._shaped(score))

    def _shaped(self, vector: Floats) -> Floats:
        """`[..., d]` in the shape of theta."""
        mdp = self.mdp
        acting = ~mdp.terminal
        if len(mdp.observations) < mdp.num_states or not mdp.available[acting].all():
            return vector.copy()
        table = np.zeros((*vector.shape[:-1], mdp.num_states, mdp.num_actions))
        table[..., acting, :] = vector.reshape(*vector.shape[:-1], int(acting.sum()), mdp.num_actions)
        return table


def _read_only(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    array.flags.writeable = False
    return array
