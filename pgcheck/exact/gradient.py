"""The exact policy gradient, by two methods that share neither their recursion nor their direction."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pgcheck.arrays import Floats, norm_of
from pgcheck.errors import PrecisionError, TooLargeError
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.counting import count_trajectories, horizon_that_fits, spelled
from pgcheck.trajectories.sums import Gatherer
from pgcheck.trajectories.tree import Tree, split_probability

Method = Literal["enumeration", "backward-induction"]
Progress = Callable[[float], None]

MAX_TRAJECTORIES = 100_000_000
MAX_VALUES = 40_000_000  # values V_t(s) that backward induction may keep, with their errors: 1 GB
TRUSTED = 1e-9  # of the gradient may be lost to rounding
UNIT = 2.0**-53
NOTHING = 1e-290
PATIENCE = 5_000  # steps in which values may become steady before a horizon is called too long
MAX_UPDATES = 20_000_000_000  # outcomes x horizon: some minutes


@dataclass(frozen=True, eq=False)
class Discrepancy:
    """How far an estimate is from the exact gradient.

    Attributes:
      error: ‖ĝ − ∇J‖₂.
      relative_error: error / ‖∇J‖₂; None where ∇J = 0.
      cosine: of the angle between the two; None where one of them is 0.
    """

    error: float
    relative_error: float | None
    cosine: float | None


@dataclass(frozen=True, eq=False)
class Induction:
    """What backward induction finds.

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


@dataclass(frozen=True, eq=False)
class ExactGradient:
    """∇J(θ) and how it was found.

    Attributes:
      value: J(θ) = E[Σ_t γ^t r_t].
      gradient: ∇J `[d]`, in reward per unit θ, ordered as `parameters`.
      parameters: the (observation, action) of each component, by name.
      method: what `value` and `gradient` were found by.
      trajectories: how many there are; None where the number is too long to count.
      probability: the mass of those enumerated; None where none were.
      agreement: the greatest difference between the two methods in any component; None where one ran alone.
      rounding: a bound on the error of `gradient` by rounding, ‖·‖₂: that of backward induction, and for
        enumeration its distance from there on top.
    """

    value: float
    gradient: Floats
    parameters: tuple[tuple[str, str], ...]
    method: Method
    trajectories: int | None
    probability: float | None
    agreement: float | None
    rounding: float

    @property
    def norm(self) -> float:
        """‖∇J‖₂."""
        return norm_of(self.gradient)

    @property
    def is_zero(self) -> bool:
        """Whether ∇J is 0 but for what rounding may have left."""
        return self.norm <= self.rounding

    def discrepancy(self, estimate: Floats) -> Discrepancy:
        """Returns how far `estimate` `[d]` is from this gradient."""
        error, norm, length = norm_of(estimate - self.gradient), self.norm, norm_of(estimate)
        cosine = None
        if norm > 0 and length > 0:
            # Each is scaled first: the product of two tiny norms would underflow.
            cosine = float(np.clip(math.fsum(estimate / length * (self.gradient / norm)), -1, 1))
        return Discrepancy(error, error / norm if norm > 0 else None, cosine)


def exact_gradient(
    mdp: MDP,
    policy: Policy,
    *,
    method: Method | None = None,
    max_trajectories: int = MAX_TRAJECTORIES,
    progress: Progress | None = None,
) -> ExactGradient:
    """Returns ∇J(θ), summed over every trajectory that the policy can produce.

    ∇J(θ) = Σ_τ P(τ|θ) R(τ) Σ_t ∇log π_θ(a_t|s_t),   R(τ) = Σ_t γ^t r_t

    Exact up to rounding. The trajectories are counted, by backward induction, before any is built.
    See Williams (1992), https://doi.org/10.1007/BF00992696; for the other method, the policy gradient
    theorem, Sutton et al. (1999), https://papers.nips.cc/paper/1713.

    Args:
      mdp: discounted from t = 0; at most `mdp.horizon` steps.
      policy: the point θ at which to differentiate.
      method: `enumeration` sums over trajectories (and is compared with the other),
        `backward-induction` runs alone. None: enumeration where it fits, else the other.
      max_trajectories: refuse to enumerate more than this many.
      progress: called with the fraction done, 0 to 1, from time to time.

    Raises:
      TooLargeError: enumeration was asked for and more than `max_trajectories` trajectories exist; the
        message names a horizon that fits. Or the horizon is too long for backward induction too.
      PrecisionError: rounding may exceed 1e-9 of the gradient.
    """
    try:
        trajectories: int | None = count_trajectories(mdp)
    except TooLargeError:
        if method == "enumeration":
            raise
        trajectories = None
    fits = trajectories is not None and trajectories <= max_trajectories
    if method == "enumeration" and not fits:
        assert trajectories is not None
        raise TooLargeError(_too_many(mdp, trajectories, max_trajectories))
    induction = backward_induction(mdp, policy, progress=None if fits else progress)
    if method == "backward-induction" or not fits:
        return _trusted(mdp, ExactGradient(
            induction.value, induction.gradient, policy.parameters, "backward-induction", trajectories, None, None,
            induction.rounding,
        ))  # fmt: skip
    value, gradient, mass = enumerate_gradient(mdp, policy, progress=progress)
    apart = gradient - induction.gradient
    return _trusted(mdp, ExactGradient(
        value, gradient, policy.parameters, "enumeration", trajectories, mass,
        float(np.max(np.abs(apart), initial=0.0)), induction.rounding + norm_of(apart),
    ))  # fmt: skip


