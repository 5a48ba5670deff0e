"""Impulses: episodes of distinct states with one reward, which show how an estimator weights each step.

W[t, k] is the coefficient of ∇log π(a_t|s_t) after a unit reward at step k. For k ≥ t it has to be γ^k. For k < t the
reward cannot depend on the action, so that any weight that does not depend on the action is right, such as 0 or γ^k.
Where another policy draws the episodes, γ^k ρ_0 … ρ_k is right, and so is γ^k times the ratio of the whole episode.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Bools, Floats, Ints
from pgcheck.estimators.weights import ratios
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.model.softmax import TabularSoftmax
from pgcheck.trajectories.batch import Batch

PREFERENCE = 0.6  # of the first action, so that the two actions are not equally likely
BEHAVIOR = (0.9, 0.3, 0.5)  # the same of a policy that draws the episodes, in each state in turn

EachEpisode = Callable[[Batch], Floats]  # gradients of single episodes [N, *theta.shape]


@dataclass(frozen=True, eq=False)
class WeightMatrix:
    """How an estimator weights steps by rewards.

    Attributes:
      values: W[t, k] `[T, T]`.
      gamma: γ of the episodes.
      is_right: whether W[t, k] is γ^k for k ≥ t.
      rounding: what is smaller than this, relative to the greatest weight, is rounding.
    """

    values: Floats
    gamma: float
    is_right: bool
    rounding: float

    @property
    def right_weights(self) -> Floats:
        """γ^k `[T]`: what W[t, k] has to be for k ≥ t."""
        return np.asarray(correct_weights(len(self.values), self.gamma)[0])

    @property
    def without_rounding(self) -> Floats:
        """W with 0 in place of what is rounding alone `[T, T]`."""
        size = np.abs(self.values)
        return np.where(size > self.rounding * size.max(initial=0.0), self.values, 0.0)

    @property
    def wrong(self) -> Bools:
        """Where k ≥ t and W[t, k] is not γ^k, but for rounding `[T, T]`."""
        size = max(1.0, float(np.abs(self.values).max(initial=0.0)))
        return np.triu(np.abs(self.values - self.right_weights) > max(self.rounding, 1e-6) * size)


def chain(steps: int, gamma: float, *, terminated: bool = True, copies: int = 1) -> tuple[MDP, Policy]:
    """Returns a model of states in a row, with two actions that both lead to the next state, and no reward.

    After `steps` steps the episode terminates, or the horizon cuts it off. Where there are several copies, they have
    no state in common; that of number c begins in state c · (steps + 1).
    """
    row = steps + 1
    number = np.arange(copies * row)
    terminal = np.zeros(len(number), dtype=np.bool_)
    terminal[steps::row] = terminated
    state = np.repeat(number[~terminal], 2)
    next_state = np.where(state % row == steps, state, state + 1)
    names = tuple(f"s{i}" for i in number)
    start = np.zeros(len(number))
    start[::row] = 1.0 / copies
    size = len(state)
    mdp = MDP(
        "a chain", names, ("one", "other"), steps, gamma, start, terminal, names, number, state,
        np.tile([0, 1], size // 2), next_state, np.ones(size), np.zeros(size), np.zeros(size, dtype=np.bool_),
    )  # fmt: skip
    return mdp, TabularSoftmax.of(mdp, {(name, "one"): PREFERENCE for name in names})


def chain_behavior(mdp: MDP, steps: int) -> Policy:
    """Returns a policy that draws the episodes of a chain of so many steps, other than its own."""
    return TabularSoftmax.of(
        mdp, {(name, "one"): BEHAVIOR[i % (steps + 1) % len(BEHAVIOR)] for i, name in enumerate(mdp.observations)}
    )


def fork(gamma: float) -> tuple[MDP, Policy, Batch]:
    """Returns a model in which the first step leads to either of two states, and an episode through each of them.

    The two episodes have the same actions, lengths and rewards, which are 0; they terminate in different states.
    """
    names = tuple(f"s{i}" for i in range(5))
    state, action = np.array([0, 0, 0, 0, 1, 1, 2, 2]), np.array([0, 0, 1, 1, 0, 1, 0, 1])
    next_state, prob = np.array([1, 2, 1, 2, 3, 3, 4, 4]), np.array([0.5] * 4 + [1.0] * 4)
    mdp = MDP(
        "a fork", names, ("one", "other"), 2, gamma, np.eye(5)[0], np.arange(5) >= 3, names, np.arange(5), state,
        action, next_state, prob, np.zeros(8), np.zeros(8, dtype=np.bool_),
    )  # fmt: skip
    policy = TabularSoftmax.of(mdp, {(name, "one"): PREFERENCE for name in names})
    return mdp, policy, Batch.from_paths(mdp, policy, np.array([[0, 0], [0, 1], [4, 6]]))


def chain_episodes(
    mdp: MDP, policy: Policy, actions: list[list[int]], starts: Ints | None = None, behavior: Policy | None = None
) -> Batch:
    """Returns the episodes of a chain in which these actions are taken, one list an episode, from s_0 = `starts`.

    `behavior` draws them; None is the policy itself.
    """
    steps = len(actions[0])
    outcome = {(int(s), int(a)): k for k, (s, a) in enumerate(zip(mdp.state, mdp.action, strict=True))}
    first = np.zeros(len(actions), dtype=np.int64) if starts is None else starts
    outcomes = [[outcome[int(s) + t, row[t]] for s, row in zip(first, actions, strict=True)] for t in range(steps)]
    return Batch.from_paths(mdp, policy, np.vstack([first[None], np.array(outcomes)]), behavior)


def coefficients(batch: Batch, gradients: Floats) -> Floats:
    """Returns the coefficient of each ∇log π(a_t|s_t) in the gradients of a chain's episodes `[N, T]`."""
    n, steps = batch.states.shape
    by_action = gradients.reshape(n, -1, 2)[:, :steps]
    taken = np.take_along_axis(by_action, batch.actions[:, :, None], axis=2)[:, :, 0]
    return np.asarray(taken / (1 - batch.probs[batch.states, batch.actions]))


