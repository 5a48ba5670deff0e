"""What a child process may be asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pgcheck.arrays import Ints
from pgcheck.external.draws.tree import Branch
from pgcheck.external.lot import Before
from pgcheck.external.policies import Named
from pgcheck.external.run import Variation
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Load:
    """Asks the child to import what is to be run, and of which kind it is."""


@dataclass(frozen=True, eq=False)
class Model:
    """The model and the policies of all calls that follow; as they are, or named for the other process."""

    mdp: MDP
    policy: Policy | Named
    behavior: Policy | Named | None

    def is_of(self, batch: Batch) -> bool:
        """Whether these very objects are the model of `batch`."""
        return self.mdp is batch.mdp and self.policy is batch.policy and self.behavior is batch.behavior


@dataclass(frozen=True, eq=False)
class Call:
    """Asks for the gradients of a batch, or of many small batches that are drawn from it.

    Attributes:
      starts, outcomes: the batch's trajectories, as in `Batch`.
      alterations: arrays that differ from what the trajectories give, by their names in `Batch`.
      index: None for the batch as a whole; else the numbers of each small batch's episodes `[M, B]`.
    """

    starts: Ints
    outcomes: Ints
    alterations: "Mapping[str, NDArray[Any]]"
    index: Ints | None


@dataclass(frozen=True, eq=False)
class Begin:
    """Asks to take the agent to a model.

    Attributes:
      mdp: the model.
      variation: how the agent is run.
      rehearses: whether it is asked what a whole run shows, and how many there are.
      limit: the seconds after which a run is said to hang.
    """

    mdp: MDP
    variation: Variation
    rehearses: bool
    limit: float


@dataclass(frozen=True)
class Advance:
    """Asks to go on with the runs that are under way, for so many seconds; `limit` as in `Begin`."""

    seconds: float
    limit: float


@dataclass(frozen=True)
class Cut(Advance):
    """Asks to begin with the runs that cut the tree of all runs: as in `AgentSource.cut`."""

    most: int
    drawn: bool


@dataclass(frozen=True)
class Walk(Advance):
    """Asks to begin with the runs of a branch: as in `AgentSource.walk`."""

    branch: Branch
    number: int
    before: Before
    most: int


@dataclass(frozen=True)
class Draw(Advance):
    """Asks for runs whose draws come out at random: as in `AgentSource.sample`."""

    most: int
    seed: int
    first: int


Request = Load | Model | Call | Begin | Advance
