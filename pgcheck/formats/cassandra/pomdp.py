"""Cassandra's format of POMDPs and MDPs: `read` makes of a file what it says of a model.

The format: http://www.pomdp.org/code/pomdp-file-spec.html. A file without `observations` is an MDP.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import UsageError
from pgcheck.formats import sources
from pgcheck.formats.assembling import first_states, listed
from pgcheck.formats.cassandra.kernels import Kernel, kernel, mean_rewards
from pgcheck.formats.cassandra.pairs import FIRST, pairs_of
from pgcheck.formats.cassandra.sections import Sections, read_sections
from pgcheck.formats.cassandra.text import Text
from pgcheck.formats.given import Given, Options
from pgcheck.formats.problems import visible
from pgcheck.formats.reader import cropped, quoted

MEAN = (
    "rewards that depend on the observation are their mean over it, which is right for the gradient and wrong for "
    "variances (--observe memoryless keeps them)"
)


def read(spec: str, options: Options) -> Given:
    """Returns what a .POMDP or .MDP file says.

    Raises:
      ModelError: the file is at fault; the message lists up to 20 errors, each with its place.
      UsageError: there is no such file, or what `observe` asks for does not fit it.
      TooLargeError: more than 20 million probabilities or pairs of states and actions.
    """
    file, content = sources.read_text(spec)
    sections = read_sections(Text(file, content))
    states = sections.names["states"].names
    assumed = [] if sections.values else ["it has no values: they are rewards"]
    start = sections.start
    if start is None:
        start = np.full(len(states), 1 / len(states))
        if "start" not in options:
            assumed.append("it has no start: uniform over all states")
    transitions = kernel(sections, "T", start)
    observations = kernel(sections, "O", start) if "O" in sections.tables else None
    sections.text.problems.check()
    observe = options.get("observe")
    if observations is None and observe in ("observation", "memoryless"):
        raise UsageError(f"--observe {observe}: {visible(file)} has no observations; leave --observe out")
    if sections.values == "cost":
        assumed.append("costs were negated")
    given = Given(
        file, Path(spec).stem, states, sections.names["actions"].names,
        *_empty(), np.zeros(0, dtype=np.bool_), np.zeros(len(states), dtype=np.bool_),
        start=start, gamma=sections.discount, assumed=tuple(assumed),
    )  # fmt: skip
    if observations is not None and observe == "memoryless":
        return _memoryless(given, sections, transitions, observations, options)
    rewards, varies = mean_rewards(file, sections.tables["R"].freeze(), transitions, observations)
    note: tuple[str, ...] = (MEAN,) if varies else ()
    if observations is not None:
        sights, clause = _sights(sections, observations, observe)
        given = replace(given, observations=sights)
        note = (clause, *note)
    return _with_outcomes(
        replace(given, assumed=(*given.assumed, *note)), sections,
        transitions.j, transitions.i, transitions.k, transitions.prob, rewards,
    )  # fmt: skip


def _empty() -> tuple[Ints, Ints, Ints, Floats, Floats]:
    none = np.zeros(0, dtype=np.int64)
    return none, none, none, np.zeros(0), np.zeros(0)


def _with_outcomes(
    given: Given, sections: Sections, state: Ints, action: Ints, next_state: Ints, prob: Floats, reward: Floats
) -> Given:
    """The same with outcomes; costs become rewards."""
    reward = 0.0 - reward if sections.values == "cost" else reward
    return replace(
        given, state=state, action=action, next_state=next_state, prob=prob, reward=reward,
        done=np.zeros(len(state), dtype=np.bool_),
    )  # fmt: skip


def _sights(sections: Sections, observations: Kernel, observe: str | None) -> tuple[tuple[str, ...] | None, str]:
    """What the policy sees in each state, None for the state itself, and the clause that says it."""
    if observe == "state":
        return None, "the policy sees the state; what is observed is ignored"
    names = sections.names["observations"].names
    seen = np.zeros(observations.shape[1], dtype=np.int64)
    seen[observations.j[::-1]] = observations.k[::-1]
    others = np.flatnonzero(observations.k != seen[observations.j])
    if not len(others):
        sights = tuple(names[o] for o in seen.tolist())
        return sights, f"the policy sees the observation, one of {len(set(sights)):,}, which each state shows surely"
    if observe is None:
        return None, "the policy sees the state; what is observed is not sure, and ignored"
    n = int(others[0])
    state, action = int(observations.j[n]), int(observations.i[n])
    before = int(observations.i[observations.j == state][0])
    actions = sections.names["actions"].names
    after = f" after action {quoted(actions[action])}"
    first = "" if before == action else f" after action {quoted(actions[before])}"
    raise UsageError(
        f"--observe observation: {visible(sections.text.problems.file)}: what is observed in state "
        f"{quoted(sections.names['states'].names[state])} is not sure: {quoted(names[int(seen[state])])}{first} or "
        f"{quoted(names[int(observations.k[n])])}{after}\n"
        "  Take --observe memoryless, where states are pairs (state, observation), or --observe state."
    )


def _memoryless(
    given: Given, sections: Sections, transitions: Kernel, observations: Kernel, options: Options
) -> Given:
    """The same whose states are pairs (state, observation), of which the policy sees the observation."""
    names = list(sections.names["observations"].names)
    own_name = FIRST
    while own_name in names:
        own_name += "-"
    start = first_states(given, options.get("start"))
    pairs = pairs_of(given.source, transitions, observations, sections.tables["R"].freeze(), start / start.sum())
    seen = [[*names, own_name][o] for o in pairs.sight.tolist()]
    states = [given.states[s] for s in pairs.own.tolist()]
    first = (
        "the first one is drawn as any other, since it does not depend on the action"
        if pairs.drawn
        else f"before the first action it sees {cropped(own_name)}, since what is observed depends on the action"
    )
    notes = [f"states are pairs (state, observation), and the policy sees the observation; {first}"]
    resting = list(dict.fromkeys(states[i] for i in np.flatnonzero(pairs.resting)))
    if resting:
        are = "absorbing states without rewards are" if len(resting) > 1 else "absorbing state without rewards is"
        notes.append(f"{len(resting):,} {are} terminal ({listed(resting)})")
    given = replace(
        given, states=tuple(f"{state}/{sight}" for state, sight in zip(states, seen, strict=True)),
        observations=tuple(seen), terminal=pairs.resting, start=pairs.start, starts_as_asked=True,
        assumed=(*given.assumed, *notes),
    )  # fmt: skip
    return _with_outcomes(given, sections, pairs.state, pairs.action, pairs.next_state, pairs.prob, pairs.reward)
