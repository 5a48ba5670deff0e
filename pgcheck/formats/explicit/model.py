"""Explicit models: states, choices and transitions by number, with labels and rewards, as model checkers write them.

A choice is a distribution over next states; its number says only which of a state's choices it is. A step pays the
reward of the state that it leaves, and its own. A state without choices, a deadlock, ends an episode.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pgcheck.arrays import Bools, Floats, Ints
from pgcheck.errors import UsageError
from pgcheck.formats.assembling import listed
from pgcheck.formats.explicit.actions import actions_of, choosing
from pgcheck.formats.given import Given, Options
from pgcheck.formats.problems import visible
from pgcheck.formats.reader import cropped

_COSTS = re.compile(r"cost|time|steps|energy|penalt|expense", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Explicit:
    """What an explicit model says: S states, K transitions in any order.

    Attributes:
      source: as it stands in messages.
      state, choice, next_state, prob, reward: the transitions `[K]`; choices are counted within their state.
      name: the number of each transition's label among `names`; -1 where its choice has none `[K]`.
      names: the labels of choices.
      state_reward: paid for each step that leaves a state `[S]`.
      states: the names of the states; None where they have only numbers.
      labels: the states that have each label.
      initial: the first states.
      observation: the number of what is seen in each state `[S]`; None where the state is seen.
      assumed: what was taken for granted, in clauses.
    """

    source: str
    state: Ints
    choice: Ints
    next_state: Ints
    prob: Floats
    reward: Floats
    name: Ints
    names: tuple[str, ...]
    state_reward: Floats
    states: tuple[str, ...] | None
    labels: dict[str, Ints]
    initial: Ints
    observation: Ints | None
    assumed: tuple[str, ...]


def given_by(model: Explicit, options: Options) -> Given:
    """Returns what an explicit model says; states with the label `options["terminal"]` end episodes.

    Raises:
      UsageError: there is no such label, or there are several first states and no `options["start"]`.
    """
    size = len(model.state_reward)
    states = model.states or tuple(map(str, range(size)))
    start = _start(model, states, options)
    terminal, clauses = _terminal(model, options)
    reward = model.reward + model.state_reward[model.state]
    unpaid = terminal & (model.state_reward != 0)
    unpaid[model.state[terminal[model.state] & (reward != 0)]] = True
    if unpaid.any():
        clauses.append(f"rewards in {_states(unpaid)} where episodes end are not paid")
    rests = _rests(model, reward) & ~terminal
    live, rest = np.flatnonzero(~(terminal | rests)[model.state]), np.flatnonzero(rests)
    state, choice = model.state[live], model.choice[live]
    action, actions, labelled = actions_of(state, choice, model.name[live], model.names)
    if not choosing(state, choice, size).any():
        clauses.append("no state has two choices, so that the gradient is 0")
    elif not labelled:
        clauses.append("not every choice has a label: actions are the numbers of choices")
    still = np.zeros(len(rest), dtype=np.int64)  # one loop stands for all choices of a state that is never left
    return Given(
        source=model.source,
        name=visible(Path(model.source).stem),
        states=states,
        actions=actions,
        state=np.concatenate([state, rest]),
        action=np.concatenate([action, still]),
        next_state=np.concatenate([model.next_state[live], rest]),
        prob=np.concatenate([model.prob[live], np.ones(len(rest))]),
        reward=np.concatenate([reward[live], np.zeros(len(rest))]),
        done=np.zeros(len(live) + len(rest), dtype=np.bool_),
        terminal=terminal,
        start=start,
        observations=None if model.observation is None else tuple(map(str, model.observation.tolist())),
        assumed=(*model.assumed, *clauses),
    )


def chosen_rewards(source: str, names: list[str], options: Options) -> tuple[int | None, str]:
    """Returns which reward structure `options["rewards"]` names, and a clause about it; None where there is none.

    Raises:
      UsageError: there is no such structure, or there are several and none is named.
    """
    wanted = options.get("rewards")
    known = listed(names)
    if wanted is None and len(names) > 1:
        raise UsageError(
            f"{visible(source)}: it has {len(names):,} reward structures: {known}\n"
            f"  Add --rewards {cropped(names[0])}, or another of them."
        )
    if wanted is not None and wanted not in names:
        has = f"the reward structures are {known}" if names else "it has no rewards"
        raise UsageError(f"--rewards {cropped(wanted)}: {visible(source)} has no such reward structure; {has}")
    if not names:
        return None, "no rewards: all are 0"
    name = names[0] if wanted is None else wanted
    cost = " (it sounds like a cost, and is maximised)" if _COSTS.search(name) else ""
    return names.index(name), f"rewards: {cropped(name)}{cost}"


def _start(model: Explicit, states: tuple[str, ...], options: Options) -> Floats | None:
    """The first state; None where the model does not say, or somebody else does."""
    if "start" in options or not len(model.initial):
        return None
    if len(model.initial) > 1:
        names = [states[s] for s in model.initial.tolist()]
        raise UsageError(
            f"{visible(model.source)}: it has {len(names):,} first states: {listed(names)}\n"
            f"  Add --start {cropped(names[0])}, or another of them."
        )
    start = np.zeros(len(states))
    start[model.initial[0]] = 1.0
    return start


def _terminal(model: Explicit, options: Options) -> tuple[Bools, list[str]]:
    """The states that end episodes `[S]`, and clauses about them."""
    terminal = np.ones(len(model.state_reward), dtype=np.bool_)
    terminal[model.state] = False
    clauses = [f"{_states(terminal)} without choices: terminal"] if terminal.any() else []
    if "terminal" in options:
        label = options["terminal"]
        if label not in model.labels:
            has = f"the labels are {listed(sorted(model.labels))}" if model.labels else "it has no labels"
            raise UsageError(f"--terminal {cropped(label)}: {visible(model.source)} has no such label; {has}")
        labelled = np.zeros_like(terminal)
        labelled[model.labels[label]] = True
        clauses.append(f"entering {_states(labelled)} with the label {cropped(label)} ends an episode")
        terminal = terminal | labelled
    return terminal, clauses


def _states(which: Bools) -> str:
    """How many states these are `[S]`."""
    count = int(np.count_nonzero(which))
    return "1 state" if count == 1 else f"{count:,} states"


def _rests(model: Explicit, reward: Floats) -> Bools:
    """Which states are never left and never pay `[S]`: the model becomes one where they end episodes."""
    rests = np.ones(len(model.state_reward), dtype=np.bool_)
    rests[model.state[(model.next_state != model.state) | (reward != 0)]] = False
    return rests
