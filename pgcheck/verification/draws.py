"""Batches of drawn episodes, for what cannot be enumerated."""

from dataclasses import replace

import numpy as np

from pgcheck.arrays import Ints
from pgcheck.model.mdp import MDP
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.paths import padded, sampled_paths
from pgcheck.trajectories.sampling import Sampler
from pgcheck.verification.setting import Setting


def drawn(setting: Setting, size: int, batches: int, rng: np.random.Generator) -> tuple[Batch, Ints]:
    """Returns batches of rollouts in random order: the distinct episodes, and their numbers `[batches, size]`.

    Args:
      setting: the model, who draws its episodes, and whether those of a batch share s_0.
      size: the episodes of each batch.
      batches: how many batches.
      rng: the source of randomness; it is advanced.
    """
    if not setting.same_start:
        batch, numbers = _drawn(setting, setting.mdp, size * batches, rng)
        return batch, numbers.reshape(batches, size)
    mdp = setting.mdp
    times = rng.multinomial(batches, mdp.start / mdp.start.sum())
    paths: list[Ints] = []
    index: list[Ints] = []
    for state in np.flatnonzero(times):
        only = replace(mdp, start=np.eye(mdp.num_states)[state])  # the outcomes keep their numbers
        part, numbers = _drawn(setting, only, size * int(times[state]), rng)
        index.append(sum(path.shape[1] for path in paths) + numbers.reshape(-1, size))
        paths.append(np.vstack([part.starts[None], part.outcomes]))
    batch = Batch.from_paths(mdp, setting.policy, padded(mdp, paths), setting.behavior)
    return batch, rng.permutation(np.concatenate(index))


def _drawn(setting: Setting, mdp: MDP, n: int, rng: np.random.Generator) -> tuple[Batch, Ints]:
    """n rollouts in random order: the distinct episodes as a batch, and their numbers `[n]`."""
    sampler = Sampler(mdp, setting.actor, n, rng, paths=True, target=setting.policy)
    lots = list(sampled_paths(sampler))
    count = np.concatenate([lot.measure for lot in lots]).astype(np.int64)
    batch = Batch.from_paths(mdp, setting.policy, padded(mdp, [lot.steps for lot in lots]), setting.behavior)
    return batch, rng.permutation(np.repeat(np.arange(len(count)), count))
