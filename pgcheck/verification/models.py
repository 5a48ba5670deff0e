"""The models that an estimator is checked on, in whatever form they are given."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pgcheck.formats.loading import load_model
from pgcheck.formats.modelfile import Model
from pgcheck.formats.overrides import overridden
from pgcheck.model.endless import cut
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
        models = battery_models(horizon=horizon, gamma=gamma, entropy=entropy, kl=kl)
    if isinstance(models, str | Path | Model):
        models = [models]
    loaded = []
    for given in models:
        if isinstance(given, str | Path):
            model = load_model(given, horizon=horizon, gamma=gamma, entropy=entropy, kl=kl)
        else:
            model = given if isinstance(given, Model) else Model(*given)
            model = replace(model, mdp=overridden(model.mdp, horizon=horizon, gamma=gamma, entropy=entropy, kl=kl))
        model = replace(model, mdp=_with_fixed_horizon(model))
        setting_of(model, off_policy=off_policy)  # a behavior that is missing or unfit is refused before any call
        loaded.append(model)
    return loaded


def _with_fixed_horizon(model: Model) -> MDP:
    """The MDP with the horizon at which the policy's episodes are cut, if it has none.

    It is fixed, so that other rewards or an agent's own policy do not move it between two parts of one verdict.
    """
    mdp = cut(model.mdp, model.policy)
    return replace(mdp, horizon=int(mdp.horizon)) if mdp.is_endless else mdp
