"""How large a known mistake is: the exact expectation of the function that makes it, beside ∇J, on each model."""

import importlib.util
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pgcheck.estimators.mistakes.explanation import Case, Explanation
from pgcheck.external.opening import Opened, agent_source_of, estimator_of
from pgcheck.formats.loading import load_model
from pgcheck.formats.modelfile import Model
from pgcheck.formats.overrides import Overrides
from pgcheck.verification.battery import BATTERY, LOOP_BATTERY, battery_models
from pgcheck.verification.evidence import ModelProgress, gather
from pgcheck.verification.examination import examine
from pgcheck.verification.findings import Finding
from pgcheck.verification.limits import TOLERANCE, Limits, Skipped
from pgcheck.verification.loop_gathering import gather_runs
from pgcheck.verification.loop_verdict import MAX_RUNS
from pgcheck.verification.models import problems_of
from pgcheck.verification.setting import setting_of
from pgcheck.verification.verdict import MAX_CALLS_ON_BATTERY, MAX_LISTED_TRAJECTORIES

NO_OVERRIDES = Overrides(horizon=None, gamma=None, entropy=None, kl=None)


@dataclass(frozen=True, eq=False)
class Measurement:
    """What a mistake comes to.

    Attributes:
      findings: the expectation of the wrong function on each model, for each batch size.
      skipped: models on which it cannot be called, or where not all can be listed, and why.
      missing: modules without which nothing was measured.
    """

    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...] = ()
    missing: tuple[str, ...] = ()


def measured(
    explanation: Explanation,
    models: Sequence[Model] = (),
    *,
    case: Case | None = None,
    overrides: Overrides = NO_OVERRIDES,
    progress: ModelProgress | None = None,
) -> Measurement:
    """Returns how large a mistake is, by the exact expectation of its wrong function.

    Args:
      explanation: of the mistake.
      models: where to measure; none is that of the case.
      case: on what to measure; None is that of the explanation: the battery, most often.
      overrides: numbers in place of the models' own, where none are given.
      progress: is called with a model's name and the fraction done.

    Raises:
      EstimatorError: the function cannot be called on a model that was given.
      UsageError: a number is out of range, or a model lacks a behavior.
    """
    missing = tuple(name for name in explanation.needs if importlib.util.find_spec(name) is None)
    if missing:
        return Measurement((), missing=missing)
    case = explanation.case if case is None else case
    chosen = list(models) or _models(case, overrides, LOOP_BATTERY if explanation.is_loop else BATTERY)
    problems = problems_of(chosen, off_policy=case.off_policy)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of what is wrong on purpose
        function = function_of(explanation.code.wrong)
        if explanation.is_loop:
            runs = gather_runs(agent_source_of(function), problems, MAX_RUNS, progress, skip_unsuitable=not models)
            skipped = (*(it.skipped for it in runs.unlisted), *runs.unsuitable)
            return Measurement(runs.findings, skipped)
        estimator = estimator_of(function)
        settings = tuple(setting_of(model, off_policy=case.off_policy) for model in problems)
        limits = Limits(None, MAX_LISTED_TRAJECTORIES, MAX_CALLS_ON_BATTERY, TOLERANCE / 10)
        examined = examine(estimator, settings, skip_unsuitable=not models)
        evidence = gather(estimator, examined, limits, progress)
        return Measurement(evidence.findings, (*examined.skipped, *(it.skipped for it in evidence.unlisted)))


def function_of(source: str) -> Callable[..., Any] | Opened:
    """Returns the function, or agent, that is called `gradient` in a source of an explanation."""
    names: dict[str, Any] = {"__name__": "explained"}
    exec(compile(source, "<explained>", "exec"), names)
    function: Callable[..., Any] | Opened = names["gradient"]
    return function


def _models(case: Case, overrides: Overrides, usual: tuple[tuple[str, int], ...]) -> list[Model]:
    """The models of a case, with these numbers in place of its own."""
    numbers = Overrides(horizon=case.horizon, gamma=case.gamma, entropy=case.entropy, kl=None)
    for key in ("horizon", "gamma", "entropy", "kl"):
        if overrides[key] is not None:
            numbers[key] = overrides[key]
    if case.models:
        return [load_model(name, **numbers) for name in case.models]
    return battery_models(**numbers, names=usual)
