"""The tree of trajectories, cut into parts: a top, which is walked at once, and the subtrees below it, for anybody.

    top      the nodes of the first depths, all of them, a depth at a time
    parts    the nodes of the depth below, some of each; a part's work is all that hangs below its nodes

What comes of a part follows from the part alone. Where measures are numbers of rollouts, each part has a random
stream of its own, so that this holds there too.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.model.mdp import MDP
from pgcheck.trajectories.frontier import Block, Frontier, Group, Leaves, Trail
from pgcheck.trajectories.tree import Split, Tree

MAX_DEPTH = 255  # of the top
MAX_NODES = 2**17  # at the bottom of a top, before it is made deeper

IsWide = Callable[[Block], bool]  # whether a block's nodes are many enough to be dealt out


@dataclass(frozen=True)
class Seed:
    """A stream of random numbers at its beginning; a generator that is copied may not spawn as it would have.

    Attributes:
      kind: of its bit generator.
      entropy, spawn_key: those of its seed sequence.
    """

    kind: "type[np.random.BitGenerator]"  # in quotes: NumPy loads np.random when it is named
    entropy: int | tuple[int, ...]
    spawn_key: tuple[int, ...]

    def generator(self) -> "np.random.Generator":
        """Returns a generator at the beginning of the stream."""
        return np.random.Generator(self.kind(np.random.SeedSequence(self.entropy, spawn_key=self.spawn_key)))


def seeds_of(rng: "np.random.Generator", number: int) -> list[Seed]:
    """Returns so many streams that are spawned from a generator."""
    kind, sequence = type(rng.bit_generator), rng.bit_generator.seed_seq
    spawned = sequence.spawn(number)  # type: ignore[attr-defined]
    return [
        Seed(kind, it.entropy if isinstance(it.entropy, int) else tuple(map(int, it.entropy)), tuple(it.spawn_key))
        for it in spawned
    ]


@dataclass(frozen=True, eq=False)
class Part:
    """Nodes of one depth, m of them, sorted by state; with all that hangs below them they are a part of the tree.

    Attributes:
      depth: t, the number of steps on the way to them.
      states: in which they are `[m]`.
      measure, returns: as in a group of nodes `[m]`.
      seed: for all draws at these nodes and below; None where measures are probabilities.
      paths: the first state and the outcomes on the way to them `[1 + t, m]`, where that is kept.
    """

    depth: int
    states: Ints
    measure: Floats
    returns: Floats
    seed: Seed | None
    paths: Ints | None

    def block(self) -> Block:
        """Returns the nodes as a block, whose groups have them in their order here."""
        frontier: Frontier = {}
        states, first = np.unique(self.states, return_index=True)
        for state, lo, hi in zip(states.tolist(), first, [*first[1:], len(self.states)], strict=True):
            measure = self.measure[lo:hi].copy()  # a walk may set it to 0
            frontier[state] = Group(measure, self.returns[lo:hi], np.zeros(hi - lo), int(lo))
        return Block(self.depth, frontier, None if self.seed is None else self.seed.generator(), self._trail())

    def _trail(self) -> Trail | None:
        trail = None
        for step in () if self.paths is None else self.paths:
            trail = Trail(trail, np.arange(len(step)), step)
        return trail


def weights_of(block: Block) -> Floats:
    """Returns the weights of a part's nodes, in their order there `[m]`."""
    return np.concatenate([group.weight for group in block.frontier.values()])


