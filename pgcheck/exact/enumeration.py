"""Enumeration: J and ∇J from every trajectory that the policy can produce.

    ∇J = Σ_τ P(τ) R(τ) Σ_t ∇log π(a_t|s_t) = Σ_{s,a} w(s, a) ∇log π(a|s)

w(s, a) is the sum of P(τ) R(τ) over the trajectories through (s, a), once for each visit. It is gathered on the way
back up the tree (`trajectories.sums`), and pulled back to θ once.
"""

import math
from collections.abc import Callable

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.sums import Gatherer
from pgcheck.trajectories.tree import Tree, split_probability


def enumerate_gradient(
    mdp: MDP, policy: Policy, *, progress: Callable[[float], None] | None = None
) -> tuple[float, Floats, float]:
    """Returns J, ∇J `[d]` and Σ_τ P(τ), which is 1 but for rounding.

    Args:
      mdp, policy: the problem, and where to differentiate.
      progress: called with the fraction done, 0 to 1, from time to time.
    """
    tree = Tree(mdp, policy.probs())
    gatherer = Gatherer(tree)
    root = tree.root(np.where(mdp.terminal, 0.0, mdp.start))
    for block, leaves in tree.walk(root, split_probability):
        gatherer.take(block, leaves)
        if progress is not None and leaves is None:
            progress(gatherer.progress())
    gathered = gatherer.result()
    mass = math.fsum([gathered.measure, *mdp.start[mdp.terminal]])  # with the trajectories of length 0
    return gathered.value, policy.pullback(gathered.weights), mass
