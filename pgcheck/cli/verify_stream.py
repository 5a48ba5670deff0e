"""`verify -`: the verdict on gradients on standard input, of what `trajectories` printed with the same options."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

from pgcheck.cli.model_options import AboutModel
from pgcheck.cli.options import printing, rollouts_of, seed_of
from pgcheck.cli.plotting import plotting
from pgcheck.errors import UsageError

if TYPE_CHECKING:
    from pgcheck.verification.streamed import Judging

STREAM = "-"
PIPELINE = "pgcheck trajectories {model} | ./program | pgcheck verify - {model}"


def verify_stream(
    models: Sequence[str],
    judging: "Judging",
    *,
    n: str | None,
    seed: str,
    batches: str | None,
    off_policy: bool,
    same_start: bool,
    about: AboutModel,
    plot: str | None,
    form: str | None,
    output: str | None,
    quiet: bool,
) -> int:
    """Prints the verdict on the gradients on standard input, and returns its exit status.

    Raises:
      UsageError: there is not one model, or standard input holds it, or is a terminal.
    """
    from pgcheck.cli.trajectories import batch_size_of
    from pgcheck.report.progress import progress_bar
    from pgcheck.report.verification import verification_view
    from pgcheck.verification.setting import setting_of
    from pgcheck.verification.streamed import verify_drawn, verify_printed
    from pgcheck.verification.streamed_samples import Draws

    if len(models) != 1:
        named = "name the model that `trajectories` was given" if not models else "name one model"
        raise UsageError(f"verify -: {named}:\n  {PIPELINE.format(model=models[0] if models else 'two_state')}")
    (name,) = models
    if name == STREAM:
        raise UsageError(
            "verify - -: standard input holds the gradients, so the model must be a file or a bundled one"
        )
    size = None if batches is None else batch_size_of(batches)
    draws = None if n is None else Draws(rollouts_of(n), seed_of(seed)[0], size)
    with printing(output, form) as printer, plotting(plot, output) as drawing:
        model = about.load(name, quiet=quiet)
        setting = setting_of(model, off_policy=off_policy, same_start=same_start)
        with progress_bar("reading gradients", quiet=quiet) as bar:
            stream = _standard_input(name)
            if draws is None:
                result = verify_printed(stream, setting, judging, size, bar)
            else:
                result = verify_drawn(stream, setting, judging, draws, progress=bar)
        if drawing is not None:
            from pgcheck.report.plots.verification import verification_picture

            drawing.write(verification_picture(STREAM, result), f"the verdict on gradients on {model.mdp.name}")
        printer.view(verification_view(STREAM, result))
    return result.exit_status


def _standard_input(model: str) -> BinaryIO:
    """Standard input, where a program writes to it."""
    if sys.stdin is None:
        raise UsageError("verify -: standard input is closed; gradients are expected there")
    if sys.stdin.isatty():
        raise UsageError(
            "verify -: gradients are expected on standard input, one a line:\n  " + PIPELINE.format(model=model)
        )
    return sys.stdin.buffer


def check_evidence(evidence: str, n: str | None) -> None:
    """Raises UsageError where another evidence is asked for than the gradients are: drawn with `--n`, else exact."""
    if evidence == "sampled" and n is None:
        raise UsageError("verify -: --evidence sampled needs drawn rollouts: give --n N to `trajectories` and here")
    if evidence == "exact" and n is not None:
        raise UsageError("verify -: --evidence exact needs all trajectories: leave out --n in both commands")


def refuse_for_stream(**given: object) -> None:
    """Raises UsageError where an option was given that belongs to estimators which can be called."""
    instead = {"batch_sizes": "--batches B", "max_rollouts": "--n N"}
    for option, value in given.items():
        if value is not None:
            name = f"--{option.replace('_', '-')}"
            hint = f"; give {instead[option]}, as to `trajectories`" if option in instead else ""
            raise UsageError(f"verify -: {name} is for estimators that can be called{hint}")


def refuse_without_stream(**given: object) -> None:
    """Raises UsageError where an option was given that belongs to gradients on standard input."""
    instead = {"n": "--max-rollouts", "batches": "--batch-sizes"}
    for option, value in given.items():
        if value is not None:
            raise UsageError(f"--{option} is for gradients on standard input (verify -); see {instead[option]}")