class Top:
    """The first depths of the tree.

    Args:
      tree: the tree.
      root: its nodes of depth 0; their generator is the source of all draws, and of the parts' streams.
      split: as in `Tree.walk`.

    Attributes:
      bottom: the nodes of the depth below, once `walk` is done.
    """

    def __init__(self, tree: Tree, root: Block, split: Split) -> None:
        self._tree, self._split = tree, split
        self._above: list[Block] = []
        self.bottom = root

    def walk(self, is_wide: IsWide) -> Iterator[tuple[Block, Leaves]]:
        """Yields the trajectories that end in the top, as `Tree.walk` does; it goes down until a depth is wide."""
        while self.bottom.frontier and not is_wide(self.bottom):
            block = self.bottom
            for leaves in self._tree.expand(block, self._split):
                yield block, leaves
            self._above.append(block)
            self.bottom = Block(block.depth + 1, block.children, block.rng, block.trail_below)

    def parts(self, cost: Floats, number: int) -> list[Part]:
        """Returns the nodes at the bottom in at most so many parts of about equal cost; none if there are no nodes.

        Args:
          cost: of each node, in the order of the bottom's groups `[n]`.
          number: of parts.
        """
        frontier = self.bottom.frontier
        order = sorted(frontier)  # by state: the nodes of one state are cheapest together
        if not order:
            return []
        groups = [frontier[state] for state in order]
        sizes = [len(group.measure) for group in groups]
        states = np.repeat(order, sizes)
        measure = np.concatenate([group.measure for group in groups])
        returns = np.concatenate([group.returns for group in groups])
        numbers = np.concatenate([group.number + np.arange(size) for group, size in zip(groups, sizes, strict=True)])
        paths = None if self.bottom.trail is None else self.bottom.trail.paths(numbers)
        before = np.cumsum(cost) - cost
        share = (before * (number / max(float(cost.sum()), 1e-300))).astype(np.int64)
        bounds = [*np.flatnonzero(np.diff(share, prepend=-1)).tolist(), len(states)]
        rng = self.bottom.rng
        seeds = [None] * (len(bounds) - 1) if rng is None else seeds_of(rng, len(bounds) - 1)
        return [
            Part(
                self.bottom.depth, states[lo:hi], measure[lo:hi], returns[lo:hi], seed,
                None if paths is None else paths[:, lo:hi],
            )
            for lo, hi, seed in zip(bounds, bounds[1:], seeds, strict=False)
        ]  # fmt: skip

    def costs(self, of_node: Callable[[int, Group], Floats]) -> Floats:
        """Returns what each node at the bottom costs, as `parts` takes it; `of_node` tells it of a state's group."""
        frontier = self.bottom.frontier
        return np.concatenate([np.zeros(0), *(of_node(state, frontier[state]) for state in sorted(frontier))])

    def hang(self, weights: Floats) -> Iterator[Block]:
        """Sets the weights of the nodes at the bottom `[n]`, and yields the blocks above from the bottom up."""
        lo = 0
        for state in sorted(self.bottom.frontier):
            group = self.bottom.frontier[state]
            hi = lo + len(group.weight)
            group.weight[:] = weights[lo:hi]
            lo = hi
        yield from reversed(self._above)


class Below:
    """How many trajectories hang below a node: by its state, and the number of steps on the way to it.

    n_0 = 1, n_h(s) = Σ over the outcomes of s (1 if the outcome ends the episode, else n_{h−1}(s′)), h the number of
    steps that are left. They are known for the first 256 depths; numbers beyond 1e308 are infinite.
    """

    def __init__(self, mdp: MDP) -> None:
        counts: Floats = np.ones(mdp.num_states)
        kept = deque([counts], maxlen=MAX_DEPTH + 2)
        with np.errstate(over="ignore"):
            for step in range(mdp.horizon):
                before = counts
                following = np.where(mdp.ends, 1.0, counts[mdp.next_state])
                counts = np.add(np.bincount(mdp.state, weights=following, minlength=mdp.num_states), mdp.terminal)
                kept.append(counts)
                if np.array_equal(counts, before):  # from here on they stay the same
                    kept.extend([counts] * min(mdp.horizon - 1 - step, MAX_DEPTH + 2))
                    break
        self._by_depth = list(reversed(kept))

    def __call__(self, state: int, depth: int) -> float:
        """Returns the number of trajectories below a node."""
        return float(self._by_depth[depth][state])
