"""The parts of the tree of trajectories: branches, nodes by depth and state, leaves, and how they hang together.

A node is a beginning of trajectories: s_0, a_0, r_0, …, s_t. Nodes of one depth t that are in one state form a
group: they have the same branches, so that sending all n of them through k branches is one product `[k, n]`.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from pgcheck.arrays import Floats, Ints


@dataclass(frozen=True, eq=False, slots=True)
class Branches:
    """The branches of a state: one for each outcome of each action, sorted by action; k of them.

    Attributes:
      first: number of the first outcome in the MDP's arrays; the rest follow.
      prob: π(a|s) P(outcome|s, a) `[k]`.
      reward, next_state, ends: the MDP's columns `[k]`.
      cuts: the first branch of each action `[a]`.
      pairs: s · num_actions + a of each action `[a]`.
      pair: the same of each branch `[k]`.
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
        """Returns nodes lo to hi as views: what is added to their weights is added to these weights."""
        return Group(self.measure[lo:hi], self.returns[lo:hi], self.weight[lo:hi], self.number + lo)


Frontier = dict[int, Group]  # by state
Nodes = Ints | slice  # positions within a group


@dataclass(frozen=True, eq=False, slots=True)
class Trail:
    """How the nodes of one depth were reached; kept where trajectories are wanted one by one.

    Attributes:
      above: the trail of the depth above; None at the root.
      parent: each node's number there `[n]`.
      outcome: the number of the MDP's outcome that leads here; at the root, the first state `[n]`.
    """

    above: "Trail | None"
    parent: Ints
    outcome: Ints

    def paths(self, nodes: Ints) -> Ints:
        """Returns the first state and the outcomes on the way to these nodes `[1 + depth, m]`."""
        steps: list[Ints] = []
        trail: Trail | None = self
        while trail is not None:
            steps.append(trail.outcome[nodes])
            nodes = trail.parent[nodes]
            trail = trail.above
        return np.stack(steps[::-1])


@dataclass(frozen=True, eq=False, slots=True)
class Leaves:
    """Trajectories that end together: below nodes of one state, through some of its branches.

    The arrays are reused: they are valid until the walk is asked for its next item.

    Attributes:
      state: the state before the last step.
      branch: the numbers of the branches that are taken last `[k]`.
      nodes: the state's nodes from which the last step is taken, n of them.
      measure, returns: of the whole trajectories `[k, n]`.
    """

    state: int
    branch: Ints
    nodes: Nodes
    measure: Floats
    returns: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Arrivals:
    """Nodes of the next depth that were reached from nodes of one state through one branch, n of them.

    Attributes:
      parent: the state that they come from.
      nodes: the nodes of that state's group that they hang below.
      branch: the number of the branch.
      measure, returns: as in a group `[n]`.
    """

    parent: int
    nodes: Nodes
    branch: int
    measure: Floats
    returns: Floats

    def without_zeros(self) -> "Arrivals":
        """Returns the nodes that at least one rollout reaches."""
        kept = np.flatnonzero(self.measure)
        return Arrivals(
            self.parent, node_numbers(self.nodes)[kept], self.branch, self.measure[kept], self.returns[kept]
        )


@dataclass(frozen=True, eq=False, slots=True)
class Link:
    """Nodes lo to hi of the child group hang below `nodes` of the parent group.

    Attributes:
      child, parent: the states of the two groups.
      lo, hi: the range of nodes in the child group.
      nodes: as many nodes of the parent group.
      pair: the (state, action) between them, as s · num_actions + a.
    """

    child: int
    lo: int
    hi: int
    parent: int
    nodes: Nodes
    pair: int


@dataclass(eq=False, slots=True)
class Block:
    """Nodes of one depth that are expanded together, and the random stream that belongs to them alone.

    Attributes:
      depth: t, the number of steps taken.
      frontier: its nodes, by state.
      rng: for all draws at these nodes and below; None where measures are probabilities.
      trail, trail_below: how its nodes and its children were reached, where that is kept.
      children: its nodes of the next depth; filled when the block is expanded.
      links: how the children hang below the nodes.
    """

    depth: int
    frontier: Frontier
    rng: "np.random.Generator | None"  # in quotes: NumPy loads np.random when it is named
    trail: Trail | None
    trail_below: Trail | None = None
    children: Frontier = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)


class Scratch:
    """Memory that is reused: the system hands out fresh memory page by page, which costs more than the arithmetic."""

    def __init__(self) -> None:
        self._memory = np.empty(0)
        self.used = 0

    def take(self, *shape: int) -> Floats:
        """Returns an array of this shape with undefined values; valid until `used` is set back.

        Where the memory is too small, it is replaced by a larger one; arrays taken before keep theirs.
        """
        size = math.prod(shape)
        if self.used + size > len(self._memory):
            self._memory = np.empty(max(size, 2 * len(self._memory)))
            self.used = 0
        self.used += size
        return self._memory[self.used - size : self.used].reshape(shape)


def node_numbers(nodes: Nodes) -> Ints:
    """Returns nodes as an array of their numbers."""
    return np.arange(nodes.start, nodes.stop) if isinstance(nodes, slice) else nodes
