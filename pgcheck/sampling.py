"""N rollouts: counts are split down the tree while they are large, then rollouts are drawn one by one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pgcheck.errors import UsageError
from pgcheck.gather import Gatherer
from pgcheck.mdp import MDP, Floats, Ints
from pgcheck.policy import Policy
from pgcheck.rollouts import MAX_STEPS, AliasTables, Phase
from pgcheck.tree import Block, Branches, Group, Leaves, Tree

MAX_N = 10**15  # counts stay exact in float64
FEW = 256  # a node that fewer rollouts reach is rolled out one by one
CHUNK = 2**15  # rollouts that are rolled out together; their arrays fit in a processor's cache

Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class SampledGradient:
    """The mean of N single-rollout estimates.

    Attributes:
      n: the number of rollouts N.
      estimate: ĝ_N `[d]`, in reward per unit θ, ordered as `parameters`.
      value: the mean return of the rollouts, an estimate of J.
      parameters: the (observation, action) of each component, by name.
    """

    n: int
    estimate: Floats
    value: float
    parameters: tuple[tuple[str, str], ...]


def sample_gradient(
    mdp: MDP,
    policy: Policy,
    n: int,
    rng: np.random.Generator,
    *,
    progress: Progress | None = None,
) -> SampledGradient:
    """Returns the REINFORCE estimate of ∇J from n independent rollouts.

    ĝ_N = (1/N) Σ_i R(τ_i) Σ_t ∇log π_θ(a_t|s_t) = Σ_τ (n(τ)/N) R(τ) Σ_t ∇log π_θ(a_t|s_t)

    The second form is how it is computed: n(τ), how often τ was drawn, is multinomial, and is drawn by
    splitting N down the tree, so the cost follows the distinct trajectories and not N.
    See Williams (1992), https://doi.org/10.1007/BF00992696

    Args:
      mdp: where the rollouts take place; each has at most `mdp.horizon` steps.
      policy: draws the actions, and is differentiated.
      n: the number of rollouts, 1 to 10^15.
      rng: the source of randomness; it is advanced.
      progress: called with the fraction done, 0 to 1, from time to time.

    Raises:
      UsageError: n is out of range.
      TooLargeError: single rollouts are too long to remember.
    """
    sampler = Sampler(mdp, policy, n, rng)
    for _ in sampler.walk():
        if progress is not None:
            progress(sampler.fraction())
    return sampler.result()


def streams(rng: np.random.Generator) -> Callable[..., np.random.Generator]:
    """Returns a function from integers to independent generators.

    What a key gives does not depend on which other keys are asked for, so a row of a table has the same
    digits whatever rows stand around it. `rng` is advanced once.
    """
    entropy = [int(word) for word in rng.integers(2**32, size=4)]
    return lambda *key: np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=key))


def split_counts(branches: Branches, counts: Floats, rng: np.random.Generator | None, out: Floats) -> None:
    """Sets `out` `[k, n]` to how many of each node's rollouts take each branch: multinomial."""
    assert rng is not None
    if len(branches.prob) == 1:
        out[0] = counts
    else:
        # Normalised: NumPy refuses probabilities that rounding has lifted above 1.
        out[:] = rng.multinomial(counts.astype(np.int64), branches.prob / branches.prob.sum()).T


