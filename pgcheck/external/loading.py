"""The place of a function → the function: `file.py:function` or `package.module:function`."""

import contextlib
import inspect

from pgcheck.arrays import kind_of
from pgcheck.errors import EstimatorError
from pgcheck.estimators.base import Estimate
from pgcheck.external.agents import Agent, AgentFunction
from pgcheck.formats.environments import places

WRITE_AN_AGENT = """  Write a function that makes it, and name that:
    @pgcheck.agents.agent
    def mine(env):
        ...
        return Agent(logits=..., parameters=..., update=...)"""


def load(spec: str) -> Estimate | AgentFunction:
    """Returns the estimator or agent that `spec` names; the code of its module runs.

    Raises:
      EstimatorError: there is no such file, module or function, or it is neither.
    """
    value = find(spec, "file.py:function, package.module:function, or a built-in name")
    where, _, name = spec.rpartition(":")
    return _checked(value, where, name)


def find(spec: str, expected: str = "file.py:function or package.module:function") -> object:
    """Returns what `spec` names, `file.py:name` or `package.module:name`; the code of its module runs.

    Args:
      spec: the place.
      expected: what stands in the error where it is none.

    Raises:
      EstimatorError: there is no such file, module or name.
    """
    try:
        return places.find(spec, expected)
    except places.PlaceError as error:
        raise EstimatorError(str(error)) from None


def agent_hint(function: object) -> str:
    """Returns what to add to the error of a function which looks as if it made an agent; "" for others."""
    with contextlib.suppress(ValueError, TypeError):
        if callable(function) and [*inspect.signature(function).parameters] == ["env"]:
            return "\n  It was called with a batch. Is it to make an agent? Mark it with @pgcheck.agents.agent"
    return ""


def _checked(value: object, where: str, name: str) -> Estimate | AgentFunction:
    """The value, if it is an agent's function, or can be called with a batch.

    Raises:
      EstimatorError: it is a class, a coroutine function, a loss, an agent that no function makes, or takes another
        number of arguments.
    """
    spec = f"{where}:{name}"
    if isinstance(value, AgentFunction):
        return value
    if isinstance(value, Agent):
        raise EstimatorError(f"{spec}: {name} is an Agent; each run needs a new one\n{WRITE_AN_AGENT}")
    if inspect.isclass(value):
        methods = [n for n, member in vars(value).items() if inspect.isfunction(member) and not n.startswith("_")]
        method = methods[0] if methods else "method"
        raise EstimatorError(
            f"{spec}: {name} is a class: name an instance, or a method of an instance\n"
            f"  In {where}, write {name.lower()} = {name}(...), and name {where}:{name.lower()}.{method}"
        )
    if not callable(value):
        raise EstimatorError(f"{spec}: {name} is {kind_of(value)}, not a function of a batch")
    call = value if inspect.isroutine(value) else type(value).__call__
    if inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call):
        raise EstimatorError(f"{spec}: {name} is a coroutine function (async def): pgcheck calls plain functions")
    with contextlib.suppress(ValueError, TypeError):  # functions in C may have no signature
        parameters = inspect.signature(value).parameters.values()
        needed = [
            p.name
            for p in parameters
            if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        if len(needed) > 1:
            raise EstimatorError(_too_many(where, name, needed))
    return value


def _too_many(where: str, name: str, needed: list[str]) -> str:
    """The message about a function that needs more than a batch."""
    shape = f"{where}:{name}: {name}({', '.join(needed)})"
    if needed[0] == "self":
        return f"{shape} is a method of a class: name that of an instance, like agent.{name.rpartition('.')[2]}"
    if len(needed) == 2 and needed[0] != "batch":
        return (
            f"{shape} looks like a loss: wrap it in pgcheck.adapters.torch_loss (or jax_loss)\n"
            f"  In {where}, write these lines, and name {where}:estimate\n"
            f"    from pgcheck.adapters import torch_loss\n"
            f"    estimate = torch_loss({name})"
        )
    return f"{shape} needs {len(needed)} arguments; expected a function of one, the batch"
