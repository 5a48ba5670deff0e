"""The keys of a check in a file: what each takes, and what its texts stand for beside the file."""

import difflib
import os
from dataclasses import dataclass

from pgcheck.formats.loading import GYMNASIUM, kind_of
from pgcheck.formats.problems import visible
from pgcheck.formats.sources import bundled_names


@dataclass(frozen=True)
class Kind:
    """What a key takes.

    Attributes:
      types: of its value, or of each element of its list.
      is_list: whether it takes a list; one element may then stand alone.
      what: it takes, in words.
    """

    types: tuple[type, ...]
    is_list: bool
    what: str


FLAG = Kind((bool,), False, "true or false")
NUMBER = Kind((int, float, str), False, "a number")
TEXT = Kind((str,), False, "a text in quotes")
TEXTS = Kind((str,), True, "a list of texts in quotes")
NUMBERS = Kind((int, float, str), True, "a list of numbers")

KEYS = {
    "models": TEXTS, "tolerance": NUMBER, "off-policy": FLAG, "same-start": FLAG, "up-to-scale": FLAG, "allow": TEXTS,
    "batch-sizes": NUMBERS, "max-trajectories": NUMBER, "max-calls": NUMBER, "evidence": TEXT, "confidence": NUMBER,
    "max-rollouts": NUMBER, "seed": NUMBER, "timeout": NUMBER, "horizon": NUMBER, "gamma": NUMBER, "entropy": NUMBER,
    "kl": NUMBER, "policy": TEXT, "start": TEXT, "axes": TEXT, "rewards-on": TEXT, "rewards": TEXT, "terminal": TEXT,
    "observe": TEXT, "explore": FLAG, "max-states": NUMBER,
}  # fmt: skip
ESTIMATORS = {"estimator": TEXT, "estimators": TEXTS}
PROJECT = "pyproject.toml"
# Of the command line alone: they say how all checks are run and printed.
OF_ALL = ("config", "format", "output", "quiet", "workers", "scheduler", "checkpoint")


def placed_estimator(spec: str, folder: str) -> str:
    """Returns the place of a function with its path from a folder; what is no Python file is left as it is."""
    where = spec.rpartition(":")[0] or spec
    return os.path.join(folder, spec) if where.endswith(".py") and not spec.startswith("cmd:") else spec


def placed_model(source: str, folder: str) -> str:
    """Returns a model's source with its path from a folder; bundled names and gym:ID are left as they are."""
    is_path = "/" in source or os.sep in source or "." in source
    is_bundled = not is_path and source.replace("-", "_") in bundled_names()
    return source if is_bundled or kind_of(source) is GYMNASIUM else os.path.join(folder, source)


def unknown_key(key: str, file: str) -> str:
    """Returns the message about a key that there is not."""
    if key in OF_ALL:
        return f"{key} is of all checks, and of the command line: pgcheck verify --config {file} --{key}"
    known = [*ESTIMATORS, "expect", *KEYS]
    near = difflib.get_close_matches(key.replace("_", "-"), known, 1, 0.6)
    return f"unknown key {visible(key)!r}" + (
        f"; did you mean {near[0]}?" if near else f"; expected {', '.join(known)}"
    )
