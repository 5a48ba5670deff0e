"""The tree of trajectories: a measure is split down it, level by level.

The measure is probability for the exact gradient and a number of rollouts for the sampled one; all else is
the same. The nodes of one depth are kept as one group of arrays a state, so that expanding a state through
an outcome is a scalar times an array. The tree is walked depth first in blocks: memory stays constant.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import TooLargeError
from pgcheck.model.mdp import MDP

BLOCK = 2**16  # nodes that are held at once in each depth, about
NODES = 2**24  # nodes that are held at once in all depths: 400 MB
MAX_DEPTH = 100_000
LOT = 2**16  # leaves that are worked out together; their arrays then fit in a processor's cache


@dataclass(frozen=True, eq=False, slots=True)
class Branches:
    """The ways out of a state: one for each outcome of each action, sorted by action.

    Attributes:
      first: number of the first outcome in the MDP's arrays; the rest follow.
      prob: π(a|s) P(outcome|s, a) `[k]`.
      reward, next_state, ends: the MDP's columns `[k]`.
      cuts: where each action's outcomes begin `[a]`.
      pairs: s · num_actions + a for each action `[a]`.
    """

    first: int
    prob: Floats
    reward: Floats
    next_state: list[int]
    ends: list[bool]
    cuts: Ints
    pairs: list[int]
    pair: list[int]


@dataclass(eq=False, slots=True)
class Group:
    """The nodes of one depth and block that are in one state, n of them.

    Attributes:
      measure: probability that a trajectory reaches the node, or how many rollouts do `[n]`.
      returns: Σ γ^t r_t on the way to it `[n]`.
      weight: Σ measure · R over the trajectories below it, known once they are all done `[n]`.
      number: of its first node in the block's trail; the rest follow.
    """

    measure: Floats
    returns: Floats
    weight: Floats
    number: int

    def part(self, lo: int, hi: int) -> "Group":
        """A view of some of the nodes; what is added to its weights is added to these."""
        return Group(self.measure[lo:hi], self.returns[lo:hi], self.weight[lo:hi], self.number + lo)


Frontier = dict[int, Group]
Nodes = Ints | slice


@dataclass(frozen=True, eq=False, slots=True)
class Trail:
    """How the nodes of one depth were reached, where somebody wants to know.

    Attributes:
      above: the trail of the depth above; None at the root.
      parent: each node's number there `[n]`.
      outcome: through which of the MDP's outcomes; at the root, the first state `[n]`.
    """

    above: "Trail | None"
    parent: Ints
    outcome: Ints

    def paths(self, nodes: Ints) -> Ints:
        """Returns the first state and the outcomes on the way to some nodes `[1 + depth, m]`."""
        way: list[Ints] = []
        trail: Trail | None = self
        while trail is not None:
            way.append(trail.outcome[nodes])
            nodes = trail.parent[nodes]
            trail = trail.above
        return np.stack(way[::-1])


@dataclass(frozen=True, eq=False, slots=True)
class Leaves:
    """Trajectories that end together: below nodes of one state, through some of its branches.

    Its arrays are used again for the next ones.

    Attributes:
      state: the state that they end from.
      branch: which of its branches they end through `[k]`.
      nodes: which nodes of the state's group they end from, n of them.
      measure, returns: of the whole trajectories `[k, n]`.
    """

    state: int
    branch: Ints
    nodes: Nodes
    measure: Floats
    returns: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Link:
    """Where some nodes of the next depth hang: `child[state][lo:hi]` below `parent`'s `nodes`."""

    child: int
    lo: int
    hi: int
    parent: int
    nodes: Nodes
    pair: int


@dataclass(eq=False, slots=True)
class Block:
    """Nodes of one depth that are expanded together, and the randomness that is theirs alone."""

    depth: int
    frontier: Frontier
    rng: np.random.Generator | None
    trail: Trail | None
    trail_below: Trail | None = None
    children: Frontier = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)


Split = Callable[[Branches, Floats, np.random.Generator | None, Floats], None]
Settle = Callable[[Block], None]
Piece = tuple[int, Nodes, int, Floats, Floats]  # state, nodes, branch, measure, returns


def split_probability(branches: Branches, measure: Floats, _: np.random.Generator | None, out: Floats) -> None:
    """Sets `out` `[k, n]` to the probability of each child: of the node, times that of the branch."""
    np.multiply(branches.prob[:, None], measure, out=out)


