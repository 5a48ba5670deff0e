"""Where an agent runs: in this process, or in one of its own. Verification knows agents by this protocol alone."""

from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np

from pgcheck.errors import UsageError
from pgcheck.external.agents import Agent, AgentFunction
from pgcheck.external.loop import Loop, Lot, Rehearsal
from pgcheck.external.run import Variation
from pgcheck.external.subject import Subject
from pgcheck.model.mdp import MDP

AS_IT_IS = Variation()
TRIES = 16  # runs by which their number is estimated


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
        """Returns what further runs show: as many as take about so many seconds, at least one, at most so many."""


class LocalAgent:
    """An agent (`AgentSource`) that runs in this process."""

    def __init__(self, function: AgentFunction) -> None:
        self.name = function.name
        self._function = function
        self._loop: Loop | None = None

    def begin(self, mdp: MDP, variation: Variation = AS_IT_IS) -> Beginning:
        """Takes the agent to a model, and returns what a first run shows."""
        self._loop = Loop(self._function, mdp, variation)
        return Beginning(self._loop.subject, self._loop.rehearse(TRIES, np.random.default_rng(0)))

    def advance(self, seconds: float, most: int) -> Lot:
        """Returns what further runs show: as many as take about so many seconds, at least one, at most so many."""
        assert self._loop is not None
        return self._loop.advance(seconds, most)


def agent_source_of(thing: object) -> AgentSource | None:
    """Returns an agent that can be run, of a marked function or as it is; None where it is something else.

    Raises:
      UsageError: it is an `Agent`, which cannot be made anew.
    """
    if isinstance(thing, AgentFunction):
        return LocalAgent(thing)
    if isinstance(thing, Agent):
        raise UsageError(
            "an Agent alone cannot be run again and again; write a function that makes it:\n"
            "  @agent\n  def my_agent(env):\n      return Agent(...)"
        )
    return cast(AgentSource, thing) if hasattr(thing, "begin") and hasattr(thing, "advance") else None
