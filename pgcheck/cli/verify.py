"""`verify`: whether an estimator's expectation is the gradient."""

from typing import Annotated

import typer

from pgcheck.cli.options import (
    Form,
    Format,
    Gamma,
    Horizon,
    Into,
    Quiet,
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
    raise NotImplementedError
