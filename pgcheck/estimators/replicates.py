"""Independent estimates from N rollouts each, in parts."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.sampled import Progress, sample_gradient
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.dealing import number_of_parts
from pgcheck.trajectories.sampling import Streams
from pgcheck.workers.executor import HERE, Arrays, Executor, fractions

MAX_LOTS = 64  # of replicates, each of them a part


def estimates_of(
    task: "Replicates", replicates: int, executor: Executor, progress: Progress | None = None
) -> Iterator[Floats]:
    """Yields independent estimates `[d]`: some of them are a part, or, of many rollouts, each is in parts itself.

    Args:
      task: what makes them.
      replicates: how many.
      executor: does the parts.
      progress: called with the fraction done, 0 to 1, from time to time.
    """
    if replicates > 1 and number_of_parts(task.n) == 1:
        lots = np.array_split(np.arange(replicates), min(replicates, MAX_LOTS))
        for (estimates,) in fractions(executor.map(task, lots), len(lots), progress):
            yield from estimates
        return
    for replicate in range(replicates):  # each in parts
        part = None if progress is None else _part(progress, replicate, replicates)
        yield task.estimate(replicate, executor, part)


@dataclass(frozen=True, eq=False)
class Replicates:
    """Independent estimates from n rollouts (`Task`); a part is the numbers of some.

    Attributes:
      mdp, policy, estimator, behavior: as in `converge`.
      n: the number of rollouts of each.
      stream: gives the randomness of (n, replicate).
    """

    mdp: MDP
    policy: Policy
    estimator: Estimator
    behavior: Policy | None
    n: int
    stream: Streams

    @property
    def label(self) -> str:
        """What is done."""
        return f"sampling {self.mdp.name}"

    def __call__(self, replicates: Ints, /) -> Arrays:
        """Returns the estimates `[r, d]`."""
        return (np.array([self.estimate(replicate, HERE, None) for replicate in replicates.tolist()]),)

    def estimate(self, replicate: int, executor: Executor, progress: Progress | None) -> Floats:
        """Returns one of them `[d]`."""
        return sample_gradient(
            self.mdp, self.policy, self.n, self.stream(self.n, replicate),
            estimator=self.estimator, behavior=self.behavior, progress=progress, executor=executor,
        ).estimate  # fmt: skip


def _part(progress: Progress, done: int, parts: int) -> Progress:
    """Reports the progress of one of several equal parts."""
    return lambda fraction: progress((done + fraction) / parts)
