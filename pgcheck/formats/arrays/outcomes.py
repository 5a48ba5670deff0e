"""The outcomes in a .npz file: tables P and R, or columns with an entry for each outcome."""

from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Bools, Floats, Ints
from pgcheck.errors import TooLargeError, UsageError
from pgcheck.formats.arrays.axes import axes_of, fitting
from pgcheck.formats.arrays.taken import Arrays, shape_text
from pgcheck.formats.given import Options
from pgcheck.formats.problems import visible
from pgcheck.model.dense import columns_of
from pgcheck.model.mdp import MAX_PAIRS

TABLES = ("P", "R")
COLUMNS = ("state", "action", "next_state", "prob", "reward", "done")
MAX_OUTCOMES = 20_000_000


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Outcomes in columns `[K]`, the numbers of states and actions, and what was taken for granted."""

    state: Ints
    action: Ints
    next_state: Ints
    prob: Floats
    reward: Floats
    done: Bools
    num_states: int
    num_actions: int
    assumed: tuple[str, ...] = ()

    def kept(self, kept: Bools, *assumed: str) -> "Outcomes":
        """Returns these outcomes alone `[K]`, and what more was taken for granted."""
        return Outcomes(
            self.state[kept], self.action[kept], self.next_state[kept], self.prob[kept], self.reward[kept],
            self.done[kept], self.num_states, self.num_actions, (*self.assumed, *assumed),
        )  # fmt: skip


def check_forms(arrays: Arrays, options: Options) -> None:
    """Notes arrays that are missing or too many for tables and for columns alike.

    Raises:
      UsageError: an option is not for what the file holds.
    """
    dense = [name for name in TABLES if name in arrays]
    columns = [name for name in COLUMNS if name in arrays]
    needed = ("P", "R") if dense else COLUMNS[:3]
    missing = [name for name in needed if name not in arrays]
    has = ", ".join(visible(name) for name in arrays.names[:12]) or "nothing"
    if dense and columns:
        both = f"both tables ({', '.join(dense)}) and columns ({', '.join(columns)}); keep one form"
        arrays.problems.add(0, 0, both)
    elif not dense and not columns:
        sparse = {"data", "indices", "indptr", "format"} <= set(arrays.names)
        hint = "; a sparse matrix of scipy is one action's: save all as columns, from its .tocoo()" if sparse else ""
        expected = f"expected P and R, or the columns {', '.join(COLUMNS)}"
        arrays.problems.add(0, 0, f"it has {has}; {expected}{hint}")
    elif missing:
        arrays.problems.add(0, 0, f"{' and '.join(missing)} missing; it has {has}")
    for name in (*dense, *columns):
        arrays.holds(name)
    arrays.problems.check()
    if columns:
        for name in ("axes", "rewards_on"):
            if name in options:
                raise UsageError(f"--{name.replace('_', '-')} is for tables P and R; {arrays.file} has columns")


def tables(arrays: Arrays, terminal: Bools, options: Options) -> Outcomes:
    """Returns the outcomes of P and R, without those of the terminal states `[S]`.

    Raises:
      ModelError: their shapes or what they hold is at fault.
      UsageError: their axes, or when the reward of a state is paid, must be said.
    """
    probs, rewards = arrays.floats("P"), arrays.floats("R")
    arrays.problems.check()
    _, states, actions = fitting(probs.shape)
    shapes = {"[S]": (states,), "[S, A]": (states, actions), "that of P": probs.shape}
    if rewards.shape not in shapes.values():
        expected = ", ".join(f"{what} {shape_text(shape)}" for what, shape in shapes.items())
        arrays.problems.add(0, 0, f"R: shape {shape_text(rewards.shape)}; expected {expected}")
        arrays.problems.check()
    when = options.get("rewards_on")
    if rewards.ndim == 1 and when is None:
        raise UsageError(
            f"{arrays.file}: R has one reward a state, paid for being in it or for entering it\n"
            "  Add --rewards-on leave (for being in it: as its step is taken), or --rewards-on enter."
        )
    if rewards.ndim > 1 and when is not None:
        shape = shape_text(rewards.shape)
        raise UsageError(f"--rewards-on is for R with one reward a state; in {arrays.file} it has shape {shape}")
    axes, assumed = axes_of(arrays, probs, rewards, terminal, options.get("axes"))
    if np.count_nonzero(probs) > MAX_OUTCOMES:
        arrays.problems.add(0, 0, f"P: more than {MAX_OUTCOMES:,} probabilities that are not 0; the limit")
        arrays.problems.check()
    found = columns_of(probs, rewards, axes, when or "leave", finite=False)
    outcomes = Outcomes(*found[:5], np.zeros(len(found.prob), dtype=np.bool_), states, actions, assumed)
    empty = np.repeat(~terminal, actions)
    empty[found.state * actions + found.action] = False
    if rewards.shape == (states, actions):
        empty &= ~np.isneginf(rewards.ravel())
    return _offered(outcomes.kept(~terminal[found.state], *_not_offered(empty, "a row of zeros in P")))


def columns(arrays: Arrays, states: int | None, actions: int | None) -> Outcomes:
    """Returns the outcomes in columns.

    Args:
      arrays: of the file.
      states, actions: how many there are; None is what the greatest number needs.

    Raises:
      ModelError: the columns differ in length, or hold something else than they should.
      TooLargeError: more than 20 million pairs of states and actions.
    """
    first = arrays.shape("state")
    for name in COLUMNS:
        if name in arrays and (arrays.shape(name) != first or len(first) != 1):
            shape = shape_text(arrays.shape(name))
            arrays.problems.add(
                0, 0, f"{name}: shape {shape}; expected a vector as long as state {shape_text(first)}"
            )
    arrays.problems.check()
    (length,) = first
    if length > MAX_OUTCOMES:
        arrays.problems.add(0, 0, f"{length:,} outcomes; the limit is {MAX_OUTCOMES:,}")
    state, action, next_state = (arrays.whole(name) for name in COLUMNS[:3])
    prob = arrays.floats("prob") if "prob" in arrays else np.ones(length)
    reward = arrays.floats("reward") if "reward" in arrays else np.zeros(length)
    done = arrays.truths("done") if "done" in arrays else np.zeros(length, dtype=np.bool_)
    arrays.problems.check()
    needed = 1 + int(max(state.max(initial=-1), next_state.max(initial=-1)))
    size = needed if states is None else states
    choices = 1 + int(action.max(initial=-1)) if actions is None else actions
    for name, numbers, limit in (
        ("state", state, size),
        ("action", action, choices),
        ("next_state", next_state, size),
    ):
        for k in arrays.problems.first(np.flatnonzero((numbers < 0) | (numbers >= limit))):
            arrays.problems.add(0, 0, f"{name}[{k}]: {numbers[k]}; expected 0 to {limit - 1:,}")
    arrays.problems.check()
    check_pairs(arrays, size, choices)
    return _offered(Outcomes(state, action, next_state, prob, reward, done, size, choices))


def check_pairs(arrays: Arrays, states: int, actions: int) -> None:
    """Raises TooLargeError where there are too many pairs of states and actions."""
    if states * actions > MAX_PAIRS:
        raise TooLargeError(
            f"{arrays.file}: {states:,} states x {actions:,} actions; the limit is {MAX_PAIRS:,} pairs."
        )


def _offered(outcomes: Outcomes) -> Outcomes:
    """The same without actions all of whose rewards are -inf: this is how tables say that they are not available."""
    never = np.isneginf(outcomes.reward)
    if not never.any():
        return outcomes
    pair = outcomes.state * outcomes.num_actions + outcomes.action
    size = outcomes.num_states * outcomes.num_actions
    closed = np.ones(size, dtype=np.bool_)
    closed[pair[~never]] = False
    shut = (np.bincount(pair[never], minlength=size) > 0) & closed
    return outcomes.kept(~(never & closed[pair]), *_not_offered(shut, "reward -inf"))


def _not_offered(which: Bools, why: str) -> list[str]:
    """A clause about the actions `[S A]` that a table says are not available."""
    number = int(np.count_nonzero(which))
    what = f"1 action with {why} is" if number == 1 else f"{number:,} actions with {why} are"
    return [f"{what} not offered"] if number else []
