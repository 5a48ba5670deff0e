"""An environment, stepped: what each state and action led to, and where episodes started."""

import math
import time
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from pgcheck.errors import ModelError
from pgcheck.formats.environments.observed import Observer
from pgcheck.formats.environments.tables import Table
from pgcheck.formats.reader import cropped

MAX_STEPS = 10_000
MAX_RESETS = 500
SECONDS = 1.0  # of work that the steps may take, and half of it the resets
PATIENCE = 4  # times as long by the clock: others may be at work
LONGEST = 1_000  # steps of an episode that no limit ends
MAX_SURPRISES = 200  # steps of probability 0 that are enough
SAME = 1e-6  # by which rewards may differ, relative to their size: some are in single precision

Outcome = tuple[int, float, bool]  # next state, reward, done


@dataclass
class Row:
    """The outcomes of one state and action, their probabilities, and how often each was seen."""

    outcomes: dict[Outcome, int]
    probs: list[float]
    counts: list[int]

    def number_of(self, outcome: Outcome) -> int | None:
        """The number of an outcome; None if it has probability 0."""
        known = self.outcomes.get(outcome)
        if known is not None:
            return known
        following, reward, done = outcome
        for (state, pay, ends), number in self.outcomes.items():
            if state == following and ends == done and abs(pay - reward) <= SAME * max(1.0, abs(pay)):
                return number
        return None


class Event(NamedTuple):
    """What a step gave: the key of the next state, the reward, and whether the episode ended."""

    state: Hashable
    reward: float
    ends: bool


@dataclass
class Stepped:
    """What was seen of an environment.

    Attributes:
      rows: by state and action, by number, those that were taken.
      steps: how many there were.
      starts: how often a reset without a seed led to each state to which resets led.
      cuts: the numbers of steps after which it said truncated.
      longest: the most steps that an episode took.
      impossible: by state and action, the first step to which the table gives probability 0.
      surprises: how many steps were such.
      stuck: the states without actions in which an episode went on.
    """

    rows: dict[tuple[int, int], Row] = field(default_factory=dict)
    steps: int = 0
    starts: dict[int, int] = field(default_factory=dict)
    cuts: set[int] = field(default_factory=set)
    longest: int = 0
    impossible: dict[tuple[int, int], Event] = field(default_factory=dict)
    surprises: int = 0
    stuck: set[int] = field(default_factory=set)


def stepped(
    environment: Any, table: Table, observer: Observer, *, limit: int | None, rng: np.random.Generator
) -> Stepped:
    """Returns what an environment did in some thousand steps, of about a second.

    In every other episode actions are those that were tried least in the state; else any.

    Args:
      environment: without wrappers; it has been reset.
      table: what it is held against.
      observer: what finds its state.
      limit: the steps after which an episode is given up; None for 1,000.

    Raises:
      ModelError: it does not return what an environment returns.
    """
    rows_of = _Rows(table)
    seen = Stepped(rows_of.known)
    longest = LONGEST if limit is None else min(limit, LONGEST)
    spent, episode = _Clock(SECONDS), 0
    uniform: Iterator[float] = iter(())
    while seen.steps < MAX_STEPS and not spent.over() and seen.surprises < MAX_SURPRISES:
        episode += 1
        state = _started(environment, observer, table, seen, None)
        for step in range(1, longest + 1):
            tried = rows_of.tried(state)
            if not tried:
                seen.stuck.add(state)
                break
            u = next(uniform, None)
            if u is None:
                uniform = iter(rng.random(1000).tolist())
                u = next(uniform)
            least = min(tried.values()) if episode % 2 else None
            choices = [a for a in tried if least is None or tried[a] == least]
            action = choices[int(u * len(choices))]
            tried[action] += 1
            state, ends, cut = _taken(environment, observer, table, seen, rows_of.row(state, action), (state, action))
            seen.steps += 1
            seen.longest = max(seen.longest, step)
            if cut:
                seen.cuts.add(step)
            if ends or cut or spent.over():
                break
    spent = _Clock(SECONDS / 2)
    for seed in range(MAX_RESETS):
        _started(environment, observer, table, seen, seed if seed < 100 else None)
        if spent.over():
            break
    return seen


