"""Trajectories one by one: all of them with their probabilities, or those of N rollouts with their counts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.paths import enumerate_trajectories, sample_trajectories

Measure = Literal["probability", "count"]


@dataclass(frozen=True)
class ListedTrajectory:
    """One trajectory.

    Attributes:
      measure: P(τ), or n(τ).
      states: s_0 … s_L, by number.
      actions, rewards: L of each.
      terminated: False where the horizon cut it off.
      value: its return R(τ).
    """

    measure: float
    states: list[int]
    actions: list[int]
    rewards: list[float]
    terminated: bool
    value: float


@dataclass(frozen=True, eq=False)
class Listing:
    """Trajectories, made as they are asked for.

    Attributes:
      mdp: the model.
      measure: what is said of each: `probability` or `count`.
      n: the number of rollouts; None where all trajectories are listed.
      trajectories: to be gone through once.
    """

    mdp: MDP
    measure: Measure
    n: int | None
    trajectories: Iterator[ListedTrajectory]


def list_trajectories(
    mdp: MDP, policy: Policy, n: int | None = None, rng: np.random.Generator | None = None
) -> Listing:
    """Returns every trajectory with its probability, or those among n rollouts with how often each was drawn.

    Args:
      mdp, policy: the problem.
      n: the number of rollouts; None for all trajectories.
      rng: draws the rollouts; None is `default_rng(0)`.

    Raises:
      UsageError: n is out of range.
    """
    if n is None:
        return Listing(mdp, "probability", None, _each(enumerate_trajectories(mdp, policy)))
    rng = np.random.default_rng(0) if rng is None else rng
    return Listing(mdp, "count", n, _each(sample_trajectories(mdp, policy, n, rng)))


def _each(batches: Iterable[tuple[Batch, Floats | Ints]]) -> Iterator[ListedTrajectory]:
    for batch, measures in batches:
        values = batch.rewards @ batch.gamma ** np.arange(batch.rewards.shape[1], dtype=np.float64)
        columns = batch, batch.starts.tolist(), measures.tolist(), values.tolist()
        for episode, start, measure, value in zip(*columns, strict=True):
            yield ListedTrajectory(
                measure,
                [start, *episode.next_states.tolist()],
                episode.actions.tolist(),
                episode.rewards.tolist(),
                episode.terminated,
                value,
            )