def _trusted(mdp: MDP, exact: ExactGradient) -> ExactGradient:
    """The gradient, if its digits mean something.

    One that is 0 but for rounding is told from one that rounding has drowned by the rewards: what is lost
    must be nothing beside the smallest difference between two of them.
    """
    rewards = np.unique(mdp.reward)
    gap = float(np.diff(rewards).min()) if len(rewards) > 1 else float(np.abs(rewards).max(initial=0))
    if exact.rounding <= TRUSTED * max(exact.norm, gap):
        return exact
    raise PrecisionError(
        f"{mdp.name}: rounding may reach {exact.rounding:.1e}, and the gradient is {exact.norm:.1e} in size: "
        f"not nine of its digits can be trusted.\n  Lower the horizon from {mdp.horizon:,}, or take from the rewards "
        f"(up to {float(np.abs(rewards).max()):.3g}, {gap:.1e} apart) what does not depend on the actions."
    )


def enumerate_gradient(mdp: MDP, policy: Policy, *, progress: Progress | None = None) -> tuple[float, Floats, float]:
    """Returns J, ∇J `[d]` and the mass, from every trajectory's probability and return, one by one.

    The weights Σ_τ P(τ) R(τ) of each visit of (s, a) are gathered `[S, A]`, then pulled back to θ at once.
    """
    tree = Tree(mdp, policy.probs())
    gatherer = Gatherer(tree)
    root = tree.root(np.where(mdp.terminal, 0.0, mdp.start))
    for block, leaves in tree.walk(root, split_probability):
        gatherer.take(block, leaves)
        if progress is not None and leaves is None:
            progress(gatherer.progress())
    gathered = gatherer.result()
    mass = math.fsum([gathered.measure, *mdp.start[mdp.terminal]])  # trajectories of length 0
    return gathered.value, policy.pullback(gathered.weights), mass