class _Clock:
    """Says when a time is over, of this process's work, or by far by the clock."""

    def __init__(self, seconds: float) -> None:
        self._work, self._end = time.process_time() + seconds, time.perf_counter() + PATIENCE * seconds

    def over(self) -> bool:
        return time.process_time() > self._work or time.perf_counter() > self._end


class _Rows:
    """The rows of a table, made when they are asked for."""

    def __init__(self, table: Table) -> None:
        self._table = table
        pair = table.state * len(table.actions) + table.action
        self._order = np.argsort(pair, kind="stable")
        self._pair = pair[self._order]
        self.known: dict[tuple[int, int], Row] = {}
        self._tried: dict[int, dict[int, int]] = {}

    def tried(self, state: int) -> dict[int, int]:
        """How often each action that a state offers was tried."""
        if state not in self._tried:
            first = state * len(self._table.actions)
            lo, hi = np.searchsorted(self._pair, [first, first + len(self._table.actions)])
            self._tried[state] = {int(p) - first: 0 for p in np.unique(self._pair[lo:hi])}
        return self._tried[state]

    def row(self, state: int, action: int) -> Row:
        """The outcomes of a state and action."""
        key = state, action
        if key not in self.known:
            table, pair = self._table, state * len(self._table.actions) + action
            lo, hi = np.searchsorted(self._pair, [pair, pair + 1])
            probs: dict[Outcome, float] = {}
            for k in self._order[lo:hi].tolist():
                outcome = int(table.next_state[k]), float(table.reward[k]), bool(table.done[k])
                if table.prob[k] > 0:
                    probs[outcome] = probs.get(outcome, 0.0) + float(table.prob[k])
            total = math.fsum(probs.values())
            numbers = {outcome: number for number, outcome in enumerate(probs)}
            self.known[key] = Row(numbers, [p / total for p in probs.values()], [0] * len(probs))
        return self.known[key]


def _started(environment: Any, observer: Observer, table: Table, seen: Stepped, seed: int | None) -> int:
    """The state in which an episode starts."""
    observation, _ = reset(environment, seed)
    state = observer.state(observation)
    number = table.number.get(state)
    if number is None:
        raise ModelError(f"reset() leads to the state {cropped(repr(state))}, which P does not have")
    # The first draws of generators with neighbouring seeds may be alike: they are not counted.
    seen.starts[number] = seen.starts.get(number, 0) + (seed is None)
    return number


def _taken(
    environment: Any, observer: Observer, table: Table, seen: Stepped, row: Row, at: tuple[int, int]
) -> tuple[int, bool, bool]:
    """Takes a step, notes what came of it, and returns the next state, and whether the episode ended or was cut."""
    result = environment.step(table.actions[at[1]])
    if not isinstance(result, tuple) or len(result) != 5:
        raise ModelError(
            f"step() returned {cropped(repr(result))}; expected (observation, reward, terminated, truncated, info)"
        )
    observation, reward, ends, cut, _ = result
    state, ends = observer.state(observation), bool(ends)
    number = table.number.get(state)
    known = None if number is None else row.number_of((number, float(reward), ends))
    if known is None:
        seen.surprises += 1
        seen.impossible.setdefault(at, Event(state, float(reward), ends))
    else:
        row.counts[known] += 1
    return (at[0] if number is None else number), ends or number is None, bool(cut)


def reset(environment: Any, seed: int | None) -> tuple[Any, Any]:
    """Returns the observation and info of a reset; raises ModelError if it returns something else."""
    result = environment.reset() if seed is None else environment.reset(seed=seed)
    if not isinstance(result, tuple) or len(result) != 2:
        raise ModelError(f"reset() returned {cropped(repr(result))}; expected (observation, info)")
    return result
