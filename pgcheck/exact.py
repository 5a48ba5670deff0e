"""The exact policy gradient, by two methods that share neither their recursion nor their direction."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pgcheck.counting import count_trajectories, horizon_that_fits, spelled
from pgcheck.errors import TooLargeError
from pgcheck.gather import Gatherer
from pgcheck.mdp import MDP, Floats
from pgcheck.policy import Policy
from pgcheck.tree import Tree, split_probability

Method = Literal["enumeration", "backward-induction"]
Progress = Callable[[float], None]

MAX_TRAJECTORIES = 100_000_000
MAX_VALUES = 125_000_000  # values V_t(s) that backward induction may keep: 1 GB
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
    """

    value: float
    gradient: Floats
    parameters: tuple[tuple[str, str], ...]
    method: Method
    trajectories: int | None
    probability: float | None
    agreement: float | None

    @property
    def norm(self) -> float:
        """‖∇J‖₂."""
        return _norm(self.gradient)

    def discrepancy(self, estimate: Floats) -> Discrepancy:
        """Returns how far `estimate` `[d]` is from this gradient."""
        error, norm, length = _norm(estimate - self.gradient), self.norm, _norm(estimate)
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
    value, gradient = backward_induction(mdp, policy)
    if method == "backward-induction" or not fits:
        return ExactGradient(value, gradient, policy.parameters, "backward-induction", trajectories, None, None)
    enumerated, by_sum, mass = enumerate_gradient(mdp, policy, progress=progress)
    agreement = float(np.max(np.abs(by_sum - gradient), initial=0.0))
    return ExactGradient(enumerated, by_sum, policy.parameters, "enumeration", trajectories, mass, agreement)


def enumerate_gradient(mdp: MDP, policy: Policy, *, progress: Progress | None = None) -> tuple[float, Floats, float]:
    """Returns J, ∇J `[d]` and the mass, from every trajectory's probability and return, one by one.

    The weights Σ_τ P(τ) R(τ) of each visit of (s, a) are gathered `[S, A]`, then pulled back to θ at once.
    """
    tree = Tree(mdp, policy.probs())
    gatherer = Gatherer(tree)
    root = tree.root(np.where(mdp.terminal, 0.0, mdp.start), paths=False)
    for block, leaves in tree.walk(root, split_probability):
        gatherer.take(block, leaves)
        if progress is not None and leaves is None:
            progress(gatherer.progress())
    gathered = gatherer.result()
    mass = math.fsum([gathered.measure, *mdp.start[mdp.terminal]])  # trajectories of length 0
    return gathered.value, policy.pullback(gathered.weights), mass


def backward_induction(mdp: MDP, policy: Policy) -> tuple[float, Floats]:
    """Returns J and ∇J `[d]` by the policy gradient theorem, without a trajectory.

    ∇J = Σ_t γ^t Σ_s d_t(s) Σ_a ∇π(a|s) Q_t(s, a),   d_t(s) = P(s_t = s)

    Q_t comes from V_{t+1} backwards in t, d_t forwards. From each Q_t(s, ·) its value at the likeliest
    action is subtracted, which changes nothing (Σ_a ∇π = 0) but keeps the digits of differences.

    Raises:
      TooLargeError: horizon x states is beyond 1 GB, or horizon x outcomes beyond some minutes.
    """
    horizon = mdp.horizon
    if horizon * mdp.num_states > MAX_VALUES or horizon * len(mdp.prob) > MAX_UPDATES:
        fits = min(MAX_VALUES // mdp.num_states, MAX_UPDATES // max(1, len(mdp.prob)))
        raise TooLargeError(
            f"horizon {horizon:,} with {mdp.num_states:,} states and {len(mdp.prob):,} outcomes is too long "
            f"for backward induction. Lower the horizon to {fits:,}."
        )
    probs = policy.probs()
    pairs = np.flatnonzero(np.r_[True, np.diff(mdp.state * mdp.num_actions + mdp.action) != 0][: len(mdp.prob)])
    pair_state, pair_action = mdp.state[pairs], mdp.action[pairs]
    pi = probs[pair_state, pair_action]
    going = np.where(mdp.ends, 0.0, mdp.gamma)

    def action_values(following: Floats) -> Floats:
        return np.add.reduceat(mdp.prob * (mdp.reward + going * following[mdp.next_state]), pairs)

    values = np.zeros((horizon + 1, mdp.num_states))  # by the number of steps that are left
    weights = np.zeros(probs.shape)
    if len(pairs):
        for left in range(1, horizon + 1):
            q = action_values(values[left - 1])
            values[left] = np.bincount(pair_state, weights=pi * q, minlength=mdp.num_states)
        likeliest = np.argmax(probs, axis=1)[pair_state] == pair_action
        reached = np.where(mdp.terminal, 0.0, mdp.start)
        step = np.where(mdp.ends, 0.0, probs[mdp.state, mdp.action] * mdp.prob)
        discount = 1.0
        for left in range(horizon, 0, -1):
            q = action_values(values[left - 1])
            reference = np.zeros(mdp.num_states)
            reference[pair_state[likeliest]] = q[likeliest]
            weights[pair_state, pair_action] += discount * reached[pair_state] * pi * (q - reference[pair_state])
            reached = np.bincount(mdp.next_state, weights=reached[mdp.state] * step, minlength=mdp.num_states)
            discount *= mdp.gamma
            if discount == 0.0 or not reached.any():
                break
    return math.fsum(mdp.start * values[horizon]), policy.pullback(weights)


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


def _norm(vector: Floats) -> float:
    """‖vector‖₂ without overflow or underflow on the way."""
    return math.hypot(*vector.tolist())
