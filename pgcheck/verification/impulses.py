"""Impulses: episodes of distinct states with one reward, which show how an estimator weighs each step.

W[t, k] is the coefficient of ∇log π(a_t|s_t) after a unit reward at step k. For k ≥ t it has to be γ^k. For k < t the
reward cannot depend on the action, so that any weight that does not depend on the action is right, such as 0 or γ^k.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch

PREFERENCE = 0.6  # of the first action, so that the two actions are not equally likely

EachEpisode = Callable[[Batch], Floats]  # gradients of single episodes [N, *theta.shape]


@dataclass(frozen=True, eq=False)
class WeightMatrix:
    """How an estimator weighs steps by rewards.

    Attributes:
      values: W[t, k] `[T, T]`.
      gamma: γ of the episodes.
      is_right: whether W[t, k] is γ^k for k ≥ t.
    """

    values: Floats
    gamma: float
    is_right: bool

    @property
    def right_weights(self) -> Floats:
        """γ^k `[T]`: what W[t, k] has to be for k ≥ t."""
        return np.asarray(correct_weights(len(self.values), self.gamma)[0])


def chain(steps: int, gamma: float, *, terminated: bool = True) -> tuple[MDP, Policy]:
    """Returns a model of states in a row, with two actions that both lead to the next state, and no reward.

    After `steps` steps the episode terminates, or the horizon cuts it off.
    """
    state = np.repeat(np.arange(steps + 1 - terminated), 2)
    names = tuple(f"s{i}" for i in range(steps + 1))
    size = len(state)
    terminal = np.zeros(steps + 1, dtype=np.bool_)
    terminal[steps] = terminated
    start = np.zeros(steps + 1)
    start[0] = 1.0
    mdp = MDP(
        "a chain", names, ("one", "other"), steps, gamma, start, terminal, names, np.arange(steps + 1), state,
        np.tile([0, 1], size // 2), np.minimum(state + 1, steps), np.ones(size), np.zeros(size),
        np.zeros(size, dtype=np.bool_),
    )  # fmt: skip
    return mdp, Policy.softmax(mdp, {(name, "one"): PREFERENCE for name in names})


def chain_episodes(mdp: MDP, policy: Policy, actions: list[list[int]]) -> Batch:
    """Returns the episodes of a chain in which these actions are taken, one list an episode."""
    steps = len(actions[0])
    outcome = {(int(s), int(a)): k for k, (s, a) in enumerate(zip(mdp.state, mdp.action, strict=True))}
    outcomes = np.array([[outcome[t, row[t]] for row in actions] for t in range(steps)])
    return Batch.from_paths(mdp, policy, np.vstack([np.zeros((1, len(actions)), dtype=np.int64), outcomes]))


def coefficients(batch: Batch, gradients: Floats) -> Floats:
    """Returns the coefficient of each ∇log π(a_t|s_t) in the gradients of a chain's episodes `[N, T]`."""
    n, steps = batch.states.shape
    by_action = gradients.reshape(n, -1, 2)[:, :steps]
    taken = np.take_along_axis(by_action, batch.actions[:, :, None], axis=2)[:, :, 0]
    return np.asarray(taken / (1 - batch.probs[batch.states, batch.actions]))


def impulses(each_episode: EachEpisode, steps: int, gamma: float, *, terminated: bool = True) -> Floats:
    """Returns W `[T, T]`: what a unit reward at step k adds to the coefficient of step t."""
    mdp, policy = chain(steps, gamma, terminated=terminated)
    actions = [[(t + 1) % 2 for t in range(steps)]] * (steps + 1)
    batch = chain_episodes(mdp, policy, actions)
    rewards = np.vstack([np.eye(steps), np.zeros((1, steps))])  # the last episode has no reward
    weights = coefficients(batch, each_episode(batch.altered(rewards=rewards)))
    return np.asarray((weights[:-1] - weights[-1]).T)


def correct_weights(steps: int, gamma: float) -> Floats:
    """Returns γ^k `[T, T]`, of which k ≥ t counts."""
    return np.broadcast_to(gamma ** np.arange(steps, dtype=np.float64), (steps, steps))


def weights_agree(weights: Floats, expected: Floats, tolerance: float = 1e-6) -> bool:
    """Whether two matrices `[T, T]` agree for k ≥ t, where the reward follows the action."""
    upper = np.triu_indices(len(weights))
    size = max(1.0, float(np.abs(expected[upper]).max()))
    return float(np.max(np.abs(weights[upper] - expected[upper]))) <= tolerance * size
