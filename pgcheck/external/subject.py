"""An agent's policy at the start of a run: θ, the logits of all states and their derivative, by its own code."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pgcheck.arrays import Floats, detached, kind_of
from pgcheck.errors import EstimatorError, PolicyError
from pgcheck.external.agents import Agent
from pgcheck.model.linearised import Linearised
from pgcheck.model.mdp import MDP
from pgcheck.model.network import JaxNetwork, imported_jax, imported_torch, numbers
from pgcheck.model.numeric import NumericNetwork, named_arrays
from pgcheck.model.parameters import joined
from pgcheck.model.parametric import MAX_DERIVATIVE, SAME, SAME_IN_SINGLE

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Subject:
    """What an agent's verdict is about.

    Attributes:
      policy: its policy, to first order at θ.
      unused: the names of parameters on which the logits do not depend, such as a critic's; they are no part of θ.
      values: the critic's value of each state `[S]`, where the agent tells; 0 for terminal states.
      value_derivative: ∂values/∂θ `[S, d]`, of torch agents that tell.
      not_told: how many numbers the logits depend on besides, in parameters that the agent did not hand over.
    """

    policy: Linearised
    unused: tuple[str, ...]
    values: Floats | None = None
    value_derivative: Floats | None = None
    not_told: int = 0


def parameters_of(agent: Agent) -> Any:
    """Returns the parameters of an agent: torch parameters by name, or a tree of arrays as it is.

    Raises:
      EstimatorError: there are none, or they are neither.
    """
    given = agent.parameters
    if hasattr(given, "named_parameters"):
        given = given.named_parameters()
    elif callable(given):
        given = given()
        given = given.named_parameters() if hasattr(given, "named_parameters") else given
    given = list(given) if hasattr(given, "__next__") else given
    if _is_tensor(given):
        given = [given]
    if isinstance(given, Mapping) and given and all(_is_tensor(value) for value in given.values()):
        given = list(given.items())
    if isinstance(given, list | tuple) and given:
        if all(_is_tensor(item) for item in given):
            return _named(agent, list(given))
        if all(isinstance(item, tuple) and len(item) == 2 and _is_tensor(item[1]) for item in given):
            return {str(name): value for name, value in given if value.requires_grad}
    if given is None or (isinstance(given, list | tuple | Mapping) and not given):
        raise EstimatorError(
            "Agent: parameters are empty; expected those of the policy, as policy.parameters() gives them"
        )
    return given


def is_torch(parameters: object) -> bool:
    """Whether the parameters are torch's, by name."""
    return isinstance(parameters, dict) and all(_is_tensor(value) for value in parameters.values())


def flat_parameters(parameters: Any) -> Floats:
    """Returns parameters of any kind, as of `parameters_of`, as they are now `[d]`."""
    if is_torch(parameters):
        return joined([numbers(parameter) for parameter in parameters.values()])
    arrays = (
        imported_jax().tree_util.tree_leaves(parameters) if _is_jax(parameters) else named_arrays(parameters).values()
    )
    return joined([np.asarray(array, dtype=np.float64) for array in arrays])


def subject_of(agent: Agent, parameters: Any, mdp: MDP, rows: Array) -> Subject:
    """Returns an agent's policy, as it is now.

    Args:
      agent: what the user's function made.
      parameters: of it, as of `parameters_of`.
      mdp: the model.
      rows: the observation that each state shows `[S, ...]`.

    Raises:
      EstimatorError: the logits cannot be had, or are not those of the model's actions.
    """
    try:
        if is_torch(parameters):
            return _of_torch(agent, parameters, mdp, rows)
        kind = JaxNetwork if _is_jax(parameters) else NumericNetwork
        network = kind(mdp, agent.logits, parameters, rows)
        every = np.eye(mdp.num_states * mdp.num_actions).reshape(-1, mdp.num_states, mdp.num_actions)
        derivative = network.logit_pullback(every).reshape(mdp.num_states, mdp.num_actions, -1)
        policy = Linearised(mdp, network.theta, network.shapes, network.all_logits, derivative, single=network.single)
        return Subject(_checked(policy, network.all_logits, mdp), ())
    except PolicyError as error:
        raise EstimatorError(f"the agent's logits: {error}") from error


def _of_torch(agent: Agent, parameters: dict[str, Any], mdp: MDP, rows: Array) -> Subject:
    torch = imported_torch()
    first = next(iter(parameters.values()))
    observations = torch.as_tensor(rows.copy()).to(first.device)
    observations = observations.to(first.dtype) if observations.is_floating_point() else observations
    with torch.enable_grad():
        logits = _called(agent.logits, observations, "logits", mdp)
        if tuple(logits.shape) != (mdp.num_states, mdp.num_actions):
            raise EstimatorError(
                f"the agent's logits have shape {list(logits.shape)} for observations {list(observations.shape)}; "
                f"expected {[mdp.num_states, mdp.num_actions]}: one for each state and action of {mdp.name}"
            )
        _check_again(agent, observations, logits, mdp)
        if not logits.requires_grad:
            raise EstimatorError("the agent's logits do not depend on its parameters; are they detached?")
        used = dict(zip(parameters, _dependence(torch, logits.sum(), list(parameters.values())), strict=True))
        theta = {name: parameters[name] for name, gradient in used.items() if gradient is not None}
        if not theta:
            raise EstimatorError("the agent's logits depend on none of its parameters; are those another network's?")
        derivative = _rows_of_derivative(torch, logits, theta)
        not_told = _numbers_beside(logits, parameters)
        values, of_values = None, None
        if agent.values is not None:
            critic = _called(agent.values, observations, "values", mdp).reshape(mdp.num_states)
            values = np.where(mdp.terminal, 0.0, numbers(critic))
            if not np.all(np.isfinite(values)):
                raise EstimatorError("the agent's values are not finite")
            of_values = _rows_of_derivative(torch, critic, theta) if critic.requires_grad else None
    shapes = {name: tuple(parameter.shape) for name, parameter in theta.items()}
    single = any(parameter.dtype != torch.float64 for parameter in theta.values())
    table = numbers(logits)
    policy = Linearised(
        mdp, joined([numbers(parameter) for parameter in theta.values()]), shapes, table,
        derivative.reshape(*table.shape, -1), single=single,
    )  # fmt: skip
    unused = tuple(name for name in parameters if name not in theta)
    return Subject(_checked(policy, table, mdp), unused, values, of_values, not_told)


