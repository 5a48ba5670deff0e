"""The tree of trajectories: one measure, split down the tree.

The root's children are the first states s, with measure start(s). A node in state s sends its measure m on through
each outcome k of each action a:

    expected   m · π(a|s) P(k|s, a)                           `split_probability`: the measure of τ becomes P(τ)
    drawn      multinomial(m, π(a|s) P(k|s, a)), m rollouts   `sampling.split_counts`: it becomes the count n(τ)

All else is the same, so that exact and sampled gradients are sums over one tree: Σ_τ measure(τ) R(τ) Σ_t ∇log π.
What the sums need on their way back up is in `sums`.

The tree is walked depth first, a block of nodes at a time. A walk by single nodes would spend its time in Python; a
walk by whole depths would hold all trajectories at once. With blocks the time goes into arrays, and the memory is
one block a depth, however many trajectories there are.
"""

from collections.abc import Callable, Iterator

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import TooLargeError
from pgcheck.model.mdp import MDP
from pgcheck.trajectories.frontier import (
    Arrivals,
    Block,
    Branches,
    Frontier,
    Group,
    Leaves,
    Link,
    Nodes,
    Scratch,
    Trail,
    node_numbers,
)

BLOCK_NODES = 2**16  # nodes in a block's children, about
TREE_NODES = 2**24  # nodes that are held at once in all depths: 400 MB
MAX_DEPTH = 100_000
LEAVES_TOGETHER = 2**16  # leaves that are computed together; their arrays then fit in a processor's cache

Split = Callable[[Branches, Floats, "np.random.Generator | None", Floats], None]
Settle = Callable[[Block], None]


def split_probability(branches: Branches, measure: Floats, _: "np.random.Generator | None", out: Floats) -> None:
    """Sets `out` `[k, n]` to the probability of each child: that of the node times that of the branch."""
    np.multiply(branches.prob[:, None], measure, out=out)


