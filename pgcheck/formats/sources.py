"""The text of a model file, from a path, from standard input or from the models that come with the package."""

import codecs
import difflib
import os
import stat
import sys
from pathlib import Path

from pgcheck.errors import UsageError
from pgcheck.formats.problems import Problems, visible

MAX_BYTES = 64 * 2**20  # of a model file


def bundled_directory() -> Path:
    """Returns the folder of the bundled models: in the package, or beside it in a source tree."""
    package = Path(__file__).resolve().parents[1]
    if (package / "mdps").is_dir() or not (package.parent / "pyproject.toml").is_file():
        return package / "mdps"
    return package.parent / "mdps"


def bundled_names() -> list[str]:
    """Returns the names of the bundled models, the default one first."""
    names = sorted(path.stem for path in bundled_directory().glob("*.yaml"))
    return sorted(names, key=lambda name: name != "two_state")


def read_text(source: str) -> tuple[str, str]:
    """Returns the source's name for messages and its text; the arguments are those of `read_bytes`.

    Raises:
      UsageError: there is no such model, or it cannot be read, or is over 64 MB.
      ModelError: it is neither in UTF-8, nor in UTF-16 with a byte order mark.
    """
    file, data = read_bytes(source)
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if utf16 else "utf-8-sig"
    try:
        return file, data.decode(encoding)
    except UnicodeDecodeError as error:
        problems = Problems(file, data.decode(encoding, "replace"))
        message = f"byte 0x{data[error.start]:02x} is not {'UTF-16' if utf16 else 'UTF-8'}; save the file as UTF-8"
        problems.add_at(len(data[: error.start].decode(encoding, "replace")), message)
        problems.check()
        raise


def read_bytes(source: str) -> tuple[str, bytes]:
    """Returns the source's name for messages, and its content.

    Args:
      source: a path, `-` for standard input, or a bundled name. A word without a slash and without a
        `.yaml`, `.yml` or `.json` ending is looked for among the bundled models first.

    Raises:
      UsageError: there is no such model, or it cannot be read, or is over 64 MB.
    """
    if source == "-":
        return "<stdin>", _standard_input()
    looks_like_path = os.sep in source or "/" in source or source.endswith((".yaml", ".yml", ".json"))
    if not looks_like_path and source.replace("-", "_") in bundled_names():
        path = bundled_directory() / f"{source.replace('-', '_')}.yaml"
        return f"mdps/{path.name}", path.read_bytes()
    shown = visible(source)
    try:
        mode = os.stat(source)
        if not stat.S_ISREG(mode.st_mode):
            kind = "a directory" if stat.S_ISDIR(mode.st_mode) else "not a regular file"
            raise UsageError(f"{shown}: {kind}; expected a model file, or - to read standard input")
        if mode.st_size > MAX_BYTES:
            raise UsageError(f"{shown}: {mode.st_size:,} bytes; a model file has at most {MAX_BYTES:,}")
        with open(source, "rb") as file:
            return source, _limited(file.read(MAX_BYTES + 1), shown)
    except (FileNotFoundError, ValueError):  # ValueError: names that no file can have
        raise UsageError(_unknown(source)) from None
    except OSError as error:
        raise UsageError(f"{shown}: cannot be read: {error.strerror}") from None


def _standard_input() -> bytes:
    """All of standard input, up to the limit."""
    if sys.stdin is None:
        raise UsageError("standard input is closed; expected a model on it, because MODEL is -")
    try:
        return _limited(sys.stdin.buffer.read(MAX_BYTES + 1), "<stdin>")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is closed"
        raise UsageError(f"standard input: cannot be read: {reason}") from None


def _limited(data: bytes, source: str) -> bytes:
    """The data, if it is within the limit."""
    if len(data) > MAX_BYTES:
        raise UsageError(f"{source}: more than {MAX_BYTES:,} bytes; a model file has at most that many")
    return data


def _unknown(source: str) -> str:
    """The message for a source that does not exist, with the bundled names nearest to it."""
    stem = Path(source).stem.replace("-", "_") if source.strip("./") else source
    names = bundled_names()
    near = difflib.get_close_matches(stem[:60], names, 1, 0.5)
    meant = f"; did you mean the bundled model {near[0]}?" if near else f"; bundled models: {', '.join(names)}"
    return f"{visible(source) or 'an empty name'}: no such file or bundled model{meant}"
