"""What a source that is no model file says of a model, and what people say in its stead."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from pgcheck.arrays import Bools, Floats, Ints

Progress = Callable[[str, float], None]


class Options(TypedDict, total=False):
    """What people say of a source that does not say it itself.

    Attributes:
      axes: the order of the axes of P, such as `sat`: state, action, next state.
      rewards_on: whether R(s) is paid for being in s (`leave`) or for entering it (`enter`).
      start: the name of the first state, or `uniform` over all states.
      rewards: the name of the reward structure.
      terminal: the label of the states that end an episode.
      observe: what the policy sees: `state`, `observation` or `memoryless`.
      explore: whether an environment without a table is explored by copies of it.
      max_states: at most so many states are explored.
      progress: is told what is in hand, and how much of it is done, 0 to 1; every source takes it.
    """

    axes: str
    rewards_on: str
    start: str
    rewards: str
    terminal: str
    observe: str
    explore: bool
    max_states: int
    progress: Progress


def said(options: Options) -> list[str]:
    """Returns the names of what people say."""
    return [name for name in options if name != "progress"]


@dataclass(frozen=True, eq=False)
class GivenPolicy:
    """What a source says of a policy.

    Attributes:
      table: the preference of each action in each state `[S, A]`, or its features `[S, A, d]`.
      weights: of the features `[d]`; None where there are none.
      names: of the weights.
    """

    table: Floats
    weights: Floats | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Given:
    """What a source says of a model: S states, A actions, K outcomes in any order, in which some may coincide.

    Attributes:
      source: as it stands in messages: a path, or gym:ID.
      name: of the model.
      states, actions: their names.
      state, action, next_state, prob, reward, done: the outcomes `[K]`, see `MDP`.
      terminal: states on whose entry an episode ends `[S]`; their outcomes are left out.
      start: the probability of each state to be the first `[S]`; None where the source does not say.
      starts_as_asked: whether the reader has made `start` of what people say in its stead.
      observations: the name of what the policy sees in each state; None where it sees the state.
      horizon: the greatest number of steps, or math.inf; None where the source does not say.
      reach: the steps from `start` beyond which the source leaves things out; None where it does not.
      limit: what was taken for the horizon, a clause like `the time limit of 100 steps is the horizon`.
      gamma: the discount; None where the source does not say.
      assumed: what was taken for granted, in clauses like `costs were negated`.
      settled: whether `terminal` is all that is terminal, so that absorbing states beside them stay as they are.
      policies: by `policy`, `behavior` and `reference`; without a policy all preferences are 0.
      entropy, kl: weights of the objective.
    """

    source: str
    name: str
    states: tuple[str, ...]
    actions: tuple[str, ...]
    state: Ints
    action: Ints
    next_state: Ints
    prob: Floats
    reward: Floats
    done: Bools
    terminal: Bools
    start: Floats | None = None
    starts_as_asked: bool = False
    observations: tuple[str, ...] | None = None
    horizon: float | None = None
    limit: str | None = None
    reach: int | None = None
    gamma: float | None = None
    assumed: tuple[str, ...] = ()
    settled: bool = False
    policies: Mapping[str, GivenPolicy] = field(default_factory=dict)
    entropy: float = 0.0
    kl: float = 0.0
