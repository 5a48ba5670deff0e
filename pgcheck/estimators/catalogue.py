"""The built-in estimators by name.

To add one: its weights, the recursion of its moments (if one is known) and what is known of it stand together in
`on_policy`, `off_policy` or `wrong`; then it is listed here, and gets a row in the tests.
"""

import difflib

from pgcheck.errors import UsageError
from pgcheck.estimators.base import Estimator, WeightedScores
from pgcheck.estimators.mistakes.ids import IDS
from pgcheck.estimators.off_policy import IMPORTANCE_SAMPLING, PER_DECISION, WEIGHTED_IMPORTANCE_SAMPLING
from pgcheck.estimators.on_policy import (
    ACTOR_CRITIC,
    ADVANTAGE,
    ALL_ACTIONS,
    CONSTANT_BASELINE,
    LAMBDA,
    OPTIMAL_BASELINE,
    REINFORCE,
    REWARD_TO_GO,
    VALUE_BASELINE,
    gae,
)
from pgcheck.estimators.wrong import (
    DROPPED_GAMMA,
    IMMEDIATE_REWARD,
    MEAN_OVER_STEPS,
    NORMALISED_RETURNS,
    UNIFORM_TRAJECTORIES,
)

ESTIMATORS = (
    REINFORCE,
    REWARD_TO_GO,
    CONSTANT_BASELINE,
    OPTIMAL_BASELINE,
    VALUE_BASELINE,
    ACTOR_CRITIC,
    gae(LAMBDA),
    ADVANTAGE,
    ALL_ACTIONS,
    IMPORTANCE_SAMPLING,
    PER_DECISION,
    WEIGHTED_IMPORTANCE_SAMPLING,
    DROPPED_GAMMA,
    NORMALISED_RETURNS,
    MEAN_OVER_STEPS,
    IMMEDIATE_REWARD,
    UNIFORM_TRAJECTORIES,
)
NAMES = tuple(estimator.name for estimator in ESTIMATORS)
FORMER_NAMES = {"normalized-returns": "normalised-returns"}  # still understood


def chosen(estimate: Estimator | str) -> Estimator:
    """Returns an estimator as it is, or the built-in one of this name.

    Raises:
      UsageError: there is no such name.
    """
    return estimator(estimate) if isinstance(estimate, str) else estimate


def estimator(name: str, lam: float | None = None) -> WeightedScores:
    """Returns the built-in estimator of this name.

    Args:
      name: one of `NAMES`.
      lam: the λ of `gae`, 0 to 1; None is 0.95.

    Raises:
      UsageError: there is none, or λ is given for another or out of range.
    """
    known = {estimator.name: estimator for estimator in ESTIMATORS}
    name = FORMER_NAMES.get(name, name)
    if name not in known:
        near = difflib.get_close_matches(name[:100], NAMES, 1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(NAMES)}"
        hint = f"it is the id of a mistake: pgcheck explain {name}" if name in IDS else hint
        raise UsageError(f"no estimator {name[:100]!r}; {hint} (see: pgcheck estimators)")
    if lam is None:
        return known[name]
    if name != "gae":
        raise UsageError(f"lambda belongs to gae, not to {name}")
    if not 0 <= lam <= 1:
        raise UsageError(f"lambda {lam}; expected 0 to 1")
    return gae(lam)
