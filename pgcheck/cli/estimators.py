"""`plan`, `compare` and `estimators`: estimators side by side, and the list of them."""

from typing import Annotated

import typer

from pgcheck.cli import arguments
from pgcheck.cli.model_options import AboutModel, about_model
from pgcheck.cli.options import (
    EstimatorNames,
    Form,
    Into,
    Lambda,
    ModelName,
    Quiet,
    Rollouts,
    Seed,
    Timeout,
    names_of,
    printing,
    rollouts_of,
    running,
    seed_of,
)
from pgcheck.cli.plotting import Plot, plotting
from pgcheck.cli.work import Work, with_work


@with_work
@about_model
def plan(
    context: typer.Context,
    about: AboutModel,
    work: Work,
    model: ModelName = "two_state",
    accuracy: Annotated[str, typer.Option(metavar="A", help="Relative error wanted, like 5% or 0.01.")] = "5%",
    estimator: EstimatorNames = None,
    lam: Lambda = None,
    timeout: Timeout = "60",
    seed: Seed = "0",
    plot: Plot = None,
    form: Form = None,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """How many rollouts each estimator needs for an accuracy.

    That follows from bias and variance; those of the built-in estimators are exact, and no rollout is drawn.
    """
    from pgcheck.estimators import comparison
    from pgcheck.report.estimators import comparison_view

    wanted, (number, rng), names = arguments.share(accuracy, "--accuracy"), seed_of(seed), _names(estimator)
    with (
        printing(output, form) as printer, plotting(plot, output) as drawing,
        work.begun(context, quiet=quiet) as doing,
    ):  # fmt: skip
        problem = about.load(model, quiet=quiet)
        with running(names, problem, lam, timeout, "comparing estimators", quiet) as (chosen, bar):
            result = comparison.plan(
                problem.mdp, problem.policy, chosen, wanted, rng,
                behavior=problem.behavior, leave_out=not estimator, progress=bar,
                executor=doing.on([problem], names),
            )  # fmt: skip
        if drawing is not None:
            from pgcheck.report.plots.comparison import comparison_picture

            drawing.write(comparison_picture(result), f"estimators on {problem.mdp.name}")
        printer.view(comparison_view(result, number))


@with_work
@about_model
def compare(
    context: typer.Context,
    about: AboutModel,
    work: Work,
    model: ModelName = "two_state",
    n: Rollouts = "1000",
    estimator: EstimatorNames = None,
    lam: Lambda = None,
    timeout: Timeout = "60",
    seed: Seed = "0",
    plot: Plot = None,
    form: Form = None,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """Estimators side by side: bias, variance and error.

    Bias and variance are those of the estimator; the error is the expected one with N rollouts, and a measured one.
    """
    from pgcheck.estimators import comparison
    from pgcheck.report.estimators import comparison_view

    count, (number, rng), names = rollouts_of(n), seed_of(seed), _names(estimator)
    with (
        printing(output, form) as printer, plotting(plot, output) as drawing,
        work.begun(context, quiet=quiet) as doing,
    ):  # fmt: skip
        problem = about.load(model, quiet=quiet)
        with running(names, problem, lam, timeout, "comparing estimators", quiet) as (chosen, bar):
            result = comparison.compare(
                problem.mdp, problem.policy, chosen, count, rng,
                behavior=problem.behavior, leave_out=not estimator, progress=bar,
                executor=doing.on([problem], names),
            )  # fmt: skip
        if drawing is not None:
            from pgcheck.report.plots.comparison import comparison_picture

            drawing.write(comparison_picture(result), f"estimators on {problem.mdp.name}")
        printer.view(comparison_view(result, number))


def estimators(form: Form = None, output: Into = None, quiet: Quiet = False) -> None:
    """The built-in estimators, right and wrong."""
    from pgcheck.estimators.catalogue import ESTIMATORS
    from pgcheck.report.estimators import estimators_view

    with printing(output, form) as printer:
        printer.view(estimators_view(ESTIMATORS))


def _names(text: str | None) -> list[str]:
    """The estimators of `--estimator a,b`; by default all that are built in."""
    from pgcheck.estimators.catalogue import NAMES

    return list(NAMES) if text is None else names_of(text)
