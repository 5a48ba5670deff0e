"""Where an agent runs: in this process, or in one of its own. Verification knows agents by this protocol alone."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pgcheck.external.agents import AgentFunction
from pgcheck.external.episodes import decoded
from pgcheck.external.loop import Loop, Lot, Rehearsal
from pgcheck.external.run import Variation
from pgcheck.external.sample import Sample
from pgcheck.external.subject import Subject
from pgcheck.model.mdp import MDP

AS_IT_IS = Variation()
TRIES = 8  # runs by which their number is estimated, at most
TRIAL_SECONDS = 5.0  # that they may begin in


@dataclass(frozen=True, eq=False)
class Beginning:
    """What is known of an agent on a model before all of its runs.

    Attributes:
      subject: its policy at the start of each run.
      rehearsal: what a whole run shows.
    """

    subject: Subject
    rehearsal: Rehearsal


class AgentSource(Protocol):
    """An agent that can be run.

    Attributes:
      name: as the user named it.

    Raises (from every method):
      EstimatorError: the agent cannot be made or run, its draws cannot be answered, or it does not begin alike.
    """

    @property
    def name(self) -> str: ...

    def begin(self, mdp: MDP, variation: Variation = AS_IT_IS) -> Beginning:
        """Takes the agent to a model, and returns what a first run shows."""

    def advance(self, seconds: float, most: int) -> Lot:
        """Returns what further runs show: as many as take about so many seconds, at most so many; see `Loop`."""

    def sample(self, seed: int, first: int, count: int, seconds: float) -> Sample:
        """Returns what runs show whose draws come out at random; see `Loop.sample`."""


class LocalAgent:
    """An agent (`AgentSource`) that runs in this process."""

    def __init__(self, function: AgentFunction) -> None:
        self.name = function.name
        self._function = function
        self._loop: Loop | None = None
        self._mdp: MDP | None = None

    def begin(self, mdp: MDP, variation: Variation = AS_IT_IS) -> Beginning:
        """Takes the agent to a model, and returns what a first run shows."""
        self._loop, self._mdp = Loop(self._function, mdp, variation), mdp
        subject = self._loop.subject
        if variation.sampled:
            return Beginning(subject, self._loop.rehearse_sampled())
        return Beginning(subject, self._loop.rehearse(TRIES, TRIAL_SECONDS, np.random.default_rng(0)))

    def advance(self, seconds: float, most: int) -> Lot:
        """Returns what further runs show: as many as take about so many seconds, at most so many; see `Loop`."""
        assert self._loop is not None
        assert self._mdp is not None
        lot = self._loop.advance(seconds, most)
        decoded(lot.episodes, self._mdp, lot.runs)  # which are sure to be the model's
        return lot

    def sample(self, seed: int, first: int, count: int, seconds: float) -> Sample:
        """Returns what runs show whose draws come out at random; see `Loop.sample`."""
        assert self._loop is not None
        assert self._mdp is not None
        sample = self._loop.sample(seed, first, count, seconds)
        decoded(sample.episodes, self._mdp, len(sample))
        return sample