def impulses(
    each_episode: EachEpisode, steps: int, gamma: float, *, terminated: bool = True, off_policy: bool = False
) -> Floats:
    """Returns W `[T, T]`: what a unit reward at step k adds to the coefficient of step t."""
    mdp, policy = chain(steps, gamma, terminated=terminated)
    behavior = chain_behavior(mdp, steps) if off_policy else None
    batch = chain_episodes(mdp, policy, [alternating(steps)] * (steps + 1), behavior=behavior)
    rewards = np.vstack([np.eye(steps), np.zeros((1, steps))])  # the last episode has no reward
    weights = coefficients(batch, each_episode(batch.altered(rewards=rewards)))
    return np.asarray((weights[:-1] - weights[-1]).T)


def alternating(steps: int) -> list[int]:
    """Returns the actions of the episodes that impulses go through."""
    return [(t + 1) % 2 for t in range(steps)]


def right_weights(steps: int, gamma: float, *, off_policy: bool) -> list[Floats]:
    """Returns the right W `[T, T]`, of which k ≥ t counts: γ^k, or each that is right off-policy."""
    weights = correct_weights(steps, gamma)
    if not off_policy:
        return [weights]
    mdp, policy = chain(steps, gamma)
    ratio = ratios(chain_episodes(mdp, policy, [alternating(steps)], behavior=chain_behavior(mdp, steps)))[0]
    return [weights * np.cumprod(ratio), weights * np.prod(ratio)]


def correct_weights(steps: int, gamma: float) -> Floats:
    """Returns γ^k `[T, T]`, of which k ≥ t counts."""
    return np.broadcast_to(gamma ** np.arange(steps, dtype=np.float64), (steps, steps))


def weights_agree(weights: Floats, expected: Floats, tolerance: float = 1e-6) -> bool:
    """Whether two matrices `[T, T]` agree for k ≥ t, where the reward follows the action."""
    upper = np.triu_indices(len(weights))
    size = max(1.0, float(np.abs(expected[upper]).max()))
    return float(np.max(np.abs(weights[upper] - expected[upper]))) <= tolerance * size
