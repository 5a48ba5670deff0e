"""The models on which an estimator is checked where none are given, chosen so that the known mistakes differ."""

from pgcheck.formats.modelfile import load
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy

# Two discounted models with episodes of one step to the horizon's, cut off and not; states that look alike; and one
# without discount, on which a forgotten gamma^t does no harm. All are small: batches of two and three are made too.
BATTERY = (("two_state", 3), ("early_exit", 3), ("aliased_gridworld", 4), ("random_walk", 5))


def battery() -> list[tuple[MDP, Policy]]:
    """Returns the models of the battery."""
    return [load(name, horizon=horizon) for name, horizon in BATTERY]
