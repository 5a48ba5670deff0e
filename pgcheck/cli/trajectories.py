"""`trajectories`: every trajectory or batch with its probability, or those drawn with their counts."""

from typing import TYPE_CHECKING, Annotated

import typer

from pgcheck.cli import arguments
from pgcheck.cli.model_options import AboutModel, about_model
from pgcheck.cli.options import (
    Form,
    Into,
    ModelName,
    Quiet,
    Seed,
    printing,
    rollouts_of,
    seed_of,
)
from pgcheck.errors import UsageError

if TYPE_CHECKING:
    from pgcheck.model.mdp import MDP

MANY = 1_000  # trajectories that are listed on a terminal without a word before them


@about_model
def trajectories(
    about: AboutModel,
    model: ModelName = "two_state",
    n: Annotated[
        str | None,
        typer.Option("--n", "-n", metavar="N", help="Draw N rollouts or batches instead of listing all."),
    ] = None,
    batches: Annotated[
        str | None, typer.Option(metavar="B", help="List batches of B episodes, with the probability of each.")
    ] = None,
    same_start: Annotated[
        bool, typer.Option("--same-start", help="The episodes of a batch share their first state.")
    ] = False,
    off_policy: Annotated[
        bool, typer.Option("--off-policy", help="The model's behavior draws the episodes.")
    ] = False,
    header: Annotated[
        bool, typer.Option("--header", help="First a line with theta, the probabilities and the like, for programs.")
    ] = False,
    seed: Seed = "0",
    form: Form = None,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """Every trajectory with its probability, or those drawn.

    With --n, those of N rollouts with their counts; with --batches, batches of them. On a terminal they are a table,
    elsewhere JSON lines for programs, whose gradients `pgcheck verify -` reads.
    """
    from pgcheck.external.header import header_of
    from pgcheck.report import trajectories as rows
    from pgcheck.trajectories.batches import list_batches
    from pgcheck.trajectories.listing import actor_of, list_trajectories, stream_of

    count, (number, rng) = None if n is None else rollouts_of(n), seed_of(seed)
    size = None if batches is None else batch_size_of(batches)
    with printing(output, form, piped="jsonl") as printer:
        if header and printer.form != "jsonl":
            raise UsageError(f"--header is a line of JSON lines, not of {printer.form}; add --format jsonl")
        problem = about.load(model, quiet=quiet)
        actor = actor_of(problem.mdp, problem.policy, problem.behavior, off_policy=off_policy)
        if header:
            printer.row(header_of(problem.mdp, problem.policy, problem.behavior if off_policy else None))
        stream = None if count is None else stream_of(rng, count)
        if size is not None:
            groups = list_batches(problem.mdp, actor, size, count, stream, same_start=same_start)
            head = rows.listing_record(groups, number)
            printer.stream(head, "batches", rows.batch_rows(groups), rows.batch_columns(groups))
            return
        listing = list_trajectories(problem.mdp, actor, count, stream)
        if count is None and printer.output.is_terminal and not quiet:
            _note_length(problem.mdp)
        head = rows.listing_record(listing, number)
        printer.stream(head, "trajectories", rows.trajectory_rows(listing), rows.trajectory_columns(listing))


def batch_size_of(text: str) -> int:
    """Returns the B of `--batches`."""
    from pgcheck.verification.verdict import MAX_BATCH_SIZE

    return arguments.count(text, "--batches", MAX_BATCH_SIZE)


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
