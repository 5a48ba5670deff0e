"""The process in which somebody's estimator runs: it answers requests until its pipe is closed.

    python -m pgcheck.worker REQUESTS ANSWERS SPEC

REQUESTS and ANSWERS are file descriptors. A request is a pickle, as its sender is trusted; an answer is a line of
JSON and the bytes of an array, as nothing that comes from here is. Standard output belongs to results, so what
the estimator prints goes to standard error.
"""

import contextlib
import json
import os
import pickle
import struct
import sys
import traceback
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pgcheck.batch import Batch
from pgcheck.calls import LocalCaller
from pgcheck.errors import EstimatorError, PgcheckError
from pgcheck.interface import Answer
from pgcheck.loading import load

PACKAGE = str(Path(__file__).resolve().parent)
FRAMES = 8  # of a traceback that are shown


def main() -> None:
    """Loads the estimator and answers requests."""
    requests, answers = os.fdopen(int(sys.argv[1]), "rb"), os.fdopen(int(sys.argv[2]), "wb")
    spec = sys.argv[3]
    os.dup2(2, 1)
    _limit_memory()
    caller = None
    known: tuple[Any, ...] = ()
    while (request := _receive(requests)) is not None:
        try:
            if request[0] == "load":
                caller = LocalCaller(load(spec), spec)
                _send(answers, {})
            elif request[0] == "model":
                known = request[1:]
                _send(answers, {})
            else:
                assert caller is not None
                starts, outcomes, altered, index = request[1:]
                mdp, policy, behavior = known
                batch = Batch(mdp, policy, starts, outcomes, behavior).altered(**altered)
                answer = caller.whole(batch) if index is None else caller.groups(batch, index)
                _send_answer(answers, answer)
        except BaseException as error:  # also SystemExit: nothing that an estimator does ends in silence
            _send(answers, _told(error, spec))


def _limit_memory() -> None:
    """A process that eats memory without end is to fall before the one that judges it does."""
    with contextlib.suppress(Exception):
        import resource

        limit = int(os.environ.get("PGCHECK_ESTIMATOR_MEMORY", 4 * 2**30))
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _receive(requests: BinaryIO) -> Any:
    head = requests.read(8)
    if len(head) < 8:
        return None
    return pickle.loads(requests.read(struct.unpack("<q", head)[0]))


def _send_answer(answers: BinaryIO, answer: Answer) -> None:
    values = np.ascontiguousarray(answer.values)
    header = {"shape": values.shape, "per_episode": answer.per_episode, "single": answer.single}
    _send(answers, header, values.tobytes())


def _send(answers: BinaryIO, header: "dict[str, Any]", body: bytes = b"") -> None:
    answers.write(json.dumps({**header, "bytes": len(body)}).encode() + b"\n" + body)
    answers.flush()


def _told(error: BaseException, spec: str) -> "dict[str, Any]":
    """An error as the judge prints it: with the frames that are not pgcheck's own."""
    if isinstance(error, EstimatorError):
        return {"error": str(error), "not_finite": error.not_finite}
    if isinstance(error, PgcheckError):
        return {"error": str(error)}
    if isinstance(error, SystemExit):
        what = f"called sys.exit({error.code!r})"
    elif isinstance(error, MemoryError):
        what = "ran out of memory"
    else:
        what = f"raised {type(error).__name__}: {error}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith((PACKAGE, "<frozen"))]
    lines = traceback.format_list(frames[-FRAMES:])
    hint = ""
    if isinstance(error, ValueError) and "read-only" in str(error):
        hint = "  The arrays of a batch must not be written to; let the estimator work on a copy.\n"
    if not isinstance(error, SystemExit | MemoryError) and isinstance(error, SyntaxError):
        lines += traceback.format_exception_only(error)[:-1]
    return {"error": f"{spec} {what}\n{hint}{''.join(lines)}".rstrip()}


if __name__ == "__main__":
    main()
