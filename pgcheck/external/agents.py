"""Agents: training loops that sample for themselves, as users write them down for pgcheck.

@agent                                    # called anew for every run, with a Gymnasium environment over the model
def a2c(env):
    policy = Net()                        # the same weights every time
    return Agent(logits=policy, parameters=policy.parameters(), update=lambda: train_once(policy, env))
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, overload

from pgcheck.arrays import kind_of
from pgcheck.errors import EstimatorError, UsageError

Observation = Literal["index", "one-hot", "features"]
TimeLimit = Literal["truncated", "terminated"]


@dataclass(frozen=True, eq=False)
class Agent:
    """A policy, and the code that trains it.

    Attributes:
      logits: from a batch of observations `[n, ...]` to the logits of the actions `[n, A]`: a torch module or
        function. Where the parameters are a tree of jax or NumPy arrays: from the parameters and the observations.
      parameters: θ: torch parameters, as a module's `parameters()` or `named_parameters()` gives them, or a tree of
        arrays; or a function that returns them, for networks that are made by `update` itself.
      update: the training code, as it is. It is stopped at the first step of an optimizer that holds a parameter of
        the policy: minus the gradient there is the estimate of ∇J. Without an optimizer, the estimate is what it
        returns, as +∇J and in the shapes of the parameters; or minus what it leaves in `.grad`.
      values: from a batch of observations to the critic's values `[n]` or `[n, 1]`, like `logits`; where it is given,
        what the critic does to the gradient is told apart from other things.
    """

    logits: Callable[..., Any]
    parameters: Any
    update: Callable[[], Any]
    values: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        for name in ("logits", "update"):
            if not callable(getattr(self, name)):
                raise UsageError(f"Agent: {name} is {kind_of(getattr(self, name))}; expected something to be called")
        if hasattr(self.parameters, "__next__"):  # `policy.parameters()` can be read only once
            object.__setattr__(self, "parameters", list(self.parameters))
        if self.values is not None and not callable(self.values):
            raise UsageError(f"Agent: values is {kind_of(self.values)}; expected something to be called")


@dataclass(frozen=True, eq=False)
class AgentFunction:
    """A function from an environment to an agent, with what the environment is to be like.

    Attributes:
      function: the user's.
      observation: what the environment shows: the observation's number, its one-hot row, or the model's features.
      time_limit: the flag with which it ends an episode at the horizon.
      pad: whether an episode that ends earlier idles without reward until the horizon.
    """

    function: Callable[[Any], Agent]
    observation: Observation = "index"
    time_limit: TimeLimit = "truncated"
    pad: bool = False

    def __call__(self, env: Any) -> Agent:
        """Returns the agent that the function makes for an environment.

        Raises:
          EstimatorError: it returned something else.
        """
        made = self.function(env)
        if not isinstance(made, Agent):
            what = "None; is a return missing?" if made is None else f"{kind_of(made)};"
            raise EstimatorError(f"{self.name} returned {what} expected a pgcheck.agents.Agent")
        return made

    @property
    def name(self) -> str:
        """The function's name."""
        return getattr(self.function, "__name__", "the agent")


@overload
def agent(function: Callable[[Any], Agent], /) -> AgentFunction: ...
@overload
def agent(
    *, observation: Observation = "index", time_limit: TimeLimit = "truncated", pad: bool = False
) -> Callable[[Callable[[Any], Agent]], AgentFunction]: ...
def agent(
    function: Callable[[Any], Agent] | None = None,
    /,
    *,
    observation: Observation = "index",
    time_limit: TimeLimit = "truncated",
    pad: bool = False,
) -> AgentFunction | Callable[[Callable[[Any], Agent]], AgentFunction]:
    """Marks a function of a Gymnasium environment, which returns an `Agent`, as something to be verified.

    The function is called anew for each run, and has to make the same agent each time.

    Args:
      function: the function; without it, what is returned marks one.
      observation: what the environment shows: `index`, the number of the observation; `one-hot`, a row of 0 and 1;
        `features`, those of the model's linear policy.
      time_limit: the flag of a step at the horizon: `truncated`, as Gymnasium has it, or `terminated`.
      pad: whether an episode that ends earlier idles without reward until the horizon, so that a buffer of `horizon`
        steps holds one episode.

    Raises:
      UsageError: an argument is none of these.
    """
    if observation not in ("index", "one-hot", "features"):
        raise UsageError(f"@agent: observation={observation!r}; expected 'index', 'one-hot' or 'features'")
    if time_limit not in ("truncated", "terminated"):
        raise UsageError(f"@agent: time_limit={time_limit!r}; expected 'truncated' or 'terminated'")
    if function is not None and not callable(function):
        raise UsageError(f"@agent marks a function of an environment, not {kind_of(function)}")

    def marked(function: Callable[[Any], Agent]) -> AgentFunction:
        return AgentFunction(function, observation, time_limit, pad)

    return marked if function is None else marked(function)


def sb3(model: Any, steps: int | None = None) -> Agent:
    """Returns a stable-baselines3 agent with a policy over discrete actions: A2C, PPO and their like.

    Args:
      model: the algorithm, made with the environment that the function was given.
      steps: for how many steps it learns, before it is stopped at its first optimizer step; None is one rollout:
        `n_steps` in each of its environments.

    Raises:
      UsageError: it is no on-policy algorithm of stable-baselines3, or its actions are not discrete.
    """
    policy: Any = getattr(model, "policy", None)
    if not (hasattr(policy, "get_distribution") and hasattr(policy, "predict_values") and hasattr(model, "learn")):
        raise UsageError(f"sb3 got {kind_of(model)}; expected an on-policy algorithm like A2C or PPO")
    length = steps if steps is not None else int(model.n_steps) * int(model.n_envs)

    def logits(observations: Any) -> Any:
        distribution = policy.get_distribution(observations).distribution
        if not hasattr(distribution, "logits"):
            raise EstimatorError("sb3: the policy has no logits; its actions have to be gymnasium.spaces.Discrete")
        return distribution.logits

    def update() -> None:
        logging = sys.modules.get("stable_baselines3.common.logger")
        if logging is not None and not getattr(model, "_custom_logger", True):
            model.set_logger(logging.Logger(folder=None, output_formats=[]))  # else each run leaves a folder
        model.learn(length)

    return Agent(
        logits=logits, parameters=policy.named_parameters, values=policy.predict_values, update=update
    )  # fmt: skip
