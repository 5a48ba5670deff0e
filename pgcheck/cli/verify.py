"""`verify`: whether an estimator's expectation is the gradient."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypedDict, cast

import typer

from pgcheck.cli import arguments
from pgcheck.cli.model_options import AboutModel, about_model
from pgcheck.cli.options import (
    Form,
    Into,
    Quiet,
    Seed,
    printing,
    seconds_of,
    seed_of,
)
from pgcheck.cli.verify_stream import (
    STREAM,
    check_evidence,
    refuse_for_stream,
    refuse_without_stream,
    verify_stream,
)
from pgcheck.errors import PgcheckError, UsageError

if TYPE_CHECKING:
    from pgcheck.verification.sampled_evidence import Announcement
    from pgcheck.verification.verdict import EvidenceKind
    from pgcheck.verification.verification import Verification


@about_model
def verify(
    about: AboutModel,
    estimator: Annotated[
        str,
        typer.Argument(
            metavar="ESTIMATOR...",
            help="file.py:function or agent, package.module:name, 'cmd:PROGRAM ARGS', or a built-in; or several; "
            "or - for the gradients on standard input of what `trajectories` printed.",
        ),
    ],
    others: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            show_default="a battery of small models",
            help="Paths, names, gym:ID or file.py:name; they begin with the first word that names no estimator.",
        ),
    ] = None,
    tolerance: Annotated[
        str | None,
        typer.Option(metavar="R", show_default="1e-6; float32 1e-4; sampled 0.05", help="Relative bias that passes."),
    ] = None,
    off_policy: Annotated[
        bool, typer.Option("--off-policy", help="The model's behavior draws the episodes; grad J stays the policy's.")
    ] = False,
    same_start: Annotated[
        bool, typer.Option("--same-start", help="The episodes of a batch share their first state, as a group does.")
    ] = False,
    up_to_scale: Annotated[bool, typer.Option("--up-to-scale", help="Accept one positive factor.")] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="ID,...", help="Accept these deviations, where they explain all of the bias."),
    ] = None,
    batch_sizes: Annotated[
        str | None, typer.Option(metavar="LIST", show_default="2,3", help="For estimators of whole batches.")
    ] = None,
    max_trajectories: Annotated[str, typer.Option(metavar="N", help="List at most this many.")] = "2e6",
    max_calls: Annotated[
        str | None, typer.Option(metavar="N", help="At most this many batches of a size, or runs.")
    ] = None,
    n: Annotated[
        str | None, typer.Option("--n", "-n", metavar="N", help="Of -: as trajectories --n N, with the same --seed.")
    ] = None,
    batches: Annotated[str | None, typer.Option(metavar="B", help="Of -: as trajectories --batches B.")] = None,
    evidence: Annotated[
        str, typer.Option(metavar="E", help="auto, exact, or sampled: from drawn episodes, or runs.")
    ] = "auto",
    confidence: Annotated[str, typer.Option(metavar="C", help="Of what drawn episodes decide.")] = "0.999",
    max_rollouts: Annotated[
        str | None,
        typer.Option(metavar="N", show_default="about a minute's", help="Draw at most so many; 4,096 times 2^k."),
    ] = None,
    seed: Seed = "0",
    timeout: Annotated[str, typer.Option(metavar="S", help="Seconds that a call or a run may take.")] = "60",
    form: Form = None,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """Whether an estimator's expectation is the gradient, and if not, which mistake it is.

    All episodes, batches or runs are listed where that can be done: then the verdict is exact. Else some are drawn.

    With several estimators, a table has a row for each; the exit status is 1 if any fails, else 2 if any could not
    be checked, else 3 if any is inconclusive, else 0.
    """
    from pgcheck.external.opening import is_agent, leading_estimators, opened
    from pgcheck.report.output import note
    from pgcheck.report.progress import progress_bar
    from pgcheck.report.sampled import announcement_text
    from pgcheck.report.verification import verification_view
    from pgcheck.report.verifications import exit_status_of, verifications_view
    from pgcheck.report.words import horizon
    from pgcheck.verification.allowance import checked_ids
    from pgcheck.verification.battery import battery_models
    from pgcheck.verification.models import problems_of
    from pgcheck.verification.streamed import Judging
    from pgcheck.verification.verdict import usual_max_calls
    from pgcheck.verification.verdict import verify as judge

    more, models = leading_estimators(others or [])
    settings = _settings(tolerance, batch_sizes, max_trajectories, evidence, confidence, max_rollouts)
    seed_of(seed)  # a fault is told before anything runs
    calls = None if max_calls is None else arguments.count(max_calls, "--max-calls", 10**9)
    allowed = checked_ids([name.strip() for names in allow or [] for name in names.split(",")])
    overrides, seconds = about.overrides(), seconds_of(timeout)
    if STREAM in (estimator, *more):
        if more:
            raise UsageError(
                "verify -: gradients on standard input are checked alone; leave out the other estimators"
            )
        check_evidence(evidence, n)
        refuse_for_stream(batch_sizes=batch_sizes, max_calls=max_calls, max_rollouts=max_rollouts)
        judging = Judging(
            settings["tolerance"], up_to_scale, allowed, settings["max_trajectories"], settings["confidence"]
        )
        raise typer.Exit(
            verify_stream(
                models, judging, n=n, seed=seed, batches=batches, off_policy=off_policy, same_start=same_start,
                about=about, form=form, output=output, quiet=quiet,
            )
        )  # fmt: skip
    refuse_without_stream(n=n, batches=batches)
    with printing(output, form) as printer:
        if not models and about.source():
            raise UsageError("options about a source were given, but no MODEL: name one after the estimator")
        problems = [about.load(name, quiet=quiet) for name in models]
        if not models:
            problems = [about.with_policy(model) for model in battery_models(**overrides)]
        for problem in problems:
            if problem.mdp.is_endless and not quiet:
                note(f"note: {problem.mdp.name}: {horizon(problem.mdp)}: beyond it nothing above rounding is left")
        problems = problems_of(problems, off_policy=off_policy)

        announced: list[Announcement] = []

        def announce(announcement: "Announcement") -> None:
            if not announced and not quiet:  # the first stands for all
                note(announcement_text(announcement))
            announced.append(announcement)

        def judged(name: str) -> "Verification":
            with opened(name, timeout=seconds) as function, progress_bar(f"calling {name}", quiet=quiet) as bar:
                of_agent = is_agent(function)
                if of_agent and about.policy is not None:
                    raise UsageError("--policy is not for agents: an agent has a policy of its own")
                if of_agent and not models:  # on models on which loops have few runs
                    return judge(
                        function, None, **overrides, off_policy=off_policy, same_start=same_start,
                        up_to_scale=up_to_scale, allow=allowed, max_calls=calls, progress=bar.named,
                        rng=seed_of(seed)[1], announce=announce, **settings,
                    )  # fmt: skip
                usual = None if of_agent else usual_max_calls(models or None, settings["batch_sizes"])
                return judge(
                    function,
                    problems,
                    off_policy=off_policy,
                    same_start=same_start,
                    up_to_scale=up_to_scale,
                    allow=allowed,
                    skip_unsuitable=not models,
                    progress=bar.named,
                    max_calls=calls or usual,
                    rng=seed_of(seed)[1],
                    announce=announce,
                    **settings,
                )

        if more:
            results = [(name, _or_error(judged, name)) for name in dict.fromkeys([estimator, *more])]
            status = exit_status_of(results)
            printer.view(verifications_view(results))
        else:
            result = judged(estimator)
            status = result.exit_status
            printer.view(verification_view(estimator, result))
    raise typer.Exit(status)


def _or_error(judged: "Callable[[str], Verification]", name: str) -> "Verification | PgcheckError":
    """The verdict, or the error for which there is none: one estimator at fault does not hide the others."""
    try:
        return judged(name)
    except PgcheckError as error:
        return error


class _Settings(TypedDict):
    """Arguments of the library's `verify`."""

    tolerance: float | None
    batch_sizes: list[int] | None
    max_trajectories: int
    evidence: "EvidenceKind"
    confidence: float
    max_rollouts: int | None


