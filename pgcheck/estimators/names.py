"""The names of the built-in estimators, in the order of the catalogue: light to import, for shells."""

NAMES = (
    "reinforce",
    "reward-to-go",
    "constant-baseline",
    "optimal-baseline",
    "value-baseline",
    "actor-critic",
    "gae",
    "advantage",
    "all-actions",
    "importance-sampling",
    "per-decision",
    "weighted-importance-sampling",
    "dropped-gamma",
    "normalised-returns",
    "mean-over-steps",
    "immediate-reward",
    "uniform-trajectories",
)  # those of `catalogue.ESTIMATORS`: a test compares them
