"""The most likely trajectories, found without listing the others.

A best-first search over beginnings of trajectories. The bound of a beginning that has reached s with `left` steps to
go is

    P(beginning) · onward(left, s),   onward(left, s) = max_{a, k} π(a|s) P(k|s, a) · onward(left − 1, s′)

over the outcomes k of s, with 1 in place of `onward` where the episode ends. No trajectory with this beginning is
more likely than the bound, and one of them is as likely: trajectories leave the queue in order of P(τ), and no step
is taken in vain.
"""

import heapq
import itertools
import math
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import TooLargeError
from pgcheck.model.endless import cut
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy

MAX_BOUNDS = 40_000_000  # numbers onward(left, s) that the search may keep: 320 MB

_Steps = tuple["_Steps | None", int]  # the outcomes so far, the last one outermost


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One of the most likely trajectories.

    Attributes:
      path: the first state, then the numbers of the outcomes `[1 + L]`.
      probability: P(τ).
      value: its return R(τ).
    """

    path: Ints
    probability: float
    value: float


def most_likely(mdp: MDP, policy: Policy, k: int) -> list[Trajectory]:
    """Returns the k most likely trajectories, the likeliest first; fewer where there are fewer.

    Raises:
      TooLargeError: horizon x states is beyond 40 million.
    """
    mdp = cut(mdp, policy)
    horizon = mdp.horizon
    if horizon * mdp.num_states > MAX_BOUNDS:
        raise TooLargeError(
            f"horizon {horizon:,} with {mdp.num_states:,} states is too long to find the most likely trajectories.\n"
            f"  Lower the horizon to {MAX_BOUNDS // mdp.num_states:,}."
        )
    joint = policy.probs()[mdp.state, mdp.action] * mdp.prob
    with np.errstate(divide="ignore"):  # log 0 = -inf: such a branch is never taken
        step = np.log(joint)
        start = np.log(mdp.start)
    onward = _log_onward(mdp, step)
    order = itertools.count()  # the older entry first, where bounds are equal
    queue: list[tuple[float, int, float, int, int, bool, _Steps | None]] = []
    for state in np.flatnonzero(mdp.start).tolist():
        ended = bool(mdp.terminal[state])
        queue.append((-(start[state] + onward[horizon, state]), next(order), start[state], state, 0, ended, None))
    heapq.heapify(queue)
    trajectories: list[Trajectory] = []
    while queue and len(trajectories) < k:
        bound, _, log_prob, state, depth, ended, steps = heapq.heappop(queue)
        if bound == math.inf:
            break
        if ended or depth == horizon:
            trajectories.append(_trajectory(mdp, joint, state, steps))
            continue
        for outcome in range(int(mdp.offset[state]), int(mdp.offset[state + 1])):
            ends = bool(mdp.ends[outcome])
            target = int(mdp.next_state[outcome])
            log_next = log_prob + float(step[outcome])
            best = 0.0 if ends else float(onward[horizon - depth - 1, target])
            entry = -(log_next + best), next(order), log_next, target, depth + 1, ends, (steps, outcome)
            heapq.heappush(queue, entry)
    # Logarithms can be equal where the products are not.
    return sorted(trajectories, key=lambda trajectory: -trajectory.probability)


def _log_onward(mdp: MDP, step: Floats) -> Floats:
    """log onward(left, s) for each number of steps left `[horizon + 1, S]`; `step` is log π P of each outcome."""
    onward = np.zeros((mdp.horizon + 1, mdp.num_states))
    acting = np.flatnonzero(~mdp.terminal)
    for left in range(1, mdp.horizon + 1):
        best = step + np.where(mdp.ends, 0.0, onward[left - 1][mdp.next_state])
        onward[left][acting] = np.maximum.reduceat(best, mdp.offset[acting]) if len(acting) else 0.0
    return onward


def _trajectory(mdp: MDP, joint: Floats, state: int, steps: "_Steps | None") -> Trajectory:
    """The trajectory that takes these steps and ends in `state`; `joint` is π P of each outcome."""
    outcomes: list[int] = []
    while steps is not None:
        steps, outcome = steps
        outcomes.append(outcome)
    outcomes.reverse()
    first = int(mdp.state[outcomes[0]]) if outcomes else state
    probability = math.prod(joint[outcomes].tolist(), start=float(mdp.start[first]))
    value = math.fsum(mdp.gamma**t * mdp.reward[outcome] for t, outcome in enumerate(outcomes))
    return Trajectory(np.array([first, *outcomes], dtype=np.int64), probability, value)
