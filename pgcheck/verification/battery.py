"""The models on which an estimator is checked where none are given, chosen so that the known mistakes differ."""

from functools import lru_cache

from pgcheck.formats.loading import load_model
from pgcheck.formats.modelfile import Model
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy

# Names and horizons. Two discounted models with episodes of one step up to the horizon, terminated and cut off; one
# with states that look alike; one without discount, on which a dropped γ^t does no harm; one with long episodes and
# rewards of a thousandth; one with many states and rewards up to 1,000. All have few trajectories, because batches of
# two and three are made too. In three of them every state offers every action and none look alike: there theta is a
# table `[S, A]`.
BATTERY = (
    ("two_state", 3), ("early_exit", 3), ("aliased_gridworld", 4), ("random_walk", 5), ("long_chain", 24),
    ("forty_rooms", 10),
)  # fmt: skip


# Of loops, which are run for every way in which their draws can come out: two episodes at a time take 80 to 530 runs.
LOOP_BATTERY = (("two_state", 3), ("deep_sea", 4), ("long_chain", 8), ("random_walk", 4))


def battery(*, horizon: float | None = None, gamma: float | None = None) -> list[tuple[MDP, Policy]]:
    """Returns the MDPs of the battery with their policies; arguments are those of `battery_models`."""
    return [(model.mdp, model.policy) for model in battery_models(horizon=horizon, gamma=gamma)]


def battery_models(
    *,
    horizon: float | None = None,
    gamma: float | None = None,
    entropy: float | None = None,
    kl: float | None = None,
    names: tuple[tuple[str, int], ...] = BATTERY,
) -> list[Model]:
    """Returns the models of a battery, with these numbers in place of their own where given."""
    return list(_loaded(names, horizon, gamma, entropy, kl))


@lru_cache(maxsize=4)
def _loaded(
    models: tuple[tuple[str, int], ...], horizon: float | None, gamma: float | None, entropy: float | None,
    kl: float | None,
) -> tuple[Model, ...]:  # fmt: skip
    """The models, which are read once: nothing can change them."""
    return tuple(
        load_model(name, horizon=horizon or steps, gamma=gamma, entropy=entropy, kl=kl) for name, steps in models
    )
