"""The episodes of an agent's runs: from a list of numbers, as runs tell of them, to arrays as batches hold them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Ints
from pgcheck.errors import EstimatorError
from pgcheck.model.mdp import MDP

MOST_STEPS = 2**27  # of the padded arrays


@dataclass(frozen=True, eq=False)
class Episodes:
    """The N episodes of some runs, in the order in which they began.

    Attributes:
      runs: how many runs there were.
      run: the number of the run of each episode `[N]`.
      environment: the number of its environment in that run `[N]`.
      starts: s_0 `[N]`.
      outcomes: the number of each step's outcome among the MDP's; `mdp.padding` beyond the end, as in `Batch`
        `[T, N]`.
    """

    runs: int
    run: Ints
    environment: Ints
    starts: Ints
    outcomes: Ints


def decoded(numbers: Sequence[int], mdp: MDP, runs: int) -> Episodes:
    """Returns the episodes of which a list of numbers tells, once it is sure that the model has such episodes.

    Args:
      numbers: for each run, how many episodes it had; then, for each of them, the number of its environment, s_0, its
        number of steps, and the number of each step's outcome.
      mdp: the model.
      runs: how many there were.

    Raises:
      EstimatorError: the list ends early or late, or an episode is none of the model's.
    """
    heads, steps = _read(numbers, runs)
    run, environment, starts, lengths = np.array(heads, dtype=np.int64).reshape(-1, 4).T
    longest = int(lengths.max(initial=0))
    if longest > mdp.horizon:
        raise _impossible(f"an episode of more than {mdp.horizon} steps")
    if longest * len(run) > MOST_STEPS:
        raise EstimatorError(f"{len(run):,} episodes of up to {longest:,} steps are too many to be kept at once")
    outcomes = np.full((longest, len(run)), mdp.padding, dtype=np.int64)
    taken = np.array(steps, dtype=np.int64)
    of_step = np.arange(len(steps)) - np.repeat(lengths.cumsum() - lengths, lengths)
    outcomes[of_step, np.repeat(np.arange(len(run)), lengths)] = taken
    _check(mdp, environment, starts, taken, of_step == 0, lengths)
    return Episodes(runs, run, environment, starts, outcomes)


def _read(numbers: Sequence[int], runs: int) -> tuple[list[tuple[int, int, int, int]], list[int]]:
    """Run, environment, s_0 and length of each episode; and the outcomes of all of them."""
    heads: list[tuple[int, int, int, int]] = []
    steps: list[int] = []
    at = 0
    try:
        for run in range(runs):
            count, at = numbers[at], at + 1
            if count < 0:
                raise _impossible("a negative number of episodes")
            for _ in range(count):
                environment, start, length = numbers[at], numbers[at + 1], numbers[at + 2]
                at += 3 + length
                if length < 0 or at > len(numbers):
                    raise _impossible("a number of steps that cannot be")
                heads.append((run, environment, start, length))
                steps += numbers[at - length : at]
    except IndexError:
        raise _impossible("fewer numbers than its runs have") from None
    if at != len(numbers):
        raise _impossible("more numbers than its runs have")
    return heads, steps


def _check(mdp: MDP, environment: Ints, starts: Ints, taken: Ints, is_first: Ints, lengths: Ints) -> None:
    """Raises EstimatorError unless these are episodes of the model, one after the other."""
    if np.any(environment < 0):
        raise _impossible("an environment of a negative number")
    if np.any((starts < 0) | (starts >= mdp.num_states)) or np.any(mdp.start[starts] <= 0):
        raise _impossible("an episode that begins where none can")
    if np.any((taken < 0) | (taken >= len(mdp.state))):
        raise _impossible("an outcome that the model has not")
    before = np.empty_like(taken)
    before[is_first] = starts[lengths > 0]
    later = np.flatnonzero(~is_first)
    before[later] = mdp.next_state[taken[later - 1]]
    if np.any(mdp.state[taken] != before) or np.any(mdp.ends[taken[later - 1]]) or np.any(mdp.terminal[before]):
        raise _impossible("an outcome that does not follow the one before")


def _impossible(what: str) -> EstimatorError:
    return EstimatorError(f"the record of an agent's runs holds {what}: does the agent change its environment?")