def backward_induction(mdp: MDP, policy: Policy, *, progress: Progress | None = None) -> Induction:
    """Returns J and ∇J by the policy gradient theorem, without a trajectory, and a bound on their rounding.

    ∇J = Σ_t γ^t Σ_s d_t(s) Σ_a ∇π(a|s) Q_t(s, a),   d_t(s) = P(s_t = s)

    Q_t comes from V_{t+1} backwards in t, d_t forwards. From each Q_t(s, ·) its value at the likeliest
    action is subtracted, which changes nothing (Σ_a ∇π = 0) but keeps the digits of differences.

    The bound runs along. With u = 2^-53 and m(s) roundings a step in state s, of sums of magnitudes |V|_t,
      e_t(s) = Σ_a π Σ p (γ e_{t+1}(s′)) + m(s) u |V|_t(s)
    bounds the error of V_t; that of ∇J, in any norm, is the sum over t, s, a of γ^t d_t π 2 (error of Q_t
    − Q_t at the likeliest action, plus its size times the relative error of d_t and π).

    Args:
      mdp, policy: the problem, and where to differentiate.
      progress: called with the fraction done, 0 to 1, from time to time.

    Raises:
      TooLargeError: values do not become steady within 5,000 steps, and horizon x states is beyond 1 GB or
        horizon x outcomes beyond some minutes.
    """
    horizon, num_states = mdp.horizon, mdp.num_states
    probs = policy.probs()
    pair = mdp.state * mdp.num_actions + mdp.action
    pairs = np.flatnonzero(np.r_[True, pair[1:] != pair[:-1]][: len(pair)])
    weights = np.zeros(probs.shape)
    if not len(pairs):
        return Induction(0.0, policy.pullback(weights), 0.0, np.zeros((1, num_states)))
    state, action = mdp.state[pairs], mdp.action[pairs]
    pi = probs[state, action]
    going = np.where(mdp.ends, 0.0, mdp.gamma)
    onward, size = mdp.prob * going, np.add.reduceat(mdp.prob * np.abs(mdp.reward), pairs)
    roundings = _roundings(mdp, policy, probs)

    def sums(following: Floats) -> Floats:
        return np.add.reduceat(onward * following[mdp.next_state], pairs)

    def action_values(following: Floats) -> Floats:
        return np.add.reduceat(mdp.prob * (mdp.reward + going * following[mdp.next_state]), pairs)

    def mean(q: Floats) -> Floats:
        return np.bincount(state, weights=pi * q, minlength=num_states).astype(np.float64)

    # By the number of steps that are left: V, the same sums of magnitudes, and the error of V `[3, S]`.
    levels = [np.zeros((3, num_states))]
    for left in range(1, horizon + 1):
        value, magnitude, error = levels[-1]
        magnitude_now = mean(size + sums(magnitude))
        error_now = mean(sums(error)) + UNIT * roundings.max(axis=1, initial=0) * magnitude_now
        levels.append(np.stack([mean(action_values(value)), magnitude_now, error_now]))
        if np.array_equal(levels[-1], levels[-2]):
            break  # every further step would give the same
        if left in (PATIENCE, horizon):
            _refuse_too_long(mdp)
        if progress is not None and left % 1024 == 0:
            progress(0.5 * left / horizon)

    def level(left: int) -> Floats:
        return levels[min(left, len(levels) - 1)]

    likeliest = np.argmax(probs, axis=1)[state] == action
    reached = np.where(mdp.terminal, 0.0, mdp.start)
    step = np.where(mdp.ends, 0.0, probs[mdp.state, mdp.action] * mdp.prob)
    per_step, per_pair = float(roundings.max(initial=0)), roundings[state, action]
    discount, rounding = 1.0, 0.0
    for left in range(horizon, 0, -1):
        value, magnitude, error = level(left - 1)
        q = action_values(value)
        error = sums(error) + UNIT * per_pair * (size + sums(magnitude))
        reference, its_error = np.zeros((2, num_states))
        reference[state[likeliest]] = q[likeliest]
        its_error[state[likeliest]] = error[likeliest]
        q -= reference[state]
        weight = discount * reached[state] * pi
        weights[state, action] += weight * q
        relative = UNIT * (per_pair + per_step * (horizon - left + 1))
        rounding += float(np.sum(2 * weight * ~likeliest * (error + its_error[state] + relative * np.abs(q))))
        reached = np.bincount(mdp.next_state, weights=reached[mdp.state] * step, minlength=num_states)
        discount *= mdp.gamma
        if discount * float(reached.sum()) < NOTHING:
            break  # subnormal numbers would never quite become 0
        if progress is not None and left % 1024 == 0:
            progress(1 - 0.5 * left / horizon)
    values = np.stack([value for value, _, _ in levels])
    return Induction(math.fsum(mdp.start * values[-1]), policy.pullback(weights), rounding, values)


def _refuse_too_long(mdp: MDP) -> None:
    """Called where values have not become steady by themselves: then each step has to be kept."""
    if mdp.horizon * mdp.num_states > MAX_VALUES or mdp.horizon * len(mdp.prob) > MAX_UPDATES:
        fits = min(MAX_VALUES // mdp.num_states, MAX_UPDATES // max(1, len(mdp.prob)))
        raise TooLargeError(
            f"horizon {mdp.horizon:,} with {mdp.num_states:,} states and {len(mdp.prob):,} outcomes is too long "
            f"for backward induction.\n  Lower the horizon to {fits:,}."
        )


def _roundings(mdp: MDP, policy: Policy, probs: Floats) -> Floats:
    """How many roundings one step through (s, a) can suffer, in units of 2^-53 of its size `[S, A]`.

    Those of the sums over outcomes and actions, some products, and those of π: exp turns the rounding of
    its argument, the distance of a preference from the greatest, into a relative error.
    """
    offered = policy.index >= 0
    logits = np.where(offered, policy.theta[policy.index], -np.inf)
    distance = np.where(offered, logits.max(axis=1, keepdims=True, initial=-1e300) - logits, 0.0)
    distance = np.where(probs > 0, distance, 0.0)
    outcomes = np.bincount(mdp.state, minlength=mdp.num_states)[:, None]
    return np.where(offered, distance + np.sum(probs * distance, axis=1, keepdims=True) + outcomes + 16.0, 0.0)


def _too_many(mdp: MDP, count: int, limit: int) -> str:
    fits = horizon_that_fits(mdp, limit)
    lower = f"Lower the horizon from {mdp.horizon} to {fits[0]} ({fits[1]:,} trajectories), pass" if fits else "Pass"
    enough = (
        f"{10 ** math.ceil(math.log10(count)):.0e}".replace("e+", "e").replace("e0", "e") if count < 10**15 else ""
    )
    allow = f" --max-trajectories {enough}, or use" if enough else " --max-trajectories, or better use"
    return (
        f"{spelled(count)} trajectories to enumerate; the limit is {limit:,}.\n"
        f"  {lower}{allow} --method backward-induction."
    )
