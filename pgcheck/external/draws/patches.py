"""Replacing attributes of other libraries for a while, and every name under which their users have imported them."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

MISSING = object()


@dataclass(frozen=True, eq=False)
class Patch:
    """An attribute of a module or a class, and what stands there during a run.

    Attributes:
      owner: the module or class.
      name: of the attribute.
      replacement: what stands there during a run.
    """

    owner: Any
    name: str
    replacement: Any


def with_aliases(patches: Sequence[Patch]) -> list[Patch]:
    """Returns the patches, and those of all modules which have imported the same object by name.

    `from torch import multinomial` leaves a name in the user's module that a patch of torch does not reach.
    """
    found = list(patches)
    replacements = {}
    for patch in patches:
        if isinstance(patch.owner, ModuleType):
            replacements[id(getattr(patch.owner, patch.name))] = patch.replacement
    known = {(id(patch.owner), patch.name) for patch in patches}
    for module in [*sys.modules.values()]:
        if not isinstance(module, ModuleType):
            continue
        for name, value in [*vars(module).items()]:
            if id(value) in replacements and (id(module), name) not in known:
                found.append(Patch(module, name, replacements[id(value)]))
    return found


@contextlib.contextmanager
def replaced(patches: Sequence[Patch]) -> Iterator[None]:
    """Replaces the attributes within the block; afterwards they are what they were, inherited or their own."""
    before = [(patch, vars(patch.owner).get(patch.name, MISSING)) for patch in patches]
    try:
        for patch in patches:
            setattr(patch.owner, patch.name, patch.replacement)
        yield
    finally:
        for patch, value in reversed(before):
            if value is MISSING:
                delattr(patch.owner, patch.name)
            else:
                setattr(patch.owner, patch.name, value)
