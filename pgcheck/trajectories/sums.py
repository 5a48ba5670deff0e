"""What comes back up the tree: Σ measure · R through each (state, action)."""

from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.trajectories.tree import Block, Group, Leaves, Tree


@dataclass(frozen=True, eq=False)
class Gathered:
    """What comes back up the tree.

    Attributes:
      weights: Σ measure · R over the trajectories through each (state, action), once for each visit `[S, A]`.
      value: Σ measure · R over all trajectories.
      measure: Σ measure over all trajectories.
    """

    weights: Floats
    value: float
    measure: float


class Gatherer:
    """Sums weights on their way up, compensated (Neumaier), so that the number of terms does not matter."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        size = tree.mdp.num_states * tree.mdp.num_actions
        self.value = size
        self.measure = size + 1
        self._sum = [0.0] * (size + 2)
        self._lost = [0.0] * (size + 2)

    def add(self, where: int, amount: float) -> None:
        """Adds to a pair's weight, or to `self.value` or `self.measure`."""
        old = self._sum[where]
        new = old + amount
        part = new - old
        self._lost[where] += (old - (new - part)) + (amount - part)
        self._sum[where] = new

    def take(self, node: Block, leaves: Leaves | None) -> None:
        """Takes in what `Tree.walk` yields."""
        if leaves is not None:
            self._leaf(node.frontier[leaves.state], leaves)
            return
        for link in node.links:
            weight = node.children[link.child].weight[link.lo : link.hi]
            node.frontier[link.parent].weight[link.nodes] += weight
            self.add(link.pair, float(weight.sum()))
        node.links.clear()
        node.children.clear()
        if node.depth == 0:
            for group in node.frontier.values():
                self.add(self.value, float(group.weight.sum()))

    def _leaf(self, group: Group, leaf: Leaves) -> None:
        self.add(self.measure, float(leaf.measure.sum()))
        weight = np.multiply(leaf.measure, leaf.returns, out=leaf.returns)
        group.weight[leaf.nodes] += weight.sum(axis=0)
        branches = self.tree.branches(leaf.state)
        if len(leaf.branch) == len(branches.prob):
            through = np.add.reduceat(weight.sum(axis=1), branches.cuts).tolist()
            for pair, amount in zip(branches.pairs, through, strict=True):
                self.add(pair, amount)
        else:
            for k, amount in zip(leaf.branch.tolist(), weight.sum(axis=1).tolist(), strict=True):
                self.add(branches.pair[k], amount)

    def progress(self) -> float:
        """Returns the measure of the trajectories so far."""
        return self._sum[self.measure]

    def result(self) -> Gathered:
        """Returns the sums."""
        total = np.array(self._sum) + np.array(self._lost)
        shape = (self.tree.mdp.num_states, self.tree.mdp.num_actions)
        return Gathered(total[:-2].reshape(shape), float(total[self.value]), float(total[self.measure]))
