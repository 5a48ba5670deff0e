"""The episodes of all runs of an agent, as its loop saw them: whole ones, and those that were under way at the end.

What a known mistake would have for an expectation follows from them: every weight of ∇log π depends on the episodes
alone, and every divisor on how many of them, and of steps, a run has.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pgcheck.arrays import Bools, Floats, Ints
from pgcheck.external.episodes import Episodes
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch


@dataclass(frozen=True, eq=False)
class Recorded:
    """The episodes of M runs, E in all, of which n are distinct; those without a step are left out.

    Attributes:
      probs: the probability of each run `[M]`.
      run, environment: of each episode: its run, and the number of its environment there `[E]`.
      number: which of the distinct episodes each is `[E]`.
      batch: the distinct episodes `[n]`; one that was under way when its run ended is shorter than the model's.
    """

    probs: Floats
    run: Ints
    environment: Ints
    number: Ints
    batch: Batch

    @classmethod
    def of(cls, mdp: MDP, policy: Policy, probs: Floats, episodes: Episodes) -> "Recorded":
        """Returns the episodes of runs with these probabilities."""
        paths = np.concatenate([episodes.starts[None], episodes.outcomes])
        has_steps = np.any(episodes.outcomes != mdp.padding, axis=0)
        distinct, number = np.unique(paths[:, has_steps], axis=1, return_inverse=True)
        batch = Batch.from_paths(mdp, policy, distinct)
        return cls(probs, episodes.run[has_steps], episodes.environment[has_steps], number.reshape(-1), batch)

    @property
    def lengths(self) -> Ints:
        """The number of steps of each episode `[E]`."""
        return self.batch.lengths[self.number]

    @cached_property
    def steps(self) -> Floats:
        """The number of steps of each run `[M]`."""
        return np.bincount(self.run, self.lengths, minlength=len(self.probs)).astype(np.float64)

    @cached_property
    def episodes(self) -> Floats:
        """The number of episodes of each run `[M]`."""
        return np.bincount(self.run, minlength=len(self.probs)).astype(np.float64)

    @cached_property
    def ended(self) -> Bools:
        """Whether each distinct episode ended, by itself or by the horizon; if not, its run's end cut it `[n]`."""
        mdp, batch = self.batch.mdp, self.batch
        last = batch.outcomes[batch.lengths - 1, np.arange(len(batch))]
        return np.asarray(mdp.done[last] | mdp.terminal[mdp.next_state[last]] | (batch.lengths == mdp.horizon))

    def weights(self, share: Floats) -> Floats:
        """Returns Σ P(run) share over the episodes of all runs, for each distinct episode `[n]`; `share` is `[E]`."""
        weights = self.probs[self.run] * share
        return np.bincount(self.number, weights, minlength=len(self.batch)).astype(np.float64)
