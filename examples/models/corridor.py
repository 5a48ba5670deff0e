"""Models in Python: a table of transitions, an environment without one, and the arrays of an MDP."""

import numpy as np

import pgcheck

# P[state][action] = [(probability, next state, reward, done), ...], as Gymnasium's small environments have it.
slippery = [
    [[(1.0, 0, 0.0, False)], [(0.8, 1, 0.0, False), (0.2, 0, 0.0, False)]],
    [[(1.0, 0, 0.0, False)], [(0.8, 2, 1.0, True), (0.2, 1, 0.0, False)]],
    [[], []],
]


class Actions:
    """What an environment says of its actions, where Gymnasium is not at hand."""

    n = 2


class Corridor:
    """An environment that has no table: five rooms in a row, and a coin in the last that can be taken once."""

    action_space = Actions()

    def reset(self, *, seed=None, options=None):
        self.room, self.has_coin = 0, False
        return self.room, {}

    def step(self, action):
        self.room = max(0, self.room - 1) if action == 0 else min(4, self.room + 1)
        reward = float(self.room == 4 and not self.has_coin)
        self.has_coin = self.has_coin or self.room == 4
        terminated = self.room == 0 and self.has_coin
        return self.room, reward, terminated, False, {}


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
