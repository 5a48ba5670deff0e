"""Models in Python: a table of transitions, and the arrays of an MDP. No package is needed."""

import numpy as np

import pgcheck

# P[state][action] = [(probability, next state, reward, done), ...], as Gymnasium's small environments have it.
slippery = [
    [[(1.0, 0, 0.0, False)], [(0.8, 1, 0.0, False), (0.2, 0, 0.0, False)]],
    [[(1.0, 0, 0.0, False)], [(0.8, 2, 1.0, True), (0.2, 1, 0.0, False)]],
    [[], []],
]


def long(rooms=30):
    """A corridor of many rooms, without a horizon: from the last one there is a way out, which pays."""
    transitions = np.zeros((rooms + 1, 2, rooms + 1))
    rewards = np.zeros((rooms + 1, 2))
    for room in range(rooms):
        transitions[room, 0, max(room - 1, 0)] = 1
        transitions[room, 1, room + 1] = 1
    rewards[rooms - 1, 1] = 1
    mdp = pgcheck.MDP.from_arrays(
        transitions, rewards, horizon=np.inf, gamma=0.99, terminal=[rooms], actions=["back", "on"], name="corridor"
    )
    return mdp, pgcheck.TabularSoftmax.of(mdp)
