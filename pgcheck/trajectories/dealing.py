"""N rollouts in parts: they are split down the tree until there are many nodes, which are dealt out to the parts.

A part is what hangs below some nodes, each with the number of rollouts that reach it, and a random stream. So a
trajectory is in one part alone, and the cost is that of splitting all of them at once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pgcheck.arrays import Floats, fields_alone
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.frontier import Block, Group, Leaves
from pgcheck.trajectories.parts import MAX_DEPTH, Part, Top, weights_of
from pgcheck.trajectories.sampling import Sampler, split_counts
from pgcheck.workers.executor import Arrays, Executor, fractions

FEW = 2**16  # rollouts: a second or so, of a user's function; a part has no fewer
FEW_PARTS = 64  # of more rollouts than that, until they are many
MANY = 2**20  # rollouts: some tenths of a second, of sums; a part has no more, until there are as many as may be
MAX_PARTS = 4096
NODES_OF_A_PART = 64  # about


def number_of_parts(n: int) -> int:
    """Returns into how many parts n rollouts are cut: whatever is made of them, so that it is made of the same."""
    return max(1, min(n // FEW, FEW_PARTS), min(n // MANY, MAX_PARTS))


class Dealt:
    """The rollouts of a sampler in parts.

    Args:
      sampler: of all rollouts.

    Attributes:
      sampler: as it was given.
    """

    def __init__(self, sampler: Sampler) -> None:
        self.sampler, self._number = sampler, number_of_parts(sampler.n)
        self._top = Top(sampler.tree, sampler.root(), split_counts)

    def top(self) -> Iterator[tuple[Block, Leaves]]:
        """Yields the trajectories that end before there are parts."""
        for block, leaves in self._top.walk(self._is_wide):
            yield block, leaves
            self.sampler.gather(block, leaves)

    def parts(self) -> list[Part]:
        """Returns the parts, once `top` is done; they have about the same number of rollouts."""

        def rollouts(_: int, group: Group) -> Floats:
            return group.measure

        return self._top.parts(self._top.costs(rollouts), self._number)

    def hang(self, weights: Floats) -> None:
        """Gathers what the parts came to: the weights of their nodes, in their order."""
        for block in self._top.hang(weights):
            self.sampler.gather(block, None)

    def _is_wide(self, block: Block) -> bool:
        nodes = sum(len(group.measure) for group in block.frontier.values())
        deep = block.depth in (self.sampler.mdp.horizon - 1, MAX_DEPTH)
        return deep or nodes >= NODES_OF_A_PART * self._number


def sampled_sums(
    sampler: Sampler, task: "RolledOut", executor: Executor, progress: Callable[[float], None] | None
) -> tuple[Floats, float]:
    """Returns the mean of R Σ_t ∇log π(a_t|s_t) `[d]` and of R over a sampler's rollouts.

    Args:
      sampler: made without `paths`.
      task: does them.
      executor: has it done.
      progress: called with the fraction done, 0 to 1, from time to time.
    """
    if number_of_parts(sampler.n) == 1:
        for _ in sampler.walk():
            if progress is not None:
                progress(sampler.fraction())
        return sampler.result()
    dealt = Dealt(sampler)
    for _ in dealt.top():
        pass
    parts, weights = dealt.parts(), [np.zeros(0)]
    for sums, weight in fractions(executor.map(task, parts), len(parts), progress):
        sampler.gatherer.add_all(sums)
        weights.append(weight)
    dealt.hang(np.concatenate(weights))
    return sampler.result()


@dataclass(frozen=True, eq=False)
class RolledOut:
    """What comes of a part's rollouts (`Task`): the sums of a `Gatherer`, and the weights of the part's nodes.

    Attributes:
      mdp: the model.
      actor: draws the actions.
      target: the point θ at which the gradient is taken.
      n: the number of all rollouts.
    """

    mdp: MDP
    actor: Policy
    target: Policy
    n: int

    @property
    def label(self) -> str:
        """What is done."""
        return f"sampling {self.mdp.name}"

    @cached_property
    def _sampler(self) -> Sampler:
        return Sampler(self.mdp, self.actor, self.n, np.random.default_rng(0), target=self.target)

    __getstate__ = fields_alone

    def __call__(self, part: Part, /) -> Arrays:
        """Returns the sums `[S A + 2]` and the weights `[m]`."""
        root = part.block()
        sampler = self._sampler.of_part(root)
        for _ in sampler.walk():
            pass
        return sampler.gatherer.sums(), weights_of(root)
