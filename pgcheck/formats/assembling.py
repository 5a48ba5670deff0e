"""What a source says of a model → the model, or every fault, and what was taken for granted."""

import difflib
import math
from dataclasses import replace

import numpy as np

from pgcheck.arrays import Bools, Floats
from pgcheck.errors import TooLargeError, UsageError
from pgcheck.formats.given import Given
from pgcheck.formats.modelfile import Model
from pgcheck.formats.problems import Problems, hidden, visible
from pgcheck.formats.reader import MAX_NAME, cropped, enumerated, quoted
from pgcheck.formats.taking import with_policies
from pgcheck.formats.transitions import MAX_SIZE, SIZE, sum_text
from pgcheck.model.horizon import horizon_of
from pgcheck.model.mdp import MAX_PAIRS, MDP, PROBABILITY_SLACK
from pgcheck.model.softmax import TabularSoftmax

LOOSE_SLACK = 1e-3 * (1 + 1e-6)  # by which probabilities of other people's tables may miss 1; they are normalised
MAX_LISTED = 6  # names that a note lists


def assembled(
    given: Given, *, start: str | None = None, horizon: float | None = None, gamma: float | None = None
) -> Model:
    """Returns the model of what a source says; where it has no policy, all preferences are 0.

    Probabilities that miss 1 by at most 1e-3 are normalised. States from which every outcome leads back to them
    without a reward become terminal, unless the source settles what is terminal. Without a horizon it is math.inf,
    without a discount γ is 1. Each of these is noted.

    Args:
      given: what the source says.
      start: the name of the first state, or `uniform` over all states; None is what the source says.
      horizon, gamma: in place of what the source says.

    Raises:
      ModelError: what the source says is no MDP; the message lists up to 20 faults, each with its state and action.
      UsageError: no first state is known, or episodes could go beyond what an environment was explored for.
      TooLargeError: more than 20 million pairs of states and actions.
    """
    problems = Problems(given.source)
    if len(given.states) * len(given.actions) > MAX_PAIRS:
        sizes = f"{len(given.states):,} states x {len(given.actions):,} actions"
        raise TooLargeError(f"{problems.file}: {sizes}; the limit is {MAX_PAIRS:,} pairs.")
    _check_names(given, problems)
    _check_numbers(given, problems)
    problems.check()
    given = _kept(given, ~given.terminal[given.state])
    given = _normalised(given, problems)
    given = _kept(given, given.prob > 0)
    given = given if given.settled else _resting_states_terminal(given)
    _check_offered(given, problems)
    problems.check()
    first = first_states(given, start)
    _check_reach(given, first, horizon)
    assumed = list(given.assumed)
    if horizon is None:
        horizon, limit = given.horizon, given.limit
        if horizon is None:
            horizon, limit = math.inf, "it has no horizon: inf"
        assumed += [] if limit is None else [limit]
    if gamma is None:
        gamma = 1.0 if given.gamma is None else given.gamma
        assumed += ["it has no discount: gamma 1"] if given.gamma is None else []
    sights = given.states if given.observations is None else given.observations
    number = {name: i for i, name in enumerate(dict.fromkeys(sights))}
    mdp = MDP(
        given.name, given.states, given.actions,
        horizon_of(horizon), gamma, first, given.terminal,
        tuple(number), np.array([number[name] for name in sights], dtype=np.int64),
        given.state, given.action, given.next_state, given.prob, given.reward, given.done,
    )  # fmt: skip
    notes = (f"{visible(given.source)}: {'; '.join(assumed)}",) if assumed else ()
    return with_policies(Model(mdp, TabularSoftmax.of(mdp), None, notes=notes), given, problems)


def listed(names: list[str]) -> str:
    """Returns up to six names for a note, and how many more there are."""
    more = f" and {len(names) - MAX_LISTED:,} more" if len(names) > MAX_LISTED else ""
    return ", ".join(cropped(name) for name in names[:MAX_LISTED]) + more


