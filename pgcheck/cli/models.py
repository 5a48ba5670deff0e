"""`models`, `show`, `trajectories` and `schema`: the models, and what is in them."""

from typing import Annotated

import typer

from pgcheck.cli.options import (
    Form,
    Format,
    Gamma,
    Horizon,
    Into,
    ModelName,
    Quiet,
    Seed,
    loaded,
    printing,
    rollouts_of,
    seed_of,
)


def trajectories(
    model: ModelName = "two_state",
    n: Annotated[str | None, typer.Option("--n", metavar="N", help="Draw N rollouts instead of listing all.")] = None,
    seed: Seed = "0",
    horizon: Horizon = None,
    gamma: Gamma = None,
    form: Form = Format.jsonl,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """Every trajectory with its probability, or those of N rollouts with their counts, one a line."""
    from pgcheck.report.models import listing_record, trajectory_columns, trajectory_rows
    from pgcheck.trajectories.listing import list_trajectories
    from pgcheck.trajectories.sampling import streams

    count, (number, rng) = None if n is None else rollouts_of(n), seed_of(seed)
    with printing(output, form) as printer:
        problem = loaded(model, horizon, gamma)
        stream = None if count is None else streams(rng)(count, 0)  # that of the same row of `converge`
        listing = list_trajectories(problem.mdp, problem.policy, count, stream)
        printer.stream(
            listing_record(listing, number), "trajectories", trajectory_rows(listing), trajectory_columns(listing)
        )


def models(form: Form = Format.table, output: Into = None, quiet: Quiet = False) -> None:
    """The bundled models."""
    from pgcheck.formats.bundled import bundled_models
    from pgcheck.report.models import models_view

    with printing(output, form) as printer:
        printer.view(models_view(bundled_models()))


def show(
    model: ModelName = "two_state",
    horizon: Horizon = None,
    gamma: Gamma = None,
    form: Form = Format.table,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """The model as understood: sizes, start, policy, and how many trajectories it has."""
    from pgcheck.report.models import show_view
    from pgcheck.trajectories.summary import summarize

    with printing(output, form) as printer:
        problem = loaded(model, horizon, gamma)
        printer.view(show_view(summarize(problem.mdp, problem.policy, problem.behavior)))


def schema(output: Into = None, quiet: Quiet = False) -> None:
    """The JSON Schema (draft-07) of the model file, for editors."""
    from pgcheck.formats.schema import model_schema

    with printing(output, Format.json) as printer:
        printer.object(model_schema())
