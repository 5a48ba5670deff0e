"""The place of a function → the function: `file.py:function` or `package.module:function`."""

import ast
import contextlib
import inspect

from pgcheck.arrays import kind_of
from pgcheck.errors import EstimatorError
from pgcheck.estimators.base import Estimate
from pgcheck.external.agents import Agent, AgentFunction
from pgcheck.formats.environments import places

LOSSES = ("torch_loss", "jax_loss")  # of `pgcheck.adapters`: what they return is an estimator
WRAPPERS = (*LOSSES, "agent")
# What is called for an environment or a model: gymnasium.make, pgcheck.load, ...
MODEL_MAKERS = ("make", "env", "load", "load_model", "loads", "from_arrays", "MDP", "Model")
_LITERALS = (ast.Dict, ast.List, ast.Tuple, ast.DictComp, ast.ListComp)

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


def functions_in(path: str) -> list[str]:
    """Returns the names that a file gives to functions of one argument, wrapped losses and agents; none of it runs.

    Raises:
      EstimatorError: there is no such file, or it is not Python.
    """
    try:
        statements = places.statements_of(path)
    except places.PlaceError as error:
        raise EstimatorError(str(error)) from None
    names: list[str] = []
    for statement in statements:
        if isinstance(statement, ast.FunctionDef):
            parameters = [*statement.args.posonlyargs, *statement.args.args]
            required = len(parameters) - len(statement.args.defaults)
            takes_one = len(parameters) >= 1 and required <= 1 and not statement.name.startswith("_")
            if takes_one or any(_last_name(decorator) == "agent" for decorator in statement.decorator_list):
                names.append(statement.name)
        elif isinstance(statement, ast.Assign) and _last_call(statement.value) in WRAPPERS:
            names += [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return names


def makes_model(path: str, name: str) -> bool:
    """Whether what a file calls `name` makes a model, as far as can be seen; none of the file runs.

    It does if it is a function without arguments that it needs, a class of environments, or no function: a literal,
    or what a call makes that looks like an environment or a model.
    """
    try:
        statements = places.statements_of(path)
    except places.PlaceError:
        return False
    last: ast.stmt | None = None
    for statement in statements:  # the last one counts
        named = isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.name == name
        targets = (
            statement.targets
            if isinstance(statement, ast.Assign)
            else [statement.target]
            if isinstance(statement, ast.AnnAssign)
            else []
        )
        if named or any(isinstance(target, ast.Name) and target.id == name for target in targets):
            last = statement
    if isinstance(last, ast.FunctionDef):
        is_agent = any(_last_name(decorator) == "agent" for decorator in last.decorator_list)
        return not is_agent and _needs_nothing(last.args)
    if isinstance(last, ast.ClassDef):
        methods = {statement.name for statement in last.body if isinstance(statement, ast.FunctionDef)}
        return {"reset", "step"} <= methods or any(_last_name(base).endswith("Env") for base in last.bases)
    if isinstance(last, ast.Assign | ast.AnnAssign) and last.value is not None:
        value = last.value
        if isinstance(value, ast.Lambda):
            return _needs_nothing(value.args)
        if isinstance(value, ast.Call):
            called = _last_name(value)
            return called in MODEL_MAKERS or called.endswith("Env")
        return isinstance(value, _LITERALS)
    return False


def _needs_nothing(arguments: ast.arguments) -> bool:
    """Whether a function can be called without arguments; one that takes any number is to be called with some."""
    positional = [*arguments.posonlyargs, *arguments.args]
    keywords = any(default is None for default in arguments.kw_defaults)
    return len(positional) == len(arguments.defaults) and arguments.vararg is None and not keywords


def _last_name(expression: ast.expr) -> str:
    """`agent` of `agent`, `agents.agent`, `pgcheck.agents.agent(...)` and `agent(...)(...)`."""
    while isinstance(expression, ast.Call):
        expression = expression.func
    return expression.attr if isinstance(expression, ast.Attribute) else getattr(expression, "id", "")


def _last_call(expression: ast.expr) -> str:
    """The same of a call; "" of anything else."""
    return _last_name(expression) if isinstance(expression, ast.Call) else ""


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
