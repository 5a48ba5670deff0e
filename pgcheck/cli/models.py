"""`models`, `show` and `schema`: the models, and what is in them."""

from typing import Annotated

import typer

from pgcheck.cli.model_options import AboutModel, about_model
from pgcheck.cli.option_groups import OUTPUT
from pgcheck.cli.options import (
    GRAPHS,
    Form,
    Into,
    ModelName,
    Quiet,
    printing,
)
from pgcheck.cli.plotting import Plot, plotting


def models(form: Form = None, output: Into = None, quiet: Quiet = False) -> None:
    """The bundled models."""
    from pgcheck.formats.bundled import bundled_models
    from pgcheck.report.models import models_view

    with printing(output, form) as printer:
        printer.view(models_view(bundled_models()))


@about_model
def show(
    about: AboutModel,
    model: ModelName = "two_state",
    plot: Plot = None,
    form_or_graph: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="F",
            help="table, json, jsonl or csv; mermaid or dot: as a graph.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write to FILE: .json, .csv, .mmd, .dot in that format.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """A model as understood: sizes, start, policy; or as a graph.

    And how many trajectories it has for some horizons.
    """
    from pgcheck.report.graph_text import graph_text
    from pgcheck.report.models import show_view
    from pgcheck.trajectories.summary import summarize

    with printing(output, form_or_graph, also=GRAPHS) as printer, plotting(plot, output, needs="graph") as drawing:
        problem = about.load(model, quiet=quiet)
        if drawing is not None:
            from pgcheck.report.plots.graph import model_picture

            drawing.write(model_picture(problem.mdp, problem.policy), f"the model {problem.mdp.name}")
        if printer.form in GRAPHS.values():
            printer.output.write(graph_text(problem.mdp, problem.policy, printer.form))
        else:
            printer.view(show_view(summarize(problem.mdp, problem.policy, problem.behavior)))


def schema(output: Into = None, quiet: Quiet = False) -> None:
    """The JSON Schema (draft-07) of the model file, for editors."""
    from pgcheck.formats.schema import model_schema

    with printing(output, "json") as printer:
        printer.object(model_schema())
