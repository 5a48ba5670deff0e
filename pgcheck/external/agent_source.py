"""Where an agent runs: in this process, or in one of its own. Verification knows agents by this protocol alone."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pgcheck.external.agents import AgentFunction
from pgcheck.external.draws.tree import Branch
from pgcheck.external.episodes import decoded
from pgcheck.external.loop import Loop, Rehearsal
from pgcheck.external.lot import Before, Cut, Lot
from pgcheck.external.run import Variation
from pgcheck.external.sample import Sample
from pgcheck.external.subject import Subject
from pgcheck.model.linearised import Linearised
from pgcheck.model.mdp import MDP

AS_IT_IS = Variation()
TRIES = 8  # runs by which their number is estimated, at most
TRIAL_SECONDS = 5.0  # that they may begin in
LOT_SECONDS = 0.5  # that a request for runs should take


NO_REHEARSAL = Rehearsal(0, 0.0, None)

Told = Callable[[int, float], None]  # is called with how many runs have been made, and with their probability


@dataclass(frozen=True, eq=False)
class Beginning:
    """What is known of an agent on a model before all of its runs.

    Attributes:
      subject: its policy at the start of each run.
      rehearsal: what a whole run shows; `NO_REHEARSAL` where none was asked for.
    """

    subject: Subject
    rehearsal: Rehearsal


class AgentSource(Protocol):
    """An agent that can be run.

    Attributes:
      name: as the user named it.
      travels: whether it can be pickled, and runs wherever it arrives.

    Raises (from every method):
      EstimatorError: the agent cannot be made or run, its draws cannot be answered, or it does not begin alike.
    """

    @property
    def name(self) -> str: ...

    @property
    def travels(self) -> bool: ...

    def begin(self, mdp: MDP, variation: Variation = AS_IT_IS, *, rehearses: bool = True) -> Beginning:
        """Takes the agent to a model, and returns what a first run shows."""

    def at(self, mdp: MDP, variation: Variation) -> Linearised:
        """Returns the agent's policy on a model, once it was taken there if it is not."""

    def cut(self, most: int, *, drawn: bool = False, told: Told | None = None) -> Cut:
        """Returns what the runs show that cut the tree of all runs, at most so many, and what is left; see `Loop`."""

    def walk(self, branch: Branch, number: int, before: Before, most: int) -> Lot:
        """Returns what the runs of a branch show, at most so many; see `Loop`."""

    def sample(self, seed: int, first: int, count: int, seconds: float) -> Sample:
        """Returns what runs show whose draws come out at random; see `Loop.sample`."""


class LocalAgent:
    """An agent (`AgentSource`) that runs in this process."""

    def __init__(self, function: AgentFunction) -> None:
        self.name = function.name
        self.travels = False  # functions that are made in functions cannot be pickled
        self._function = function
        self._loop: Loop | None = None
        self._mdp: MDP | None = None
        self._variation = AS_IT_IS

    def begin(self, mdp: MDP, variation: Variation = AS_IT_IS, *, rehearses: bool = True) -> Beginning:
        """Takes the agent to a model, and returns what a first run shows."""
        self._loop, self._mdp, self._variation = Loop(self._function, mdp, variation), mdp, variation
        subject = self._loop.subject
        if not rehearses:
            return Beginning(subject, NO_REHEARSAL)
        if variation.sampled:
            return Beginning(subject, self._loop.rehearse_sampled())
        return Beginning(subject, self._loop.rehearse(TRIES, TRIAL_SECONDS, np.random.default_rng(0)))

    def at(self, mdp: MDP, variation: Variation) -> Linearised:
        """Returns the agent's policy on a model, once it was taken there if it is not."""
        if self._loop is None or self._mdp is not mdp or self._variation is not variation:
            return self.begin(mdp, variation, rehearses=False).subject.policy
        return self._loop.subject.policy

    def cut(self, most: int, *, drawn: bool = False, told: Told | None = None) -> Cut:
        """Returns what the runs show that cut the tree of all runs, at most so many, and what is left; see `Loop`."""
        self.loop.cut(most, drawn=drawn)
        while (cut := self.advanced(LOT_SECONDS)) is None:
            if told is not None:
                told(*self.loop.progress)
        return cut

    def walk(self, branch: Branch, number: int, before: Before, most: int) -> Lot:
        """Returns what the runs of a branch show, at most so many; see `Loop`."""
        self.loop.walk(branch, number, before, most)
        cut = self.advanced(math.inf)
        assert cut is not None
        return cut.lot

    def advanced(self, seconds: float) -> Cut | None:
        """Returns what `Loop.advance` does, once it is sure that the episodes are the model's."""
        cut = self.loop.advance(seconds)
        if cut is not None and self._mdp is not None:
            decoded(cut.lot.episodes, self._mdp, cut.lot.runs)
        return cut

    @property
    def loop(self) -> Loop:
        """The loop on the model."""
        assert self._loop is not None
        return self._loop

    def sample(self, seed: int, first: int, count: int, seconds: float) -> Sample:
        """Returns what runs show whose draws come out at random; see `Loop.sample`."""
        assert self._mdp is not None
        sample = self.loop.sample(seed, first, count, seconds)
        decoded(sample.episodes, self._mdp, len(sample))
        return sample