class Tree:
    """The trajectories of an MDP under a policy's probabilities `[S, A]`."""

    def __init__(self, mdp: MDP, probs: Floats) -> None:
        self.mdp = mdp
        self.probs = probs
        self._branches: dict[int, Branches] = {}
        # Children of the block in hand, valid until the next block is expanded.
        self._scratch = Scratch()
        # For each depth t, the nodes of depth t + 1. They are valid until the next block of depth t is expanded,
        # and that is after all below them is done: the walk is depth first.
        self._children_of_depth: list[Scratch] = []

    def branches(self, state: int) -> Branches:
        """Returns the branches of a state; they are computed when they are first asked for."""
        branches = self._branches.get(state)
        if branches is None:
            mdp = self.mdp
            own = slice(int(mdp.offset[state]), int(mdp.offset[state + 1]))
            action = mdp.action[own]
            pair = state * mdp.num_actions + action
            cuts = np.flatnonzero(np.r_[True, action[1:] != action[:-1]]).astype(np.int64)
            branches = self._branches[state] = Branches(
                own.start, self.probs[state, action] * mdp.prob[own], mdp.reward[own],
                mdp.next_state[own].tolist(), mdp.ends[own].tolist(), cuts, pair[cuts].tolist(), pair.tolist(),
            )  # fmt: skip
        return branches

    def root(
        self, measure: Floats, *, rng: "np.random.Generator | None" = None, trails: bool = False
    ) -> Block:  # fmt: skip
        """Returns the nodes of depth 0: the states in which `measure` `[S]` is positive.

        Args:
          measure: of each state.
          rng: for the draws of a walk.
          trails: whether blocks keep how their nodes were reached.
        """
        frontier: Frontier = {}
        for number, state in enumerate(np.flatnonzero(measure).tolist()):
            frontier[state] = Group(np.array([measure[state]], dtype=np.float64), np.zeros(1), np.zeros(1), number)
        states = np.array(list(frontier), dtype=np.int64)
        trail = Trail(None, np.zeros(len(states), dtype=np.int64), states) if trails else None
        return Block(0, frontier, rng, trail)

    def walk(
        self,
        root: Block,
        split: Split,
        *,
        settle: Settle | None = None,
        block_size: int | None = None,
    ) -> Iterator[tuple[Block, Leaves | None]]:
        """Yields a block with each lot of trajectories that end in it, and with None once all below it is done.

        Args:
          root: nodes of one depth, in states that are not terminal: those of depth 0, or of a part of the tree. Where
            it has a random generator, that is the source of the draws of `split` and `settle`. The parts of a block
            that is cut get streams of their own, spawned before any of them is worked on: what is drawn in one part
            does not depend on the others, nor on their order. Where it has a trail, blocks keep how their nodes were
            reached.
          split: shares the measure of a state's nodes `[n]` among its branches `[k, n]`; writes to its last argument.
          settle: called with a block before it is expanded; may finish nodes by other means, and then sets their
            measure to 0.
          block_size: the number of nodes in a block's children, about; None for what the horizon allows.

        Raises:
          TooLargeError: a trajectory of more than 100,000 steps.
        """
        if block_size is None:
            block_size = int(np.clip(TREE_NODES // self.mdp.horizon, 256, BLOCK_NODES))
        # A block is put back, marked as done, below its children: it comes up again when they are all finished.
        stack: list[tuple[Block, bool]] = [(root, False)]
        while stack:
            block, done = stack.pop()
            if done:
                yield block, None
                continue
            parts = self.cut(block, block_size)
            if len(parts) > 1:
                stack.extend((part, False) for part in reversed(parts))
                continue
            if settle is not None:
                settle(block)
            for leaves in self.expand(block, split):
                yield block, leaves
            stack.append((block, True))
            if block.children:
                if block.depth == MAX_DEPTH:
                    raise TooLargeError(
                        f"trajectories of more than {MAX_DEPTH:,} steps; the tree of them takes too much memory.\n"
                        f"  Lower the horizon from {self.mdp.horizon:,}."
                    )
                stack.append((Block(block.depth + 1, block.children, block.rng, block.trail_below), False))

    def cut(self, block: Block, block_size: int) -> list[Block]:
        """Returns the block in parts that have at most about `block_size` children to keep, or the block itself."""
        if block.depth + 1 == self.mdp.horizon:  # all children are leaves, which are not kept
            return [block]
        children = sum(len(self.branches(s).prob) * len(g.measure) for s, g in block.frontier.items())
        if children <= block_size or sum(len(g.measure) for g in block.frontier.values()) == 1:
            return [block]
        parts: list[Frontier] = [{}]
        room = block_size
        for state, group in block.frontier.items():
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
                    room = block_size
        if len(parts) == 1:
            return [block]
        streams = [None] * len(parts) if block.rng is None else block.rng.spawn(len(parts))
        return [Block(block.depth, part, rng, block.trail) for part, rng in zip(parts, streams, strict=True)]

    def expand(self, block: Block, split: Split) -> Iterator[Leaves]:
        """Splits every node of the block among its branches: into leaves, and nodes of the next depth."""
        discount = self.mdp.gamma**block.depth
        last = block.depth + 1 == self.mdp.horizon
        arrivals: dict[int, list[Arrivals]] = {}  # by the state that they arrive in
        scratch = self._scratch
        scratch.used = 0
        for state, group in block.frontier.items():
            branches = self.branches(state)
            ending = np.arange(len(branches.prob)) if last else np.flatnonzero(branches.ends)
            reward = discount * branches.reward[:, None]
            for nodes, reached, so_far in self._lots(group, len(branches.prob), block.rng is not None):
                mark = scratch.used
                measure = scratch.take(len(branches.prob), len(reached))
                returns = scratch.take(*measure.shape)
                split(branches, reached, block.rng, measure)
                np.add(reward, so_far, out=returns)
                if len(ending) == len(branches.prob):
                    yield Leaves(state, ending, nodes, measure, returns)
                    scratch.used = mark  # nothing of this lot is kept
                    continue
                if len(ending):
                    yield Leaves(state, ending, nodes, measure[ending], returns[ending])
                for k, ends in enumerate(branches.ends):
                    if not ends:
                        arrived = Arrivals(state, nodes, k, measure[k], returns[k])
                        arrivals.setdefault(branches.next_state[k], []).append(arrived)
        self._hang(block, arrivals)

    def _lots(self, group: Group, width: int, counts: bool) -> Iterator[tuple[Nodes, Floats, Floats]]:
        """A group's nodes with their measures and returns, a lot at a time; without those that no rollout reaches."""
        size = max(1, LEAVES_TOGETHER // width)
        for lo in range(0, len(group.measure), size):
            nodes: Nodes = slice(lo, min(lo + size, len(group.measure)))
            if counts and not group.measure[nodes].all():
                nodes = lo + np.flatnonzero(group.measure[nodes])
            measure = group.measure[nodes]
            if len(measure):
                yield nodes, measure, group.returns[nodes]

    def _hang(self, block: Block, arrivals: dict[int, list[Arrivals]]) -> None:
        """Joins the arrivals in each state to one group of the block's children, and keeps where they hang."""
        while len(self._children_of_depth) <= block.depth:
            self._children_of_depth.append(Scratch())
        self._children_of_depth[block.depth].used = 0
        number = 0
        kept: list[Arrivals] = []
        for child, arrived in arrivals.items():
            if block.rng is not None:
                arrived = [part for part in (part.without_zeros() for part in arrived) if len(part.measure)]
            if arrived:
                block.children[child] = self._join(block, child, arrived, number)
                number += len(block.children[child].measure)
                kept += arrived
        if block.trail is not None and kept:
            block.trail_below = self._trail(block, kept)

    def _join(self, block: Block, child: int, arrived: list[Arrivals], number: int) -> Group:
        """The nodes of the next depth in one state, copied out of the scratch memory; adds their links."""
        lo = 0
        for part in arrived:
            hi = lo + len(part.measure)
            pair = self.branches(part.parent).pair[part.branch]
            block.links.append(Link(child, lo, hi, part.parent, part.nodes, pair))
            lo = hi
        measure, returns, weight = self._children_of_depth[block.depth].take(3, lo)
        np.concatenate([part.measure for part in arrived], out=measure)
        np.concatenate([part.returns for part in arrived], out=returns)
        weight[:] = 0.0
        return Group(measure, returns, weight, number)

    def _trail(self, block: Block, arrived: list[Arrivals]) -> Trail:
        """The trail of the next depth, in the order in which its nodes were joined."""
        parents: list[Ints] = []
        outcomes: list[Ints] = []
        for part in arrived:
            parents.append(block.frontier[part.parent].number + node_numbers(part.nodes))
            outcome = self.branches(part.parent).first + part.branch
            outcomes.append(np.full(len(part.measure), outcome, dtype=np.int64))
        return Trail(block.trail, np.concatenate(parents), np.concatenate(outcomes))
