"""What a Python file calls by which names, as far as its text tells: estimators, agents, and what makes a model.

None of the file runs, and nothing slow is imported: shells ask for these names while somebody types.
"""

import ast

from pgcheck.errors import EstimatorError
from pgcheck.formats.environments import places

LOSSES = ("torch_loss", "jax_loss")  # of `pgcheck.adapters`: what they return is an estimator
WRAPPERS = (*LOSSES, "agent")
# What is called for an environment or a model: gymnasium.make, pgcheck.load, ...
MODEL_MAKERS = ("make", "env", "load", "load_model", "loads", "from_arrays", "MDP", "Model")
_LITERALS = (ast.Dict, ast.List, ast.Tuple, ast.DictComp, ast.ListComp)


def functions_in(path: str) -> list[str]:
    """Returns the names that a file gives to functions of one argument, wrapped losses and agents; none of it runs.

    Raises:
      EstimatorError: there is no such file, or it is not Python.
    """
    names: list[str] = []
    for statement in _statements_of(path):
        if isinstance(statement, ast.FunctionDef):
            if _takes_one(statement) or _is_agent(statement):
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
    return _makes_model(_last_named(statements, name), statements)


def models_in(path: str) -> list[str]:
    """Returns the names that a file gives to what makes a model, see `makes_model`; none of it runs.

    A list or a tuple makes one too, but most of them are something else: they are left out, and so is `main`.

    Raises:
      EstimatorError: there is no such file, or it is not Python.
    """
    names: dict[str, bool] = {}
    statements = _statements_of(path)
    for statement in statements:
        for name in _names_given(statement):
            is_list = isinstance(getattr(statement, "value", None), ast.List | ast.Tuple | ast.ListComp)
            names[name] = not is_list and _makes_model(statement, statements)
    return [name for name, does in names.items() if does and not name.startswith("_") and name != "main"]


def policies_in(path: str) -> list[str]:
    """Returns the names of a file's functions of one argument, as one that makes a policy is; none of it runs.

    Raises:
      EstimatorError: there is no such file, or it is not Python.
    """
    functions = (it for it in _statements_of(path) if isinstance(it, ast.FunctionDef))
    return [function.name for function in functions if _takes_one(function) and not _is_agent(function)]


def _statements_of(path: str) -> list[ast.stmt]:
    try:
        return places.statements_of(path)
    except places.PlaceError as error:
        raise EstimatorError(str(error)) from None


def _takes_one(function: ast.FunctionDef) -> bool:
    """Whether a function is public and can be called with one argument."""
    parameters = [*function.args.posonlyargs, *function.args.args]
    required = len(parameters) - len(function.args.defaults)
    return len(parameters) >= 1 and required <= 1 and not function.name.startswith("_")


def _is_agent(function: ast.FunctionDef) -> bool:
    return any(_last_name(decorator) == "agent" for decorator in function.decorator_list)


def _names_given(statement: ast.stmt) -> list[str]:
    """The names to which a statement gives a value."""
    targets: list[ast.expr] = []
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _last_named(statements: list[ast.stmt], name: str) -> ast.stmt | None:
    """The statement that gives a name its value; of several the last one counts."""
    return next((it for it in reversed(statements) if name in _names_given(it)), None)


def _makes_model(statement: ast.stmt | None, statements: list[ast.stmt]) -> bool:
    """Whether one of a file's statements makes a model."""
    if isinstance(statement, ast.FunctionDef):
        return not _is_agent(statement) and _needs_nothing(statement.args)
    if isinstance(statement, ast.ClassDef):
        methods = {part.name for part in statement.body if isinstance(part, ast.FunctionDef)}
        return {"reset", "step"} <= methods or any(_last_name(base).endswith("Env") for base in statement.bases)
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        return False
    value = statement.value
    if isinstance(value, ast.Lambda):
        return _needs_nothing(value.args)
    if isinstance(value, ast.Call):
        called = _last_name(value)
        made = _last_named(statements, called)
        is_of_class = isinstance(made, ast.ClassDef) and _makes_model(made, statements)
        return called in MODEL_MAKERS or called.endswith("Env") or is_of_class
    return isinstance(value, _LITERALS)


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
