"""The runs of an agent on a model, in parts: what whoever does them makes of each."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import EstimatorError
from pgcheck.external.agent_source import AgentSource
from pgcheck.external.draws.tree import Branch
from pgcheck.external.lot import Before, Lot
from pgcheck.external.run import Variation
from pgcheck.external.sample import Sample
from pgcheck.model.linearised import Linearised
from pgcheck.model.mdp import MDP
from pgcheck.verification.batch_sums import BATCHES
from pgcheck.workers.executor import HERE, Arrays, Executor

TOGETHER = BATCHES  # sampled runs in a part
PART_SECONDS = 0.5  # that a request for sampled runs should take

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Site:
    """An agent on a model.

    Attributes:
      source: runs the agent.
      mdp: the model.
      variation: how it is run.
      theta: the policy's parameters at the start of each run `[d]`.
    """

    source: AgentSource
    mdp: MDP
    variation: Variation
    theta: Floats

    @classmethod
    def of(cls, source: AgentSource, mdp: MDP, variation: Variation, policy: Linearised) -> "Site":
        """Returns the place of an agent that has this policy on the model."""
        return cls(source, mdp, variation, policy.theta)

    def taken(self) -> AgentSource:
        """Returns the source, once it has taken the agent to the model.

        Raises:
          EstimatorError: it begins with other parameters here.
        """
        if not np.array_equal(self.source.at(self.mdp, self.variation).theta, self.theta):
            raise EstimatorError(
                f"{self.source.name} made other parameters in another process: each run has to begin alike\n"
                "  Seed it, as by torch.manual_seed(0) in its first line, and draw nothing while its file is imported"
            )
        return self.source

    def executor(self, executor: Executor) -> Executor:
        """Returns who does the parts: this process alone, where the agent cannot travel."""
        return executor if self.source.travels else HERE

    @property
    def label(self) -> str:
        """What is done."""
        return f"running {self.source.name} on {self.mdp.name}"


@dataclass(frozen=True, eq=False)
class OfBranches(Site):
    """All runs of some branches of the tree (`Task`), which are the parts, each after its number.

    Attributes:
      before: what is known before them.
      most: how many runs of a branch there may be.
    """

    before: Before
    most: int

    def __call__(self, part: tuple[int, Branch], /) -> Arrays:
        """Returns what the runs show, as arrays of a `Lot`."""
        number, branch = part
        return self.taken().walk(branch, number, self.before, self.most).arrays


@dataclass(frozen=True, eq=False)
class Drawn(Site):
    """Runs whose draws come out at random (`Task`); a part is the number of the first of 64 runs.

    Attributes:
      seed: of all runs.
    """

    seed: int

    def __call__(self, first: int, /) -> Arrays:
        """Returns what the runs show, as arrays of a `Sample`."""
        source, samples, done = self.taken(), [], 0
        while done < TOGETHER:  # a request for all of them may take longer than a run may
            samples.append(source.sample(self.seed, first + done, TOGETHER - done, PART_SECONDS))
            done += len(samples[-1])
        return Sample.joined(samples).arrays


def drawn_runs(site: Site, seed: int, numbers: range, executor: Executor) -> Generator[Sample, None, None]:
    """Yields sampled runs of these numbers, a multiple of 64, 64 at a time, made by whoever does the parts."""
    task = Drawn(site.source, site.mdp, site.variation, site.theta, seed)
    return _each(Sample.of_arrays, site.executor(executor).map(task, numbers[::TOGETHER]))


def lots_of(
    site: Site, branches: Sequence[Branch], before: Before, most: int, executor: Executor
) -> Generator[Lot, None, None]:
    """Yields what the runs of each branch show, at most so many of each, made by whoever does the parts."""
    task = OfBranches(site.source, site.mdp, site.variation, site.theta, before, most)
    return _each(Lot.of_arrays, site.executor(executor).map(task, [*enumerate(branches)]))


def _each(made: Callable[[Arrays], Result], results: Iterator[Arrays]) -> Generator[Result, None, None]:
    """What is made of each result; closed before its end, it ends the work at once."""
    try:
        for arrays in results:
            yield made(arrays)
    finally:
        if isinstance(results, Generator):
            results.close()