def _check_names(given: Given, problems: Problems) -> None:
    for noun, names in (("state", given.states), ("action", given.actions)):
        if not names:
            problems.add(0, 0, f"no {noun}s; expected at least one")
        # Names are judged one by one only where one of them is at fault: there may be millions.
        seen: set[str] = set()
        if len(set(names)) < len(names):
            for name in names:
                if name in seen:
                    problems.add(0, 0, f"two {noun}s are called {quoted(name)}; expected different names")
                seen.add(name)
        if not all(names) or hidden("".join(names)) or max(map(len, names), default=0) > MAX_NAME:
            for name in names:
                if not name or len(name) > MAX_NAME or hidden(name):
                    expected = f"expected a name of 1 to {MAX_NAME} visible characters"
                    problems.add(0, 0, f"{noun} {quoted(name)}: {expected}")


def _check_numbers(given: Given, problems: Problems) -> None:
    """Notes numbers that are no probability, no reward, or out of range."""
    if given.horizon is not None and not given.horizon >= 1:
        problems.add(0, 0, f"horizon {given.horizon}; expected at least 1 step, or inf")
    if given.gamma is not None and not 0 <= given.gamma <= 1:
        problems.add(0, 0, f"gamma {given.gamma}; expected 0 to 1")
    is_probability = (given.prob >= 0) & (given.prob <= 1 + LOOSE_SLACK)  # false for NaN
    for k in problems.first(np.flatnonzero(~is_probability)):
        problems.add(0, 0, f"{_place(given, k)}: probability {given.prob[k]:.12g}; expected 0 to 1")
    is_number = np.abs(given.reward) <= MAX_SIZE
    for k in problems.first(np.flatnonzero(~is_number)):
        problems.add(0, 0, f"{_place(given, k)}: reward {given.reward[k]:.12g}; expected {SIZE}")
    if given.start is not None:
        total = math.fsum(given.start.tolist())
        if not np.all(given.start >= 0) or not abs(total - 1) <= LOOSE_SLACK:
            problems.add(0, 0, f"start: {sum_text(total)}")


def _place(given: Given, k: int) -> str:
    """The state and the action of an outcome, for a message."""
    return f"state {quoted(given.states[given.state[k]])}, action {quoted(given.actions[given.action[k]])}"


def _kept(given: Given, kept: Bools) -> Given:
    """The same with these outcomes alone `[K]`."""
    if kept.all():
        return given
    return replace(
        given, state=given.state[kept], action=given.action[kept], next_state=given.next_state[kept],
        prob=given.prob[kept], reward=given.reward[kept], done=given.done[kept],
    )  # fmt: skip


def _normalised(given: Given, problems: Problems) -> Given:
    """The same with probabilities that sum to 1; notes by how much they missed it, or faults where that is much."""
    pair = given.state * len(given.actions) + given.action
    total = np.bincount(pair, weights=given.prob, minlength=len(given.states) * len(given.actions))
    listed = np.bincount(pair, minlength=len(total)) > 0
    missing = np.where(listed, np.abs(total - 1), 0.0)
    for row in problems.first(np.flatnonzero(missing > LOOSE_SLACK)):
        state, action = divmod(row, len(given.actions))
        at = f"state {quoted(given.states[state])}, action {quoted(given.actions[action])}"
        problems.add(0, 0, f"{at}: {sum_text(float(total[row]))}")
    loose = int(np.count_nonzero((missing > PROBABILITY_SLACK) & (missing <= LOOSE_SLACK)))
    assumed = given.assumed
    if loose:
        most = float(missing[missing <= LOOSE_SLACK].max())
        rows = f"{loose:,} rows" if loose > 1 else "1 row"
        assumed = (*assumed, f"the probabilities of {rows} miss 1 by up to {most:.1g} and were normalised")
        given = replace(given, prob=given.prob / total[pair])
    if given.start is not None:
        start = math.fsum(given.start.tolist())
        if abs(start - 1) > PROBABILITY_SLACK:
            assumed = (*assumed, f"the start probabilities miss 1 by {abs(start - 1):.1g} and were normalised")
            given = replace(given, start=given.start / start)
    return replace(given, assumed=assumed)


