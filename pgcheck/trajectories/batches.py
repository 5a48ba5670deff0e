"""Batches of B episodes one by one: all of them with their probabilities, or those drawn with their counts.

    P(τ_1, …, τ_B) = P(τ_1) … P(τ_B),   with one start  Σ_s P(s_0 = s) P(τ_1 | s_0 = s) … P(τ_B | s_0 = s)

The second is the law of groups: B completions of one prompt. A batch is a sequence: another order is another batch.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Ints
from pgcheck.errors import TooLargeError
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.counting import count_text, count_trajectories
from pgcheck.trajectories.draws import by_start, drawn_batches
from pgcheck.trajectories.listing import ListedTrajectory, Measure, each_listed
from pgcheck.trajectories.paths import listed

MAX_BATCHES = 2_000_000  # that are listed
MAX_DRAWN_EPISODES = 2_000_000  # in all batches that are drawn


@dataclass(frozen=True)
class ListedBatch:
    """One batch.

    Attributes:
      measure: its probability, or how often it was drawn.
      episodes: B trajectories, in order.
    """

    measure: float
    episodes: tuple[ListedTrajectory, ...]


@dataclass(frozen=True, eq=False)
class BatchListing:
    """Batches, made as they are asked for.

    Attributes:
      mdp: the model.
      measure: what is said of each: `probability` or `count`.
      n: the number of batches drawn; None where all are listed.
      size: B.
      batches: to be gone through once.
    """

    mdp: MDP
    measure: Measure
    n: int | None
    size: int
    batches: Iterator[ListedBatch]


def list_batches(
    mdp: MDP,
    policy: Policy,
    size: int,
    n: int | None = None,
    rng: np.random.Generator | None = None,
    *,
    same_start: bool = False,
) -> BatchListing:
    """Returns every batch of B = `size` episodes with its probability, or n drawn ones with how often each was drawn.

    Args:
      mdp: the model.
      policy: draws the actions.
      size: B, at least 1.
      n: how many batches are drawn; None for all batches.
      rng: draws them; None is `default_rng(0)`.
      same_start: whether the episodes of a batch share s_0.

    Raises:
      TooLargeError: there are too many batches to list, or too many episodes to draw.
    """
    if n is None:
        return BatchListing(mdp, "probability", None, size, _all(mdp, policy, size, same_start))
    rng = np.random.default_rng(0) if rng is None else rng
    check_number(n, size)
    return BatchListing(mdp, "count", n, size, _drawn(mdp, policy, size, n, rng, same_start))


def check_number(n: int, size: int) -> None:
    """Raises TooLargeError where n batches of `size` are too many to draw."""
    if n * size > MAX_DRAWN_EPISODES:
        raise TooLargeError(
            f"{n:,} batches of {size} have {n * size:,} episodes; the limit is {MAX_DRAWN_EPISODES:,}.\n"
            f"  Draw at most {MAX_DRAWN_EPISODES // size:,} batches."
        )


def distinct_batches(
    mdp: MDP, policy: Policy, size: int, n: int, rng: np.random.Generator, *, same_start: bool = False
) -> tuple[Batch, Ints, Ints]:
    """Returns what `list_batches` lists of n drawn batches, m of which are distinct.

    These are the episodes, their numbers in each batch `[m, size]`, and how often that batch came `[m]`.
    """
    batch, index = drawn_batches(mdp, policy, size, n, rng, same_start=same_start)
    members, counts = np.unique(index, axis=0, return_counts=True)
    return batch, members, counts


def _all(mdp: MDP, policy: Policy, size: int, same_start: bool) -> Iterator[ListedBatch]:
    """Every batch with its probability; counted before any is made."""
    total = count_trajectories(mdp)
    if total > MAX_BATCHES:  # there are no fewer batches than trajectories
        raise _too_many(total, size, None)
    batch, prob = listed(mdp, policy)
    groups = list(by_start(batch)) if same_start else [np.arange(len(batch))]
    count = sum(len(group) ** size for group in groups)
    if count > MAX_BATCHES:
        raise _too_many(len(batch), size, count)
    return itertools.chain.from_iterable(
        _products(list(each_listed([(batch.part(group), prob[group])])), size) for group in groups
    )


def _products(episodes: Sequence[ListedTrajectory], size: int) -> Iterator[ListedBatch]:
    """Every batch of these episodes, which one start, or the choice among all starts, has led to."""
    first = math.fsum(episode.measure for episode in episodes)
    for members in itertools.product(episodes, repeat=size):
        yield ListedBatch(first * math.prod(episode.measure / first for episode in members), members)


def _drawn(
    mdp: MDP, policy: Policy, size: int, n: int, rng: np.random.Generator, same_start: bool
) -> Iterator[ListedBatch]:
    """Each batch among n that are drawn, with its count."""
    batch, index, counts = distinct_batches(mdp, policy, size, n, rng, same_start=same_start)
    episodes = list(each_listed([(batch, np.ones(len(batch)))]))
    for members, count in zip(index, counts, strict=True):
        yield ListedBatch(int(count), tuple(episodes[member] for member in members.tolist()))


def _too_many(trajectories: int, size: int, count: int | None) -> TooLargeError:
    """The error for more batches than can be listed."""
    known = "" if count is None else f"{count:,} "
    return TooLargeError(
        f"{known or 'too many '}batches of {size} among {count_text(trajectories)} trajectories; the limit is "
        f"{MAX_BATCHES:,}.\n  Lower --horizon or --batches, or draw some with --n 1000."
    )
