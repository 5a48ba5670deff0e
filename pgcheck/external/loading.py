"""The place of a function → the function: `file.py:function` or `package.module:function`."""

import difflib
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from pgcheck.errors import EstimatorError
from pgcheck.estimators.base import Estimate
from pgcheck.external.results import kind_of_value


def load(spec: str) -> Estimate:
    """Returns the function that `spec` names; the code of its module runs.

    Raises:
      EstimatorError: there is no such file, module or function.
    """
    where, _, name = spec.rpartition(":")
    if not where or not name or ":" in where.replace(":\\", ""):
        raise EstimatorError(f"{spec!r}: expected file.py:function, package.module:function, or a built-in name")
    module = _file(where) if where.endswith(".py") else _module(where)
    value: object = module
    for part in name.split("."):
        if not hasattr(value, part):
            near = difflib.get_close_matches(part, [n for n in vars(value) if callable(getattr(value, n))], 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise EstimatorError(f"{spec}: {where} has no function {part!r}{hint}")
        value = getattr(value, part)
    if not callable(value):
        raise EstimatorError(f"{spec}: {name} is {kind_of_value(value)}, not a function of a batch")
    return value


def _file(path: str) -> ModuleType:
    file = Path(path)
    if not file.is_file():
        raise EstimatorError(f"{path}: no such file")
    sys.path.insert(0, str(file.resolve().parent))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise EstimatorError(f"{path}: cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module  # as an import would, for pickle and dataclasses
    spec.loader.exec_module(module)
    return module


def _module(name: str) -> ModuleType:
    sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise
        raise EstimatorError(
            f"{name}: no such module; a file is named with its ending, like {name}.py:function"
        ) from None