def _resting_states_terminal(given: Given) -> Given:
    """The same, where states that are never left and never pay are terminal; a note names them."""
    leaves_or_pays = (given.next_state != given.state) | (given.reward != 0)
    rests = np.ones(len(given.states), dtype=np.bool_)
    rests[given.state[leaves_or_pays]] = False
    acts = np.zeros(len(given.states), dtype=np.bool_)
    acts[given.state] = True
    rests &= acts & ~given.terminal
    if not rests.any():
        return given
    names = [given.states[s] for s in np.flatnonzero(rests).tolist()]
    are = "absorbing states without rewards are" if len(names) > 1 else "absorbing state without rewards is"
    note = f"{len(names):,} {are} terminal ({listed(names)})"
    given = replace(given, terminal=given.terminal | rests, assumed=(*given.assumed, note))
    return _kept(given, ~rests[given.state])


def _check_offered(given: Given, problems: Problems) -> None:
    """Notes states without actions, and states that look alike but offer other actions."""
    offered = np.zeros((len(given.states), len(given.actions)), dtype=np.bool_)
    offered[given.state, given.action] = True
    for s in problems.first(np.flatnonzero(~given.terminal & ~offered.any(axis=1))):
        problems.add(0, 0, f"state {quoted(given.states[s])}: no actions; expected an outcome, or a terminal state")
    if given.observations is None:
        return
    twin: dict[str, int] = {}
    for s in np.flatnonzero(~given.terminal).tolist():
        other = twin.setdefault(given.observations[s], s)
        if not np.array_equal(offered[s], offered[other]):
            mine, theirs = (enumerated([given.actions[a] for a in np.flatnonzero(offered[i])]) for i in (s, other))
            problems.add(
                0, 0,
                f"state {quoted(given.states[s])} offers {mine}, but {quoted(given.states[other])}, also seen as "
                f"{quoted(given.observations[s])}, offers {theirs}; states that look alike need the same actions",
            )  # fmt: skip


def _check_reach(given: Given, first: Floats, horizon: float | None) -> None:
    """Raises UsageError where episodes could go beyond what the source holds."""
    if given.reach is None:
        return
    source = f"{visible(given.source)} was explored for {given.reach:,} steps from where it starts"
    if horizon is not None and horizon > given.reach:
        raise UsageError(f"--horizon {horizon}: {source}\n  Raise its time limit, or leave --horizon out.")
    if given.start is not None and not np.array_equal(first, given.start):
        raise UsageError(f"--start: {source} alone\n  Leave --start out, or take its time limit away.")


def first_states(given: Given, start: str | None) -> Floats:
    """Returns the probability of each state to be the first `[S]`; arguments and errors are those of `assembled`."""
    size = len(given.states)
    if start is None or (given.starts_as_asked and given.start is not None):
        if given.start is None:
            raise UsageError(
                f"{visible(given.source)}: it does not say where episodes start\n"
                f"  Add --start {cropped(given.states[0])} (or another state), or --start uniform for all of them."
            )
        return given.start
    if start == "uniform" and "uniform" not in given.states:
        return np.full(size, 1 / size)
    if start not in given.states:
        near = difflib.get_close_matches(start[:60], given.states, 1, 0.6) if size <= 100_000 else []
        meant = f"; did you mean {near[0]}?" if near else f"; the states are {listed(list(given.states))}"
        raise UsageError(f"--start {visible(start)}: {visible(given.source)} has no such state{meant}")
    first = np.zeros(size)
    first[given.states.index(start)] = 1.0
    return first
