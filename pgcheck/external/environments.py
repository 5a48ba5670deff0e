"""Environments by the names of models, and the model that runs are about."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgcheck.errors import EstimatorError, UsageError
from pgcheck.formats.environments.registry import register

if TYPE_CHECKING:
    from pgcheck.arrays import Floats
    from pgcheck.external.environment import Environment
    from pgcheck.formats.modelfile import Model
    from pgcheck.model.mdp import MDP
    from pgcheck.model.policy import Policy

    Source = str | Path | Model | MDP | tuple[MDP, Policy]

SETTINGS = ("observation", "time_limit", "pad", "features")


@dataclass(frozen=True, eq=False)
class _RunsOf:
    """The model that runs are about: what environments are made over while it is in use.

    Attributes:
      mdp: the model.
      settings: of environments, where who makes one gives none.
      named: the features of the models that were asked for by name, each of which is this one.
    """

    mdp: "MDP"
    settings: Mapping[str, Any]
    named: dict[str, "Floats | None"] = field(default_factory=dict)

    def features_of(self, model: "Source") -> "Floats | None":
        """The features of a model that has to be this one; raises EstimatorError if it is another."""
        name = str(model) if isinstance(model, str | Path) else None
        if name is not None and name in self.named:
            return self.named[name]
        mdp, features = _problem(model)
        if not _alike(mdp, self.mdp):
            raise EstimatorError(
                f"this run is about the model {self.mdp.name}, with the states {_listed(self.mdp.states)}; an "
                f"environment over {mdp.name}, with the states {_listed(mdp.states)}, was asked for.\n"
                "  Take the environment that the agent is given, or check the agent on the model that it names."
            )
        if name is not None:
            self.named[name] = features
        return features

    def check(self, word: str, value: float | None) -> None:
        """Raises EstimatorError if another horizon or discount than this model's is asked for."""
        own = getattr(self.mdp, word)
        if value is not None and value != own:
            raise EstimatorError(
                f"this run is about {self.mdp.name} with {word} {own:,}; an environment with {word} {value:,} was "
                f"asked for.\n  Leave {word} out where the environment is made; the check takes --{word}."
            )


_IN_USE: list[_RunsOf] = []


def env(
    model: "Source",
    *,
    observation: str | None = None,
    time_limit: str | None = None,
    pad: bool | None = None,
    horizon: float | None = None,
    gamma: float | None = None,
    render_mode: str | None = None,
) -> "Environment":
    """Returns a Gymnasium environment over a finite MDP.

    It draws by its `np_random`, which `reset(seed=...)` seeds. In a run of an agent it is over the run's own MDP,
    which may have other rewards, and all its draws are answered.

    Args:
      model: any source of `load_model`, a `Model`, an `MDP`, or an MDP and its policy. Where it has no horizon,
        episodes end at the cut.
      observation: what the policy sees: "index" (the default, the observation's number), "one-hot", or "features":
        those of a linear policy, of all actions side by side `[A d]`. States that share an observation show the same.
      time_limit: the flag by which an episode ends that the horizon cuts off: "truncated" (the default), or
        "terminated".
      pad: whether all episodes take `horizon` steps, and end by the time limit's flag: an episode that is over idles
        with reward 0, shows what it showed last, and takes any action.
      horizon, gamma: in place of the model's own; γ is for those who read `env.unwrapped.gamma`.
      render_mode: "ansi": `render` returns the name of the present state.

    Raises:
      UsageError: gymnasium is missing, there is no such model, an argument is none of the known words, or the model
        has no features.
      ModelError: the model is at fault, or an episode may start in a terminal state and `pad` is False.
      EstimatorError: the run that is under way is about another model, horizon or discount.
    """
    from pgcheck.external.environment import environment_of

    given = {"observation": observation, "time_limit": time_limit, "pad": pad}
    settings: dict[str, Any] = {word: value for word, value in given.items() if value is not None}
    if not _IN_USE:
        register()
        mdp, features = _problem(model, horizon, gamma)
        environment = environment_of(mdp, features=features, render_mode=render_mode, **settings)
        environment.spec = _spec_of(mdp.name, {"model": model, "horizon": horizon, "gamma": gamma, **settings})
        return environment
    used = _IN_USE[-1]
    features = used.features_of(model)
    used.check("horizon", horizon)
    used.check("gamma", gamma)
    if features is not None:
        settings["features"] = features
    return environment_of(used.mdp, render_mode=render_mode, **{**used.settings, **settings})


@contextlib.contextmanager
def use_model(mdp: "MDP", **settings: Any) -> Iterator[None]:
    """Within the block, `env` and `gymnasium.make("pgcheck/NAME-v0")` make environments over this MDP alone.

    Enter it once for all runs of a model: the models that are asked for by name are read once in a block.

    Args:
      mdp: the model of the runs: a named one, or the same states and actions with other outcomes, rewards or horizon.
      settings: `observation`, `time_limit`, `pad` or `features` of `environment_of`, where who makes an environment
        gives none.

    Raises:
      UsageError: gymnasium is missing, or there is no such setting.
    """
    for word in settings:
        if word not in SETTINGS:
            raise UsageError(f"setting {word!r} of an environment; expected {', '.join(SETTINGS)}")
    register()
    used = _RunsOf(mdp, settings)
    _IN_USE.append(used)
    try:
        yield
    finally:
        _IN_USE.remove(used)


def _spec_of(name: str, keys: dict[str, Any]) -> Any:
    """By what gymnasium makes the same environment again, for those who ask for `env.spec`.

    Args:
      name: of the model.
      keys: arguments of `pgcheck.env`; those that are None are left out.
    """
    from gymnasium.envs.registration import EnvSpec

    identity = re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII) or "model"
    given = {key: value for key, value in keys.items() if value is not None}
    return EnvSpec(f"pgcheck/{identity}-v0", "pgcheck.external.environments:env", kwargs=given)


def _problem(
    model: "Source", horizon: float | None = None, gamma: float | None = None
) -> "tuple[MDP, Floats | None]":
    """The MDP that is meant, and the features of its policy if that is linear."""
    from pgcheck.arrays import kind_of
    from pgcheck.formats.loading import load_model
    from pgcheck.formats.modelfile import Model
    from pgcheck.formats.overrides import overridden
    from pgcheck.model.endless import cut
    from pgcheck.model.linear import Linear
    from pgcheck.model.mdp import MDP
    from pgcheck.model.softmax import TabularSoftmax

    policy: Policy | None = None
    if isinstance(model, str | Path):
        model = load_model(model)
    if isinstance(model, Model):
        mdp, policy = model.mdp, model.policy
    elif isinstance(model, MDP):
        mdp = model
    elif isinstance(model, tuple) and len(model) == 2 and isinstance(model[0], MDP):
        mdp, policy = model
    else:
        raise UsageError(
            f"{kind_of(model)} as the model of an environment; expected a name or a path, a Model, an MDP, or an MDP "
            "and its policy"
        )
    mdp = overridden(mdp, horizon=horizon, gamma=gamma)
    mdp = cut(mdp, TabularSoftmax.of(mdp) if policy is None else policy)
    return mdp, policy.features if isinstance(policy, Linear) else None


def _alike(mdp: "MDP", other: "MDP") -> bool:
    """Whether two MDPs have the name, the states, the actions and the observations in common."""
    return (
        (mdp.name, mdp.states, mdp.actions, mdp.observations)
        == (other.name, other.states, other.actions, other.observations)
    ) and mdp.observation.tolist() == other.observation.tolist()


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
