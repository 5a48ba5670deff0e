"""Backward induction: J and ∇J without a trajectory, and a bound on their rounding.

With n = horizon − t steps to go, V_n comes from V_{n−1} (see `bellman`), and V_0 = 0. By the policy gradient theorem,

    ∇J = Σ_t γ^t Σ_s d_t(s) Σ_a ∇π(a|s) Q_n(s, a),   d_t(s) = P(s_t = s)

V is found backwards in t, and kept; d_t forwards. From each Q_n(s, ·) that of the likeliest action is subtracted.
As Σ_a ∇π(a|s) = 0 the sum stays the same, but large values that all actions share no longer have to cancel in it.

The bound on rounding is computed with the values. Let u = 2^-53, |V| and |Q| the same sums with |r| in place of r,
and m(s, a) the number of roundings in one step through (s, a) (`_roundings`). Then

    error of V_n(s)       e_n(s)    = Σ_a π Σ_k P γ e_{n−1}(s′) + max_a m(s, a) u |V|_n(s)    inherited, and its own
    error of Q_n(s, a)    e_n(s, a) =       Σ_k P γ e_{n−1}(s′) + m(s, a) u |Q|_n(s, a)
    relative error of π(a|s) and d_t(s), at most u (m(s, a) + (t + 1) max m)                  of one step and of t + 1

and the error of ∇J, in any norm, is at most the sum over t, s, a of

    γ^t d_t(s) π(a|s) · 2 · (error of the difference of two Qs + its size · that relative error)

where 2 bounds ‖∇log π(a|s)‖: its 1-norm is 2 (1 − π(a|s)). At the likeliest action the difference is exactly 0.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import TooLargeError
from pgcheck.exact.bellman import NEGLIGIBLE, Bellman
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy

MAX_VALUES = 40_000_000  # values V_n(s) that may be kept, with their errors: 1 GB
MAX_UPDATES = 20_000_000_000  # outcomes x horizon: some minutes
STEADY_WITHIN = 5_000  # steps in which values may become steady before a horizon is called too long
ROUNDOFF = 2.0**-53


@dataclass(frozen=True, eq=False)
class Induction:
    """The results of backward induction.

    Attributes:
      value: J.
      gradient: ∇J `[d]`.
      rounding: a bound on the error of ∇J by rounding.
      values: V(s) by the number of steps that are left, up to the horizon or to where it no longer changes `[n, S]`.
    """

    value: float
    gradient: Floats
    rounding: float
    values: Floats


def backward_induction(mdp: MDP, policy: Policy, *, progress: Callable[[float], None] | None = None) -> Induction:
    """Returns J and ∇J by the policy gradient theorem, and a bound on their rounding.

    ∇J = Σ_t γ^t Σ_s d_t(s) Σ_a ∇π(a|s) Q_t(s, a),   d_t(s) = P(s_t = s)

    Args:
      mdp, policy: the problem, and where to differentiate.
      progress: called with the fraction done, 0 to 1, from time to time.

    Raises:
      TooLargeError: values do not become steady within 5,000 steps, and horizon x states is beyond 1 GB or
        horizon x outcomes beyond some minutes.
    """
    probs = policy.probs()
    bellman = Bellman(mdp, probs)
    if not len(bellman.state):
        return Induction(0.0, policy.pullback(np.zeros(probs.shape)), 0.0, np.zeros((1, mdp.num_states)))
    roundings = _roundings(mdp, policy, probs)
    levels = _levels(bellman, roundings, progress)
    weights, rounding = _weights(bellman, probs, roundings, levels, progress)
    values = np.stack([value for value, _, _ in levels])
    return Induction(math.fsum(mdp.start * values[-1]), policy.pullback(weights), rounding, values)


def _levels(bellman: Bellman, roundings: Floats, progress: Callable[[float], None] | None) -> list[Floats]:
    """V, |V| and the bound e on V's error `[3, S]`, by the number of steps to go; the last holds for all beyond."""
    mdp, size = bellman.mdp, bellman.reward_size()
    per_state = roundings.max(axis=1, initial=0)
    levels = [np.zeros((3, mdp.num_states))]
    for left in range(1, mdp.horizon + 1):
        value, magnitude, error = levels[-1]
        magnitude_now = bellman.state_means(size + bellman.onward(magnitude))
        error_now = bellman.state_means(bellman.onward(error)) + ROUNDOFF * per_state * magnitude_now
        value_now = bellman.state_means(bellman.action_values(value))
        levels.append(np.stack([value_now, magnitude_now, error_now]))
        if np.array_equal(levels[-1], levels[-2]):
            break  # every further step would give the same
        if left in (STEADY_WITHIN, mdp.horizon):
            _refuse_too_long(mdp)
        if progress is not None and left % 1024 == 0:
            progress(0.5 * left / mdp.horizon)
    return levels


