"""The process in which somebody's estimator runs: it answers requests until its pipe is closed.

    python -m pgcheck.external.child REQUESTS ANSWERS SPEC

REQUESTS and ANSWERS are file descriptors. A request is a pickle, as its sender is trusted; an answer is a line of
JSON and the bytes of an array, as nothing that comes from here is. Standard output belongs to results, so what
the estimator prints goes to standard error.
"""

import contextlib
import hashlib
import importlib
import json
import os
import pickle
import struct
import sys
import traceback
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pgcheck.errors import EstimatorError, PgcheckError
from pgcheck.estimators.base import Estimate
from pgcheck.external.calling import LocalFunction
from pgcheck.external.loading import load
from pgcheck.trajectories.batch import Batch

PACKAGE = str(Path(__file__).resolve().parents[1])
FRAMES = 8  # of a traceback that are shown
LONGEST = 2000  # characters of an error's text
PIPE_GONE = 74  # exit status where answers cannot be written


def main() -> None:
    """Loads the estimator and answers requests."""
    requests, answers = os.fdopen(int(sys.argv[1]), "rb"), os.fdopen(int(sys.argv[2]), "wb")
    spec = sys.argv[3]
    os.dup2(2, 1)
    _fall_first()
    estimator = None
    known: tuple[Any, ...] = ()
    mark = b""
    while (request := _receive(requests)) is not None:
        number, kind, *rest = request
        body = b""
        header: dict[str, Any] = {}
        try:
            if kind == "load":
                estimator = LocalFunction(_alone(load(spec)), spec)
            elif kind == "model":
                known = tuple(rest)
                mark = _fingerprint(known)
            else:
                assert estimator is not None
                starts, outcomes, altered, index = rest
                batch = Batch(known[0], known[1], starts, outcomes, known[2]).altered(**altered)
                gradients = estimator(batch) if index is None else estimator.of_batches(batch, index)
                if _fingerprint(known) != mark:
                    raise EstimatorError("the estimator changed batch.mdp or batch.policy; let it work on copies")
                header = {"shape": gradients.shape, "single": gradients.dtype == np.float32}
                body = np.ascontiguousarray(gradients, dtype=np.float64).tobytes()
        except BaseException as error:  # also SystemExit: nothing that an estimator does ends in silence
            header, body = _told(error, spec), b""
        try:
            line = json.dumps({**header, "number": number, "bytes": len(body)}).encode()
            answers.write(line + b"\n" + body)
            answers.flush()
        except OSError:
            os._exit(PIPE_GONE)


def _alone(function: Estimate) -> Estimate:
    """The function, after which copies of this process that it has made go no further."""
    own = os.getpid()

    def call(batch: Batch) -> Any:
        try:
            return function(batch)
        finally:
            if os.getpid() != own:
                os._exit(1)

    return call


def _fingerprint(known: tuple[Any, ...]) -> bytes:
    """What an estimator must leave as it is in the model."""
    mdp, *policies = known
    arrays = [mdp.start, mdp.terminal, mdp.state, mdp.action, mdp.next_state, mdp.prob, mdp.reward, mdp.done]
    arrays += [array for policy in policies if policy is not None for array in (policy.theta, policy.index)]
    digest = hashlib.blake2b(repr((mdp.gamma, mdp.horizon)).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()


def _fall_first() -> None:
    """A process that eats memory without end is to fall before its judge does, and with it."""
    with contextlib.suppress(Exception):
        import resource

        limit = int(os.environ.get("PGCHECK_ESTIMATOR_MEMORY", 4 * 2**30))
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    with contextlib.suppress(Exception):
        import ctypes

        ctypes.CDLL(None).prctl(1, 9)  # on Linux: PR_SET_PDEATHSIG, SIGKILL


def _receive(requests: BinaryIO) -> Any:
    head = requests.read(8)
    if len(head) < 8:
        return None
    return pickle.loads(requests.read(struct.unpack("<q", head)[0]))


def _told(error: BaseException, spec: str) -> "dict[str, Any]":
    """An error as the judge prints it: with the frames that are not pgcheck's own."""
    if isinstance(error, EstimatorError):
        return {"error": str(error), "not_finite": error.not_finite}
    if isinstance(error, PgcheckError):
        return {"error": str(error)}
    text = _safely(error)
    if isinstance(error, SystemExit):
        what = f"called sys.exit({text})"
    elif isinstance(error, MemoryError):
        what = "ran out of memory"
    else:
        what = f"raised {type(error).__name__}" + (f": {text}" if text else "")
    hidden = (PACKAGE, "<frozen", "<string", str(Path(importlib.__file__).parent))
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(hidden)]
    lines = traceback.format_list(frames[-FRAMES:])
    hint = ""
    if isinstance(error, ValueError) and "read-only" in text:
        hint = "  The arrays of a batch must not be written to; let the estimator work on a copy.\n"
    if isinstance(error, SyntaxError):
        lines += traceback.format_exception_only(error)[:-1]
    if error.__cause__ is not None:
        lines.append(f"  caused by {type(error.__cause__).__name__}: {_safely(error.__cause__)}\n")
    return {"error": f"{spec} {what}\n{hint}{''.join(lines)}".rstrip()}


def _safely(error: BaseException) -> str:
    """An error's own words, cut to a length and without what could move a terminal's cursor."""
    try:
        text = repr(error.code) if isinstance(error, SystemExit) else str(error)
    except BaseException:
        text = "(its text cannot be had)"
    text = text if len(text) <= LONGEST else text[:LONGEST] + "..."
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


if __name__ == "__main__":
    main()
