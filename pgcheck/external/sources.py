"""The text of what users name: whether it is the same as it was."""

import contextlib
import hashlib
import importlib.util
import os
import shlex
from collections.abc import Sequence

from pgcheck.external.program_process import PREFIX


def source_digest(spec: str) -> str:
    """Returns a digest of the file that `file.py:name` or `package.module:name` is in, or of those of a program.

    Of a program, `cmd:PROGRAM ARGS`, all words count that are files. What is not there has the digest of nothing:
    that it is missing is found out by those who open it.
    """
    return digest_of_files(_files(spec))


def digest_of_files(paths: Sequence[str]) -> str:
    """Returns a digest of the contents of files; those that are not there count as empty."""
    digest = hashlib.sha256()
    for path in paths:
        with contextlib.suppress(OSError), open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()[:16]


def _files(spec: str) -> list[str]:
    if spec.startswith(PREFIX):
        paths = shlex.split(spec.removeprefix(PREFIX))
    else:
        where = spec.rpartition(":")[0]
        paths = [where if where.endswith(".py") else _file_of_module(where)]
    return [path for path in paths if os.path.isfile(path)]


def _file_of_module(name: str) -> str:
    """The file of a module that can be imported; its packages are loaded, it is not."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return ""
    return "" if spec is None or spec.origin is None else spec.origin
