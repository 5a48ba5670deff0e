"""Batches of drawn episodes, and the episodes of a batch that share their first state."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pgcheck.arrays import Ints
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.paths import listed, padded, sampled_paths
from pgcheck.trajectories.sampling import Sampler

MAX_LISTED_STEPS = 500  # in an episode, where examples are listed and not drawn
EXAMPLE_STEPS = 2**18  # in all examples that are drawn, at most


def by_start(batch: Batch) -> Iterator[Ints]:
    """Yields the numbers of the episodes that share a first state, one first state at a time."""
    for state in np.unique(batch.starts):
        yield np.flatnonzero(batch.starts == state)


def examples(mdp: MDP, policy: Policy, most: int, behavior: Policy | None = None) -> Batch:
    """Returns about so many different episodes, the same each time: the first that the tree holds.

    Where episodes may be long, the first trajectories differ in their last steps alone, and reaching them takes time:
    they are drawn then, with a fixed seed, and of long ones there are fewer.
    """
    if not mdp.is_endless and mdp.horizon <= MAX_LISTED_STEPS:
        return listed(mdp, policy, most, behavior)[0]
    few = max(1, min(most, EXAMPLE_STEPS // mdp.horizon))
    return drawn_batches(mdp, policy, few, 1, np.random.default_rng(0), behavior=behavior)[0]


def drawn_batches(
    mdp: MDP,
    policy: Policy,
    size: int,
    n: int,
    rng: np.random.Generator,
    *,
    behavior: Policy | None = None,
    same_start: bool = False,
) -> tuple[Batch, Ints]:
    """Returns n batches of rollouts in random order: the distinct episodes, and their numbers `[n, size]`.

    Args:
      mdp, policy: the problem that the episodes come from.
      size: B, the episodes of each batch.
      n: how many batches.
      rng: the source of randomness; it is advanced.
      behavior: draws the actions, where that is not `policy`.
      same_start: whether the episodes of a batch share s_0.
    """
    if not same_start:
        batch, numbers = _drawn(mdp, policy, behavior, size * n, rng)
        return batch, numbers.reshape(n, size)
    times = rng.multinomial(n, mdp.start / mdp.start.sum())
    paths: list[Ints] = []
    index: list[Ints] = []
    for state in np.flatnonzero(times):
        only = replace(mdp, start=np.eye(mdp.num_states)[state])  # the outcomes keep their numbers
        part, numbers = _drawn(only, policy, behavior, size * int(times[state]), rng)
        index.append(sum(path.shape[1] for path in paths) + numbers.reshape(-1, size))
        paths.append(np.vstack([part.starts[None], part.outcomes]))
    batch = Batch.from_paths(mdp, policy, padded(mdp, paths), behavior)
    return batch, rng.permutation(np.concatenate(index))


def _drawn(
    mdp: MDP, policy: Policy, behavior: Policy | None, n: int, rng: np.random.Generator
) -> tuple[Batch, Ints]:  # fmt: skip
    """n rollouts in random order: the distinct episodes as a batch, and their numbers `[n]`."""
    lots = list(sampled_paths(Sampler(mdp, behavior or policy, n, rng, paths=True, target=policy)))
    count = np.concatenate([lot.measure for lot in lots]).astype(np.int64)
    batch = Batch.from_paths(mdp, policy, padded(mdp, [lot.steps for lot in lots]), behavior)
    return batch, rng.permutation(np.repeat(np.arange(len(count)), count))