def _weights(
    bellman: Bellman,
    probs: Floats,
    roundings: Floats,
    levels: list[Floats],
    progress: Callable[[float], None] | None,
) -> tuple[Floats, float]:
    """The weight of each ∇log π(a|s) in ∇J `[S, A]`, and the bound on the rounding of ∇J."""
    mdp, size = bellman.mdp, bellman.reward_size()
    state, likeliest = bellman.state, bellman.likeliest
    others = likeliest != np.arange(len(state))
    step = np.where(mdp.ends, 0.0, probs[mdp.state, mdp.action] * mdp.prob)
    per_step, per_pair = float(roundings.max(initial=0)), roundings[state, bellman.action]
    weights = np.zeros(len(state))
    reached = np.where(mdp.terminal, 0.0, mdp.start)  # d_t
    discount, rounding = 1.0, 0.0
    for left in range(mdp.horizon, 0, -1):
        value, magnitude, error = levels[min(left - 1, len(levels) - 1)]
        excess = bellman.differences(bellman.action_values(value))
        error = bellman.onward(error) + ROUNDOFF * per_pair * (size + bellman.onward(magnitude))
        weight = discount * reached[state] * bellman.pi
        weights += weight * excess
        relative = ROUNDOFF * (per_pair + per_step * (mdp.horizon - left + 1))
        rounding += float(np.sum(2 * weight * others * (error + error[likeliest] + relative * np.abs(excess))))
        reached = np.bincount(mdp.next_state, weights=reached[mdp.state] * step, minlength=mdp.num_states)
        discount *= mdp.gamma
        if discount * float(reached.sum()) < NEGLIGIBLE:
            break
        if progress is not None and left % 1024 == 0:
            progress(1 - 0.5 * left / mdp.horizon)
    table = np.zeros(probs.shape)
    table[state, bellman.action] = weights
    return table, rounding


def _refuse_too_long(mdp: MDP) -> None:
    """Raises TooLargeError where the values of so many steps cannot be kept: they have not become steady."""
    if mdp.horizon * mdp.num_states > MAX_VALUES or mdp.horizon * len(mdp.prob) > MAX_UPDATES:
        fits = min(MAX_VALUES // mdp.num_states, MAX_UPDATES // max(1, len(mdp.prob)))
        raise TooLargeError(
            f"horizon {mdp.horizon:,} with {mdp.num_states:,} states and {len(mdp.prob):,} outcomes is too long "
            f"for backward induction.\n  Lower the horizon to {fits:,}."
        )


def _roundings(mdp: MDP, policy: Policy, probs: Floats) -> Floats:
    """m(s, a): the roundings that one step through (s, a) can suffer, in units of u of its size `[S, A]`.

    - The sums over one action's outcomes and over actions have fewer roundings than the state has outcomes; 16 more
      cover the products and the last digits of exp.
    - exp turns the rounding of its argument, the distance of a preference from the greatest, into a relative error:
      as many units as the distance; the sum in the denominator of π has the mean distance.
    """
    offered = policy.index >= 0
    logits = np.where(offered, policy.theta[policy.index], -np.inf)
    distance = np.where(offered, logits.max(axis=1, keepdims=True, initial=-1e300) - logits, 0.0)
    distance = np.where(probs > 0, distance, 0.0)
    outcomes = np.bincount(mdp.state, minlength=mdp.num_states)[:, None]
    return np.where(offered, distance + np.sum(probs * distance, axis=1, keepdims=True) + outcomes + 16.0, 0.0)
