"""The exact policy gradient, by two methods whose results are compared.

    enumeration          ∇J = Σ_τ P(τ) R(τ) Σ_t ∇log π(a_t|s_t)
    backward induction   ∇J = Σ_t γ^t Σ_s P(s_t = s) Σ_a ∇π(a|s) Q_t(s, a)

They share neither a formula nor a recursion: one sums over whole trajectories, the other over states, so that a
mistake in one of them shows in their difference.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pgcheck.arrays import Floats, brief_fields, norm_of
from pgcheck.displayed import Displayed, drawn
from pgcheck.errors import PrecisionError, TooLargeError
from pgcheck.exact.chain import layout
from pgcheck.exact.enumeration import enumerate_gradient
from pgcheck.exact.induction import backward_induction
from pgcheck.model.endless import cut
from pgcheck.model.mdp import MDP
from pgcheck.model.objective import credited
from pgcheck.model.policy import Policy
from pgcheck.trajectories.counting import count_text, count_trajectories, horizon_that_fits, refuse_endless
from pgcheck.trajectories.kept import kept
from pgcheck.workers.executor import HERE, Executor

Method = Literal["enumeration", "backward-induction"]
Progress = Callable[[float], None]

MAX_TRAJECTORIES = 100_000_000
MAX_RELATIVE_ROUNDING = 1e-6  # of the gradient that may be lost to rounding
ROUNDING_BESIDE_ROLLOUTS = 1e-3  # the same, where estimates from rollouts are compared with it
ROUNDING_BESIDE_REWARDS = 1e-9  # of the smallest difference between rewards: what a gradient of 0 may be off


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
class ExactGradient(Displayed):
    """∇J(θ), the method that found it, and how precise it is.

    Attributes:
      value: J(θ) = E[Σ_t γ^t r_t]; 0 where nothing but rounding is left of it.
      gradient: ∇J `[d]`, in reward per unit θ, ordered as `parameters`.
      parameters: the names of each component: (observation, action), or one name.
      method: the method that found `value` and `gradient`.
      trajectories: their number; None where it is too long to count.
      probability: Σ_τ P(τ) over those enumerated; None where none were.
      agreement: the greatest difference between the two methods in any component; None where only one ran.
      rounding: a bound on the error of `gradient` by rounding, ‖·‖₂: that of backward induction; for enumeration,
        plus the distance between the two. Of a policy that is no table, that of the gradient by its logits.
      value_rounding: such a bound on the error of `value`.
    """

    value: float
    gradient: Floats
    parameters: tuple[tuple[str, ...], ...]
    method: Method
    trajectories: int | None
    probability: float | None
    agreement: float | None
    rounding: float
    value_rounding: float

    __repr__ = brief_fields

    @property
    def norm(self) -> float:
        """‖∇J‖₂."""
        return norm_of(self.gradient)

    @property
    def is_zero(self) -> bool:
        """Whether ‖∇J‖ is within its rounding error of 0."""
        return self.norm <= self.rounding

    def plot(self, mdp: MDP) -> Any:
        """Returns ∇J as a picture; arguments, result and errors as in `displayed.Plotted.plot`, and the model."""
        return drawn(self, mdp)

    def relative(self, size: float | None) -> float | None:
        """Returns a size over ‖∇J‖; None where it is not known, or ∇J = 0."""
        return None if size is None or self.norm == 0 else size / self.norm

    def discrepancy(self, estimate: Floats) -> Discrepancy:
        """Returns how far `estimate` `[d]` is from this gradient."""
        error, norm, length = norm_of(estimate - self.gradient), self.norm, norm_of(estimate)
        cosine = None
        if norm > 0 and length > 0:
            # Each is scaled first, because the product of two tiny norms would underflow.
            cosine = float(np.clip(math.fsum(estimate / length * (self.gradient / norm)), -1, 1))
        return Discrepancy(error, error / norm if norm > 0 else None, cosine)


def exact_gradient(
    mdp: MDP,
    policy: Policy,
    *,
    method: Method | None = None,
    max_trajectories: int = MAX_TRAJECTORIES,
    max_relative_rounding: float = MAX_RELATIVE_ROUNDING,
    progress: Progress | None = None,
    executor: Executor = HERE,
) -> ExactGradient:
    """Returns ∇J(θ), summed over every trajectory that the policy can produce.

    ∇J(θ) = Σ_τ P(τ|θ) R(τ) Σ_t ∇log π_θ(a_t|s_t),   R(τ) = Σ_t γ^t r_t

    With an entropy bonus or a KL penalty, r′ of `model.objective` stands for r. Exact up to rounding. The
    trajectories are counted, by backward induction, before any is built.
    See Williams (1992), https://doi.org/10.1007/BF00992696; for the other method, the policy gradient
    theorem, Sutton et al. (1999), https://papers.nips.cc/paper/1713.

    Args:
      mdp: discounted from t = 0; at most `mdp.horizon` steps.
      policy: the point θ at which to differentiate.
      method: `enumeration` sums over trajectories (and is compared with the other),
        `backward-induction` runs alone. None: enumeration where it fits, else the other.
      max_trajectories: refuse to enumerate more than this many.
      max_relative_rounding: the part of ‖∇J‖ that may be lost to rounding.
      progress: called with the fraction done, 0 to 1, from time to time.
      executor: does the parts of an enumeration.

    Raises:
      TooLargeError: enumeration was asked for and more than `max_trajectories` trajectories exist; the
        message names a horizon that fits. Or the horizon is too long for backward induction too, or without one
        episodes do not end (`model.endless.cut`).
      PrecisionError: rounding may exceed `max_relative_rounding` of the gradient.
    """
    mdp = cut(mdp, policy)
    trajectories = _number_of_trajectories(mdp)
    fits = trajectories is not None and trajectories <= max_trajectories
    if method == "enumeration" and not fits:
        refuse_endless(mdp)
        raise TooLargeError(_too_many(mdp, trajectories, max_trajectories))
    problem, mdp = mdp, credited(mdp, policy)
    induction = backward_induction(mdp, policy, progress=None if fits else progress)
    value, gradient, mass, agreement = induction.value, induction.gradient, None, None
    rounding, value_rounding = induction.rounding, induction.value_rounding
    enumerates = fits and method != "backward-induction"
    if enumerates:
        value, gradient, mass = enumerate_gradient(mdp, policy, progress=progress, executor=executor)
        difference = gradient - induction.gradient
        agreement = float(np.max(np.abs(difference), initial=0.0))
        rounding += norm_of(difference)
        value_rounding += abs(value - induction.value)
    chosen: Method = "enumeration" if enumerates else "backward-induction"
    exact = ExactGradient(
        0.0 if abs(value) <= value_rounding else value, gradient, policy.parameters, chosen, trajectories, mass,
        agreement, rounding, value_rounding,
    )  # fmt: skip
    _refuse_lost(problem, exact, max_relative_rounding)
    return exact


def gradient_beside_rollouts(mdp: MDP, policy: Policy) -> ExactGradient:
    """Returns ∇J(θ) by backward induction, to compare estimates from rollouts with: they have fewer digits.

    Raises:
      TooLargeError: the horizon is too long.
      PrecisionError: rounding may exceed 1e-3 of the gradient.
    """
    return exact_gradient(mdp, policy, method="backward-induction", max_relative_rounding=ROUNDING_BESIDE_ROLLOUTS)


@kept
def _number_of_trajectories(mdp: MDP) -> int | None:
    """Their number; None where it takes too long to count."""
    try:
        return count_trajectories(mdp)
    except TooLargeError:
        return None


def _refuse_lost(mdp: MDP, exact: ExactGradient, limit: float) -> None:
    """Raises PrecisionError where more than this part of the gradient may be lost to rounding.

    Rounding may also be larger than a gradient that is 0. Such a gradient is accepted if rounding is small beside the
    smallest difference between two rewards; if it is not, rounding may hide a gradient that is not 0. Without any
    reward, the coefficients of the objective stand for them.
    """
    gap = layout(mdp).gap or mdp.entropy + mdp.kl
    if exact.rounding <= max(limit * exact.norm, min(limit, ROUNDING_BESIDE_REWARDS) * gap):
        return
    greatest = float(np.abs(mdp.reward).max())
    raise PrecisionError(
        f"{mdp.name}: rounding may reach {exact.rounding:.1e}, and the gradient is {exact.norm:.1e} in size: "
        f"fewer than {-math.log10(limit):.0f} of its digits can be trusted.\n"
        f"  Lower the horizon from {mdp.horizon:,}, or subtract from the rewards "
        f"(up to {greatest:.3g}, {gap:.1e} apart) what does not depend on the actions."
    )


def _too_many(mdp: MDP, count: int | None, limit: int) -> str:
    """The message for more trajectories than may be enumerated, with a horizon that fits."""
    if count is None:
        return f"more trajectories than can be counted; the limit is {limit:,}.\n  Use --method backward-induction."
    fits = horizon_that_fits(mdp, limit)
    lower = (
        f"Lower the horizon from {mdp.horizon:,} to {fits[0]:,} ({fits[1]:,} trajectories), pass" if fits else "Pass"
    )
    enough = (
        f"{10 ** math.ceil(math.log10(count)):.0e}".replace("e+", "e").replace("e0", "e") if count < 10**15 else ""
    )
    allow = f" --max-trajectories {enough}, or use" if enough else " --max-trajectories, or better use"
    return (
        f"{count_text(count)} trajectories to enumerate; the limit is {limit:,}.\n"
        f"  {lower}{allow} --method backward-induction."
    )
