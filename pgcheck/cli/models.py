"""`models`, `show`, `trajectories` and `schema`: the models, and what is in them."""

from typing import TYPE_CHECKING, Annotated

import typer

from pgcheck.cli.options import (
    Entropy,
    Form,
    Gamma,
    Horizon,
    Into,
    Kl,
    ModelName,
    Quiet,
    Seed,
    loaded,
    printing,
    rollouts_of,
    seed_of,
)

if TYPE_CHECKING:
    from pgcheck.model.mdp import MDP

MANY = 1_000  # trajectories that are listed on a terminal without a word before them


def trajectories(
    model: ModelName = "two_state",
    n: Annotated[
        str | None, typer.Option("--n", "-n", metavar="N", help="Draw N rollouts instead of listing all.")
    ] = None,
    seed: Seed = "0",
    horizon: Horizon = None,
    gamma: Gamma = None,
    entropy: Entropy = None,
    kl: Kl = None,
    form: Form = None,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """Every trajectory with its probability, or those of N rollouts with their counts."""
    from pgcheck.report.models import listing_record, trajectory_columns, trajectory_rows
    from pgcheck.trajectories.listing import list_trajectories
    from pgcheck.trajectories.sampling import streams

    count, (number, rng) = None if n is None else rollouts_of(n), seed_of(seed)
    with printing(output, form, piped="jsonl") as printer:
        problem = loaded(model, horizon, gamma, entropy, kl)
        stream = None if count is None else streams(rng)(count, 0)  # that of the same row of `converge`
        listing = list_trajectories(problem.mdp, problem.policy, count, stream)
        if count is None and printer.output.is_terminal and not quiet:
            _note_length(problem.mdp)
        printer.stream(
            listing_record(listing, number), "trajectories", trajectory_rows(listing), trajectory_columns(listing)
        )


def _note_length(mdp: "MDP") -> None:
    """Says how many trajectories are about to come, where a person would wait long for the end."""
    from pgcheck.errors import TooLargeError
    from pgcheck.report.output import note
    from pgcheck.report.words import about
    from pgcheck.trajectories.counting import count_trajectories

    try:
        count = count_trajectories(mdp)
        size = about(count)
    except TooLargeError:
        count, size = None, "more trajectories than can be counted"
    if count is None or count > MANY:
        note(
            f"note: {size}: all of them are listed; stop with Ctrl-C, take the first with | head, draw some with "
            "-n 100, or show the likeliest with: pgcheck exact --top 10"
        )


def models(form: Form = None, output: Into = None, quiet: Quiet = False) -> None:
    """The bundled models."""
    from pgcheck.formats.bundled import bundled_models
    from pgcheck.report.models import models_view

    with printing(output, form) as printer:
        printer.view(models_view(bundled_models()))


def show(
    model: ModelName = "two_state",
    horizon: Horizon = None,
    gamma: Gamma = None,
    entropy: Entropy = None,
    kl: Kl = None,
    form: Form = None,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """The model as understood: sizes, start, policy, and how many trajectories it has."""
    from pgcheck.report.models import show_view
    from pgcheck.trajectories.summary import summarize

    with printing(output, form) as printer:
        problem = loaded(model, horizon, gamma, entropy, kl)
        printer.view(show_view(summarize(problem.mdp, problem.policy, problem.behavior)))


def schema(output: Into = None, quiet: Quiet = False) -> None:
    """The JSON Schema (draft-07) of the model file, for editors."""
    from pgcheck.formats.schema import model_schema

    with printing(output, "json") as printer:
        printer.object(model_schema())
