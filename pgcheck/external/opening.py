"""What users name or write → an estimator or agent, ready to be called: the one road of every command."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import cast

from pgcheck.arrays import kind_of
from pgcheck.errors import EstimatorError, UsageError
from pgcheck.estimators.base import Estimate, Estimator
from pgcheck.estimators.catalogue import FORMER_NAMES, NAMES
from pgcheck.estimators.catalogue import estimator as built_in
from pgcheck.external.agent_process import AgentProcess
from pgcheck.external.agent_source import AgentSource, LocalAgent
from pgcheck.external.agents import Agent, AgentFunction
from pgcheck.external.calling import LocalFunction
from pgcheck.external.defined import functions_in, makes_model
from pgcheck.external.estimator import External
from pgcheck.external.estimator_process import Process
from pgcheck.external.loading import WRITE_AN_AGENT
from pgcheck.external.process import TIMEOUT, Child
from pgcheck.external.program_process import PREFIX
from pgcheck.external.program_sent import SendableProgram
from pgcheck.formats.loading import GYMNASIUM, PYTHON
from pgcheck.formats.loading import kind_of as kind_of_source
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy

Opened = Estimator | AgentSource


def estimator_of(estimate: Estimate | Opened | str) -> Estimator:
    """Returns an estimator as it is, a built-in one by its name, or a user's function as one of this process.

    Raises:
      UsageError: no built-in estimator has this name, or it is an agent.
    """
    if isinstance(estimate, str):
        return built_in(estimate)
    if is_agent(estimate):
        raise UsageError(
            f"{getattr(estimate, 'name', 'an Agent')}: an agent is checked by `pgcheck verify`; "
            "it draws its own episodes"
        )
    if hasattr(estimate, "of_batches"):
        return cast(Estimator, estimate)
    function = cast(Estimate, estimate)
    return LocalFunction(function, getattr(function, "__name__", "the estimator"))


def is_agent(thing: object) -> bool:
    """Whether something is an agent, in whatever form: `agent_source_of` says what runs it."""
    return isinstance(thing, Agent | AgentFunction | LocalAgent | AgentProcess)


def agent_source_of(thing: object) -> AgentSource:
    """Returns what runs an agent: as it is, or in this process.

    Raises:
      UsageError: it is none, or no function makes it.
    """
    if isinstance(thing, LocalAgent | AgentProcess):
        return thing
    if isinstance(thing, AgentFunction):
        return LocalAgent(thing)
    if isinstance(thing, Agent):
        raise UsageError(f"this is an Agent; each run needs a new one\n{WRITE_AN_AGENT}")
    raise UsageError(f"{kind_of(thing)} is no agent\n{WRITE_AN_AGENT}")


@contextlib.contextmanager
def opened(spec: str | Estimate, *, lam: float | None = None, timeout: float = TIMEOUT) -> Iterator[Opened]:
    """Yields the estimator or agent that `spec` names; what is named by its place runs in a process of its own.

    The process ends with the block.

    Args:
      spec: `file.py:name`, `package.module:name`, `cmd:PROGRAM ARGS`, or a built-in estimator's name; or a function,
        which is called in this process.
      lam: λ of `gae`.
      timeout: seconds that a call of a user's function, or a run of an agent, may take.

    Raises:
      EstimatorError: what is named cannot be found or loaded.
      UsageError: no built-in estimator has this name.
    """
    if not isinstance(spec, str):
        yield agent_source_of(spec) if is_agent(spec) else estimator_of(spec)
    elif spec.startswith(PREFIX):
        with SendableProgram(spec, timeout=timeout) as program:
            yield program
    elif ":" in spec:
        with Child(spec, timeout=timeout) as child:
            yield AgentProcess(child) if child.kind == "agent" else Process(child)
    elif spec.endswith(".py") or os.sep in spec:
        raise EstimatorError(_which(spec))
    else:
        yield built_in(spec, lam)


def leading_estimators(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the estimators with which a list of words begins, and the words from the first that names none.

    An estimator is a built-in name, `package.module:name`, `file.py:name` where that is not what makes a model (see
    `makes_model`), `cmd:PROGRAM ARGS`, or a `.py` file (whose functions the error then lists).
    """
    number = 0
    while number < len(words) and _is_estimator(words[number]):
        number += 1
    return list(words[:number]), list(words[number:])


def _is_estimator(word: str) -> bool:
    if word.startswith(PREFIX):
        return True
    if word in NAMES or word in FORMER_NAMES or word.endswith(".py"):
        return True
    kind = kind_of_source(word)
    if kind is PYTHON:
        where, _, name = word.rpartition(":")
        return not makes_model(where, name)
    return kind is not GYMNASIUM and ":" in word and not os.path.exists(word)


def _which(path: str) -> str:
    """The message about a file without a function: those that it has."""
    if not path.endswith(".py"):
        return f"{path}: expected file.py:function, package.module:function, or a built-in name"
    names = functions_in(path)
    if not names:
        return f"{path}: no function of one argument is defined there; expected one that takes a batch, or an agent's"
    return "\n".join([f"{path}: which function?", *(f"    pgcheck verify {path}:{name}" for name in names)])


@contextlib.contextmanager
def opened_on(
    specs: Sequence[str | Estimate], mdp: MDP, policy: Policy, *, lam: float | None = None, timeout: float = TIMEOUT
) -> Iterator[list[Estimator]]:
    """Yields the estimators that `specs` name, once it is known on a model what kind of functions they are.

    Args:
      specs: as in `opened`.
      mdp, policy: the model.
      lam: λ of `gae`, which must be among them.
      timeout: seconds that a call of a user's function may take.

    Raises:
      EstimatorError, UsageError: as in `opened`; also for λ where `gae` is not asked for, and for an agent.
    """
    if lam is not None and "gae" not in specs:
        raise UsageError("--lambda belongs to gae, which is not asked for")
    with contextlib.ExitStack() as stack:
        estimators: list[Estimator] = []
        for spec in specs:
            estimator = estimator_of(
                stack.enter_context(opened(spec, lam=lam if spec == "gae" else None, timeout=timeout))
            )
            if isinstance(estimator, External):
                estimator.learn(mdp, policy)
            estimators.append(estimator)
        yield estimators
