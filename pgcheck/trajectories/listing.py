"""Trajectories one by one: all of them with their probabilities, or those of N rollouts with their counts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import UsageError
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.paths import enumerate_trajectories, sample_trajectories
from pgcheck.trajectories.sampling import streams

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
      mdp: the model.
      policy: draws the actions.
      n: the number of rollouts; None for all trajectories.
      rng: draws the rollouts; None is `default_rng(0)`.

    Raises:
      UsageError: n is out of range.
    """
    if n is None:
        return Listing(mdp, "probability", None, each_listed(enumerate_trajectories(mdp, policy)))
    rng = np.random.default_rng(0) if rng is None else rng
    return Listing(mdp, "count", n, each_listed(sample_trajectories(mdp, policy, n, rng)))


def stream_of(rng: np.random.Generator, n: int, which: int = 0) -> np.random.Generator:
    """Returns what draws the n rollouts or batches that are listed: that of the same row of `converge`.

    Others than 0 are independent of it; `rng` is advanced once.
    """
    return streams(rng)(n, which)


def actor_of(mdp: MDP, policy: Policy, behavior: Policy | None, *, off_policy: bool) -> Policy:
    """Returns the policy that draws the episodes: with `off_policy` it is the behavior.

    Raises:
      UsageError: the model has no behavior.
    """
    if not off_policy:
        return policy
    if behavior is None:
        raise UsageError(
            f"{mdp.name} has no behavior: off-policy episodes are drawn by a second policy.\n"
            "  Add `behavior: {softmax: {}}` to the model (preferences left out are 0)."
        )
    return behavior


def each_listed(batches: Iterable[tuple[Batch, Floats | Ints]]) -> Iterator[ListedTrajectory]:
    """Yields the trajectories of batches one by one, with the measure of each."""
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
