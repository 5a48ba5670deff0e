"""Trajectories one by one, as paths in columns: all of them with P(τ), or those that N rollouts took with n(τ).

A path is the first state and the numbers of the outcomes on the way, one below the other; a trajectory that ends
before the longest of its array is padded with `mdp.padding`. The path of a leaf is read off the trails of the tree.
"""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.model.endless import cut
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.counting import refuse_endless
from pgcheck.trajectories.dealing import Dealt, number_of_parts
from pgcheck.trajectories.frontier import Block, Leaves, node_numbers
from pgcheck.trajectories.sampling import Sampler
from pgcheck.trajectories.tree import Tree, split_probability

BATCH_TRAJECTORIES = 4096  # in a batch of a list of trajectories, about
BATCH_STEPS = 2**18  # in a batch for estimators, about: its arrays fit in a processor's cache
BATCH_NUMBERS = 2**23  # in the gradients of such a batch, about
TRAIL_NODES = 2**20  # nodes whose trails are held at once, in all depths


class Paths(NamedTuple):
    """Some trajectories, m of them.

    Attributes:
      steps: the first state and the outcomes, `mdp.padding` beyond the end `[1 + T, m]`.
      measure: P(τ), or how often τ was drawn `[m]`.
      returns: R(τ) `[m]`.
    """

    steps: Ints
    measure: Floats
    returns: Floats


def enumerate_trajectories(mdp: MDP, policy: Policy) -> Iterator[tuple[Batch, Floats]]:
    """Yields every trajectory once, in batches, with its probability `[N]`.

    Memory does not grow with their number; count them first where that matters.

    Raises:
      TooLargeError: there is no horizon.
    """
    for paths in _batched(mdp, enumerated_paths(mdp, policy)):
        yield Batch.from_paths(mdp, policy, paths.steps), paths.measure


def sample_trajectories(mdp: MDP, policy: Policy, n: int, rng: np.random.Generator) -> Iterator[tuple[Batch, Ints]]:
    """Yields every distinct trajectory among n rollouts once, in batches, with how often it was drawn `[N]`.

    They are the rollouts that `sample_gradient` draws from the same `rng`.

    Raises:
      UsageError: n is out of range.
      TooLargeError: single rollouts are too long to remember.
    """
    mdp = cut(mdp, policy)
    for paths in _batched(mdp, sampled_paths(Sampler(mdp, policy, n, rng, paths=True))):
        yield Batch.from_paths(mdp, policy, paths.steps), paths.measure.astype(np.int64)


