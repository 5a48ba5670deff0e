"""The models on which an estimator is checked where none are given, chosen so that the known mistakes differ."""

from pgcheck.formats.modelfile import load
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy

# Names and horizons. Two discounted models with episodes of one step up to the horizon, terminated and cut off; one
# with states that look alike; one without discount, on which a dropped γ^t does no harm. All are small, because
# batches of two and three are made too.
BATTERY = (("two_state", 3), ("early_exit", 3), ("aliased_gridworld", 4), ("random_walk", 5))


def battery(*, horizon: int | None = None, gamma: float | None = None) -> list[tuple[MDP, Policy]]:
    """Returns the models of the battery, with `horizon` and `gamma` in place of their own where given."""
    return [load(name, horizon=horizon or steps, gamma=gamma) for name, steps in BATTERY]
