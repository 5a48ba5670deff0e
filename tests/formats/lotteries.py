"""Environments that need no gymnasium: what their tables say, and what their steps do, may part."""

from typing import Any

import numpy as np

Table = dict[Any, dict[Any, list[tuple[Any, ...]]]]


class Space:
    """The space of n numbers."""

    def __init__(self, n: int) -> None:
        self.n = n


class Lottery:
    """An environment whose steps draw from `drawn`, and whose table is `P`.

    Attributes:
      drawn: the true table.
      first: the states in which episodes start, each as likely as another.
    """

    def __init__(self, P: Table, drawn: Table | None = None, first: tuple[Any, ...] = (0,)) -> None:  # noqa: N803
        self.P, self.drawn, self.first = P, P if drawn is None else drawn, first
        self.observation_space: Any = Space(len(P))
        self.action_space: Any = Space(len(next(iter(P.values()))))
        self.rng = np.random.default_rng()
        self.state: Any = None

    @property
    def unwrapped(self) -> "Lottery":
        return self

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.state = self.first[self.rng.integers(len(self.first))]
        return self.state, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        row = self.drawn[self.state][action]
        left, k = self.rng.random(), 0
        while k < len(row) - 1 and left >= row[k][0]:
            left, k = left - row[k][0], k + 1
        _, self.state, reward, done = row[k]
        return self.state, reward, done, False, {}


def random_table(rng: np.random.Generator, size: int = 5, actions: int = 3) -> Table:
    """A table in which one state and action may list a next state twice, and every state may end the episode."""
    table: Table = {}
    for s in range(size):
        table[s] = {}
        for a in range(actions):
            kinds = int(rng.integers(1, 5))
            probs, targets = rng.dirichlet(np.ones(kinds)), rng.integers(size, size=kinds)
            rewards, ends = rng.integers(-2, 3, size=kinds), rng.random(kinds) < 0.2
            table[s][a] = [
                (float(p), int(t), float(r), bool(d))
                for p, t, r, d in zip(probs, targets, rewards, ends, strict=True)
            ]
    return table


def value_of(table: Table, start: dict[Any, float], horizon: int, gamma: float) -> float:
    """J of the uniform policy, by plain recursion over the table."""
    values = dict.fromkeys(table, 0.0)
    for _ in range(horizon):
        values = {
            s: sum(
                p * (r + (0.0 if d else gamma * values[t])) / len(row)
                for outcomes in row.values()
                for p, t, r, d in outcomes
            )
            for s, row in table.items()
        }
    return sum(p * values[s] for s, p in start.items())
