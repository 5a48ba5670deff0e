"""Runs the command line: signals, errors, and the exit status that each of them gets."""

import os
import signal
import sys
import traceback
from types import FrameType
from typing import NoReturn

from pgcheck.cli.app import app
from pgcheck.cli.usage import complaint
from pgcheck.errors import ExitStatus, ModelError, PgcheckError, ReaderGoneError
from pgcheck.report.output import complain, note, silence
from pgcheck.workers import threads

ASKED_BY = "_PGCHECK_COMPLETE"  # a variable that the scripts of --install-completion set
SHELLS = {"complete_bash": "bash", "complete_zsh": "zsh", "complete_fish": "fish"}  # to one of these


def main() -> None:
    """Runs the command line and exits with its status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs the command line and returns its exit status; never raises."""
    debug = "--debug" in arguments
    status: int = ExitStatus.BUG
    try:
        threads.hold()
        sys.set_int_max_str_digits(0)  # numbers of trajectories are printed however long they are
        for which in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(which) is not signal.SIG_IGN:
                signal.signal(which, _interrupt)
        status = _invoke([word for word in arguments if word != "--debug"])
        if sys.stdout is not None:
            sys.stdout.flush()  # what help and --version print
        return status
    except _Interrupted as interruption:
        note(": ".join(["pgcheck: interrupted", *getattr(interruption, "__notes__", [])]))
        status = interruption.status
    except ReaderGoneError as error:
        status = error.exit_status
    except PgcheckError as error:
        complain(str(error) if isinstance(error, ModelError) else f"error: {error}")
        status = error.exit_status
    except BrokenPipeError:
        status = ExitStatus.READER_GONE
    except OSError as error:
        what = "standard output" if error.filename is None else error.filename
        complain(f"error: {what}: cannot be written: {error.strerror}")
        status = ExitStatus.UNWRITABLE
    except MemoryError:
        complain("error: out of memory; lower the horizon, or use a smaller model")
        status = ExitStatus.FAULT
    except Exception:
        complain(
            traceback.format_exc() if debug else "error: a bug in pgcheck; please report it with --debug's output"
        )
    finally:
        _flush_stderr()
    silence(sys.stdout)
    return status


def _invoke(arguments: list[str]) -> int:
    """Hands the words to Typer; its complaints about them go to standard error."""
    if shell := SHELLS.get(os.environ.get(ASKED_BY, "")):
        from pgcheck.cli import completion

        return completion.answer(shell, os.environ)
    try:
        outcome = app(arguments, prog_name="pgcheck", standalone_mode=False)
    except SystemExit as end:  # of --install-completion and --show-completion
        return end.code if isinstance(end.code, int) else ExitStatus.DONE
    except Exception as error:
        # Typer's own errors, told by their shape: which package they come from depends on its version.
        if not (hasattr(error, "exit_code") and hasattr(error, "format_message")):
            raise
        complain(f"error: {complaint(error, arguments)}")
        return int(error.exit_code)
    return outcome if isinstance(outcome, int) else ExitStatus.DONE


def _flush_stderr() -> None:
    """Flushes what others wrote to standard error, so that a full disk there does not change the exit status."""
    if sys.stderr is not None:
        try:
            sys.stderr.flush()
        except (OSError, ValueError):
            silence(sys.stderr)


class _Interrupted(BaseException):
    """SIGINT or SIGTERM came."""

    def __init__(self, status: ExitStatus) -> None:
        self.status = status


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    raise _Interrupted(ExitStatus.INTERRUPTED if number == signal.SIGINT else ExitStatus.TERMINATED)
