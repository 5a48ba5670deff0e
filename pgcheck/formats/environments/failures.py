"""What a user's code did instead of returning: an error as users read it, with the frames that are theirs."""

import importlib
import os
import traceback
from pathlib import Path

PACKAGE = str(Path(__file__).resolve().parents[1])
SHOWN_FRAMES = 8  # of a traceback
OUT_OF_MEMORY = "can't allocate memory"  # in what torch raises: it knows no MemoryError
MOST_TEXT = 2000  # characters of an error's own text


def failure_text(error: BaseException, spec: str) -> str:
    """Returns what the code that `spec` names did, with those frames of the traceback that are the user's."""
    text = printable_text(error)
    if isinstance(error, SystemExit):
        event = f"called sys.exit({text})"
    elif isinstance(error, MemoryError) or OUT_OF_MEMORY in text:
        event = "ran out of memory"
    else:
        event = f"raised {type(error).__name__}" + (f": {text}" if text else "")
    lines = user_frames(error)
    hint = ""
    if isinstance(error, ValueError) and "read-only" in text:
        hint = "  The arrays of a batch must not be written to; let the estimator work on a copy.\n"
    if isinstance(error, SyntaxError):
        lines += traceback.format_exception_only(error)[:-1]
    if error.__cause__ is not None:
        lines.append(f"  caused by {type(error.__cause__).__name__}: {printable_text(error.__cause__)}\n")
    return f"{spec} {event}\n{hint}{''.join(lines)}".rstrip()


def user_frames(error: BaseException) -> list[str]:
    """Returns the last frames of a traceback that are the user's, as texts."""
    hidden = (f"{PACKAGE}{os.sep}", "<frozen", "<string", str(Path(importlib.__file__).parent))
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(hidden)]
    return traceback.format_list(frames[-SHOWN_FRAMES:])


def printable_text(error: BaseException) -> str:
    """Returns an error's own text, cut to a length, without characters that could move a terminal's cursor."""
    try:
        text = repr(error.code) if isinstance(error, SystemExit) else str(error)
    except BaseException:
        text = "(its message is not available)"
    text = text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + "..."
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
