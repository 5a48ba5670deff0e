"""Impulses: episodes of distinct states with one reward, which show how an estimator weighs each step.

The coefficient of ∇log π(a_t|s_t) after a unit reward at step k is W[t, k]. Right is γ^k for k ≥ t; before, where a
reward cannot depend on the action, 0 or γ^k or anything else that does not depend on the action either.
"""

from collections.abc import Callable

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch

PREFERENCE = 0.6  # of the first action: the two are not equally likely

Each = Callable[[Batch], Floats]  # gradients of single episodes [N, *theta.shape]


def chain(steps: int, gamma: float, *, terminated: bool = True) -> tuple[MDP, Policy]:
    """Returns states in a row, two actions that both lead to the next one, and no reward.

    After so many steps the episode terminates, or the horizon cuts it off.
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


def episodes(mdp: MDP, policy: Policy, actions: "list[list[int]]") -> Batch:
    """Returns the episodes of a chain in which these actions are taken."""
    steps = len(actions[0])
    number = {(int(s), int(a)): k for k, (s, a) in enumerate(zip(mdp.state, mdp.action, strict=True))}
    outcomes = np.array([[number[t, row[t]] for row in actions] for t in range(steps)])
    return Batch.from_paths(mdp, policy, np.vstack([np.zeros((1, len(actions)), dtype=np.int64), outcomes]))


def coefficients(batch: Batch, gradients: Floats) -> Floats:
    """Returns the coefficient of each ∇log π(a_t|s_t) in the gradients of a chain's episodes `[N, T]`."""
    n, steps = batch.states.shape
    by_action = gradients.reshape(n, -1, 2)[:, :steps]
    taken = np.take_along_axis(by_action, batch.actions[:, :, None], axis=2)[:, :, 0]
    return np.asarray(taken / (1 - batch.probs[batch.states, batch.actions]))


def impulses(each: Each, steps: int, gamma: float, *, terminated: bool = True) -> Floats:
    """Returns W `[T, T]`: what a unit reward at step k changes in the coefficient of step t."""
    mdp, policy = chain(steps, gamma, terminated=terminated)
    actions = [[(t + 1) % 2 for t in range(steps)]] * (steps + 1)
    batch = episodes(mdp, policy, actions)
    rewards = np.vstack([np.eye(steps), np.zeros((1, steps))])
    found = coefficients(batch, each(batch.altered(rewards=rewards)))
    return np.asarray((found[:-1] - found[-1]).T)


def right(steps: int, gamma: float) -> Floats:
    """Returns γ^k `[T, T]`, of which k ≥ t counts."""
    return np.broadcast_to(gamma ** np.arange(steps, dtype=np.float64), (steps, steps))


def agree(one: Floats, other: Floats, tolerance: float = 1e-6) -> bool:
    """Whether two matrices agree where the reward follows the action: k ≥ t."""
    upper = np.triu_indices(len(one))
    return float(np.max(np.abs(one[upper] - other[upper]))) <= tolerance * max(1.0, float(np.abs(other[upper]).max()))


def drawn(matrix: Floats) -> list[str]:
    """Returns the matrix as lines of text: a row for each step, a column for each reward."""
    cells = [[f"{x:.4g}" if abs(x) > 1e-12 else "0" for x in row] for row in matrix]
    width = max(5, *(len(cell) for row in cells for cell in row))
    head = "  ".join(f"{f'r_{k}':>{width}}" for k in range(len(matrix)))
    return [f"       {head}"] + [
        f"  t={t}  " + "  ".join(f"{cell:>{width}}" for cell in row) for t, row in enumerate(cells)
    ]