class Scratch:
    """Memory that is used again and again: fresh pages would cost more than the arithmetic on them."""

    def __init__(self) -> None:
        self._memory = np.empty(0)
        self.used = 0

    def take(self, *shape: int) -> Floats:
        """Returns an array of this shape, its values undefined; valid until `used` is set back."""
        size = math.prod(shape)
        if self.used + size > len(self._memory):
            self._memory = np.empty(max(size, 2 * len(self._memory)))
            self.used = 0
        self.used += size
        return self._memory[self.used - size : self.used].reshape(shape)


class Tree:
    """The trajectories of an MDP under a policy's probabilities `[S, A]`."""

    def __init__(self, mdp: MDP, probs: Floats) -> None:
        self.mdp = mdp
        self.probs = probs
        self._branches: dict[int, Branches] = {}
        self._scratch = Scratch()  # for the children of the block in hand
        self._depths: list[Scratch] = []  # for the nodes below each depth; one block there is alive at a time

    def branches(self, state: int) -> Branches:
        """Returns the ways out of a state; they are worked out when it is first met."""
        known = self._branches.get(state)
        if known is None:
            mdp = self.mdp
            own = slice(int(mdp.offset[state]), int(mdp.offset[state + 1]))
            action = mdp.action[own]
            pair = state * mdp.num_actions + action
            cuts = np.flatnonzero(np.r_[True, action[1:] != action[:-1]]).astype(np.int64)
            known = self._branches[state] = Branches(
                own.start, self.probs[state, action] * mdp.prob[own], mdp.reward[own],
                mdp.next_state[own].tolist(), mdp.ends[own].tolist(), cuts, pair[cuts].tolist(), pair.tolist(),
            )  # fmt: skip
        return known

    def root(self, measure: Floats) -> Frontier:
        """Returns the nodes of depth 0: the states in which `measure` `[S]` is positive."""
        frontier: Frontier = {}
        for number, state in enumerate(np.flatnonzero(measure).tolist()):
            here = np.array([measure[state]], dtype=np.float64)
            frontier[state] = Group(here, np.zeros(1), np.zeros(1), number)
        return frontier

    def walk(
        self,
        root: Frontier,
        split: Split,
        *,
        rng: np.random.Generator | None = None,
        settle: Settle | None = None,
        trails: bool = False,
        block: int | None = None,
    ) -> Iterator[tuple[Block, Leaves | None]]:
        """Yields a block with each lot of trajectories that end in it, and with None once all below it is done.

        Args:
          root: nodes of depth 0, in states that are not terminal.
          split: shares the measure of a state's nodes `[n]` among its branches `[k, n]`; may use its last
            argument for the result.
          rng: where `split` and `settle` draw from. A block that is cut hands a stream of its own to each
            part, so the draws do not depend on the order in which parts are worked on.
          settle: called with a block before it is expanded; may finish nodes by other means and set their
            measure to 0.
          trails: whether the blocks say how their nodes were reached.
          block: how many nodes may be held at once in each depth, about; None for what the horizon allows.

        Raises:
          TooLargeError: a trajectory of more than 100,000 steps.
        """
        if block is None:
            block = int(np.clip(NODES // self.mdp.horizon, 256, BLOCK))
        states = np.array(list(root), dtype=np.int64)
        trail = Trail(None, np.zeros(len(states), dtype=np.int64), states) if trails else None
        stack: list[tuple[Block, bool]] = [(Block(0, root, rng, trail), False)]
        while stack:
            node, done = stack.pop()
            if done:
                yield node, None
                continue
            parts = self._cut(node, block)
            if len(parts) > 1:
                stack.extend((part, False) for part in reversed(parts))
                continue
            if settle is not None:
                settle(node)
            for leaves in self._expand(node, split):
                yield node, leaves
            stack.append((node, True))
            if node.children:
                if node.depth == MAX_DEPTH:
                    raise TooLargeError(
                        f"trajectories of more than {MAX_DEPTH:,} steps; the tree of them takes too much memory.\n"
                        f"  Lower the horizon from {self.mdp.horizon:,}."
                    )
                stack.append((Block(node.depth + 1, node.children, node.rng, node.trail_below), False))

    def _cut(self, node: Block, block: int) -> list[Block]:
        """The block in parts that have at most about `block` children to store, or itself."""
        if node.depth + 1 == self.mdp.horizon:  # the last children are not stored
            return [node]
        children = sum(len(self.branches(s).prob) * len(g.measure) for s, g in node.frontier.items())
        if children <= block or sum(len(g.measure) for g in node.frontier.values()) == 1:
            return [node]
        parts: list[Frontier] = [{}]
        room = block
        for state, group in node.frontier.items():
            width = max(1, len(self.branches(state).prob))
            lo = 0
            while lo < len(group.measure):
                hi = min(len(group.measure), lo + max(room // width, 0 if parts[-1] else 1))
                if hi > lo:
                    parts[-1][state] = group.part(lo, hi)
                    room -= (hi - lo) * width
                    lo = hi
                if lo < len(group.measure):
                    parts.append({})
                    room = block
        if len(parts) == 1:
            return [node]
        streams = [None] * len(parts) if node.rng is None else node.rng.spawn(len(parts))
        return [Block(node.depth, part, rng, node.trail) for part, rng in zip(parts, streams, strict=True)]

    def _expand(self, node: Block, split: Split) -> Iterator[Leaves]:
        """Splits every node of the block among its branches: into leaves, and the next depth's nodes."""
        discount = self.mdp.gamma**node.depth
        last = node.depth + 1 == self.mdp.horizon
        pieces: dict[int, list[Piece]] = {}
        scratch = self._scratch
        scratch.used = 0
        for state, group in node.frontier.items():
            branches = self.branches(state)
            ending = np.arange(len(branches.prob)) if last else np.flatnonzero(branches.ends)
            reward = discount * branches.reward[:, None]
            for nodes, reached, sofar in self._reached(group, len(branches.prob), node.rng is not None):
                mark = scratch.used
                measure = scratch.take(len(branches.prob), len(reached))
                returns = scratch.take(*measure.shape)
                split(branches, reached, node.rng, measure)
                np.add(reward, sofar, out=returns)
                if len(ending) == len(branches.prob):
                    yield Leaves(state, ending, nodes, measure, returns)
                    scratch.used = mark
                    continue
                if len(ending):
                    yield Leaves(state, ending, nodes, measure[ending], returns[ending])
                for k, ends in enumerate(branches.ends):
                    if not ends:
                        piece = (state, nodes, k, measure[k], returns[k])
                        pieces.setdefault(branches.next_state[k], []).append(piece)
        while len(self._depths) <= node.depth:
            self._depths.append(Scratch())
        self._depths[node.depth].used = 0
        number = 0
        hung: list[Piece] = []
        for child, hanging in pieces.items():
            if node.rng is not None:
                hanging = [piece for piece in map(_without_zeros, hanging) if len(piece[3])]
            if hanging:
                node.children[child] = self._join(node, child, hanging, number)
                number += len(node.children[child].measure)
                hung += hanging
        if node.trail is not None and hung:
            node.trail_below = self._trail(node, hung)

    def _reached(self, group: Group, width: int, counts: bool) -> Iterator[tuple[Nodes, Floats, Floats]]:
        """A group's nodes, but for those that no rollout reaches, a lot at a time."""
        size = max(1, LOT // width)
        for lo in range(0, len(group.measure), size):
            nodes: Nodes = slice(lo, min(lo + size, len(group.measure)))
            if counts and not group.measure[nodes].all():
                nodes = lo + np.flatnonzero(group.measure[nodes])
            measure = group.measure[nodes]
            if len(measure):
                yield nodes, measure, group.returns[nodes]

    def _join(self, node: Block, child: int, hanging: list[Piece], number: int) -> Group:
        """The next depth's nodes in one state, and the links to where they hang."""
        lo = 0
        for state, nodes, k, measure, _ in hanging:
            hi = lo + len(measure)
            node.links.append(Link(child, lo, hi, state, nodes, self.branches(state).pair[k]))
            lo = hi
        measure, returns, weight = self._depths[node.depth].take(3, lo)
        np.concatenate([piece[3] for piece in hanging], out=measure)
        np.concatenate([piece[4] for piece in hanging], out=returns)
        weight[:] = 0.0
        return Group(measure, returns, weight, number)

    def _trail(self, node: Block, hung: list[Piece]) -> Trail:
        """The trail of the next depth."""
        parent, outcome = [], []
        for state, nodes, k, measure, _ in hung:
            parent.append(node.frontier[state].number + numbers(nodes))
            outcome.append(np.full(len(measure), self.branches(state).first + k, dtype=np.int64))
        return Trail(node.trail, np.concatenate(parent), np.concatenate(outcome))


def numbers(nodes: Nodes) -> Ints:
    """Returns nodes as their numbers."""
    return np.arange(nodes.start, nodes.stop) if isinstance(nodes, slice) else nodes


def _without_zeros(piece: Piece) -> Piece:
    """A piece without the nodes that no rollout reaches."""
    state, nodes, k, measure, returns = piece
    kept = np.flatnonzero(measure)
    return state, numbers(nodes)[kept], k, measure[kept], returns[kept]