def _numbers_beside(logits: Any, parameters: dict[str, Any]) -> int:
    """How many numbers in other leaves of the graph the logits were computed from."""
    known = {id(parameter) for parameter in parameters.values()}
    left, seen, count = [logits.grad_fn], set(), 0
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        left += [following for following, _ in node.next_functions]
        leaf = getattr(node, "variable", None)
        count += leaf.numel() if leaf is not None and id(leaf) not in known else 0
    return count


def _called(function: Callable[..., Any], observations: Any, what: str, mdp: MDP) -> Any:
    """What the user's function makes of the observations of all states."""
    try:
        result = function(observations)
    except Exception as error:
        raise EstimatorError(
            f"the agent's {what} cannot be called with the observations of {len(observations)} states of {mdp.name}, "
            f"a tensor of {observations.dtype} of shape {list(observations.shape)}: {type(error).__name__}: {error}\n"
            '  @agent(observation="one-hot") shows rows of 0 and 1 in place of numbers'
        ) from error
    if not _is_tensor(result):
        raise EstimatorError(f"the agent's {what} returned {kind_of(result)}; expected a tensor")
    return result


def _check_again(agent: Agent, observations: Any, logits: Any, mdp: MDP) -> None:
    """Raises EstimatorError where the logits of a state depend on something else than its observation."""
    few = (mdp.num_states + 1) // 2
    again = _called(agent.logits, observations, "logits", mdp)
    alone = _called(agent.logits, observations[:few], "logits", mdp)
    slack = SAME_IN_SINGLE if logits.element_size() < 8 else SAME  # bytes of a number
    for other, before in ((again, logits), (alone, logits[:few])):
        allowed = slack * max(
            1.0, float(np.max(np.abs(numbers(before)), initial=0.0, where=np.isfinite(numbers(before))))
        )
        if not np.allclose(numbers(other), numbers(before), rtol=0.0, atol=allowed, equal_nan=True):
            raise EstimatorError(
                "the agent's logits are other ones when they are asked for again, or for fewer observations: is "
                "there dropout, or a normalisation of batches?\n  Call policy.eval() in the agent's function"
            )


def _dependence(torch: Any, total: Any, parameters: list[Any]) -> Any:
    return torch.autograd.grad(total, parameters, allow_unused=True, retain_graph=True)


def _rows_of_derivative(torch: Any, outputs: Any, theta: dict[str, Any]) -> Floats:
    """∂outputs/∂θ `[outputs, d]`, one backward pass a row."""
    size = sum(parameter.numel() for parameter in theta.values())
    if size * outputs.numel() > MAX_DERIVATIVE:
        raise EstimatorError(
            f"{size:,} parameters x {outputs.numel():,} pairs of state and action; "
            f"the derivative of the logits may have {MAX_DERIVATIVE:,} numbers"
        )
    rows = []
    for output in outputs.reshape(-1):
        gradients = torch.autograd.grad(output, list(theta.values()), allow_unused=True, retain_graph=True)
        rows.append(
            joined(
                [
                    np.zeros(tuple(p.shape)) if g is None else numbers(g.to_dense() if g.is_sparse else g)
                    for g, p in zip(gradients, theta.values(), strict=True)
                ]
            )
        )
    return np.array(rows)


def _checked(policy: Linearised, logits: Floats, mdp: MDP) -> Linearised:
    """The policy, once it is sure that it takes none but the actions which states offer."""
    with np.errstate(over="ignore"):
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs = weights / weights.sum(axis=1, keepdims=True)
    missing = ~mdp.available & ~mdp.terminal[:, None] & (probs > 1e-6)
    if missing.any():
        s, a = np.argwhere(missing)[0].tolist()
        raise UnsuitableError(
            f"{mdp.name}: the agent's logits give {mdp.actions[a]!r} in {mdp.states[s]!r} the probability "
            f"{probs[s, a]:.3g}, and the state does not offer it\n"
            "  If the code masks its actions, let `logits` do so too: env.unwrapped.masks has a row for each "
            "observation\n  Or use another model"
        )
    return policy


class UnsuitableError(EstimatorError):
    """The model is not one that the agent is made for."""


def _named(agent: Agent, parameters: list[Any]) -> dict[str, Any]:
    """Torch parameters by the names that the network has for them; else by their places."""
    named = getattr(agent.logits, "named_parameters", dict)
    names = {id(value): name for name, value in dict(named()).items()}
    return {
        names.get(id(value), f"parameters.{k}"): value for k, value in enumerate(parameters) if value.requires_grad
    }


def _is_tensor(value: object) -> bool:
    return hasattr(value, "requires_grad") and hasattr(value, "detach")


def _is_jax(parameters: object) -> bool:
    """Whether an array of jax is in a tree."""
    if isinstance(parameters, Mapping):
        return any(_is_jax(value) for value in parameters.values())
    if isinstance(parameters, list | tuple):
        return any(_is_jax(value) for value in parameters)
    return type(detached(parameters)).__module__.startswith("jax")
