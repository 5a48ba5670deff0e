"""The number of trajectories, as an exact integer, before any is built; and integers of any size as text."""

import itertools
import math
from collections import deque
from collections.abc import Iterator

import numpy as np

from pgcheck.errors import TooLargeError
from pgcheck.model.mdp import MDP

MAX_ADDITIONS = 10**8  # of machine words that counting may cost; some seconds


def counts_by_horizon(mdp: MDP) -> Iterator[int]:
    """Yields the number of trajectories at horizon 1, 2, …, and stops where it no longer changes.

    n_h(s) = Σ over the outcomes of s (1 if the outcome ends the episode, else n_{h−1}(s′)), n_0 = 1; the
    number is Σ n_h(s) over the states in which an episode can start. Trajectories are distinct sequences
    of (state, action, outcome); softmax probabilities are positive, so each of them can happen.

    Raises:
      TooLargeError: the integers have grown too long to go on.
    """
    going = ~mdp.ends
    edge, times = np.unique(mdp.state[going] * mdp.num_states + mdp.next_state[going], return_counts=True)
    source, target = np.divmod(edge, mdp.num_states)
    sources, first = np.unique(source, return_index=True)
    constant = np.bincount(mdp.state[mdp.ends], minlength=mdp.num_states).astype(np.int64)
    constant[mdp.terminal] = 1
    starts = np.flatnonzero(mdp.start)
    widest = int(np.bincount(mdp.state, minlength=mdp.num_states).max())
    counts = np.ones(mdp.num_states, dtype=np.int64)
    work = 0
    while True:
        greatest = int(counts.max())
        if counts.dtype != object and greatest > 2**62 // max(widest, len(starts), 1):
            counts, constant, times = counts.astype(object), constant.astype(object), times.astype(object)
        words = 1 + greatest.bit_length() // 64
        work += 100 + len(source) * (words if counts.dtype != object else 10 + words)
        if work > MAX_ADDITIONS:
            raise TooLargeError(
                f"the number of trajectories, over 10^{_exponent(greatest)}, takes too long to count."
            )
        following = constant.copy()
        if len(source):
            following[sources] += np.add.reduceat(times * np.take(counts, target, mode="clip"), first)
        total = int(following[starts].sum())
        yield total
        if np.array_equal(following, counts):
            return  # every episode has ended by itself, or goes on in one way only
        counts = following


def count_trajectories(mdp: MDP) -> int:
    """Returns the number of trajectories at the model's horizon.

    Raises:
      TooLargeError: the number is too long to count, or there is no horizon.
    """
    refuse_endless(mdp)
    return deque(itertools.islice(counts_by_horizon(mdp), mdp.horizon), maxlen=1)[0]


def refuse_endless(mdp: MDP) -> None:
    """Raises TooLargeError where no horizon ends an episode: trajectories cannot be listed."""
    if mdp.is_endless:
        raise TooLargeError(
            f"{mdp.name}: horizon inf: trajectories of any length cannot be listed.\n"
            "  Give a horizon, like --horizon 10, or draw rollouts."
        )


def horizon_that_fits(mdp: MDP, limit: int) -> tuple[int, int] | None:
    """Returns the greatest horizon with at most `limit` trajectories, and their number; None if there is none."""
    fits = None
    for horizon, count in enumerate(counts_by_horizon(mdp), 1):
        if count > limit or horizon > mdp.horizon:
            return fits
        fits = horizon, count
    return fits


def counts_shown(mdp: MDP) -> tuple[list[tuple[int, int]], bool]:
    """Returns (horizon, number) at 1 to 10, 20, 50, 100, … and the model's own; and whether the list is cut short."""
    shown: list[tuple[int, int]] = []
    horizon = count = 0
    try:
        for horizon, count in enumerate(itertools.islice(counts_by_horizon(mdp), mdp.horizon), 1):
            if horizon <= 10 or horizon == mdp.horizon or str(horizon).rstrip("0") in ("1", "2", "5"):
                shown.append((horizon, count))
    except TooLargeError:
        return shown, True
    if horizon < mdp.horizon:  # from here on the number stays the same
        shown.append((mdp.horizon, count))
    return shown, False


def count_text(count: int, *, digits: int | None = 15, large: str = "about 10^{exponent}") -> str:
    """Returns a number of things as text: `12,345,678`, or its size where it is too long.

    Args:
      count: the number, 0 or more.
      digits: the most that are written out; None for as many as Python agrees to write.
      large: the text for a longer number. It may hold {exponent}, the power of ten of the first digit, and
        {mantissa}, the first two digits, as 1.2.
    """
    exponent = _exponent(count)
    if digits is None or exponent < digits:
        try:
            return f"{count:,}"
        except ValueError:  # more than `sys.get_int_max_str_digits()`
            pass
    first, second = divmod(count // 10 ** max(exponent - 1, 0), 10)
    return large.format(mantissa=f"{first}.{second}", exponent=exponent)


def _exponent(count: int) -> int:
    """The power of ten of the first digit, without writing the number out."""
    exponent = int(max(count.bit_length() - 1, 0) * math.log10(2))  # right, or one too small
    return exponent + 1 if count >= 10 ** (exponent + 1) else exponent
