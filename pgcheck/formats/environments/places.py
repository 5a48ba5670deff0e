"""The place of something in Python code → the thing: `file.py:name` or `package.module:name`."""

import ast
import difflib
import importlib
import importlib.util
import os
import re
import sys
from pathlib import Path
from types import ModuleType

from pgcheck.errors import UsageError

_PLACE = re.compile(r"([A-Za-z]:(?=\\))?[^:]+:[^:]+", re.DOTALL)  # a drive, a file or module, a name

_FILES: dict[tuple[str, int, int], ModuleType] = {}  # that have been run, by path, time of change and size


class PlaceError(UsageError):
    """There is no such file, module or name."""


def find(spec: str, expected: str, noun: str = "function") -> object:
    """Returns what `spec` names, `file.py:name` or `package.module:name`; the code of its module runs.

    Args:
      spec: the place.
      expected: what stands in the error where it is none.
      noun: what is looked for, in the error where the module does not have it.

    Raises:
      PlaceError: there is no such file, module or name.
    """
    if not _PLACE.fullmatch(spec):
        raise PlaceError(f"{spec!r}: expected {expected}")
    where, _, name = spec.rpartition(":")
    module = _file(where) if where.endswith(".py") else _module(where)
    value: object = module
    for part in name.split("."):
        if not hasattr(value, part):
            near = difflib.get_close_matches(part, [n for n in dir(value) if callable(getattr(value, n, None))], 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise PlaceError(f"{spec}: {where} has no {noun} {part!r}{hint}")
        value = getattr(value, part)
    return value


def statements_of(path: str) -> list[ast.stmt]:
    """Returns the statements of a Python file; none of it runs.

    Raises:
      PlaceError: there is no such file, or it is not Python.
    """
    try:
        return ast.parse(Path(path).read_bytes(), path).body
    except FileNotFoundError:
        raise PlaceError(f"{path}: no such file") from None
    except OSError as error:
        raise PlaceError(f"{path}: cannot be read: {error.strerror}") from None
    except (SyntaxError, ValueError, RecursionError) as error:
        raise PlaceError(f"{path}: not Python: {error}") from None


def _file(path: str) -> ModuleType:
    file = Path(path)
    if not file.is_file():
        raise PlaceError(f"{path}: no such file")
    # One file is one module, as in an import: an estimator and a policy in it share what lives there.
    state = file.stat()
    key = (str(file.resolve()), state.st_mtime_ns, state.st_size)
    if key in _FILES:
        return _FILES[key]
    sys.path.insert(0, str(file.resolve().parent))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise PlaceError(f"{path}: cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module  # as an import would, for pickle and dataclasses
    spec.loader.exec_module(module)
    _FILES[key] = module
    return module


def _module(name: str) -> ModuleType:
    sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise
        raise PlaceError(
            f"{name}: no such module; a file is named with its ending, like {name}.py:function"
        ) from None
