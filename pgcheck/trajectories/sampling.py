"""N rollouts: the count of each node is split among its branches while it is large; then they are drawn one by one.

n(child 1), …, n(child k) of a node that n rollouts reach are multinomial with the branches' probabilities, and
independent of all that happens elsewhere. The cost of splitting follows the number of distinct trajectories, not N.
Where few rollouts reach a node, drawing them one by one costs less than splitting them on.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import UsageError
from pgcheck.model.mdp import MDP
from pgcheck.model.objective import credited
from pgcheck.model.policy import Policy
from pgcheck.trajectories.frontier import Block, Branches, Group, Leaves
from pgcheck.trajectories.rollouts import MAX_REMEMBERED_STEPS, AliasTables, Phase
from pgcheck.trajectories.sums import Gatherer
from pgcheck.trajectories.tree import Tree

MAX_N = 10**15  # counts stay exact in float64
MIN_SPLIT = 256  # a node that fewer rollouts reach is rolled out one by one
ROLLED_TOGETHER = 2**15  # rollouts that are rolled out together; their arrays fit in a processor's cache


@dataclass(frozen=True)
class Streams:
    """A function from integers to independent generators.

    A key's generator does not depend on which other keys are used, so that a row of a table has the same digits
    whichever other rows the table has.

    Attributes:
      entropy: what all of them follow from.
    """

    entropy: tuple[int, ...]

    def __call__(self, *key: int) -> np.random.Generator:
        """Returns the generator of a key, at its beginning."""
        return np.random.default_rng(np.random.SeedSequence(self.entropy, spawn_key=key))


def streams(rng: np.random.Generator) -> Streams:
    """Returns streams that follow from `rng`, which is advanced once."""
    return Streams(tuple(int(word) for word in rng.integers(2**32, size=4)))


def split_counts(branches: Branches, counts: Floats, rng: np.random.Generator | None, out: Floats) -> None:
    """Sets `out` `[k, n]` to the number of each node's rollouts that take each branch: multinomial."""
    assert rng is not None
    if len(branches.prob) == 1:
        out[0] = counts
    else:
        # Normalised, because NumPy refuses probabilities whose sum rounding has lifted above 1.
        out[:] = rng.multinomial(counts.astype(np.int64), branches.prob / branches.prob.sum()).T


