"""The models that an estimator is checked on, in whatever form they are given."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pgcheck.formats.loading import load_model
from pgcheck.formats.modelfile import Model
from pgcheck.formats.overrides import overridden
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.verification.battery import battery_models
from pgcheck.verification.setting import setting_of

OneModel = str | Path | Model | tuple[MDP, Policy] | tuple[MDP, Policy, Policy]
Models = Sequence[OneModel] | str | Path | Model


def problems_of(
    models: Models | None = None,
    *,
    horizon: float | None = None,
    gamma: float | None = None,
    entropy: float | None = None,
    kl: float | None = None,
    off_policy: bool = False,
) -> list[Model]:
    """Returns the models, with these numbers in place of their own where given.

    Args:
      models: names, paths, MDPs with their policies (and behaviors), or `Model`s; None is the battery.
      horizon, gamma, entropy, kl: override the models' own.
      off_policy: whether each needs a behavior.

    Raises:
      ModelError: a model cannot be read.
      UsageError: a number is out of range, or a behavior is missing or unfit.
    """
    if models is None:
        return battery_models(horizon=horizon, gamma=gamma, entropy=entropy, kl=kl)
    if isinstance(models, str | Path | Model):
        models = [models]
    loaded = []
    for given in models:
        model = load_model(given) if isinstance(given, str | Path) else given
        if not isinstance(model, Model):
            model = Model(model[0], model[1], model[2] if len(model) > 2 else None)
        model = replace(model, mdp=overridden(model.mdp, horizon=horizon, gamma=gamma, entropy=entropy, kl=kl))
        setting_of(model, off_policy=off_policy)  # a behavior that is missing or unfit is refused before any call
        loaded.append(model)
    return loaded
