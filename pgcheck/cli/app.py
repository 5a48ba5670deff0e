"""The application: all commands, in the order in which help lists them."""

from typing import Annotated

import typer

from pgcheck import __version__
from pgcheck.cli import convert, estimators, explain, gradients, models, report, trajectories, verify
from pgcheck.cli.first import first_commands
from pgcheck.cli.help import Command, Group
from pgcheck.errors import ExitStatus

app = typer.Typer(
    cls=Group,
    help="Check policy gradients: exact, sampled, and how far apart they are.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="MODEL is a path, - for standard input, a bundled name (see: pgcheck models), gym:ID or file.py:name. "
    "--debug, anywhere, shows the traceback of a bug in pgcheck.",
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    # No docstring: help would print it instead of what the application says of itself.
    if version:
        print(f"pgcheck {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        from pgcheck.report.output import tell

        tell(first_commands())
        raise typer.Exit(ExitStatus.FAULT)  # nothing was asked for


for command in (
    gradients.exact,
    gradients.sample,
    gradients.converge,
    estimators.plan,
    estimators.compare,
    verify.verify,
    explain.explain,
    report.report,
    estimators.estimators,
    trajectories.trajectories,
    models.models,
    models.show,
    convert.convert,
    models.schema,
):
    app.command(cls=Command)(command)
