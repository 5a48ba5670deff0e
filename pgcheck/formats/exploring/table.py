"""What exploring has found so far: states, what each action led to, and how each state was reached."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pgcheck.errors import TooLargeError
from pgcheck.formats.exploring.actions import Actions
from pgcheck.formats.exploring.calls import Seen, Trail
from pgcheck.formats.exploring.state import Snapshot
from pgcheck.formats.given import Given
from pgcheck.formats.problems import visible

SHOWN_ATTRIBUTES = 4


class Outcome(NamedTuple):
    """What a step led to: the number of a state, a reward, whether the episode ended, a digest of what was seen."""

    state: int
    reward: float
    done: bool
    observation: bytes


class Table:
    """States by number, the first of them that of the reset.

    Attributes:
      start: what the reset gave, as an outcome.
      outcomes: of each state and action, by number, where the state has been expanded.
      offered: the numbers of the actions that each state offers.
      truncated: how many steps ended the episode by truncation.
    """

    def __init__(self, source: str, seed: int, actions: Actions, start: Seen, max_states: int) -> None:
        self.source, self.seed, self.actions, self.max_states = source, seed, actions, max_states
        self.outcomes: dict[tuple[int, int], Outcome] = {}
        self.offered: list[tuple[int, ...]] = []
        self.truncated = 0
        self._numbers: dict[bytes, int] = {}
        self._came: list[tuple[int, int]] = []  # from which state, by which action
        self._values: dict[str, set[bytes]] = {}
        self.start = Outcome(self._number(start, (0, 0)), start.reward, start.done, start.observation)

    def __len__(self) -> int:
        """The number of states."""
        return len(self.offered)

    def number(self, state: Snapshot) -> int | None:
        """Returns the number of a state; None for those that were not seen."""
        return self._numbers.get(state.key)

    def add(self, state: int, action: int, seen: Seen) -> Outcome:
        """Notes what an action led to.

        Raises:
          TooLargeError: there are more states than allowed.
        """
        outcome = Outcome(self._number(seen, (state, action)), seen.reward, seen.done, seen.observation)
        self.outcomes[state, action] = outcome
        self.truncated += seen.truncated
        return outcome

    def trail(self, state: int = 0, *further: int) -> Trail:
        """Returns a shortest path to a state, and these actions after it."""
        path = list(further[::-1])
        while state:
            state, action = self._came[state]
            path.append(action)
        return self.trail_of(path[::-1])

    def trail_of(self, path: Sequence[int]) -> Trail:
        """Returns the trail of these actions, by number, from the reset."""
        return Trail(self.source, self.seed, tuple(self.actions.names[action] for action in path))

    def given(self, *, horizon: int | None, reach: int | None, assumed: tuple[str, ...]) -> Given:
        """Returns the model: states without outcomes are terminal."""
        pairs = np.array(list(self.outcomes), dtype=np.int64).reshape(-1, 2)
        following, reward, done = zip(*((o.state, o.reward, o.done) for o in self.outcomes.values()), strict=True)
        start, terminal = np.zeros(len(self)), np.ones(len(self), dtype=np.bool_)
        start[0] = 1.0
        terminal[pairs[:, 0]] = False
        limit = None if horizon is None else f"the time limit of {horizon:,} steps is the horizon"
        if limit is not None and reach is not None:
            limit += ", beyond which nothing was explored"
        return Given(
            self.source, self.source, tuple(map(str, range(len(self)))), self.actions.names,
            pairs[:, 0], pairs[:, 1], np.array(following, dtype=np.int64), np.ones(len(pairs)),
            np.array(reward, dtype=np.float64), np.array(done, dtype=np.bool_), terminal,
            start=start, horizon=horizon, limit=limit, reach=reach, assumed=assumed,
        )  # fmt: skip

    def _number(self, seen: Seen, came: tuple[int, int]) -> int:
        key = seen.state.key
        if key not in self._numbers:
            for name, value in seen.state.parts.items():
                self._values.setdefault(name, set()).add(value)
            if len(self) == self.max_states:
                raise self._too_many()
            self._numbers[key] = len(self)
            self.offered.append(tuple(range(len(self.actions.values))) if seen.offered is None else seen.offered)
            self._came.append(came)
        return self._numbers[key]

    def _too_many(self) -> TooLargeError:
        values = {name: len(known) for name, known in self._values.items() if len(known) > 1}
        most = sorted(values, key=lambda name: -values[name])[:SHOWN_ATTRIBUTES]
        taken = ", ".join(f"{visible(name)} takes {values[name]:,} values" for name in most)
        return TooLargeError(
            f"{visible(self.source)}: more than {self.max_states:,} states; the limit is {self.max_states:,}.\n"
            f"  {taken}. What counts on or records makes new states without end.\n"
            "  Raise --max-states, set a time limit (gymnasium.wrappers.TimeLimit, or gym:ID?max_episode_steps=N), "
            "or keep such attributes out of the environment."
        )
