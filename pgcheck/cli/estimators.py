"""`plan`, `compare` and `estimators`: estimators side by side, and the list of them."""

from typing import Annotated

import typer

from pgcheck.cli import arguments
from pgcheck.cli.options import (
    EstimatorNames,
    Form,
    Format,
    Gamma,
    Horizon,
    Into,
    Lambda,
    ModelName,
    Quiet,
    Rollouts,
    Seed,
    Timeout,
    lambda_of,
    loaded,
    printing,
    rollouts_of,
    seconds_of,
    seed_of,
)


def plan(
    model: ModelName = "two_state",
    accuracy: Annotated[str, typer.Option(metavar="A", help="Relative error wanted, like 5% or 0.01.")] = "5%",
    estimator: EstimatorNames = None,
    lam: Lambda = None,
    timeout: Timeout = "60",
    seed: Seed = "0",
    horizon: Horizon = None,
    gamma: Gamma = None,
    form: Form = Format.table,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """How many rollouts each estimator needs for a wanted accuracy, before any is drawn."""
    from pgcheck.estimators import comparison
    from pgcheck.external.opening import opened_on
    from pgcheck.report.estimators import comparison_view
    from pgcheck.report.progress import progress_bar

    wanted, (number, rng), names = arguments.share(accuracy, "--accuracy"), seed_of(seed), _names(estimator)
    with printing(output, form) as printer:
        problem = loaded(model, horizon, gamma)
        place = problem.mdp, problem.policy
        with (
            opened_on(names, *place, lam=lambda_of(lam), timeout=seconds_of(timeout)) as chosen,
            progress_bar("comparing estimators", quiet=quiet) as bar,
        ):
            result = comparison.plan(
                *place, chosen, wanted, rng, behavior=problem.behavior, leave_out=not estimator, progress=bar
            )
        printer.view(comparison_view(result, number))


def compare(
    model: ModelName = "two_state",
    n: Rollouts = "1000",
    estimator: EstimatorNames = None,
    lam: Lambda = None,
    timeout: Timeout = "60",
    seed: Seed = "0",
    horizon: Horizon = None,
    gamma: Gamma = None,
    form: Form = Format.table,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """Estimators side by side: bias, variance, expected and measured error with N rollouts."""
    from pgcheck.estimators import comparison
    from pgcheck.external.opening import opened_on
    from pgcheck.report.estimators import comparison_view
    from pgcheck.report.progress import progress_bar

    count, (number, rng), names = rollouts_of(n), seed_of(seed), _names(estimator)
    with printing(output, form) as printer:
        problem = loaded(model, horizon, gamma)
        place = problem.mdp, problem.policy
        with (
            opened_on(names, *place, lam=lambda_of(lam), timeout=seconds_of(timeout)) as chosen,
            progress_bar("comparing estimators", quiet=quiet) as bar,
        ):
            result = comparison.compare(
                *place, chosen, count, rng, behavior=problem.behavior, leave_out=not estimator, progress=bar
            )
        printer.view(comparison_view(result, number))


def estimators(form: Form = Format.table, output: Into = None, quiet: Quiet = False) -> None:
    """The built-in estimators, right and wrong."""
    from pgcheck.estimators.catalogue import ESTIMATORS
    from pgcheck.report.estimators import estimators_view

    with printing(output, form) as printer:
        printer.view(estimators_view(ESTIMATORS))


def _names(text: str | None) -> list[str]:
    """The estimators of `--estimator a,b`; by default all that are built in."""
    from pgcheck.estimators.catalogue import NAMES

    return list(NAMES) if text is None else list(dict.fromkeys(name.strip() for name in text.split(",")))
