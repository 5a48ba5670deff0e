"""All that is replaced in other libraries while a run lasts."""

import contextlib
import importlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from pgcheck.external.draws import of_gymnasium, of_jax, of_numpy, of_random, of_torch
from pgcheck.external.draws.patches import Patch, replaced, with_aliases

DYNAMO = "torch._dynamo"  # which compiles


class Installed:
    """What answers the draws of all libraries that have been imported.

    Args:
      others: what else is replaced in a run.
    """

    def __init__(self, others: Sequence[Patch] = ()) -> None:
        self._patches = with_aliases(
            [
                *of_random.patches(), *of_numpy.patches(), *of_gymnasium.patches(), *of_torch.patches(),
                *of_jax.patches(), *_uncompiled(), *others,
            ]
        )  # fmt: skip

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Lets all draws within the block be answered."""
        for library in (of_random, of_numpy, of_jax):
            library.forget()
        with replaced(self._patches):
            yield


def import_with_torch() -> None:
    """Imports what torch imports when its first optimizer is made: it draws meanwhile."""
    if hasattr(sys.modules.get("torch"), "compile"):
        importlib.import_module(DYNAMO)


_PLAINLY: list[tuple[bool, ...]] = []  # which of torch and jax, within blocks of `plainly`


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """Lets torch and jax run what they would compile, and torch on one processor; within such a block, nothing.

    Draws in compiled code cannot be answered. On several processors small products wait for each other.
    """
    torch: Any = sys.modules.get("torch")
    jax: Any = sys.modules.get("jax")
    libraries = (hasattr(torch, "set_num_threads"), DYNAMO in sys.modules, hasattr(jax, "disable_jit"))
    if _PLAINLY and _PLAINLY[-1] == libraries:
        yield
        return
    with contextlib.ExitStack() as stack:
        _PLAINLY.append(libraries)
        stack.callback(_PLAINLY.pop)
        if libraries[0]:
            stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)
        if libraries[1] and hasattr(torch.compiler, "set_stance"):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        if libraries[2]:
            stack.enter_context(jax.disable_jit())
        yield


def _uncompiled() -> list[Patch]:
    """What lets torch compile nothing that is handed to it in a run; `plainly` cares for what was before."""
    torch: Any = sys.modules.get("torch")

    def compile_nothing(model: Any = None, **_settings: Any) -> Any:
        return (lambda function: function) if model is None else model

    return [Patch(torch, "compile", compile_nothing)] if hasattr(torch, "compile") else []
