"""An agent that runs in a process of its own; sent to another process, it runs in a process of that one."""

from collections.abc import Callable

from pgcheck.external import contents, requests
from pgcheck.external.agent_source import AS_IT_IS, LOT_SECONDS, TRIAL_SECONDS, Beginning, Told
from pgcheck.external.draws.tree import Branch
from pgcheck.external.lot import Before, Cut, Lot
from pgcheck.external.process import Child
from pgcheck.external.run import Variation
from pgcheck.external.sample import Sample
from pgcheck.external.travelling import KeptChild, Place, kept_child
from pgcheck.model.linearised import Linearised
from pgcheck.model.mdp import MDP

GRACE = 1.0  # seconds that the child has to say where a run hangs, before it is killed


class AgentProcess:
    """The agent (`AgentSource`) that a child process has loaded; errors are those of `Child`, and of `AgentSource`.

    A run that lasts longer than the child's timeout is ended, and with it the child.
    """

    def __init__(self, child: Child | KeptChild) -> None:
        self.name, self.travels = child.name, True
        self._child = child
        self._place: tuple[MDP, Variation] | None = None  # where the child has taken the agent
        self._policy: Linearised | None = None

    def __reduce__(self) -> "tuple[Callable[[Place], AgentProcess], tuple[Place]]":
        """It travels as the place of its code."""
        return arrived, (Place(self.name, self._child.timeout, self._child.directory),)

    def begin(self, mdp: MDP, variation: Variation = AS_IT_IS, *, rehearses: bool = True) -> Beginning:
        """Takes the agent to a model, and returns what a first run shows."""
        self._place = None
        request = requests.Begin(mdp, variation, rehearses, self._child.timeout)
        beginning = self._child.ask(request, contents.beginning_on(mdp), more=TRIAL_SECONDS + GRACE)
        self._place, self._policy = (mdp, variation), beginning.subject.policy
        if isinstance(self._child, KeptChild):
            self._child.holder = self
        return beginning

    def at(self, mdp: MDP, variation: Variation) -> Linearised:
        """Returns the agent's policy on a model, once it was taken there if it is not."""
        is_there = self._place is not None and self._place[0] is mdp and self._place[1] is variation
        if isinstance(self._child, KeptChild):
            is_there = is_there and self._child.holder is self
        if not is_there or self._policy is None:
            return self.begin(mdp, variation, rehearses=False).subject.policy
        return self._policy

    def cut(self, most: int, *, drawn: bool = False, told: Told | None = None) -> Cut:
        """Returns what the runs show that cut the tree of all runs, at most so many, and what is left; see `Loop`."""
        return self._made(requests.Cut(LOT_SECONDS, self._child.timeout, most, drawn), most, told)

    def walk(self, branch: Branch, number: int, before: Before, most: int) -> Lot:
        """Returns what the runs of a branch show, at most so many; see `Loop`."""
        return self._made(requests.Walk(LOT_SECONDS, self._child.timeout, branch, number, before, most), most).lot

    def sample(self, seed: int, first: int, count: int, seconds: float) -> Sample:
        """Returns what runs show whose draws come out at random; see `Loop.sample`."""
        assert self._place is not None
        assert self._policy is not None
        request = requests.Draw(seconds, self._child.timeout, count, seed, first)
        read = contents.sample_on(self._place[0], len(self._policy.theta), count)
        return self._child.ask(request, read, more=seconds + GRACE)

    def _made(self, request: requests.Cut | requests.Walk, most: int, told: Told | None = None) -> Cut:
        """What runs show, once requests for some at a time have made all of them."""
        assert self._place is not None
        assert self._policy is not None
        read = contents.cut_on(self._place[0], len(self._policy.theta), most)
        asked: requests.Request = request
        while not isinstance(cut := self._child.ask(asked, read, more=LOT_SECONDS + GRACE), Cut):
            asked = requests.Advance(LOT_SECONDS, self._child.timeout)
            if told is not None:
                told(*cut)
        return cut


def arrived(place: Place) -> AgentProcess:
    """Returns the agent that was sent to this process."""
    return AgentProcess(kept_child(place))
