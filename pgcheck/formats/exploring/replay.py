"""Random walks through an environment, held against the table that exploring has made of it."""

from typing import Any, NamedTuple

import numpy as np

from pgcheck.formats.exploring.actions import watched
from pgcheck.formats.exploring.calls import Seen, Trail, copied, stepped, was_reset
from pgcheck.formats.exploring.table import Outcome, Table
from pgcheck.formats.exploring.twins import reseed
from pgcheck.formats.given import Progress

STEPS = 1_000  # of all walks together
STEPS_ITSELF = 200  # of those through the environment itself
LONGEST = 100  # steps of a walk, so that there are several


class Way(NamedTuple):
    """A way to walk, in messages: where, and what to look for if the walk parts from the table."""

    where: str
    question: str


OUTSIDE = "outside the environment's attributes (in its class, a module, a file, the clock)"
COPY = Way("", f"is there a state {OUTSIDE}")
AGAIN = Way("in a second episode, after another reset, ", f"does reset leave a state as it was, or is one {OUTSIDE}")
ITSELF = Way(
    "in the environment itself, ", f"do copies lose something, as arrays that are views of others, or is it {OUTSIDE}"
)


def replayed(
    environment: Any,
    pristine: Any,
    table: Table,
    limit: int | None,
    rng: np.random.Generator,
    progress: Progress,
) -> None:
    """Walks through copies, each for two episodes, and through the environment itself, without copying on the way.

    In a second episode, and in the environment itself, only what it shows is held against the table: it may count its
    episodes.

    Args:
      environment: with its wrappers.
      pristine: a copy of it as it was before exploring.
      table: what exploring has found.
      limit: the time limit; None where there is none.
      progress: is told how much is done.

    Raises:
      ModelError: a walk parts from the table; the message names the step.
    """
    taken = 0
    longest = LONGEST if limit is None else min(LONGEST, limit)
    while taken < STEPS:
        walker = copied(pristine, table.trail)
        for way in (COPY, AGAIN):
            taken += _walked(walker, table, longest, rng, way)
            progress(f"replaying: {min(taken, STEPS):,} of {STEPS:,} steps", min(taken / STEPS, 1.0))
    itself = watched(environment)
    longest -= limit is not None  # where a time limit is deeper inside, it ends the last step
    taken = 0
    while taken < STEPS_ITSELF and longest:
        taken += _walked(itself, table, longest, rng, ITSELF)


def _walked(walker: Any, table: Table, longest: int, rng: np.random.Generator, way: Way) -> int:
    """The number of steps of a walk from a reset."""
    path: list[int] = []

    def here() -> Trail:
        return table.trail_of(path)

    def held(seen: Seen, expected: Outcome) -> None:
        if difference := _difference(seen, expected, table, by_state=way is COPY):
            raise here().fault(
                f"{way.where}a random walk parts from what exploring has found: {difference}; {way.question}?"
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
