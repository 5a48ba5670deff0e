"""An environment without a table → what a model of it is, found by taking every action in a copy of every state.

The copies are those of the environment's whole state, not of what it shows: see `state`. Each step is taken twice,
with other random numbers the second time: see `twins`. At the end random walks are held against what was found: see
`replay`.
"""

from collections import deque
from functools import partial
from typing import Any

import numpy as np

from pgcheck.formats.exploring.actions import actions_of, without_watchers
from pgcheck.formats.exploring.calls import Seen, Trail, Where, copied, snapshot_of, was_reset
from pgcheck.formats.exploring.copies import Copies
from pgcheck.formats.exploring.replay import replayed
from pgcheck.formats.exploring.state import snapshot
from pgcheck.formats.exploring.table import Table
from pgcheck.formats.exploring.twins import Twins, reseed, reseed_shared, shared_generators_restored
from pgcheck.formats.given import Given, Progress

MAX_STATES = 100_000
SEED = 0  # of the reset whose layout is taken
OTHER_SEEDS = range(1, 10)
SEED_OF_TWINS = 0x70676368


def explored(
    environment: Any, *, source: str, max_states: int = MAX_STATES, progress: Progress | None = None
) -> Given:
    """Returns the model of an environment whose steps depend on its state and the action alone.

    Its states are those that `reset(seed=0)` leads to, numbered as they are found, breadth-first. A time limit is the
    horizon, beyond which nothing is explored.

    Args:
      environment: with its wrappers; it is reset and stepped.
      source: as it stands in messages.
      max_states: so many states are explored at most.
      progress: is told what is in hand, and how much of it is done, 0 to 1.

    Raises:
      ModelError: the environment cannot be copied, is random, does something else in a copy, raises an error, or has
        not finitely many actions; the message names the actions after which that was seen.
      TooLargeError: it has more than `max_states` states; the message names the attributes that take most values.
    """
    rng = np.random.default_rng(SEED_OF_TWINS)
    first = partial(Trail, source, SEED)
    with shared_generators_restored():
        pristine, limit = without_watchers(copied(environment, first))
        actions = actions_of(pristine, source)
        started, start = _reset(pristine, len(actions.values), first, rng)
        table = Table(source, SEED, actions, start, max_states)
        twins = Twins(actions, rng)
        cut = _search(started, start, table, twins, limit, progress or _unwatched)
        replayed(environment, pristine, table, limit, rng, progress or _unwatched)
        assumed = ["it was explored, so that the policy sees the environment's whole state"]
        if _other_layouts(pristine, start, source, len(actions.values)):
            assumed.append(f"one seed is one layout: that of reset(seed={SEED}) was taken")
    if table.truncated:
        assumed.append("where step says truncated, the episode ends")
    if twins.drawn:
        assumed.append(f"steps draw random numbers, on which nothing depended in {twins.drawn:,} tries")
    return table.given(horizon=limit, reach=limit if cut else None, assumed=tuple(assumed))


def _unwatched(label: str, fraction: float) -> None:
    """Tells nobody."""


def _reset(pristine: Any, count: int, where: Where, rng: np.random.Generator) -> tuple[Any, Seen]:
    """A copy after the reset, which must give the same whatever random numbers there were before."""
    environment, twin = copied(pristine, where), copied(pristine, where)
    reseed_shared(0)
    seen = was_reset(environment, SEED, count, where)
    reseed(snapshot(twin).generators, rng)
    reseed_shared(1)
    if difference := seen.differences(was_reset(twin, SEED, count, where)):
        raise where().fault(
            f"a reset with the same seed does not always do the same ({difference}); expected one that draws from "
            "self.np_random alone, after super().reset(seed=seed)"
        )
    return environment, seen


def _search(environment: Any, start: Seen, table: Table, twins: Twins, limit: int | None, progress: Progress) -> bool:
    """Explores all states, breadth-first; returns whether the time limit left some unexplored.

    A state that an episode ends in goes on only where it is reached without that end, too.
    """
    queue = deque([(0, 0, environment, start)])
    goes_on = {0}
    while queue:
        depth, state, environment, seen = queue.popleft()
        if depth == limit:
            return True  # all that wait are as far
        where = partial(table.trail, state)
        copies = Copies(environment, seen.state.generators, where)
        _check_same(copies.made()[0], seen, "a copy of it is not the same", where)
        for action in table.offered[state]:
            copy, result = twins.stepped(copies, action, partial(table.trail, state, action))
            outcome = table.add(state, action, result)
            if not outcome.done and outcome.state not in goes_on:
                goes_on.add(outcome.state)
                queue.append((depth + 1, outcome.state, copy, result))
        _check_same(environment, seen, "a step of a copy of it changed it", where)
        progress(f"exploring: {len(table):,} states", len(table) / table.max_states)
    return False


def _check_same(environment: Any, seen: Seen, otherwise: str, where: Where) -> None:
    """Raises ModelError, which says what is so otherwise, unless an environment is in the state that was seen."""
    names = seen.state.differing(snapshot_of(environment, seen.offered, where))
    if names:
        raise where().fault(
            f"{otherwise} ({', '.join(names[:6])}); exploring needs copies that lack nothing and share nothing: "
            "is there a __deepcopy__, or a function that keeps something?"
        )


def _other_layouts(pristine: Any, start: Seen, source: str, count: int) -> bool:
    """Whether resets with other seeds lead to other states."""
    for seed in OTHER_SEEDS:
        where = partial(Trail, source, seed)
        if was_reset(copied(pristine, where), seed, count, where).differences(start):
            return True
    return False
