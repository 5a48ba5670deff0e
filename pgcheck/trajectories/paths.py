"""Trajectories one by one: all of them, those that N rollouts took, and the most likely ones."""

import heapq
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import TooLargeError
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.sampling import Sampler
from pgcheck.trajectories.tree import Block, Leaves, Tree, numbers, split_probability

MAX_BOUNDS = 40_000_000  # numbers that the search for the likeliest trajectories may keep: 320 MB
BATCH = 4096  # trajectories in a batch, about
ROOM = 2**18  # steps in a batch for estimators, about: its arrays fit in a processor's cache

Paths = tuple[Ints, Floats, Floats]  # first state and outcomes, `mdp.padding` beyond [1 + T, m]; measure; return [m]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One of the most likely trajectories.

    Attributes:
      path: the first state, then the numbers of the outcomes `[1 + L]`.
      probability: P(τ).
      value: its return R(τ).
    """

    path: Ints
    probability: float
    value: float


def enumerate_trajectories(mdp: MDP, policy: Policy) -> Iterator[tuple[Batch, Floats]]:
    """Yields every trajectory once, in batches, with its probability `[N]`.

    Memory does not grow with their number; count them first where that matters.
    """
    for paths, probability, _ in _batched(mdp, enumerated_paths(mdp, policy)):
        yield Batch.from_paths(mdp, policy, paths), probability


def sample_trajectories(mdp: MDP, policy: Policy, n: int, rng: np.random.Generator) -> Iterator[tuple[Batch, Ints]]:
    """Yields every distinct trajectory among n rollouts once, in batches, with how often it was drawn `[N]`.

    They are the rollouts that `sample_gradient` draws from the same `rng`.

    Raises:
      UsageError: n is out of range.
      TooLargeError: single rollouts are too long to remember.
    """
    for paths, count, _ in _batched(mdp, sampled_paths(Sampler(mdp, policy, n, rng, paths=True))):
        yield Batch.from_paths(mdp, policy, paths), count.astype(np.int64)


def enumerated_paths(mdp: MDP, policy: Policy) -> Iterator[Paths]:
    """Yields all trajectories as paths, with probabilities and returns, some at a time."""
    yield from _at_once(mdp, mdp.start)
    tree = Tree(mdp, policy.probs())
    root = tree.root(np.where(mdp.terminal, 0.0, mdp.start))
    room = int(np.clip(2**20 // mdp.horizon, 1, 2**14))
    for block, leaves in tree.walk(root, split_probability, trails=True, block=room):
        if leaves is not None:
            yield from _ended(tree, block, leaves)


def listed(mdp: MDP, policy: Policy, most: int | None = None) -> tuple[Batch, Floats]:
    """Returns all trajectories of a model as one batch, and their probabilities; or at least `most` of them."""
    paths: list[Ints] = []
    prob: list[Floats] = []
    for lot, p, _ in enumerated_paths(mdp, policy):
        paths.append(lot)
        prob.append(p)
        if most is not None and sum(map(len, prob)) >= most:
            break
    whole = np.full((max(map(len, paths)), sum(lot.shape[1] for lot in paths)), mdp.padding, dtype=np.int64)
    column = 0
    for lot in paths:
        whole[: len(lot), column : column + lot.shape[1]] = lot
        column += lot.shape[1]
    return Batch.from_paths(mdp, policy, whole), np.concatenate(prob)


def sampled_paths(sampler: Sampler, *, distinct: bool = True) -> Iterator[Paths]:
    """Yields a sampler's trajectories as paths, with counts and returns, some at a time.

    Args:
      sampler: made with `paths=True`.
      distinct: whether each trajectory comes once; if not, one that was rolled out may come several times.
    """
    mdp = sampler.tree.mdp
    for block, leaves in sampler.walk():
        if leaves is not None:
            yield from _ended(sampler.tree, block, leaves)
        for paths, returns in sampler.rolled:
            if distinct:
                first, count = _distinct(paths)
                yield np.take(paths, first, axis=1, mode="clip"), count.astype(np.float64), returns[first]
            else:
                yield paths, np.ones(len(returns)), returns
        sampler.rolled.clear()
    yield from _at_once(mdp, sampler.at_once)


def measured(
    mdp: MDP, policy: Policy, paths: Iterator[Paths], behavior: Policy
) -> Iterator[tuple[Batch, Floats, Floats]]:
    """Yields trajectories in batches of about one length each, as estimators want, with measure and return `[N]`."""
    for lot, measure, returns in _batched(mdp, paths, by_length=True):
        size = max(1, ROOM // len(lot))
        for lo in range(0, len(measure), size):
            columns = slice(lo, lo + size)
            yield Batch.from_paths(mdp, policy, lot[:, columns], behavior), measure[columns], returns[columns]


def most_likely(mdp: MDP, policy: Policy, k: int) -> list[Trajectory]:
    """Returns the k most likely trajectories, the likeliest first, without listing the others.

    A best-first search: a node's bound is its probability times the greatest probability of any way to
    go on from there, which backward induction gives, so that no step is taken in vain.

    Raises:
      TooLargeError: horizon x states is beyond 40 million.
    """
    horizon = mdp.horizon
    if horizon * mdp.num_states > MAX_BOUNDS:
        raise TooLargeError(
            f"horizon {horizon:,} with {mdp.num_states:,} states is too long to find the most likely trajectories.\n"
            f"  Lower the horizon to {MAX_BOUNDS // mdp.num_states:,}."
        )
    joint = policy.probs()[mdp.state, mdp.action] * mdp.prob
    with np.errstate(divide="ignore"):  # log 0 = -inf: never taken
        step = np.log(joint)
        start = np.log(mdp.start)
    onward = np.zeros((horizon + 1, mdp.num_states))  # log of the best way on, by the number of steps left
    acting = np.flatnonzero(~mdp.terminal)
    for left in range(1, horizon + 1):
        best = step + np.where(mdp.ends, 0.0, onward[left - 1][mdp.next_state])
        onward[left][acting] = np.maximum.reduceat(best, mdp.offset[acting]) if len(acting) else 0.0
    order = itertools.count()
    heap: list[tuple[float, int, float, int, int, bool, _Way | None]] = []
    for state in np.flatnonzero(mdp.start).tolist():
        ended = bool(mdp.terminal[state])
        heap.append((-(start[state] + onward[horizon, state]), next(order), start[state], state, 0, ended, None))
    heapq.heapify(heap)
    found: list[Trajectory] = []
    while heap and len(found) < k:
        bound, _, log_prob, state, depth, ended, way = heapq.heappop(heap)
        if bound == math.inf:
            break
        if ended or depth == horizon:
            found.append(_trajectory(mdp, joint, state, way))
            continue
        for outcome in range(int(mdp.offset[state]), int(mdp.offset[state + 1])):
            ends = bool(mdp.ends[outcome])
            target = int(mdp.next_state[outcome])
            on = log_prob + float(step[outcome])
            best_on = 0.0 if ends else float(onward[horizon - depth - 1, target])
            heapq.heappush(heap, (-(on + best_on), next(order), on, target, depth + 1, ends, (way, outcome)))
    return sorted(found, key=lambda trajectory: -trajectory.probability)  # logarithms can tie where products do not


_Way = tuple["_Way | None", int]  # the outcomes so far, the last one outermost


def _trajectory(mdp: MDP, joint: Floats, state: int, way: "_Way | None") -> Trajectory:
    outcomes: list[int] = []
    while way is not None:
        way, outcome = way
        outcomes.append(outcome)
    outcomes.reverse()
    first = int(mdp.state[outcomes[0]]) if outcomes else state
    probability = math.prod(joint[outcomes].tolist(), start=float(mdp.start[first]))
    value = math.fsum(mdp.gamma**t * mdp.reward[outcome] for t, outcome in enumerate(outcomes))
    return Trajectory(np.array([first, *outcomes], dtype=np.int64), probability, value)


def _distinct(paths: Ints) -> tuple[Ints, Ints]:
    """Where each different column stands, once, and how often it does; told apart by a hash of over 100 bits."""
    digest = np.zeros((2, paths.shape[1]), dtype=np.int64)
    for row, factors in zip(paths, _factors(len(paths)), strict=True):
        digest += row * factors
    # Sorting numbers that carry their place in their last bits is far quicker than sorting places.
    low = (1 << max(paths.shape[1] - 1, 1).bit_length()) - 1
    packed = np.sort((digest[0] & ~low) | np.arange(paths.shape[1]))
    place = packed & low
    alike = (packed[1:] & ~low) == (packed[:-1] & ~low)
    other = digest[1][place]
    if np.any(alike & (other[1:] != other[:-1])):  # a chance in a million: the first bits did not suffice
        _, place, count = np.unique(paths, axis=1, return_index=True, return_counts=True)
        return place, count
    starts = np.flatnonzero(np.r_[True, ~alike])
    return place[starts], np.diff(np.append(starts, len(place)))


@lru_cache(maxsize=1024)
def _factors(size: int) -> Ints:
    """Two odd random numbers a row `[size, 2, 1]`."""
    return 2 * np.random.default_rng(0).integers(2**63, size=(size, 2, 1)) + 1


def _at_once(mdp: MDP, measure: Floats) -> Iterator[Paths]:
    """The trajectories of length 0."""
    states = np.flatnonzero(mdp.terminal & (measure > 0))
    if len(states):
        yield states[None, :], measure[states], np.zeros(len(states))


def _ended(tree: Tree, block: Block, leaves: Leaves) -> Iterator[Paths]:
    """Leaves as paths."""
    assert block.trail is not None
    path = block.trail.paths(block.frontier[leaves.state].number + numbers(leaves.nodes))
    first = tree.branches(leaves.state).first
    for row, k in enumerate(leaves.branch.tolist()):
        kept = np.flatnonzero(leaves.measure[row])
        last = np.full((1, len(kept)), first + k, dtype=np.int64)
        yield np.concatenate([path[:, kept], last]), leaves.measure[row][kept], leaves.returns[row][kept]


def _batched(mdp: MDP, some: Iterator[Paths], *, by_length: bool = False) -> Iterator[Paths]:
    """Joins small lots into batches, padded to one length; cuts none.

    The first come soon, as somebody may wait for them; or, by length, large and with little padding.
    """
    waiting: dict[int, list[Paths]] = {}
    held: dict[int, int] = {}
    size = 1
    for lot in some:
        key = round(4 * math.log2(len(lot[0]))) if by_length else 0
        waiting.setdefault(key, []).append(lot)
        held[key] = held.get(key, 0) + (lot[0].size if by_length else lot[0].shape[1])
        if held[key] >= (ROOM if by_length else size):
            yield _padded(mdp, waiting.pop(key))
            held[key] = 0
            size = min(2 * size, BATCH)
    for lots in waiting.values():
        yield _padded(mdp, lots)


def _padded(mdp: MDP, lots: list[Paths]) -> Paths:
    if len(lots) == 1:
        return lots[0]
    shape = max(len(p) for p, _, _ in lots), sum(p.shape[1] for p, _, _ in lots)
    paths = np.full(shape, mdp.padding, dtype=np.int64)
    column = 0
    for lot, _, _ in lots:
        paths[: len(lot), column : column + lot.shape[1]] = lot
        column += lot.shape[1]
    return paths, np.concatenate([m for _, m, _ in lots]), np.concatenate([r for _, _, r in lots])
