"""What users name or write → an estimator, ready to be called: the one road of every command."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import cast

from pgcheck.errors import EstimatorError, UsageError
from pgcheck.estimators.base import Estimate, Estimator
from pgcheck.estimators.catalogue import FORMER_NAMES, NAMES
from pgcheck.estimators.catalogue import estimator as built_in
from pgcheck.external.calling import LocalFunction
from pgcheck.external.estimator import External
from pgcheck.external.loading import functions_in
from pgcheck.external.process import TIMEOUT, Process
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy


def estimator_of(estimate: Estimate | Estimator | str) -> Estimator:
    """Returns an estimator as it is, a built-in one by its name, or a user's function as one of this process.

    Raises:
      UsageError: no built-in estimator has this name.
    """
    if isinstance(estimate, str):
        return built_in(estimate)
    if hasattr(estimate, "of_batches"):
        return cast(Estimator, estimate)
    return LocalFunction(estimate, getattr(estimate, "__name__", "the estimator"))


@contextlib.contextmanager
def opened(spec: str | Estimate, *, lam: float | None = None, timeout: float = TIMEOUT) -> Iterator[Estimator]:
    """Yields the estimator that `spec` names; a function that is named by its place runs in a process of its own.

    The process ends with the block.

    Args:
      spec: `file.py:function`, `package.module:function`, or a built-in name; or a function, which is called in
        this process.
      lam: λ of `gae`.
      timeout: seconds that a call of a user's function may take.

    Raises:
      EstimatorError: the function cannot be found or loaded.
      UsageError: no built-in estimator has this name.
    """
    if not isinstance(spec, str):
        yield estimator_of(spec)
    elif ":" in spec:
        with Process(spec, timeout=timeout) as process:
            yield process
    elif spec.endswith(".py") or os.sep in spec:
        raise EstimatorError(_which(spec))
    else:
        yield built_in(spec, lam)


def leading_estimators(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the estimators with which a list of words begins, and the words from the first that names none.

    An estimator is a built-in name, a place with a colon that is no file, or a `.py` file (whose functions the error
    then lists).
    """
    number = 0
    while number < len(words) and _is_estimator(words[number]):
        number += 1
    return list(words[:number]), list(words[number:])


def _is_estimator(word: str) -> bool:
    return word in NAMES or word in FORMER_NAMES or word.endswith(".py") or (":" in word and not os.path.exists(word))


def _which(path: str) -> str:
    """The message about a file without a function: those that it has."""
    if not path.endswith(".py"):
        return f"{path}: expected file.py:function, package.module:function, or a built-in name"
    names = functions_in(path)
    if not names:
        return f"{path}: no function of one argument is defined there; expected one that takes a batch"
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
      EstimatorError, UsageError: as in `opened`; also where λ is given and `gae` is not asked for.
    """
    if lam is not None and "gae" not in specs:
        raise UsageError("--lambda belongs to gae, which is not asked for")
    with contextlib.ExitStack() as stack:
        estimators: list[Estimator] = []
        for spec in specs:
            estimator = stack.enter_context(opened(spec, lam=lam if spec == "gae" else None, timeout=timeout))
            if isinstance(estimator, External):
                estimator.learn(mdp, policy)
            estimators.append(estimator)
        yield estimators
