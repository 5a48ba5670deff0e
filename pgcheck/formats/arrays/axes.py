"""What the axes of P stand for: s the state that is left, a the action, t the next state."""

import numpy as np

from pgcheck.arrays import Bools, Floats
from pgcheck.errors import UsageError
from pgcheck.formats.arrays.taken import Arrays, shape_text
from pgcheck.formats.assembling import LOOSE_SLACK
from pgcheck.formats.transitions import sum_text
from pgcheck.model.dense import AXES

WORDS = {"s": "state", "a": "action", "t": "next state"}


def fitting(shape: tuple[int, ...]) -> tuple[list[str], int, int]:
    """Returns the orders of axes that a shape allows, S and A; without such an order S and A are 0."""
    orders = [axes for axes in AXES if len(shape) == 3 and shape[axes.index("s")] == shape[axes.index("t")]]
    if not orders:
        return [], 0, 0
    return orders, shape[orders[0].index("s")], shape[orders[0].index("a")]


def axes_of(
    arrays: Arrays, probs: Floats, rewards: Floats, terminal: Bools, given: str | None
) -> tuple[str, tuple[str, ...]]:
    """Returns the order of P's axes, and what was taken for granted about it.

    It is that which is given, else the one that the shape allows and in which the probabilities of each action sum
    to 1, or are all 0 where a state does not offer it.

    Args:
      arrays: of the file, for messages.
      probs, rewards: P and R; what R says is not available, -inf in `[S, A]`, may have any sum.
      terminal: states whose rows may have any sum `[S]`.
      given: the order that somebody gives, or None.

    Raises:
      ModelError: no order has these sums; the message shows the sums of the order that comes closest.
      UsageError: several orders have them, or the one that is given does not fit the shape.
    """
    orders, states, actions = fitting(probs.shape)
    if given is not None:
        if given not in orders:
            shape = shape_text(probs.shape)
            raise UsageError(f"--axes {given}: P in {arrays.file} has shape {shape}, which fits {_any_of(orders)}")
        return given, ()
    note = "P is read as [{}] (axes {})"
    if len(orders) == 1:
        return orders[0], (note.format(_words(orders[0]), orders[0]),)
    judged = np.broadcast_to(~terminal[:, None], (states, actions))
    if rewards.shape == judged.shape:
        judged = judged & ~np.isneginf(rewards)
    wrong = {}
    for axes in orders:
        table = probs.transpose([axes.index(axis) for axis in "sat"])
        total = table.sum(axis=2)
        wrong[axes] = judged & (total != 0) & ~(np.abs(total - 1) <= LOOSE_SLACK), total
    right = [axes for axes in orders if not wrong[axes][0].any()]
    if len(right) > 1:
        raise UsageError(
            f"{arrays.file}: the axes of P, of shape {shape_text(probs.shape)}, may be {_any_of(right)}\n"
            f"  Add one, like --axes {right[0]}: s is the state, a the action, t the next state."
        )
    if right:
        return right[0], (note.format(_words(right[0]), right[0]),)
    closest = min(orders, key=lambda axes: int(np.count_nonzero(wrong[axes][0])))
    at_fault, total = wrong[closest]
    arrays.problems.add(
        0, 0,
        f"P: in no order of its axes do the probabilities of each action sum to 1; those of {closest}, "
        f"[{_words(closest)}], come closest; --axes says another",
    )  # fmt: skip
    for s, a in zip(*(index.tolist() for index in np.nonzero(at_fault)), strict=True):
        if arrays.problems.full:
            break
        arrays.problems.add(0, 0, f"P[state {s}, action {a}]: {sum_text(float(total[s, a]))}")
    arrays.problems.check()
    raise AssertionError  # the check raises


def _any_of(orders: list[str]) -> str:
    return f"{', '.join(orders[:-1])} or {orders[-1]}" if len(orders) > 1 else orders[0]


def _words(axes: str) -> str:
    return ", ".join(WORDS[axis] for axis in axes)
