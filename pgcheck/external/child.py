"""The process in which a user's estimator or agent runs: it answers requests until its parent closes the pipe.

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
from multiprocessing.connection import Connection
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np

from pgcheck.errors import EstimatorError, ExitStatus, PgcheckError
from pgcheck.estimators.base import Gradients, gradients
from pgcheck.external import requests, wire
from pgcheck.external.agent_source import TRIAL_SECONDS, Beginning, LocalAgent
from pgcheck.external.agents import AgentFunction
from pgcheck.external.calling import LocalFunction
from pgcheck.external.contents import Kind, answer_of
from pgcheck.external.draws.endings import UnanswerableError
from pgcheck.external.late import Deadline
from pgcheck.external.loading import agent_hint, load
from pgcheck.external.lot import Cut
from pgcheck.external.policies import made_here
from pgcheck.external.sample import Sample
from pgcheck.external.subject import UnsuitableError
from pgcheck.formats.environments.failures import failure_text
from pgcheck.model.mdp import MDP
from pgcheck.model.parametric import Network
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch

MEMORY = 4 * 2**30  # bytes that the process may have; the environment's PGCHECK_ESTIMATOR_MEMORY changes it

Args = ParamSpec("Args")
Result = TypeVar("Result")


def main() -> None:
    """Loads what is to be run, and answers requests."""
    connection, spec = wire.taken_from_standard_input(), sys.argv[1]
    _limit_this_process()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a crash must not take with it what was printed before
    work = _Work(spec)
    while True:
        try:
            number, request = wire.receive_request(connection)
        except EOFError:
            return
        except OSError:
            os._exit(ExitStatus.UNWRITABLE)
        with _deadline(connection, number, request, spec):
            try:
                answer: wire.Answer | wire.Failure = answer_of(work.done(request))
            except BaseException as error:  # SystemExit too: whatever the code does, the parent gets an answer
                answer = work.failure(error)
        for stream in (sys.stdout, sys.stderr):  # this process is killed in the end, with all that it holds back
            with contextlib.suppress(Exception):
                stream.flush()
        try:
            wire.send_answer(connection, number, answer)
        except OSError:
            os._exit(ExitStatus.UNWRITABLE)


def _deadline(
    connection: Connection, number: int, request: requests.Request, spec: str
) -> contextlib.AbstractContextManager[None]:
    """What says in time where a run of an agent hangs."""
    if not isinstance(request, requests.Begin | requests.Advance):
        return contextlib.nullcontext()
    limit = request.limit

    def tell(lines: str) -> None:
        text = f"{spec}: a run did not end within {limit:g} seconds; allow more with --timeout"
        wire.send_answer(connection, number, wire.Failure(f"{text}\n{lines}".rstrip()))

    return Deadline(limit + (TRIAL_SECONDS if isinstance(request, requests.Begin) else request.seconds), tell)


class _Work:
    """What was loaded, and the model of the calls."""

    def __init__(self, spec: str) -> None:
        self._spec = spec
        self._loaded: LocalFunction | LocalAgent | None = None
        self._function: object = None  # the user's
        self._model: _Model | None = None
        self._fingerprint = b""

    def done(
        self, request: requests.Request
    ) -> Gradients | Beginning | Cut | Sample | Kind | tuple[int, float] | None:
        """Does what is asked, and returns what the answer holds."""
        match request:
            case requests.Load():
                self._function = loaded = _ending_copies(load)(self._spec)
                if isinstance(loaded, AgentFunction):
                    self._loaded = LocalAgent(loaded)
                    return "agent"
                self._loaded = LocalFunction(_ending_copies(loaded), self._spec)
                return "estimator"
            case requests.Model():
                self._model = _ending_copies(_made)(request)
                self._fingerprint = _fingerprint(self._model)
                return None
            case requests.Call():
                assert isinstance(self._loaded, LocalFunction)
                assert self._model is not None
                gradients = _called(self._loaded, self._model, request)
                if _fingerprint(self._model) != self._fingerprint:
                    raise EstimatorError("the estimator changed batch.mdp or batch.policy; let it work on copies")
                return gradients
        assert isinstance(self._loaded, LocalAgent)
        if isinstance(request, requests.Begin):
            begin = _ending_copies(self._loaded.begin)
            return begin(request.mdp, request.variation, rehearses=request.rehearses)
        if isinstance(request, requests.Draw):
            drawn = request.seed, request.first, request.most, request.seconds
            return _ending_copies(self._loaded.sample)(*drawn)
        loop = self._loaded.loop
        if isinstance(request, requests.Cut):
            loop.cut(request.most, drawn=request.drawn)
        if isinstance(request, requests.Walk):
            loop.walk(request.branch, request.number, request.before, request.most)
        return _ending_copies(self._loaded.advanced)(request.seconds) or loop.progress

    def failure(self, error: BaseException) -> wire.Failure:
        """An error as users read it."""
        hint = agent_hint(self._function) if self._model is not None else ""
        if isinstance(error, PgcheckError):
            not_finite = isinstance(error, EstimatorError) and error.not_finite
            kinds = isinstance(error, UnsuitableError), isinstance(error, UnanswerableError)
            return wire.Failure(f"{error}{hint}", not_finite, *kinds)
        return wire.Failure(f"{failure_text(error, self._spec)}{hint}")


@dataclass(frozen=True, eq=False)
class _Model:
    """The model and the policies of the calls."""

    mdp: MDP
    policy: Policy
    behavior: Policy | None


def _made(request: requests.Model) -> _Model:
    """The model with policies that are made here, where they are named."""
    mdp = request.mdp
    drawn_by_itself = request.behavior is request.policy
    behavior = None if drawn_by_itself or request.behavior is None else made_here(request.behavior, mdp)
    policy = made_here(request.policy, mdp)  # made last: what its function leaves behind is that of the policy
    return _Model(mdp, policy, policy if drawn_by_itself else behavior)


def _called(estimator: LocalFunction, model: _Model, request: requests.Call) -> Gradients:
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
