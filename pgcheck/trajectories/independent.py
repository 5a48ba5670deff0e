"""Independent rollouts in the order in which they are drawn, with one uniform number for each step of each."""

import numpy as np

from pgcheck.arrays import Ints
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.rollouts import AliasTables
from pgcheck.trajectories.tree import Tree


class Rollouts:
    """Draws rollouts one by one; where counts are split down the tree, they come in its order and not in theirs.

    Args:
      mdp: the model.
      policy: the point θ at which the gradient is taken.
      behavior: draws the actions, where that is not `policy`.
    """

    def __init__(self, mdp: MDP, policy: Policy, behavior: Policy | None = None) -> None:
        self._mdp, self._policy, self._behavior = mdp, policy, behavior
        self._alias = AliasTables(Tree(mdp, (behavior or policy).probs()))
        self._start = np.cumsum(mdp.start / mdp.start.sum())

    def draw(self, n: int, rng: np.random.Generator, *, together: int = 1) -> Batch:
        """Returns n rollouts; each `together` that follow each other share s_0.

        Raises:
          TooLargeError: their steps take more than 1 GB to remember.
        """
        mdp = self._mdp
        u = rng.random(-(-n // together))
        starts = np.minimum(np.searchsorted(self._start, u, side="right"), np.flatnonzero(mdp.start)[-1])
        starts = np.repeat(starts, together)[:n]
        acting = np.flatnonzero(~mdp.terminal[starts])
        paths = self._paths(starts, acting, rng)
        return Batch.from_paths(mdp, self._policy, paths, self._behavior)

    def _paths(self, starts: Ints, acting: Ints, rng: np.random.Generator) -> Ints:
        """The first state and the outcomes of each rollout, padded `[1 + T, n]`; `acting` have a step."""
        if not len(acting):
            return starts[None]
        _, phases = self._alias.roll(rng, starts[acting], np.zeros(len(acting)), 0)
        paths = np.full((1 + sum(len(phase.slots) for phase in phases), len(starts)), self._mdp.padding)
        paths[0] = starts
        t = 1
        for phase in phases:
            columns = acting[phase.rollouts]
            for slot in phase.slots:
                paths[t, columns] = np.take(self._alias.outcome, slot, mode="clip")
                t += 1
        return paths
