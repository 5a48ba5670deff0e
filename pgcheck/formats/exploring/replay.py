"""Random walks through an environment, held against the table that exploring has made of it."""

from typing import Any

import numpy as np

from pgcheck.formats.exploring.calls import Seen, Trail, copied, stepped, was_reset
from pgcheck.formats.exploring.table import Outcome, Table
from pgcheck.formats.exploring.twins import reseed
from pgcheck.formats.given import Progress

STEPS = 1_000  # of all walks together
LONGEST = 100  # steps of a walk, so that there are several


def replayed(pristine: Any, table: Table, limit: int | None, rng: np.random.Generator, progress: Progress) -> None:
    """Walks through copies, each for two episodes, without copying on the way.

    In the second episode only what the environment shows is held against the table: it may count its episodes.

    Args:
      pristine: the environment as it was before exploring.
      table: what exploring has found.
      limit: the steps beyond which nothing was explored; None where all was.
      progress: is told how much is done.

    Raises:
      ModelError: a walk parts from the table; the message names the step.
    """
    taken = 0
    longest = LONGEST if limit is None else min(LONGEST, limit)
    while taken < STEPS:
        walker = copied(pristine, table.trail)
        for second in (False, True):
            taken += _walked(walker, table, longest, rng, second=second)
            done = min(taken, STEPS)
            progress(f"replaying: {done:,} of {STEPS:,} steps", done / STEPS)


def _walked(walker: Any, table: Table, longest: int, rng: np.random.Generator, *, second: bool) -> int:
    """The number of steps of a walk from a reset."""
    path: list[int] = []

    def here() -> Trail:
        return table.trail_of(path)

    def held(seen: Seen, expected: Outcome) -> None:
        difference = _difference(seen, expected, table, by_state=not second)
        if difference:
            episode = "in a second episode, after another reset, " if second else ""
            raise here().fault(
                f"{episode}a random walk parts from what exploring has found: {difference}; does the environment "
                "depend on more than its attributes and the action, as on its class, a module, a file or the clock"
                f"{', or does reset leave something as it was' if second else ''}?"
            )

    count = len(table.actions.values)
    seen, outcome = was_reset(walker, table.seed, count, here), table.start
    held(seen, outcome)
    reseed(seen.state.generators, rng)
    for _ in range(longest):
        offered = table.offered[outcome.state]
        action = offered[int(rng.integers(len(offered)))]
        outcome = table.outcomes[outcome.state, action]
        path.append(action)
        held(stepped(walker, table.actions.values[action], count, here), outcome)
        if outcome.done:
            break
    return len(path)


def _difference(seen: Seen, expected: Outcome, table: Table, *, by_state: bool) -> str:
    """In what a step differs from the table, in words; empty where it does not."""
    if seen.reward != expected.reward:
        return f"reward {seen.reward:.9g} instead of {expected.reward:.9g}"
    if seen.done != expected.done:
        return "the episode ends" if seen.done else "the episode goes on"
    if by_state and (number := table.number(seen.state)) != expected.state:
        what = "a state that is not among them" if number is None else f"state {number}"
        return f"{what} instead of state {expected.state}"
    if not seen.done and seen.offered not in (None, table.offered[expected.state]):
        return "other actions are offered"
    return "what is observed" if seen.observation != expected.observation else ""
