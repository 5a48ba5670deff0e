"""`exact`, `sample` and `converge`: the gradient, an estimate of it, and how the error falls."""

from typing import TYPE_CHECKING, Annotated

import typer

from pgcheck.cli import arguments
from pgcheck.cli.model_options import AboutModel, about_model
from pgcheck.cli.options import (
    EstimatorName,
    Form,
    Into,
    Lambda,
    ModelName,
    OldTop,
    Quiet,
    Rollouts,
    Seed,
    SomeEstimators,
    Timeout,
    Top,
    method_of,
    names_of,
    order_of,
    printing,
    rollouts_of,
    running,
    seed_of,
    top_of,
)
from pgcheck.cli.plotting import Plot, plotting
from pgcheck.cli.work import Work, with_work

if TYPE_CHECKING:
    from pgcheck.estimators.base import Estimator
    from pgcheck.estimators.convergence import Convergence
    from pgcheck.exact.table import GradientTable
    from pgcheck.formats.modelfile import Model


@with_work
@about_model
def exact(
    context: typer.Context,
    about: AboutModel,
    work: Work,
    model: ModelName = "two_state",
    method: Annotated[
        str | None,
        typer.Option(metavar="M", help="enumeration or backward-induction; default: enumeration where it fits."),
    ] = None,
    max_trajectories: Annotated[str, typer.Option(metavar="N", help="Enumerate at most this many.")] = "1e8",
    top: Top = None,
    by: Annotated[
        str | None,
        typer.Option(metavar="ORDER", help="What --top shows: the greatest probability (default), or share of it."),
    ] = None,
    trajectories: OldTop = None,
    plot: Plot = None,
    form: Form = None,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """The exact gradient, summed over every trajectory.

    It is found twice, by enumerating all trajectories and by backward induction, which takes any model; how far the
    two agree is shown.
    """
    from pgcheck.exact.table import gradient_table
    from pgcheck.report.gradients import exact_view
    from pgcheck.report.progress import progress_bar

    limit, k = arguments.count(max_trajectories, "--max-trajectories", 10**18), top_of(top, trajectories)
    way, order = method_of(method), order_of(by, k)
    with (
        printing(output, form) as printer, plotting(plot, output) as drawing,
        work.begun(context, quiet=quiet) as doing,
    ):  # fmt: skip
        problem = about.load(model, quiet=quiet)
        with progress_bar("enumerating", quiet=quiet) as bar:
            table = gradient_table(
                problem.mdp, problem.policy, method=way,
                max_trajectories=limit, top=k, order=order, progress=bar, executor=doing.on([problem]),
            )  # fmt: skip
        if method is None and not quiet and not problem.mdp.is_endless:
            _note_method(table, limit)
        if drawing is not None:
            from pgcheck.report.plots.gradient import gradient_picture

            drawing.write(gradient_picture(table), f"the gradient of {problem.mdp.name}")
        printer.view(exact_view(table))


def _note_method(table: "GradientTable", limit: int) -> None:
    """Says why nothing was enumerated, where nobody asked for it."""
    from pgcheck.report.output import note
    from pgcheck.report.words import about

    if table.exact.method != "enumeration":
        count = "too many" if table.exact.trajectories is None else about(table.exact.trajectories)
        note(f"note: {count}, over {limit:,}: by backward induction instead of enumeration")


@with_work
@about_model
def sample(
    context: typer.Context,
    about: AboutModel,
    work: Work,
    model: ModelName = "two_state",
    n: Rollouts = "1000",
    estimator: EstimatorName = "reinforce",
    lam: Lambda = None,
    timeout: Timeout = "60",
    seed: Seed = "0",
    top: Top = None,
    trajectories: OldTop = None,
    chi2: Annotated[
        bool, typer.Option("--chi2", help="Compute chi2 (JSON) for more than 200 parameters too.")
    ] = False,
    plot: Plot = None,
    form: Form = None,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """A Monte Carlo estimate from N rollouts, and its error.

    The estimate stands beside the exact gradient. With --top, so does n(tau)/N, how often a trajectory was drawn,
    beside its probability P(tau).
    """
    from pgcheck.estimators.assessment import assess
    from pgcheck.estimators.excess import ALARM
    from pgcheck.report.estimates import sample_view

    count, (number, rng), k = rollouts_of(n), seed_of(seed), top_of(top, trajectories)
    with (
        printing(output, form) as printer, plotting(plot, output) as drawing,
        work.begun(context, quiet=quiet) as doing,
    ):  # fmt: skip
        problem = about.load(model, quiet=quiet)
        with running([estimator], problem, lam, timeout, "sampling", quiet) as ((chosen,), bar):
            result = assess(
                problem.mdp, problem.policy, count, rng,
                estimator=chosen, behavior=problem.behavior, top=k, chi2=True if chi2 else None, progress=bar,
                executor=doing.on([problem], [estimator]),
            )  # fmt: skip
        tail = result.tail_probability
        if tail is not None and tail < ALARM and not quiet:
            _warn_unlikely(chosen, count, tail)
        if drawing is not None:
            from pgcheck.report.plots.sampled import sample_picture

            drawing.write(sample_picture(result), f"an estimate by {chosen.name} on {problem.mdp.name}")
        printer.view(sample_view(result, number))


@with_work
@about_model
def converge(
    context: typer.Context,
    about: AboutModel,
    work: Work,
    model: ModelName = "two_state",
    n: Annotated[
        str | None,
        typer.Option(
            "--n", "-n", metavar="LIST", show_default="10..1e6, where cheap", help="Rollouts: 10,100,1e4 or 10..1e9."
        ),
    ] = None,
    replicates: Annotated[
        str | None,
        typer.Option(metavar="R", show_default="16, where cheap; 1 with --n", help="Estimates for each N."),
    ] = None,
    estimator: SomeEstimators = "reinforce",
    lam: Lambda = None,
    timeout: Timeout = "60",
    seed: Seed = "0",
    plot: Plot = None,
    form: Form = None,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """The error of the estimate against the number of rollouts N.

    It falls as N^-0.5, unless the estimator is biased: then it stalls at the bias.
    """
    from pgcheck.estimators import convergence
    from pgcheck.report.convergence import ConvergencePrinter, print_all
    from pgcheck.trajectories.sampling import MAX_N

    numbers = None if n is None else arguments.counts(n, "--n", MAX_N)
    repeats = None if replicates is None else arguments.count(replicates, "--replicates", 10**6)
    (number, _), names = seed_of(seed), names_of(estimator)
    results: list[Convergence] = []
    with (
        printing(output, form) as printer, plotting(plot, output) as drawing,
        work.begun(context, quiet=quiet) as doing,
    ):  # fmt: skip
        problem = about.load(model, quiet=quiet)
        with running(names, problem, lam, timeout, "sampling", quiet) as (chosen, bar):
            executor = doing.on([problem], names)
            for each in chosen:
                counts, times = _effort(problem, each, numbers, repeats, quiet=quiet)
                table = ConvergencePrinter(
                    printer, bar, problem.mdp, each, counts, number, times, several=len(chosen) > 1
                )
                result = convergence.converge(
                    problem.mdp, problem.policy, n=counts, replicates=times, rng=seed_of(seed)[1],
                    estimator=each, behavior=problem.behavior, watch=table, executor=executor,
                    band=drawing is not None,
                )  # fmt: skip
                if result.unlikely is not None and not quiet:
                    _warn_unlikely(each, *result.unlikely)
                table.end(result)
                results.append(result)
        if len(names) > 1:
            print_all(printer, results, number)
        if drawing is not None:
            from pgcheck.report.plots.convergence import convergence_picture

            errors = ", ".join(result.estimator.name for result in results)
            drawing.write(convergence_picture(results), f"the error of {errors} on {problem.mdp.name}")


def _effort(
    problem: "Model", estimator: "Estimator", numbers: list[int] | None, replicates: int | None, *, quiet: bool
) -> tuple[list[int], int]:
    """The numbers of rollouts of one estimator, and the replicates of each: what was asked for, or the usual ones."""
    from pgcheck.estimators.effort import usual_effort

    if numbers is not None:
        return numbers, replicates or 1
    usual = usual_effort(problem.mdp, problem.policy, estimator)
    if not usual.complete and not quiet:
        _note_effort(usual.n[-1], together=estimator.aggregation == "batch")
    return list(usual.n), replicates or usual.replicates


def _warn_unlikely(estimator: "Estimator", n: int, tail: float) -> None:
    """Says that a user's function does something else with N rollouts than with a few."""
    from pgcheck.report.output import note

    note(
        f"warning: with N = {n:,} the estimate is further from its expectation than chance allows "
        f"(probability at most {tail:.0e});\n  {estimator.name} averages over a few episodes: does it use all "
        "episodes of a large batch?"
    )


def _note_effort(last: int, *, together: bool) -> None:
    """Says where the default numbers of rollouts stop, and why."""
    from pgcheck.report.output import note

    if together:
        note(f"note: stops at N = {last:,}: an estimator of whole batches gets all rollouts in one batch")
    else:
        note(f"note: stops at N = {last:,}, as larger N take long on this model; --n 10..1e6 for more")
