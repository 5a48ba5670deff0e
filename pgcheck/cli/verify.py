"""`verify`: whether an estimator's expectation is the gradient."""

from typing import Annotated, TypedDict

import typer

from pgcheck.cli import arguments
from pgcheck.cli.options import (
    Form,
    Format,
    Gamma,
    Horizon,
    Into,
    Quiet,
    gamma_of,
    horizon_of,
    printing,
    seconds_of,
)


def verify(
    estimator: Annotated[str, typer.Argument(help="file.py:function, package.module:function, or a built-in name.")],
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...", show_default="a battery of small models", help="Paths or bundled names."
        ),
    ] = None,
    tolerance: Annotated[
        str | None,
        typer.Option(metavar="R", show_default="1e-6; 1e-4 for float32", help="Relative bias that passes."),
    ] = None,
    up_to_scale: Annotated[bool, typer.Option("--up-to-scale", help="Accept one positive factor.")] = False,
    batch_sizes: Annotated[
        str | None, typer.Option(metavar="LIST", show_default="2,3", help="For estimators of whole batches.")
    ] = None,
    max_trajectories: Annotated[str, typer.Option(metavar="N", help="List at most this many.")] = "2e6",
    max_calls: Annotated[str | None, typer.Option(metavar="N", help="At most this many batches of a size.")] = None,
    timeout: Annotated[str, typer.Option(metavar="S", help="Seconds that a call may take.")] = "60",
    horizon: Horizon = None,
    gamma: Gamma = None,
    form: Form = Format.table,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """Whether an estimator's exact expectation is the gradient, and if not, which mistake it is."""
    from pgcheck.external.opening import opened
    from pgcheck.report.progress import progress_bar
    from pgcheck.report.verification import verification_view
    from pgcheck.verification.verdict import problems_of
    from pgcheck.verification.verdict import verify as judge

    settings = _settings(models, tolerance, batch_sizes, max_trajectories, max_calls)
    steps, discount, seconds = horizon_of(horizon), gamma_of(gamma), seconds_of(timeout)
    with printing(output, form) as printer:
        problems = problems_of(models or None, horizon=steps, gamma=discount)
        with (
            opened(estimator, timeout=seconds) as function,
            progress_bar("calling the estimator", quiet=quiet) as bar,
        ):
            result = judge(
                function,
                problems,
                up_to_scale=up_to_scale,
                skip_unsuitable=not models,
                progress=bar.named,
                **settings,
            )
        printer.view(verification_view(estimator, result))
    raise typer.Exit(result.exit_status)


class _Settings(TypedDict):
    """Arguments of the library's `verify`."""

    tolerance: float | None
    batch_sizes: list[int] | None
    max_trajectories: int
    max_calls: int


def _settings(
    models: list[str] | None,
    tolerance: str | None,
    batch_sizes: str | None,
    max_trajectories: str,
    max_calls: str | None,
) -> _Settings:
    """What the texts of the options stand for."""
    from pgcheck.verification.verdict import MAX_BATCH_SIZE, usual_max_calls

    limit = arguments.count(max_trajectories, "--max-trajectories", 10**9)
    calls = None if max_calls is None else arguments.count(max_calls, "--max-calls", 10**9)
    allowed = None if tolerance is None else arguments.share(tolerance, "--tolerance")
    sizes = None if batch_sizes is None else arguments.counts(batch_sizes, "--batch-sizes", MAX_BATCH_SIZE)
    usual = usual_max_calls(models or None, sizes)
    return _Settings(
        tolerance=allowed, batch_sizes=sizes, max_trajectories=limit, max_calls=usual if calls is None else calls
    )
