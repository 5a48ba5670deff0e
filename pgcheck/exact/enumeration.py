"""Enumeration: J and ∇J from every trajectory that the policy can produce.

    ∇J = Σ_τ P(τ) R(τ) Σ_t ∇log π(a_t|s_t) = Σ_{s,a} w(s, a) ∇log π(a|s)

w(s, a) is the sum of P(τ) R(τ) over the trajectories through (s, a), once for each visit. It is gathered on the way
back up the tree (`trajectories.sums`), part by part (`trajectories.parts`), and pulled back to θ once.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pgcheck.arrays import Floats, fields_alone
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.frontier import Block, Group
from pgcheck.trajectories.parts import MAX_DEPTH, MAX_NODES, Below, Part, Top, weights_of
from pgcheck.trajectories.sums import Gatherer
from pgcheck.trajectories.tree import Tree, split_probability
from pgcheck.workers.executor import HERE, Arrays, Executor, fractions

FEW = 4e6  # trajectories: some milliseconds; a part has no fewer
FEW_PARTS = 64  # of more trajectories than that, until they are many
MANY = 2e8  # trajectories: half a second; a part has no more, until there are as many parts as may be
MAX_PARTS = 100_000


def enumerate_gradient(
    mdp: MDP,
    policy: Policy,
    *,
    progress: Callable[[float], None] | None = None,
    executor: Executor = HERE,
) -> tuple[float, Floats, float]:
    """Returns J, ∇J `[d]` and Σ_τ P(τ), which is 1 but for rounding.

    Args:
      mdp, policy: the problem, and where to differentiate.
      progress: called with the fraction done, 0 to 1, from time to time.
      executor: does the parts of the tree.
    """
    tree = Tree(mdp, policy.probs())
    gatherer = Gatherer(tree)
    below = Below(mdp)
    top = Top(tree, tree.root(np.where(mdp.terminal, 0.0, mdp.start)), split_probability)
    number = number_of_parts(sum(below(state, 0) for state in top.bottom.frontier))

    def is_wide(block: Block) -> bool:
        return number == 1 or _is_wide(block, mdp, below, number)

    for block, leaves in top.walk(is_wide):
        gatherer.take(block, leaves)

    def trajectories_below(state: int, group: Group) -> Floats:
        return np.full(len(group.measure), below(state, top.bottom.depth))

    parts = top.parts(top.costs(trajectories_below), number)
    results = executor.map(Subtrees(mdp, tree.probs), parts)
    weights = [np.zeros(0)]
    for sums, weight in fractions(results, len(parts), progress):
        gatherer.add_all(sums)
        weights.append(weight)
    for block in top.hang(np.concatenate(weights)):
        gatherer.take(block, None)
    gathered = gatherer.result()
    mass = math.fsum([gathered.measure, *mdp.start[mdp.terminal]])  # with the trajectories of length 0
    return gathered.value, policy.pullback(gathered.weights), mass


def number_of_parts(trajectories: float) -> int:
    """Returns into how many parts a tree with so many trajectories is cut."""
    return int(max(1, min(trajectories / FEW, FEW_PARTS), min(trajectories / MANY, MAX_PARTS)))


def _is_wide(block: Block, mdp: MDP, below: Below, number: int) -> bool:
    """Whether the nodes of a depth are small enough for parts of about equal size, or too many to go on."""
    if block.depth in (mdp.horizon - 1, MAX_DEPTH):
        return True
    counts = {state: below(state, block.depth) for state in block.frontier}
    sizes = {state: len(group.measure) for state, group in block.frontier.items()}
    all_below = sum(counts[state] * sizes[state] for state in counts)
    return sum(sizes.values()) > MAX_NODES or 2 * number * max(counts.values()) <= all_below


@dataclass(frozen=True, eq=False)
class Subtrees:
    """What comes of a part of the tree (`Task`): the sums of a `Gatherer`, and the weights of the part's nodes.

    Attributes:
      mdp: the model.
      probs: π(a|s) `[S, A]`.
    """

    mdp: MDP
    probs: Floats

    @property
    def label(self) -> str:
        """What is done."""
        return f"enumerating {self.mdp.name}"

    @cached_property
    def _tree(self) -> Tree:
        return Tree(self.mdp, self.probs)

    __getstate__ = fields_alone

    def __call__(self, part: Part, /) -> Arrays:
        """Returns the sums `[S A + 2]` and the weights `[m]`."""
        gatherer, root = Gatherer(self._tree), part.block()
        for block, leaves in self._tree.walk(root, split_probability):
            gatherer.take(block, leaves)
        return gatherer.sums(), weights_of(root)