def _settings(
    tolerance: str | None,
    batch_sizes: str | None,
    max_trajectories: str,
    evidence: str,
    confidence: str,
    max_rollouts: str | None,
) -> _Settings:
    """What the texts of the options stand for."""
    from pgcheck.trajectories.sampling import MAX_N
    from pgcheck.verification.sequential import FIRST_LOOK
    from pgcheck.verification.verdict import EVIDENCE, MAX_BATCH_SIZE

    limit = arguments.count(max_trajectories, "--max-trajectories", 10**9)
    allowed = None if tolerance is None else arguments.share(tolerance, "--tolerance")
    sizes = None if batch_sizes is None else arguments.counts(batch_sizes, "--batch-sizes", MAX_BATCH_SIZE)
    most = None if max_rollouts is None else arguments.count(max_rollouts, "--max-rollouts", MAX_N, lo=FIRST_LOOK)
    return _Settings(
        tolerance=allowed, batch_sizes=sizes, max_trajectories=limit,
        evidence=cast("EvidenceKind", arguments.choice(evidence, "--evidence", EVIDENCE)),
        confidence=_confidence_of(confidence), max_rollouts=most,
    )  # fmt: skip


def _confidence_of(text: str) -> float:
    """The confidence of `--confidence`, such as 0.999 or 99.9%."""
    value = arguments.share(text, "--confidence")
    if not 0.5 <= value <= 1 - 1e-12:
        raise UsageError(f"--confidence {arguments.shortened(text)}: expected at least 0.5 and below 1, like 0.999")
    return value
