"""All that a report says of a model, and of estimators on it: gathered once, so that the page only shows it."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from pgcheck.errors import EstimatorError, PgcheckError
from pgcheck.estimators.assessment import Assessment, assess
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.catalogue import NAMES
from pgcheck.estimators.comparison import Comparison, compare
from pgcheck.estimators.convergence import Convergence, Row, converge
from pgcheck.estimators.effort import MAX_STEPS, usual_effort
from pgcheck.exact.gradient import ExactGradient
from pgcheck.exact.table import GradientTable, gradient_table
from pgcheck.external.estimator import External
from pgcheck.external.opening import Opened, estimator_of, is_agent, opened
from pgcheck.formats.modelfile import Model
from pgcheck.trajectories.summary import ModelSummary, summarize
from pgcheck.verification.checks import Check, judged
from pgcheck.verification.provenance import Provenance, provenance_of
from pgcheck.verification.sampled_evidence import Announce
from pgcheck.verification.verification import Verification
from pgcheck.workers.executor import HERE, Executor

TOP = 8  # of the likeliest trajectories
READINGS = ("reinforce", "uniform-trajectories")  # the right reading of the mean over rollouts, and the wrong one
BESIDE = ("reinforce", "reward-to-go")  # stand beside a user's estimators
BESIDE_OFF_POLICY = ("importance-sampling", "per-decision")
MAX_USERS_STEPS = 1e6  # of a function that may be a loop in Python: some ten seconds

Progress = Callable[[str, float], None]
Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class Subject:
    """An estimator that was asked for; an error stands in the place of what there is none of.

    Attributes:
      name: its place, as the user named it.
      verdict: whether its expectation is ∇J.
      convergence: its error against N on the model; None of an agent, which draws its own episodes.
    """

    name: str
    verdict: Verification | PgcheckError
    convergence: Convergence | PgcheckError | None


@dataclass(frozen=True, eq=False)
class Dossier:
    """All that a report says; an error stands in the place of what cannot be had on this model.

    Attributes:
      model: the model.
      summary: the model as understood.
      gradient: ∇J.
      rollouts: an estimate beside it, with the likeliest trajectories and both readings of the mean.
      subjects: the estimators that were asked for.
      convergences: the error against N of those that stand beside them.
      comparison: these and the subjects side by side; without subjects, all that are built in.
      on_battery: whether the verdicts are on the battery of small models, or on the model.
      n: of rollouts.
      seed: of the random numbers.
      provenance: what all of it rests on.
    """

    model: Model
    summary: ModelSummary
    gradient: GradientTable
    rollouts: Assessment | PgcheckError
    subjects: tuple[Subject, ...]
    convergences: tuple[Convergence | PgcheckError, ...]
    comparison: Comparison | PgcheckError
    on_battery: bool
    n: int
    seed: int
    provenance: Provenance

    @property
    def judged(self) -> tuple[tuple[str, Verification | PgcheckError], ...]:
        """The verdicts, each after the name of its estimator."""
        return tuple((subject.name, subject.verdict) for subject in self.subjects)

    @property
    def is_timed(self) -> bool:
        """Whether a clock limits how much is drawn for some verdict; else the same report is the same text."""
        return any(isinstance(verdict, Verification) and verdict.is_timed for _, verdict in self.judged)


def dossier_of(
    model: Model,
    names: Sequence[str],
    check: Check,
    problems: Sequence[Model],
    *,
    source: str,
    n: int,
    progress: Progress | None = None,
    announce: Announce | None = None,
    executor: Executor = HERE,
) -> Dossier:
    """Returns all that a report says.

    Args:
      model: what the page is about.
      names: of the estimators, as in `opened`.
      check: how each of them is judged, whatever its own estimator is; one without models is on the battery.
      problems: on which.
      source: what the model was read from.
      n: of rollouts.
      progress: called with what is in hand, and the fraction of it that is done.
      announce: as in `verify`.
      executor: does the parts.

    Raises:
      TooLargeError, PrecisionError: there is no exact gradient. All other errors stand in their places.
    """
    tell = progress or (lambda label, fraction: None)
    seed = check.rules.seed
    mdp, policy = model.mdp, model.policy
    gradient = gradient_table(
        mdp, policy, max_trajectories=check.rules.max_trajectories, progress=_named(tell, "the gradient"),
        executor=executor,
    )  # fmt: skip
    rollouts = _or_error(
        lambda: assess(
            mdp, policy, n, np.random.default_rng(seed), top=TOP, progress=_named(tell, "rollouts"), executor=executor
        )
    )
    beside = (BESIDE_OFF_POLICY if check.rules.off_policy else BESIDE) if names else NAMES
    lines = beside[:1] if names else READINGS
    convergences = tuple(
        _or_error(partial(_converged, model, estimator_of(name), seed, tell, executor))
        for name in lines
        if name not in names
    )
    with contextlib.ExitStack() as stack:
        subjects, running = [], []
        for name in dict.fromkeys(names):
            subject, function = _subject(name, stack, model, check, problems, tell, announce, executor)
            subjects.append(subject)
            if isinstance(subject.convergence, Convergence) and function is not None:
                running.append(function)
        estimators = [estimator_of(name) for name in beside if name not in names] + running
        comparison = _or_error(
            lambda: compare(
                mdp, policy, estimators, n, np.random.default_rng(seed),
                behavior=model.behavior, leave_out=True, progress=_named(tell, "estimators side by side"),
                executor=executor,
            )
        )  # fmt: skip
    return Dossier(
        model, summarize(mdp, policy, model.behavior), gradient, rollouts, tuple(subjects), convergences, comparison,
        not check.models, n, seed, provenance_of(model, source, names),
    )  # fmt: skip


def _subject(
    name: str,
    stack: contextlib.ExitStack,
    model: Model,
    check: Check,
    problems: Sequence[Model],
    tell: Progress,
    announce: Announce | None,
    executor: Executor,
) -> tuple[Subject, Estimator | None]:
    """What becomes of an estimator that was asked for, and the estimator, which goes on running with `stack`."""
    try:
        function: Opened = stack.enter_context(opened(name, timeout=check.rules.timeout))
    except PgcheckError as error:
        return Subject(name, error, error), None
    verdict = _or_error(
        lambda: judged(function, problems, check, progress=tell, announce=announce, executor=executor)
    )
    if is_agent(function):
        return Subject(name, verdict, None), None
    if isinstance(verdict, EstimatorError):  # it may have ended with its process
        return Subject(name, verdict, verdict), None
    estimator = estimator_of(function)

    def run() -> Convergence:
        if isinstance(estimator, External):
            estimator.learn(model.mdp, model.policy)
        return _converged(model, estimator, check.rules.seed, tell, executor)

    return Subject(name, verdict, _or_error(run)), estimator


def _converged(model: Model, estimator: Estimator, seed: int, tell: Progress, executor: Executor) -> Convergence:
    """The error against N, with as many rollouts as `converge` takes by default; with fewer of a user's function."""
    most = MAX_USERS_STEPS if isinstance(estimator, External) else MAX_STEPS
    effort = usual_effort(model.mdp, model.policy, estimator, most)
    return converge(
        model.mdp, model.policy, n=effort.n, replicates=effort.replicates, rng=np.random.default_rng(seed),
        estimator=estimator, behavior=model.behavior, watch=_Watch(estimator.name, tell), executor=executor,
    )  # fmt: skip


@dataclass(frozen=True)
class _Watch:
    """Is told how `converge` gets on."""

    name: str
    tell: Progress

    def begin(self, exact: ExactGradient) -> None:
        """Nothing is done yet."""

    def row(self, row: Row) -> None:
        """A row is done."""

    def progress(self, fraction: float) -> None:
        """Tells how much of a row is done."""
        self.tell(f"the error of {self.name}", fraction)


def _named(tell: Progress, label: str) -> Callable[[float], None]:
    return lambda fraction: tell(label, fraction)


def _or_error(made: Callable[[], Made]) -> Made | PgcheckError:
    """What is made, or the error for which there is none: one at fault does not hide the rest of a page."""
    try:
        return made()
    except PgcheckError as error:
        return error
