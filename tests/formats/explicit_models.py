"""Explicit models for tests: one in both syntaxes, and the same written by hand as arrays."""

from pathlib import Path

import numpy as np
from numpy.testing import assert_array_equal

from pgcheck import MDP

FOLDER = Path(__file__).resolve().parent / "explicit"
ACTIONS = ("go", "wait", "go 2", "back", "stay")  # by their first appearance; a state's second `go` is another action
GO, WAIT, GO_2, BACK, STAY = range(5)

PROB = np.zeros((5, 5, 5))
PROB[0, GO, [0, 1]] = 0.3, 0.7
PROB[0, WAIT, [0, 4]] = 0.9, 0.1
PROB[1, GO, [1, 2, 3]] = 0.25, 0.5, 0.25
PROB[1, GO_2, 3] = 1
PROB[1, BACK, 0] = 1
PROB[3, STAY, 3] = 1


def rover(rewards: str, states: tuple[str, ...] | None, terminal: tuple[int, ...], *, of_prism: bool) -> MDP:
    """The rover with the rewards `fuel` or `samples`; in PRISM's files some of them depend on the next state."""
    reward = np.zeros_like(PROB)
    if rewards == "fuel":
        reward[0], reward[1], reward[3] = 0.5, 2, 0.25
        reward[1, GO] += 3
        reward[0, WAIT, 4] -= 10 if of_prism else 0
    elif of_prism:
        reward[1, GO, 2] = 1
    used = len(ACTIONS) - (3 in terminal)  # the pit alone offers the last action
    return MDP.from_arrays(
        PROB[:, :used],
        reward[:, :used],
        horizon=9,
        gamma=0.9,
        terminal=terminal,
        states=states,
        actions=ACTIONS[:used],
    )


def assert_same(mdp: MDP, other: MDP) -> None:
    """They have equal names and arrays, to the last digit."""
    assert (mdp.states, mdp.actions, mdp.observations) == (other.states, other.actions, other.observations)
    assert (mdp.horizon, mdp.gamma) == (other.horizon, other.gamma)
    for name in ("start", "terminal", "observation", "state", "action", "next_state", "prob", "reward", "done"):
        assert_array_equal(getattr(mdp, name), getattr(other, name), err_msg=name)