class Sampler:
    """One draw of n rollouts, of which `policy` draws the actions; made block by block while `walk` is read.

    Returns are those of the objective of `target`, or of `policy` where there is none.

    Attributes:
      mdp: the model.
      policy: draws the actions.
      n: how many rollouts there are.
      gatherer: sums the returns of the rollouts through each (state, action), if `paths` were not asked for.
      ended_at_start: the number of rollouts that start in each terminal state, and so have no step `[S]`.
      rolled: rollouts drawn one by one since it was last cleared, in lots of about one length: their steps
        (first state and outcomes, `mdp.padding` beyond the end `[1 + longest, m]`) and returns `[m]`; kept if
        `paths` was asked for. A trajectory is never in two lots.
    """

    def __init__(
        self, mdp: MDP, policy: Policy, n: int, rng: np.random.Generator, *, paths: bool = False,
        target: Policy | None = None,
    ) -> None:  # fmt: skip
        if not 1 <= n <= MAX_N:
            raise UsageError(f"n = {n:,} rollouts; expected 1 to {MAX_N:,}")
        self.mdp = mdp
        self.tree = Tree(credited(mdp, target or policy), policy.probs())
        self.gatherer = Gatherer(self.tree)
        self.ended_at_start = np.zeros(mdp.num_states)
        self.rolled: list[tuple[Ints, Floats]] = []
        self.policy = policy
        self.n = n
        self._rng = rng
        self._paths = paths
        self._alias: AliasTables | None = None
        self._root: Block | None = None
        self._chunk = int(np.clip(MAX_REMEMBERED_STEPS // 16 // mdp.horizon, 64, ROLLED_TOGETHER))

    def fraction(self) -> float:
        """Returns the part of the rollouts that is done."""
        return self.gatherer.progress() / self.n

    def result(self) -> tuple[Floats, float]:
        """Returns the mean of R Σ_t ∇log π(a_t|s_t) `[d]` and of R, after a whole `walk` without paths."""
        gathered = self.gatherer.result()
        return self.policy.pullback(gathered.weights / self.n), gathered.value / self.n

    def of_part(self, root: Block) -> "Sampler":
        """Returns a sampler of the rollouts that go through some nodes, which have been drawn up to there."""
        if self._alias is None:
            self._alias = AliasTables(self.tree)
        part = copy.copy(self)
        part.gatherer, part.rolled = Gatherer(self.tree), []
        part.ended_at_start = np.zeros(self.mdp.num_states)
        part._root = root
        return part

    @property
    def is_part(self) -> bool:
        """Whether these are the rollouts of a part."""
        return self._root is not None

    def root(self) -> Block:
        """Draws where the rollouts start, and returns the nodes of depth 0."""
        mdp = self.tree.mdp
        counts = self._rng.multinomial(self.n, mdp.start / mdp.start.sum())
        self.ended_at_start = np.where(mdp.terminal, counts, 0).astype(np.float64)
        self.gatherer.add(self.gatherer.measure, float(self.ended_at_start.sum()))
        return self.tree.root(np.where(mdp.terminal, 0, counts), rng=self._rng, trails=self._paths)

    def walk(self) -> Iterator[tuple[Block, Leaves | None]]:
        """Draws the rollouts, and yields the items of `Tree.walk`; each is gathered when the next is asked for."""
        root = self.root() if self._root is None else self._root
        for block, leaves in self.tree.walk(root, split_counts, settle=self._settle):
            yield block, leaves
            self.gather(block, leaves)

    def gather(self, block: Block, leaves: Leaves | None) -> None:
        """Takes in an item of `Tree.walk`."""
        if not self._paths:
            self.gatherer.take(block, leaves)
        elif leaves is not None:
            self.gatherer.add(self.gatherer.measure, float(leaves.measure.sum()))

    def _settle(self, block: Block) -> None:
        """Rolls out one by one from the nodes that few rollouts reach, of all states of the block together."""
        light: list[tuple[int, Group, Ints]] = []
        for state, group in block.frontier.items():
            min_split = max(MIN_SPLIT, len(self.tree.branches(state).prob))
            nodes = np.flatnonzero((group.measure > 0) & (group.measure < min_split))
            if len(nodes):
                light.append((state, group, nodes))
        if not light:
            return
        assert block.rng is not None
        if self._alias is None:
            self._alias = AliasTables(self.tree)
        counts = np.concatenate([group.measure[nodes] for _, group, nodes in light]).astype(np.int64)
        states = np.repeat([state for state, _, _ in light], [len(nodes) for _, _, nodes in light])
        returns = np.concatenate([group.returns[nodes] for _, group, nodes in light])
        prefix = None
        if block.trail is not None:
            prefix = block.trail.paths(np.concatenate([group.number + nodes for _, group, nodes in light]))
        weights = np.empty(len(counts))
        # A chunk holds whole nodes, so that no trajectory is in two of them, and has a random stream of its own.
        ends = np.cumsum(counts)
        bounds = np.unique(np.searchsorted(ends, np.arange(0, ends[-1], self._chunk), side="left"))
        for rng, lo, hi in zip(block.rng.spawn(len(bounds)), bounds, [*bounds[1:], len(counts)], strict=True):
            chunk = slice(int(lo), int(hi))
            weights[chunk] = self._roll(
                rng, block.depth, states[chunk], counts[chunk], returns[chunk],
                None if prefix is None else prefix[:, chunk],
            )  # fmt: skip
        self.gatherer.add(self.gatherer.measure, float(ends[-1]))
        lo = 0
        for _, group, nodes in light:
            group.weight[nodes] += weights[lo : lo + len(nodes)]
            group.measure[nodes] = 0
            lo += len(nodes)

    def _steps_by_phase(self, phases: list[Phase], prefix: Ints) -> Iterator[tuple[Ints, Ints]]:
        """Rollouts that ended in the same phase, with their steps `[1 + longest, m]`; they began with `prefix`."""
        assert self._alias is not None
        before, n = prefix.shape
        last_phase = np.zeros(n, dtype=np.int64)
        lengths = np.cumsum([len(phase.slots) for phase in phases])
        taken = np.empty((before + int(lengths[-1]), n), dtype=np.int64)
        taken[:before] = prefix
        t = before
        for number, phase in enumerate(phases):
            every = len(phase.rollouts) == n
            if not every:
                last_phase[phase.rollouts] = number
                taken[t : t + len(phase.slots)] = self.tree.mdp.padding
            for slot in phase.slots:
                outcome = np.take(self._alias.outcome, slot, mode="clip")
                taken[t, slice(None) if every else phase.rollouts] = outcome
                t += 1
        for number, longest in enumerate(lengths.tolist()):
            rollouts = np.flatnonzero(last_phase == number)
            if len(rollouts) == n:
                yield rollouts, taken
            elif len(rollouts):
                yield rollouts, np.take(taken[: before + longest], rollouts, axis=1, mode="clip")

    def _roll(
        self,
        rng: np.random.Generator, depth: int, states: Ints, counts: Ints, returns: Floats, prefix: Ints | None,
    ) -> Floats:  # fmt: skip
        """Rolls out so many rollouts from each of n nodes, and returns the sum of their returns for each node.

        Args:
          rng: the source of the draws.
          depth: of the nodes.
          states, counts, returns: of each node `[n]`.
          prefix: the steps that led to each node `[1 + depth, n]`. The rollouts are then kept with their steps, and
            the returned sums are 0; without it, their returns are gathered by (state, action).
        """
        assert self._alias is not None
        mdp, alias = self.tree.mdp, self._alias
        owner = np.repeat(np.arange(len(counts)), counts)
        total, phases = alias.roll(rng, states[owner], returns[owner], depth)
        if prefix is not None:
            by_phase = self._steps_by_phase(phases, prefix[:, owner])
            self.rolled += [(steps, total[rollouts]) for rollouts, steps in by_phase]
            return np.zeros(len(counts))
        by_slot = np.zeros(len(alias.outcome))
        for phase in phases:
            weight = np.broadcast_to(total[phase.rollouts], (len(phase.slots), len(phase.rollouts)))
            by_slot += np.bincount(np.concatenate(phase.slots), weights=weight.ravel(), minlength=len(by_slot))
        through = np.bincount(alias.outcome, weights=by_slot)[:-1]
        visited = np.flatnonzero(through)
        pairs = mdp.state[visited] * mdp.num_actions + mdp.action[visited]
        for pair, amount in zip(pairs.tolist(), through[visited].tolist(), strict=True):
            self.gatherer.add(pair, amount)
        return np.add.reduceat(total, np.r_[0, np.cumsum(counts)[:-1]])
