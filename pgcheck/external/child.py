"""The process in which a user's estimator runs: it answers requests until its parent closes the pipe.

    python -c "from pgcheck.external.child import main; main()" SPEC

Standard input is this process's end of the pipe, `wire` says what goes through it. Standard output and standard
error are both a pipe to the parent, which passes the first lines on.
"""

import contextlib
import hashlib
import importlib
import io
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np

from pgcheck.errors import EstimatorError, ExitStatus, PgcheckError
from pgcheck.estimators.base import Gradients, gradients
from pgcheck.external import wire
from pgcheck.external.calling import LocalFunction
from pgcheck.external.loading import load
from pgcheck.trajectories.batch import Batch

PACKAGE = str(Path(__file__).resolve().parents[1])
SHOWN_FRAMES = 8  # of a traceback
MOST_TEXT = 2000  # characters of an error's own text
MEMORY = 4 * 2**30  # bytes that the process may have; the environment's PGCHECK_ESTIMATOR_MEMORY changes it

Args = ParamSpec("Args")
Result = TypeVar("Result")


def main() -> None:
    """Loads the estimator and answers requests."""
    connection, spec = wire.taken_from_standard_input(), sys.argv[1]
    _limit_this_process()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a crash must not take with it what was printed before
    estimator: LocalFunction | None = None
    model: wire.Model | None = None
    fingerprint = b""
    while True:
        try:
            number, request = wire.receive_request(connection)
        except EOFError:
            return
        except OSError:
            os._exit(ExitStatus.UNWRITABLE)
        answer: Gradients | wire.Failure | None = None
        try:
            match request:
                case wire.Load():
                    estimator = LocalFunction(_ending_copies(_ending_copies(load)(spec)), spec)
                case wire.Model():
                    model, fingerprint = request, _fingerprint(request)
                case wire.Call():
                    assert estimator is not None
                    assert model is not None
                    answer = _called(estimator, model, request)
                    if _fingerprint(model) != fingerprint:
                        raise EstimatorError("the estimator changed batch.mdp or batch.policy; let it work on copies")
        except BaseException as error:  # SystemExit too: whatever an estimator does, the parent gets an answer
            answer = _failure(error, spec)
        for stream in (sys.stdout, sys.stderr):  # this process is killed in the end, with all that it holds back
            with contextlib.suppress(Exception):
                stream.flush()
        try:
            wire.send_answer(connection, number, answer)
        except OSError:
            os._exit(ExitStatus.UNWRITABLE)


def _called(estimator: LocalFunction, model: wire.Model, request: wire.Call) -> Gradients:
    batch = Batch(model.mdp, model.policy, request.starts, request.outcomes, model.behavior)
    batch = batch.altered(**request.alterations)
    if request.index is None:
        return gradients(estimator, batch)
    return Gradients(estimator.of_batches(batch, request.index), per_episode=False, single=False)


def _ending_copies(function: Callable[Args, Result]) -> Callable[Args, Result]:
    """The function, after which a copy of this process that it made with `fork` ends: a copy must not answer."""
    answering_process = os.getpid()

    def call(*args: Args.args, **kwargs: Args.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        finally:
            if os.getpid() != answering_process:
                os._exit(ExitStatus.FAULT)

    return call


def _fingerprint(model: wire.Model) -> bytes:
    """A digest of what an estimator must leave as it is in the model."""
    mdp = model.mdp
    arrays = [mdp.start, mdp.terminal, mdp.state, mdp.action, mdp.next_state, mdp.prob, mdp.reward, mdp.done]
    arrays += [] if mdp.reference is None else [mdp.reference]
    for policy in (model.policy, model.behavior):
        if policy is not None:
            arrays += [policy.theta, policy.probs()]
    digest = hashlib.blake2b(repr((mdp.gamma, mdp.horizon, mdp.entropy, mdp.kl)).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()


def _limit_this_process() -> None:
    """Caps its memory, makes it the first that Linux kills when memory runs out, and ends it when its parent dies.

    Each of the three is left out where the system has no such means.
    """
    with contextlib.suppress(Exception):
        import resource

        limit = int(os.environ.get("PGCHECK_ESTIMATOR_MEMORY", MEMORY))
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    with contextlib.suppress(Exception):
        import ctypes

        ctypes.CDLL(None).prctl(1, 9)  # on Linux: PR_SET_PDEATHSIG, SIGKILL


def _failure(error: BaseException, spec: str) -> wire.Failure:
    """An error as users read it: what the estimator did, with those frames of the traceback that are the user's."""
    if isinstance(error, EstimatorError):
        return wire.Failure(str(error), error.not_finite)
    if isinstance(error, PgcheckError):
        return wire.Failure(str(error))
    text = _printable_text(error)
    if isinstance(error, SystemExit):
        event = f"called sys.exit({text})"
    elif isinstance(error, MemoryError):
        event = "ran out of memory"
    else:
        event = f"raised {type(error).__name__}" + (f": {text}" if text else "")
    hidden = (PACKAGE, "<frozen", "<string", str(Path(importlib.__file__).parent))
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(hidden)]
    lines = traceback.format_list(frames[-SHOWN_FRAMES:])
    hint = ""
    if isinstance(error, ValueError) and "read-only" in text:
        hint = "  The arrays of a batch must not be written to; let the estimator work on a copy.\n"
    if isinstance(error, SyntaxError):
        lines += traceback.format_exception_only(error)[:-1]
    if error.__cause__ is not None:
        lines.append(f"  caused by {type(error.__cause__).__name__}: {_printable_text(error.__cause__)}\n")
    return wire.Failure(f"{spec} {event}\n{hint}{''.join(lines)}".rstrip())


def _printable_text(error: BaseException) -> str:
    """An error's own text, cut to a length, without characters that could move a terminal's cursor."""
    try:
        text = repr(error.code) if isinstance(error, SystemExit) else str(error)
    except BaseException:
        text = "(its message is not available)"
    text = text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + "..."
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
