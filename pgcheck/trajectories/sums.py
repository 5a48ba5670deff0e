"""What comes back up the tree: for each (state, action), the returns of the trajectories through it.

    w(s, a) = Σ_τ measure(τ) R(τ) · (number of visits of (s, a) by τ)
    value   = Σ_τ measure(τ) R(τ)

With P(τ) for the measure, Σ_{s,a} w(s, a) ∇log π(a|s) is ∇J and the value is J; with n(τ)/N they are REINFORCE's
estimates. No path is kept for it: a node's weight is the sum of its children's, and each child's weight is added to
w at the (state, action) that leads to it.
"""

from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.trajectories.frontier import Block, Group, Leaves
from pgcheck.trajectories.tree import Tree


@dataclass(frozen=True, eq=False)
class Gathered:
    """The sums over all trajectories.

    Attributes:
      weights: Σ measure · R over the trajectories through each (state, action), once for each visit `[S, A]`.
      value: Σ measure · R over all trajectories.
      measure: Σ measure over all trajectories.
    """

    weights: Floats
    value: float
    measure: float


class Gatherer:
    """Sums weights on their way up the tree.

    The sums are compensated (Neumaier): the rounding of each addition is added up too, so that the error does not
    grow with the number of terms.
    """

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        size = tree.mdp.num_states * tree.mdp.num_actions
        self.value = size
        self.measure = size + 1
        self._sum = [0.0] * (size + 2)
        self._lost = [0.0] * (size + 2)

    def add(self, where: int, amount: float) -> None:
        """Adds to the weight of pair number `where`, or to `self.value` or `self.measure`."""
        old = self._sum[where]
        new = old + amount
        part = new - old
        self._lost[where] += (old - (new - part)) + (amount - part)
        self._sum[where] = new

    def add_all(self, amounts: Floats) -> None:
        """Adds the sums of another gatherer `[S A + 2]`."""
        for where in np.flatnonzero(amounts).tolist():
            self.add(where, float(amounts[where]))

    def take(self, block: Block, leaves: Leaves | None) -> None:
        """Takes in an item of `Tree.walk`; it overwrites the arrays of the leaves."""
        if leaves is not None:
            self._take_leaves(block.frontier[leaves.state], leaves)
            return
        for link in block.links:
            weight = block.children[link.child].weight[link.lo : link.hi]
            block.frontier[link.parent].weight[link.nodes] += weight
            self.add(link.pair, float(weight.sum()))
        block.links.clear()
        block.children.clear()
        if block.depth == 0:
            for group in block.frontier.values():
                self.add(self.value, float(group.weight.sum()))

    def _take_leaves(self, group: Group, leaves: Leaves) -> None:
        """Adds the trajectories that end together to their nodes, and to their last (state, action)."""
        self.add(self.measure, float(leaves.measure.sum()))
        weight = np.multiply(leaves.measure, leaves.returns, out=leaves.returns)
        group.weight[leaves.nodes] += weight.sum(axis=0)
        branches = self.tree.branches(leaves.state)
        if len(leaves.branch) == len(branches.prob):
            through = np.add.reduceat(weight.sum(axis=1), branches.cuts).tolist()
            for pair, amount in zip(branches.pairs, through, strict=True):
                self.add(pair, amount)
        else:
            for k, amount in zip(leaves.branch.tolist(), weight.sum(axis=1).tolist(), strict=True):
                self.add(branches.pair[k], amount)

    def progress(self) -> float:
        """Returns the measure of the trajectories so far."""
        return self._sum[self.measure]

    def sums(self) -> Floats:
        """Returns the sums: the weight of each pair, the value and the measure `[S A + 2]`."""
        return np.add(self._sum, self._lost)

    def result(self) -> Gathered:
        """Returns the sums."""
        total = self.sums()
        shape = (self.tree.mdp.num_states, self.tree.mdp.num_actions)
        return Gathered(total[:-2].reshape(shape), float(total[self.value]), float(total[self.measure]))