class Sampler:
    """One draw of n rollouts, walked through block by block.

    Attributes:
      gatherer: sums the returns of the rollouts through each (state, action).
      at_once: how many rollouts start in each terminal state, and so end at once `[S]`.
      rolled: rollouts drawn one by one since it was last cleared: their paths (first state and outcomes,
        -1 beyond the end `[m, 1 + longest]`) and returns `[m]`; kept if `paths` was asked for. A
        trajectory never stands in two entries.
    """

    def __init__(self, mdp: MDP, policy: Policy, n: int, rng: np.random.Generator, *, paths: bool = False) -> None:
        if not 1 <= n <= MAX_N:
            raise UsageError(f"n = {n:,} rollouts; expected 1 to {MAX_N:,}")
        self.tree = Tree(mdp, policy.probs())
        self.gatherer = Gatherer(self.tree)
        self.at_once = np.zeros(mdp.num_states)
        self.rolled: list[tuple[Ints, Floats]] = []
        self._policy = policy
        self._n = n
        self._rng = rng
        self._paths = paths
        self._alias: AliasTables | None = None
        self._chunk = int(np.clip(MAX_STEPS // 16 // mdp.horizon, 64, CHUNK))

    def fraction(self) -> float:
        """Returns the part of the rollouts that is done."""
        return self.gatherer.progress() / self._n

    def result(self) -> SampledGradient:
        """Returns the estimate, once `walk` has come to its end."""
        gathered, n = self.gatherer.result(), self._n
        estimate = self._policy.pullback(gathered.weights / n)
        return SampledGradient(n, estimate, gathered.value / n, self._policy.parameters)

    def walk(self) -> Iterator[tuple[Block, Leaves | None]]:
        """Yields what `Tree.walk` does, before it is gathered."""
        mdp = self.tree.mdp
        counts = self._rng.multinomial(self._n, mdp.start / mdp.start.sum())
        self.at_once = np.where(mdp.terminal, counts, 0).astype(np.float64)
        self.gatherer.add(self.gatherer.measure, float(self.at_once.sum()))
        root = self.tree.root(np.where(mdp.terminal, 0, counts))
        tree = self.tree
        for block, leaves in tree.walk(root, split_counts, rng=self._rng, settle=self._settle, trails=self._paths):
            yield block, leaves
            self.gatherer.take(block, leaves)

    def _settle(self, block: Block) -> None:
        """Rolls out one by one what few rollouts reach, from all the states of the block together."""
        light: list[tuple[int, Group, Ints]] = []
        for state, group in block.frontier.items():
            few = max(FEW, len(self.tree.branches(state).prob))
            nodes = np.flatnonzero((group.measure > 0) & (group.measure < few))
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
        path = None
        if block.trail is not None:
            path = block.trail.paths(np.concatenate([group.number + nodes for _, group, nodes in light]))
        weights = np.empty(len(counts))
        # Chunks are of whole nodes, so that a trajectory is never split between two of them.
        ends = np.cumsum(counts)
        bounds = np.unique(np.searchsorted(ends, np.arange(0, ends[-1], self._chunk), side="left"))
        for rng, lo, hi in zip(block.rng.spawn(len(bounds)), bounds, [*bounds[1:], len(counts)], strict=True):
            chunk = slice(int(lo), int(hi))
            weights[chunk] = self._roll(
                rng,
                block.depth,
                states[chunk],
                counts[chunk],
                returns[chunk],
                None if path is None else path[chunk],
            )
        self.gatherer.add(self.gatherer.measure, float(ends[-1]))
        lo = 0
        for _, group, nodes in light:
            group.weight[nodes] += weights[lo : lo + len(nodes)]
            group.measure[nodes] = 0
            lo += len(nodes)

    def _taken(self, phases: list[Phase]) -> Ints:
        """The outcomes that each rollout took, -1 beyond its end `[n, steps]`."""
        assert self._alias is not None
        taken = np.full((len(phases[0].rollouts), sum(len(p.slots) for p in phases)), -1, dtype=np.int64)
        t = 0
        for phase in phases:
            for slot in phase.slots:
                taken[phase.rollouts, t] = self._alias.outcome[slot]
                t += 1
        taken[taken == len(self.tree.mdp.prob)] = -1
        return taken

    def _roll(
        self,
        rng: np.random.Generator,
        depth: int,
        states: Ints,
        counts: Ints,
        returns: Floats,
        path: Ints | None,
    ) -> Floats:
        """Rolls out `counts` rollouts from each node, and returns the sum of their returns for each node."""
        assert self._alias is not None
        mdp, alias = self.tree.mdp, self._alias
        owner = np.repeat(np.arange(len(counts)), counts)
        total, phases = alias.roll(rng, states[owner], returns[owner], depth)
        by_slot = np.zeros(len(alias.outcome))
        for phase in phases:
            weight = np.broadcast_to(total[phase.rollouts], (len(phase.slots), len(phase.rollouts)))
            by_slot += np.bincount(np.concatenate(phase.slots), weights=weight.ravel(), minlength=len(by_slot))
        through = np.bincount(alias.outcome, weights=by_slot)[:-1]
        visited = np.flatnonzero(through)
        pairs = mdp.state[visited] * mdp.num_actions + mdp.action[visited]
        for pair, amount in zip(pairs.tolist(), through[visited].tolist(), strict=True):
            self.gatherer.add(pair, amount)
        if path is not None:
            self.rolled.append((np.concatenate([path[owner], self._taken(phases)], axis=1), total))
        return np.add.reduceat(total, np.r_[0, np.cumsum(counts)[:-1]])
