"""`report`: one page with everything, to be attached to an issue or a mail."""

from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from pgcheck.cli.model_options import AboutModel, about_model
from pgcheck.cli.options import (
    Allow,
    BatchSizes,
    Confidence,
    Evidence,
    GivenModel,
    MaxRollouts,
    OffPolicy,
    Quiet,
    Rollouts,
    SameStart,
    Seed,
    Timeout,
    Tolerance,
    names_of,
    rollouts_of,
)
from pgcheck.cli.reproducing import command_of
from pgcheck.cli.verify_options import rules_of
from pgcheck.cli.work import Work, with_work
from pgcheck.errors import UsageError

if TYPE_CHECKING:
    from pgcheck.report.output import Output
    from pgcheck.verification.sampled_evidence import Announcement

DEFAULT = "two_state"
PAGE = "report.html"
SUFFIXES = ("", ".html", ".htm")


@with_work
@about_model
def report(
    context: typer.Context,
    about: AboutModel,
    work: Work,
    model: GivenModel = None,
    estimator: Annotated[
        list[str] | None,
        typer.Option(
            "--estimator",
            metavar="NAMES",
            help="Check these, as verify does: file.py:function or agent, cmd:PROGRAM, built-in names.",
        ),
    ] = None,
    n: Rollouts = "1000",
    tolerance: Tolerance = None,
    off_policy: OffPolicy = False,
    same_start: SameStart = False,
    allow: Allow = None,
    batch_sizes: BatchSizes = None,
    evidence: Evidence = "auto",
    confidence: Confidence = "0.999",
    max_rollouts: MaxRollouts = None,
    seed: Seed = "0",
    timeout: Timeout = "60",
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the page to FILE, like report.html."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """One page in HTML on a model and your estimators.

    The model, its gradient, estimates, and the verdict on each estimator, in one file without scripts, which loads
    nothing from anywhere: to be sent to others. With MODEL, estimators are judged on it, as `verify ESTIMATOR MODEL`
    does; without, on the battery of `verify`.

    The exit status is that of `verify`: 1 if an estimator fails, else 2 if one could not be checked, else 3 if one is
    inconclusive, else 0. The page is written all the same.
    """
    _check_suffix(output)
    _check_extra()
    from pgcheck.report.html.page import Commands, page_of
    from pgcheck.report.output import Output, note
    from pgcheck.report.progress import progress_bar
    from pgcheck.report.sampled import announcement_text
    from pgcheck.report.verifications import exit_status_of, verdict_line
    from pgcheck.verification.checks import Check, battery_for
    from pgcheck.verification.dossier import dossier_of
    from pgcheck.verification.models import problems_of

    count, names = rollouts_of(n), _names(estimator or [])
    rules = rules_of(
        off_policy=off_policy, same_start=same_start, allow=allow, tolerance=tolerance, batch_sizes=batch_sizes,
        evidence=evidence, confidence=confidence, max_rollouts=max_rollouts, seed=seed, timeout=timeout,
    )  # fmt: skip
    check = Check("", () if model is None else (model,), rules, about.overrides(), policy=about.policy)

    def announce(announcement: "Announcement") -> None:
        if not quiet:
            note(announcement_text(announcement))

    if model is None:
        about.refuse_without_model("report")
    file = Output(output)
    try:
        _refuse_terminal(file)
        with work.begun(context, quiet=quiet) as doing:
            loaded = about.load(model or DEFAULT, quiet=quiet)
            problems = problems_of([loaded] if model else battery_for(check), off_policy=off_policy) if names else []
            with progress_bar("the gradient", quiet=quiet) as bar:
                dossier = dossier_of(
                    loaded, names, check, problems, source=model or DEFAULT, n=count,
                    progress=bar.named, announce=announce, executor=doing.on([loaded, *problems], names),
                )  # fmt: skip
        alone = {name: command_of(context, "verify", [name], {"estimator", "n"}) for name in names}
        page = page_of(dossier, Commands(f"{command_of(context)} -o {PAGE}", alone))
        file.write(page)
        file.close()
    finally:
        file.discard()
    for name, outcome in () if quiet else dossier.judged:
        note("".join(span.text for span in verdict_line(name, outcome).spans))
    raise typer.Exit(exit_status_of(dossier.judged))


def _names(texts: list[str]) -> list[str]:
    """The estimators of `--estimator a,b`, which may be given several times."""
    return list(dict.fromkeys(name for text in texts for name in names_of(text)))


def _check_suffix(output: str | None) -> None:
    """Refuses a file that would not be taken for a page."""
    if output is not None and PurePath(output).suffix.lower() not in SUFFIXES:
        raise UsageError(f"-o {output}: a report is a page in HTML; expected a file that ends in .html")


def _check_extra() -> None:
    """Refuses to begin without what a page is made with."""
    try:
        import pgcheck.report.html.page  # noqa: F401 - an optional extra
    except ImportError as error:
        raise UsageError(f"report needs {error.name}; install it with: pip install 'pgcheck[report]'") from None


def _refuse_terminal(file: "Output") -> None:
    """Refuses to print a page on a terminal."""
    if file.is_terminal:
        raise UsageError("a page in HTML is not for a terminal; write it to a file: -o report.html")