def enumerated_paths(mdp: MDP, policy: Policy) -> Iterator[Paths]:
    """Yields all trajectories, some at a time; those of one lot have one length."""
    refuse_endless(mdp)
    yield from _of_length_0(mdp, mdp.start)
    tree = Tree(mdp, policy.probs())
    root = tree.root(np.where(mdp.terminal, 0.0, mdp.start), trails=True)
    block_size = int(np.clip(TRAIL_NODES // mdp.horizon, 1, 2**14))
    for block, leaves in tree.walk(root, split_probability, block_size=block_size):
        if leaves is not None:
            yield from _of_leaves(tree, block, leaves)


def sampled_paths(sampler: Sampler, *, distinct: bool = True) -> Iterator[Paths]:
    """Yields the trajectories that a sampler's rollouts took, with their counts, some at a time.

    Args:
      sampler: made with `paths=True`.
      distinct: whether each trajectory comes once; if not, one that was rolled out may come several times.
    """
    if sampler.is_part or number_of_parts(sampler.n) == 1:
        yield from _walked(sampler, distinct)
        return
    dealt = Dealt(sampler)
    yield from paths_above(dealt)
    for part in dealt.parts():
        yield from _walked(sampler.of_part(part.block()), distinct)


def paths_above(dealt: Dealt) -> Iterator[Paths]:
    """Yields the trajectories of rollouts that end before these are dealt out to parts."""
    sampler = dealt.sampler
    for block, leaves in dealt.top():
        yield from _of_leaves(sampler.tree, block, leaves)
    yield from _of_length_0(sampler.tree.mdp, sampler.ended_at_start)


def _walked(sampler: Sampler, distinct: bool) -> Iterator[Paths]:
    """The trajectories of a sampler whose rollouts are drawn at once, or of a part."""
    for block, leaves in sampler.walk():
        if leaves is not None:
            yield from _of_leaves(sampler.tree, block, leaves)
        for steps, returns in sampler.rolled:
            if distinct:
                first, count = _distinct(steps)
                yield Paths(np.take(steps, first, axis=1, mode="clip"), count.astype(np.float64), returns[first])
            else:
                yield Paths(steps, np.ones(len(returns)), returns)
        sampler.rolled.clear()
    yield from _of_length_0(sampler.tree.mdp, sampler.ended_at_start)


def listed(mdp: MDP, policy: Policy, most: int | None = None, behavior: Policy | None = None) -> tuple[Batch, Floats]:
    """Returns all trajectories of a model as one batch, with their probabilities; with `most`, stops at so many.

    More than `most` may come: lots are not divided. Where a `behavior` draws the actions, it is the batch's, and the
    probabilities are those under it.
    """
    lots: list[Paths] = []
    for paths in enumerated_paths(mdp, behavior or policy):
        lots.append(paths)
        if most is not None and sum(len(lot.measure) for lot in lots) >= most:
            break
    every = _joined(mdp, lots)
    return Batch.from_paths(mdp, policy, every.steps, behavior), every.measure


def measured(
    mdp: MDP, policy: Policy, paths: Iterator[Paths], behavior: Policy
) -> Iterator[tuple[Batch, Floats, Floats]]:
    """Yields trajectories in batches of about one length each, for estimators, with measure and return `[N]`.

    Args:
      mdp, policy: what the estimators are given.
      paths: the trajectories.
      behavior: the policy that drew the actions.
    """
    for steps, measure, returns in _batched(mdp, paths, by_length=True):
        size = max(1, min(BATCH_STEPS // len(steps), BATCH_NUMBERS // max(1, len(policy.theta))))
        for lo in range(0, len(measure), size):
            columns = slice(lo, lo + size)
            yield Batch.from_paths(mdp, policy, steps[:, columns], behavior), measure[columns], returns[columns]


def padded(mdp: MDP, lots: Sequence[Ints]) -> Ints:
    """Returns the steps of several lots of trajectories side by side, padded to the length of the longest."""
    if len(lots) == 1:
        return lots[0]
    steps = np.full((max(map(len, lots)), sum(lot.shape[1] for lot in lots)), mdp.padding, dtype=np.int64)
    column = 0
    for lot in lots:
        steps[: len(lot), column : column + lot.shape[1]] = lot
        column += lot.shape[1]
    return steps


def _joined(mdp: MDP, lots: Sequence[Paths]) -> Paths:
    """Several lots as one."""
    if len(lots) == 1:
        return lots[0]
    return Paths(
        padded(mdp, [lot.steps for lot in lots]),
        np.concatenate([lot.measure for lot in lots]),
        np.concatenate([lot.returns for lot in lots]),
    )


def _batched(mdp: MDP, lots: Iterator[Paths], *, by_length: bool = False) -> Iterator[Paths]:
    """Joins small lots into batches, padded to one length; divides none.

    The first batches are small, so that a reader sees results soon. By length, batches are large at once, and hold
    trajectories within a fifth of one length, so that there is little padding.
    """
    waiting: dict[int, list[Paths]] = {}
    held: dict[int, int] = {}
    size = 1
    for lot in lots:
        key = round(4 * math.log2(len(lot.steps))) if by_length else 0
        waiting.setdefault(key, []).append(lot)
        held[key] = held.get(key, 0) + (lot.steps.size if by_length else lot.steps.shape[1])
        if held[key] >= (BATCH_STEPS if by_length else size):
            yield _joined(mdp, waiting.pop(key))
            held[key] = 0
            size = min(2 * size, BATCH_TRAJECTORIES)
    for rest in waiting.values():
        yield _joined(mdp, rest)


def _of_length_0(mdp: MDP, measure: Floats) -> Iterator[Paths]:
    """The trajectories that start in a terminal state, and so have no step; `measure` is that of each state `[S]`."""
    states = np.flatnonzero(mdp.terminal & (measure > 0))
    if len(states):
        yield Paths(states[None, :], measure[states], np.zeros(len(states)))


def _of_leaves(tree: Tree, block: Block, leaves: Leaves) -> Iterator[Paths]:
    """The trajectories that end together, a lot for each branch that they end through."""
    assert block.trail is not None
    steps = block.trail.paths(block.frontier[leaves.state].number + node_numbers(leaves.nodes))
    first = tree.branches(leaves.state).first
    for row, k in enumerate(leaves.branch.tolist()):
        kept = np.flatnonzero(leaves.measure[row])
        last = np.full((1, len(kept)), first + k, dtype=np.int64)
        yield Paths(np.concatenate([steps[:, kept], last]), leaves.measure[row][kept], leaves.returns[row][kept])


def _distinct(steps: Ints) -> tuple[Ints, Ints]:
    """A column of each distinct trajectory and how often it occurs; they are compared by a hash of over 100 bits."""
    digest = np.zeros((2, steps.shape[1]), dtype=np.int64)
    for row, factors in zip(steps, _factors(len(steps)), strict=True):
        digest += row * factors
    # The last bits of a hash are replaced by its column: sorting numbers is far quicker than sorting their places.
    low = (1 << max(steps.shape[1] - 1, 1).bit_length()) - 1
    packed = np.sort((digest[0] & ~low) | np.arange(steps.shape[1]))
    column = packed & low
    alike = (packed[1:] & ~low) == (packed[:-1] & ~low)
    second = digest[1][column]
    if np.any(alike & (second[1:] != second[:-1])):  # one in a million: the bits that were left did not suffice
        _, column, count = np.unique(steps, axis=1, return_index=True, return_counts=True)
        return column, count
    starts = np.flatnonzero(np.r_[True, ~alike])
    return column[starts], np.diff(np.append(starts, len(column)))


@lru_cache(maxsize=1024)
def _factors(size: int) -> Ints:
    """Two odd random numbers for each row of `size` `[size, 2, 1]`; a hash is the sum of a column times these."""
    return 2 * np.random.default_rng(0).integers(2**63, size=(size, 2, 1)) + 1
