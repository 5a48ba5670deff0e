"""`verify`: whether an estimator's expectation is the gradient."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from pgcheck.cli.model_options import AboutModel, about_model
from pgcheck.cli.options import (
    Allow,
    BatchSizes,
    Confidence,
    Evidence,
    Form,
    Into,
    MaxRollouts,
    OffPolicy,
    Quiet,
    SameStart,
    Seed,
    Tolerance,
    printing,
)
from pgcheck.cli.plotting import Plot, plotting
from pgcheck.cli.verify_config import config_of, verify_config
from pgcheck.cli.verify_options import rules_of
from pgcheck.cli.verify_stream import (
    STREAM,
    check_evidence,
    refuse_for_stream,
    refuse_without_stream,
    verify_stream,
)
from pgcheck.cli.work import Work, with_work
from pgcheck.errors import PgcheckError, UsageError

if TYPE_CHECKING:
    from pgcheck.verification.sampled_evidence import Announcement
    from pgcheck.verification.verification import Verification

ONE_PICTURE = "--plot draws the verdict on one estimator; verify each by itself, with a file of its own"


@with_work
@about_model
def verify(
    context: typer.Context,
    about: AboutModel,
    work: Work,
    estimator: Annotated[
        str | None,
        typer.Argument(
            metavar="ESTIMATOR...",
            help="file.py:function or agent, package.module:name, 'cmd:PROGRAM ARGS', or a built-in; or several; "
            "or - for the gradients on standard input of what `trajectories` printed.",
            show_default=False,
        ),
    ] = None,
    others: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            show_default="a battery of small models",
            help="Paths, names, gym:ID or file.py:name; they begin with the first word that names no estimator.",
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Check all that FILE lists; without ESTIMATOR: [tool.pgcheck] of ./pyproject.toml."
        ),
    ] = None,
    tolerance: Tolerance = None,
    off_policy: OffPolicy = False,
    same_start: SameStart = False,
    up_to_scale: Annotated[
        bool, typer.Option("--up-to-scale", help="Accept the gradient times a positive factor.")
    ] = False,
    allow: Allow = None,
    batch_sizes: BatchSizes = None,
    max_trajectories: Annotated[str, typer.Option(metavar="N", help="List at most this many trajectories.")] = "2e6",
    max_calls: Annotated[
        str | None, typer.Option(metavar="N", help="Call with at most so many batches of a size; of agents: runs.")
    ] = None,
    n: Annotated[
        str | None,
        typer.Option("--n", "-n", metavar="N", help="For ESTIMATOR -: the --n of trajectories; same --seed."),
    ] = None,
    batches: Annotated[
        str | None, typer.Option(metavar="B", help="For ESTIMATOR -: the --batches of trajectories.")
    ] = None,
    evidence: Evidence = "auto",
    confidence: Confidence = "0.999",
    max_rollouts: MaxRollouts = None,
    seed: Seed = "0",
    timeout: Annotated[str, typer.Option(metavar="S", help="Seconds that a call or a run may take.")] = "60",
    plot: Plot = None,
    form: Form = None,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """Whether an estimator's expectation is the gradient.

    If it is not, the mistake is named. All episodes, batches or runs are listed where that can be done: then the
    verdict is exact. Else some are drawn.

    With several estimators, a table has a row for each; the exit status is 1 if any fails, else 2 if any could not
    be checked, else 3 if any is inconclusive, else 0.
    """
    from pgcheck.external.opening import leading_estimators, opened
    from pgcheck.report.output import note
    from pgcheck.report.progress import progress_bar
    from pgcheck.report.sampled import announcement_text
    from pgcheck.report.verification import verification_view
    from pgcheck.report.verifications import exit_status_of, verifications_view
    from pgcheck.report.words import horizon
    from pgcheck.verification.checks import Check, battery_for
    from pgcheck.verification.checks import judged as judged_on
    from pgcheck.verification.models import problems_of
    from pgcheck.verification.streamed import Judging

    listed = config_of(context, config, estimator)
    if listed is not None:
        with work.begun(context, quiet=quiet) as doing:
            raise typer.Exit(verify_config(listed, form=form, output=output, quiet=quiet, doing=doing))
    assert estimator is not None
    more, models = leading_estimators(others or [])
    if more and plot is not None:
        raise UsageError(ONE_PICTURE)
    rules = rules_of(
        off_policy=off_policy, same_start=same_start, up_to_scale=up_to_scale, allow=allow, tolerance=tolerance,
        batch_sizes=batch_sizes, max_trajectories=max_trajectories, max_calls=max_calls, evidence=evidence,
        confidence=confidence, max_rollouts=max_rollouts, seed=seed, timeout=timeout,
    )  # fmt: skip
    check = Check(estimator, tuple(models), rules, about.overrides(), policy=about.policy)
    if STREAM in (estimator, *more):
        if more:
            raise UsageError(
                "verify -: gradients on standard input are checked alone; leave out the other estimators"
            )
        check_evidence(evidence, n)
        refuse_for_stream(batch_sizes=batch_sizes, max_calls=max_calls, max_rollouts=max_rollouts)
        judging = Judging(rules.tolerance, up_to_scale, rules.allow, rules.max_trajectories, rules.confidence)
        raise typer.Exit(
            verify_stream(
                models, judging, n=n, seed=seed, batches=batches, off_policy=off_policy, same_start=same_start,
                about=about, plot=plot, form=form, output=output, quiet=quiet,
            )
        )  # fmt: skip
    refuse_without_stream(n=n, batches=batches)
    with (
        printing(output, form) as printer, plotting(plot, output) as drawing,
        work.begun(context, quiet=quiet) as doing,
    ):  # fmt: skip
        if not models:
            about.refuse_without_model("the estimator")
        loaded = [about.load(name, quiet=quiet) for name in models] or battery_for(check)
        for model in () if quiet else loaded:
            if model.mdp.is_endless:
                note(f"note: {model.mdp.name}: {horizon(model.mdp)}: beyond it nothing above rounding is left")
        problems = problems_of(loaded, off_policy=off_policy)
        executor = doing.on(loaded, [estimator, *more])

        announced: list[Announcement] = []

        def announce(announcement: "Announcement") -> None:
            if not announced and not quiet:  # the first stands for all
                note(announcement_text(announcement))
            announced.append(announcement)

        def judged(name: str) -> "Verification":
            with opened(name, timeout=rules.timeout) as function, progress_bar(f"calling {name}", quiet=quiet) as bar:
                return judged_on(function, problems, check, progress=bar.named, announce=announce, executor=executor)

        if more:
            results = [(name, _or_error(judged, name)) for name in dict.fromkeys([estimator, *more])]
            status = exit_status_of(results)
            printer.view(verifications_view(results))
        else:
            result = judged(estimator)
            status = result.exit_status
            if drawing is not None:
                from pgcheck.report.plots.verification import verification_picture

                drawing.write(verification_picture(estimator, result), f"the verdict on {estimator}")
            printer.view(verification_view(estimator, result))
    raise typer.Exit(status)


def _or_error(judged: "Callable[[str], Verification]", name: str) -> "Verification | PgcheckError":
    """The verdict, or the error for which there is none: one estimator at fault does not hide the others."""
    try:
        return judged(name)
    except PgcheckError as error:
        return error
