"""How many rollouts `converge` draws unless told: what the model costs decides, not the clock, so that the digits are
the same on every machine.

N rollouts cost about min(N, number of trajectories) times the mean length of an episode in steps.
"""

from dataclasses import dataclass

import numpy as np

from pgcheck.errors import TooLargeError
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.convergence import DECADES
from pgcheck.estimators.sampled import MAX_TOGETHER
from pgcheck.model.endless import cut
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.counting import count_trajectories

MAX_STEPS = 1e8  # that all rows together may take: one to three seconds
PATHS = 3.0  # what a step costs an estimator that looks at trajectories, in steps of one that does not
REPLICATES = 16
LONGEST = 10_000  # steps over which the mean length is added up; beyond, all that are left go on to the horizon


@dataclass(frozen=True)
class Effort:
    """The rows that `converge` has unless told.

    Attributes:
      n: the numbers of rollouts.
      replicates: independent estimates for each.
      complete: whether these are all of the usual numbers.
    """

    n: tuple[int, ...]
    replicates: int
    complete: bool


def usual_effort(mdp: MDP, policy: Policy, estimator: Estimator, most_steps: float = MAX_STEPS) -> Effort:
    """Returns the decades up to 1e6 as far as they are affordable, at least two, with 16 replicates where these are.

    An estimator of whole batches stops at the number of rollouts that it can get. All rows together may take
    `most_steps` steps.
    """
    mdp = cut(mdp, policy)
    most = MAX_TOGETHER if estimator.aggregation == "batch" else DECADES[-1]
    try:
        trajectories = DECADES[-1] if estimator.aggregation == "batch" else count_trajectories(mdp)
    except TooLargeError:
        trajectories = DECADES[-1]
    a_rollout = mean_length(mdp, policy) * (PATHS if estimator.needs_paths else 1.0)
    costs = {n: min(n, trajectories) * a_rollout for n in DECADES if n <= most}
    affordable = tuple(n for n in costs if n <= DECADES[1] or sum(costs[k] for k in costs if k <= n) <= most_steps)
    cheap = REPLICATES * sum(costs[n] for n in affordable) <= most_steps
    return Effort(affordable, REPLICATES if cheap else 1, affordable == DECADES)


def mean_length(mdp: MDP, policy: Policy) -> float:
    """Returns E[L], the mean number of steps of an episode; an upper bound beyond 10,000 steps."""
    step = np.where(mdp.ends, 0.0, policy.probs()[mdp.state, mdp.action] * mdp.prob)
    reached = np.where(mdp.terminal, 0.0, mdp.start)
    length = 0.0
    for t in range(min(mdp.horizon, LONGEST)):
        going = float(reached.sum())
        if going < 1e-9:
            return length
        length += going
        reached = np.bincount(mdp.next_state, weights=reached[mdp.state] * step, minlength=mdp.num_states)
        if t + 1 == LONGEST:
            length += float(reached.sum()) * (mdp.horizon - LONGEST)
    return length
