"""The gradients of an agent's runs whose draws come out at random, and what each is compared with."""

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.external.episodes import decoded
from pgcheck.external.sample import Sample
from pgcheck.model.linearised import Linearised
from pgcheck.model.mdp import MDP
from pgcheck.verification.batch_sums import Sums, errors_of
from pgcheck.verification.drawn import BLOCK, FEW, Draw
from pgcheck.verification.known import Known, best_known, parts_of
from pgcheck.verification.loop_parts import Site, drawn_runs
from pgcheck.verification.recorded import Recorded
from pgcheck.verification.setting import Setting
from pgcheck.workers.executor import Executor

APART = 2**48  # the number of the first of the runs that are in no block
KEPT = 2**10  # runs of which everything is kept


class NotFiniteError(Exception):
    """Some runs have a gradient that is not finite."""


class OtherwiseError(Exception):
    """A run is not like those before it: what runs were compared with does not have the expectation ∇J."""


class OfAgent:
    """The gradients (`Outputs`) of runs, each less one that has the expectation ∇J.

    That is ∇J itself, unless each run has the same number of whole episodes and all actions are known to be drawn by
    the policy: then it is what a right estimator makes of the run's episodes, which has more of the noise.

    Args:
      site: the agent on the model.
      policy: the agent's.
      gradient: ∇J `[d]`.
      seed: of all runs.
      plain: whether gradients are compared with ∇J in any case.

    Attributes:
      runs: how many have been made.
      not_finite, without, clipped: how many of them had a gradient that is not finite, had none, had one clipped.
      kept: the first of them.

    Raises (from `sums`):
      EstimatorError: the agent cannot be run.
      NotFiniteError: at the end of a block.
      OtherwiseError: a run has other episodes or actions than those before it.
    """

    def __init__(self, site: Site, policy: Linearised, gradient: Floats, seed: int, *, plain: bool = False) -> None:
        self._site, self._mdp, self._policy, self._gradient, self._seed = site, site.mdp, policy, gradient, seed
        self.runs = self.not_finite = self.without = self.clipped = 0
        self.kept: list[Sample] = []
        self._episodes = 0  # of each run, where a known estimator has their number
        self._known: Known | None = None
        self._plain = plain

    @property
    def single(self) -> bool:
        """Whether the policy computes in single precision."""
        return self._policy.single

    @property
    def is_compared(self) -> bool:
        """Whether runs are compared with what a right estimator makes of their episodes."""
        return self._known is not None

    def sums(self, blocks: Sequence[int], executor: Executor) -> Iterator[Sums]:
        """Yields the sums over the gradients of the 4,096 runs of each block, of 64 runs at a time."""
        if not self._plain and not self.runs:
            self._known = self._found(executor)
        runs = drawn_runs(self._site, self._seed, range(blocks[0] * BLOCK, (blocks[-1] + 1) * BLOCK), executor)
        with contextlib.closing(runs):
            for sample in runs:
                self._note(sample)
                errors = np.nan_to_num(sample.gradients - self._due(sample))
                gradients = np.nan_to_num(sample.gradients)
                sums = Sums.empty(len(self._gradient))
                sums.add(errors_of(gradients, gradients - errors, single=self.single), gradients)
                yield sums
                if self.not_finite and self.runs % BLOCK == 0:
                    raise NotFiniteError

    def _note(self, sample: Sample) -> None:
        if self.runs < KEPT:
            self.kept.append(sample)
        self.runs += len(sample)
        self.not_finite += int(np.count_nonzero(np.isnan(sample.gradients).any(axis=1)))
        self.without += int(np.count_nonzero(sample.without))
        self.clipped += int(np.count_nonzero(sample.clipped))

    def _due(self, sample: Sample) -> Floats:
        """What has the expectation ∇J: of each run `[m, d]`, or of all `[d]`."""
        if self._known is None:
            return self._gradient
        recorded = self._recorded(sample)
        if not self._is_known(sample, recorded):
            raise OtherwiseError
        return self._known(self._drawn(recorded))

    def _drawn(self, recorded: Recorded) -> Draw:
        """The episodes of each run as a batch."""
        order = np.argsort(recorded.run, kind="stable")
        index = np.arange(len(order)).reshape(-1, self._episodes)
        return Draw(recorded.batch.part(recorded.number[order]), index)

    def _is_known(self, sample: Sample, recorded: Recorded) -> bool:
        """Whether the episodes of runs are as many as they have to be, whole ones, and drawn by the policy."""
        return bool(
            np.all(sample.by_policy) and np.all(recorded.episodes == self._episodes) and np.all(recorded.ended)
        )

    def _found(self, executor: Executor) -> Known | None:
        """A combination of known estimators that is near to the gradients of a few runs in no block."""
        sample = Sample.joined([*drawn_runs(self._site, self._seed, range(APART, APART + FEW), executor)])
        recorded = self._recorded(sample)
        self._episodes = int(recorded.episodes[0])
        if not self._episodes or not self._is_known(sample, recorded) or not np.all(np.isfinite(sample.gradients)):
            return None
        parts = parts_of(Setting(self._mdp, self._policy))
        return best_known(self._gradient, parts, self._drawn(recorded), sample.gradients)

    def _recorded(self, sample: Sample) -> Recorded:
        return recorded_of(self._mdp, self._policy, sample.episodes, len(sample))


def recorded_of(mdp: MDP, policy: Linearised, episodes: list[int], runs: int) -> Recorded:
    """Returns the episodes of runs that are equally likely."""
    return Recorded.of(mdp, policy, np.full(runs, 1 / runs), decoded(episodes, mdp, runs))
