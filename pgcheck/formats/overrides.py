"""An MDP with another horizon, discount or objective than its file says."""

import math
from dataclasses import replace
from typing import TypedDict

from pgcheck.errors import UsageError
from pgcheck.formats.transitions import MAX_SIZE
from pgcheck.model.horizon import MAX_HORIZON, horizon_of
from pgcheck.model.mdp import MDP

MAX_COEFFICIENT = MAX_SIZE  # of the objective's entropy and kl
ADD_REFERENCE = "add one, like reference: {softmax: {}}"


class Overrides(TypedDict):
    """What replaces a model's own; None leaves it."""

    horizon: float | None
    gamma: float | None
    entropy: float | None
    kl: float | None


def overridden(
    mdp: MDP,
    *,
    horizon: float | None = None,
    gamma: float | None = None,
    entropy: float | None = None,
    kl: float | None = None,
) -> MDP:
    """Returns an MDP with another horizon, γ, α (entropy) or β (kl); None leaves its own.

    Raises:
      UsageError: a number is out of range, or kl is not 0 and the model has no reference policy.
      ModelError: the reference gives an action no probability, and kl is not 0.
    """
    if horizon is not None and not (1 <= horizon <= MAX_HORIZON or horizon == math.inf):
        raise UsageError(f"horizon {horizon:,}; expected 1 to {MAX_HORIZON:,} steps, or inf")
    if horizon is not None and horizon != math.inf and horizon % 1:
        raise UsageError(f"horizon {horizon:,} is not whole; expected 1 to {MAX_HORIZON:,} steps, or inf")
    if gamma is not None and not 0 <= gamma <= 1:
        raise UsageError(f"gamma {gamma}; expected 0 to 1")
    for name, value in (("entropy", entropy), ("kl", kl)):
        if value is not None and not 0 <= value <= MAX_COEFFICIENT:
            raise UsageError(f"{name} {value:g}; expected 0 to {MAX_COEFFICIENT:g}")
    if kl and mdp.reference is None:
        raise UsageError(
            f"{mdp.name} has no reference policy: kl {kl:g} is the weight of KL(pi || pi_ref).\n"
            "  Add `reference: {softmax: {}}` to the model (preferences left out are 0), or leave kl out."
        )
    changes: dict[str, float | None] = {
        "horizon": None if horizon is None else horizon_of(horizon),
        "gamma": gamma,
        "entropy": entropy,
        "kl": kl,
    }
    given = {name: value for name, value in changes.items() if value is not None and value != getattr(mdp, name)}
    if horizon is not None and (horizon == math.inf) != mdp.is_endless:  # a cut may equal the horizon that is given
        given["horizon"] = horizon_of(horizon)
    return replace(mdp, **given) if given else mdp  # type: ignore[arg-type]
