"""The process in which a user's estimator runs: it answers requests until its parent closes the pipe.

    python -c "from pgcheck.external.child import main; main()" SPEC

Standard input is this process's end of the pipe, `wire` says what goes through it. Standard output and standard
error are both a pipe to the parent, which passes the first lines on.
"""

import contextlib
import hashlib
import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np

from pgcheck.errors import EstimatorError, ExitStatus, PgcheckError
from pgcheck.estimators.base import Gradients, gradients
from pgcheck.external import wire
from pgcheck.external.calling import LocalFunction
from pgcheck.external.failures import failure_text
from pgcheck.external.loading import load
from pgcheck.external.policies import Named
from pgcheck.model.mdp import MDP
from pgcheck.model.parametric import Network
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch

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
    model: _Model | None = None
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
                    model = _ending_copies(_made)(request)
                    fingerprint = _fingerprint(model)
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


@dataclass(frozen=True, eq=False)
class _Model:
    """The model and the policies of the calls."""

    mdp: MDP
    policy: Policy
    behavior: Policy | None


def _made(request: wire.Model) -> _Model:
    """The model with policies that are made here, where they are named."""
    mdp = request.mdp
    drawn_by_itself = request.behavior is request.policy
    behavior = None if drawn_by_itself or request.behavior is None else _here(request.behavior, mdp)
    policy = _here(request.policy, mdp)  # made last: what its function leaves behind is that of the policy
    return _Model(mdp, policy, policy if drawn_by_itself else behavior)


def _here(policy: Policy | Named, mdp: MDP) -> Policy:
    return policy.made(mdp) if isinstance(policy, Named) else policy


def _called(estimator: LocalFunction, model: _Model, request: wire.Call) -> Gradients:
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


def _fingerprint(model: _Model) -> bytes:
    """A digest of what an estimator must leave as it is in the model."""
    mdp = model.mdp
    arrays = [mdp.start, mdp.terminal, mdp.state, mdp.action, mdp.next_state, mdp.prob, mdp.reward, mdp.done]
    arrays += [] if mdp.reference is None else [mdp.reference]
    for policy in (model.policy, model.behavior):
        if policy is not None:
            arrays += [policy.theta, policy.probs()]
        if isinstance(policy, Network):
            arrays.append(policy.present_theta())
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
    """An error as users read it."""
    if isinstance(error, EstimatorError):
        return wire.Failure(str(error), error.not_finite)
    return wire.Failure(str(error) if isinstance(error, PgcheckError) else failure_text(error, spec))
