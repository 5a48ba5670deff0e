"""An agent that runs in a process of its own."""

from pgcheck.external import contents, wire
from pgcheck.external.agent_source import AS_IT_IS, TRIAL_SECONDS, Beginning
from pgcheck.external.loop import Lot
from pgcheck.external.process import Child
from pgcheck.external.run import Variation
from pgcheck.external.sample import Sample
from pgcheck.model.mdp import MDP

GRACE = 1.0  # seconds that the child has to say where a run hangs, before it is killed


class AgentProcess:
    """The agent (`AgentSource`) that a child process has loaded; errors are those of `Child`, and of `AgentSource`.

    A run that lasts longer than the child's timeout is ended, and with it the child.
    """

    def __init__(self, child: Child) -> None:
        self.name = child.name
        self._child = child
        self._mdp: MDP | None = None
        self._size = 0  # of θ
        self._mass = 0.0  # of the runs so far

    def begin(self, mdp: MDP, variation: Variation = AS_IT_IS) -> Beginning:
        """Takes the agent to a model, and returns what a first run shows."""
        request = wire.Begin(mdp, variation, self._child.timeout)
        beginning = self._child.ask(request, contents.beginning_on(mdp), more=TRIAL_SECONDS + GRACE)
        self._mdp, self._size, self._mass = mdp, len(beginning.subject.policy.theta), 0.0
        return beginning

    def advance(self, seconds: float, most: int) -> Lot:
        """Returns what further runs show: as many as take about so many seconds, at most so many; see `Loop`."""
        assert self._mdp is not None
        request = wire.Advance(seconds, most, self._child.timeout)
        read = contents.lot_on(self._mdp, self._size, most, self._mass)
        lot = self._child.ask(request, read, more=seconds + GRACE)
        self._mass = lot.mass + (0.0 if lot.anew else self._mass)
        return lot

    def sample(self, seed: int, first: int, count: int, seconds: float) -> Sample:
        """Returns what runs show whose draws come out at random; see `Loop.sample`."""
        assert self._mdp is not None
        request = wire.Draw(seconds, count, self._child.timeout, seed, first)
        return self._child.ask(request, contents.sample_on(self._mdp, self._size, count), more=seconds + GRACE)
