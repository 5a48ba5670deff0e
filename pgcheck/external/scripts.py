"""Scripts: training code that makes its own network and environment when it is run as a program."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from pgcheck.errors import UsageError
from pgcheck.external.agents import Agent

Globals = dict[str, Any]


def script(
    path: str | Path,
    *,
    logits: Callable[[Globals, Any], Any],
    parameters: Callable[[Globals], Any],
    values: Callable[[Globals, Any], Any] | None = None,
    argv: Sequence[str] = (),
    modules: Mapping[str, Any] | None = None,
) -> Agent:
    """Returns an agent that runs a file as a program, until the first step of the optimizer of its policy.

    The file is not changed. Within it `gymnasium.make("pgcheck/NAME-v0")` makes the environment of the run's model.

    Args:
      path: the file.
      logits: from the script's global variables and a batch of observations to the logits of the actions `[n, A]`.
      parameters: from the script's global variables to θ; as long as those are missing it may raise an error.
      values: from the script's global variables and a batch of observations to the critic's values.
      argv: what follows the program's name in `sys.argv`.
      modules: what the script is to import in place of modules, as {"gym": ...} for the older interface.

    Raises:
      UsageError: there is no such file, or it is no Python.
    """
    file = Path(path).resolve()
    try:
        code = _compiled(file.read_text(encoding="utf-8"), str(file))
    except OSError as error:
        raise UsageError(f"script: {path}: {error.strerror or error}; expected a Python file") from None
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"script: {path}: {error}; expected a Python file") from None
    main = ModuleType("__main__")
    main.__file__ = str(file)

    def update() -> None:
        with _as_program(main, file, argv, modules or {}):
            exec(code, vars(main))

    return Agent(
        logits=lambda observations: logits(vars(main), observations),
        parameters=lambda: parameters(vars(main)),
        values=None if values is None else lambda observations: values(vars(main), observations),
        update=update,
    )


@functools.lru_cache(maxsize=16)
def _compiled(text: str, file: str) -> CodeType:
    return compile(text, file, "exec", dont_inherit=True)


@contextlib.contextmanager
def _as_program(main: ModuleType, file: Path, argv: Sequence[str], modules: Mapping[str, Any]) -> Iterator[None]:
    """Within the block, `main` is the program that runs; afterwards it is what it was."""
    replaced = {"__main__": main, **modules}
    before = {name: sys.modules.get(name) for name in replaced}
    own_argv, own_path = sys.argv, [*sys.path]
    sys.modules.update(replaced)
    sys.argv, sys.path[:] = [str(file), *argv], [str(file.parent), *sys.path]
    try:
        yield
    finally:
        sys.argv, sys.path[:] = own_argv, own_path
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
