"""The command line. The only door to typer; the only place of seeds and exit statuses.

What is slow to import (numpy, rich, yaml) is imported by the commands that use it.
"""

import contextlib
import signal
import sys
import traceback
from collections.abc import Iterator
from enum import StrEnum
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pgcheck import __version__
from pgcheck.errors import ModelError, PgcheckError, ReaderGoneError, UsageError

if TYPE_CHECKING:
    import numpy as np

    from pgcheck.estimators.base import Estimator
    from pgcheck.exact import gradient as exact_module
    from pgcheck.model.mdp import MDP
    from pgcheck.model.policy import Policy
    from pgcheck.report.printer import Printer

BUG, INTERRUPTED, TERMINATED = 70, 130, 143
LIKELY = "10"  # how many trajectories --trajectories shows unless told

app = typer.Typer(
    help="Check policy gradients: exact, sampled, and how far apart they are.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="MODEL is a path, - for standard input, or a bundled name (see: pgcheck models). "
    "--debug, anywhere, shows the traceback of a bug in pgcheck.",
)


class Format(StrEnum):
    """The forms of every result."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"


class Method(StrEnum):
    """The ways to the exact gradient."""

    enumeration = "enumeration"
    backward_induction = "backward-induction"


Model = Annotated[str, typer.Argument(metavar="[MODEL]", show_default="two_state", help="Path, -, or bundled name.")]
Horizon = Annotated[str | None, typer.Option(metavar="T", help="Steps, in place of the file's.")]
Gamma = Annotated[str | None, typer.Option(metavar="G", help="Discount 0..1, in place of the file's.")]
Form = Annotated[Format, typer.Option("--format", help="Form of the result.")]
Into = Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write the result to FILE.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No notes and progress on standard error.")]
Seed = Annotated[str, typer.Option(metavar="SEED", help="Seed of the random numbers.")]
Likely = Annotated[
    str | None,
    typer.Option("--trajectories", metavar="[K]", help=f"Show the K ({LIKELY}) most likely trajectories."),
]


Rollouts = Annotated[str, typer.Option("--n", metavar="N", help="Rollouts: 1000, 1e6, 10k; up to 1e15.")]
EstimatorName = Annotated[
    str,
    typer.Option("--estimator", metavar="NAME", help="A built-in name, or file.py:function."),
]
Several = Annotated[
    str | None, typer.Option("--estimator", metavar="NAMES", help="Only these, like reinforce,gae; default all.")
]
Timeout = Annotated[str, typer.Option("--timeout", metavar="S", help="Seconds that a call of ESTIMATOR may take.")]
Lambda = Annotated[str | None, typer.Option("--lambda", metavar="L", show_default="0.95", help="Of gae, 0 to 1.")]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        print(f"pgcheck {__version__}")
        raise typer.Exit


@app.command()
def exact(
    model: Model = "two_state",
    method: Annotated[Method | None, typer.Option(help="Default: enumeration where it fits.")] = None,
    max_trajectories: Annotated[str, typer.Option(metavar="N", help="Enumerate at most this many.")] = "1e8",
    trajectories: Likely = None,
    horizon: Horizon = None,
    gamma: Gamma = None,
    form: Form = Format.table,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """The exact gradient, by enumerating every trajectory and by backward induction."""
    from pgcheck.cli import arguments
    from pgcheck.exact.gradient import exact_gradient
    from pgcheck.report import views
    from pgcheck.report import words as wording
    from pgcheck.report.output import note
    from pgcheck.report.printer import progress_bar
    from pgcheck.trajectories.likely import most_likely

    limit = arguments.count(max_trajectories, "--max-trajectories", 10**18)
    k = _likely(trajectories)
    with _printer(output, form) as printer:
        mdp, policy = _load(model, horizon, gamma)
        with progress_bar("enumerating", quiet=quiet) as bar:
            result = exact_gradient(mdp, policy, method=_method(method), max_trajectories=limit, progress=bar)
        if method is None and result.method != "enumeration" and not quiet:
            count = "too many" if result.trajectories is None else wording.about(result.trajectories)
            note(f"note: {count}, over {limit:,}: by backward induction instead of enumeration")
        printer.view(views.exact_view(mdp, policy, result, most_likely(mdp, policy, k) if k else []))


@app.command()
def sample(
    model: Model = "two_state",
    n: Rollouts = "1000",
    estimator: EstimatorName = "reinforce",
    lam: Lambda = None,
    timeout: Timeout = "60",
    seed: Seed = "0",
    trajectories: Likely = None,
    horizon: Horizon = None,
    gamma: Gamma = None,
    form: Form = Format.table,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """The Monte Carlo (REINFORCE) estimate from N rollouts, beside the exact gradient."""
    from pgcheck.cli import arguments
    from pgcheck.estimators.moments import predict
    from pgcheck.estimators.readings import two_readings
    from pgcheck.estimators.sampled import sample_gradient
    from pgcheck.exact.gradient import exact_gradient
    from pgcheck.report import views
    from pgcheck.report.printer import progress_bar
    from pgcheck.trajectories.likely import most_likely
    from pgcheck.trajectories.sampling import MAX_N, streams

    count = arguments.count(n, "--n", MAX_N)
    number, rng = _seed(seed)
    k = _likely(trajectories)
    if k is not None and estimator != "reinforce":
        raise UsageError(f"--trajectories shows how to read the mean of reinforce; leave out --estimator {estimator}")
    stream = streams(rng)  # with the key (n, 0), that of the same row of `converge`
    with _printer(output, form) as printer:
        mdp, policy, behavior = _model(model, horizon, gamma)
        truth = exact_gradient(mdp, policy, method="backward-induction")
        with (
            _estimators([estimator], lam, timeout, mdp, policy) as (found,),
            progress_bar("sampling", quiet=quiet) as bar,
        ):
            foretold = predict(mdp, policy, found, stream(0, 0), behavior=behavior, full=True)
            if k is None:
                likely, readings = [], None
                estimate = sample_gradient(
                    mdp, policy, count, stream(count, 0), estimator=found, behavior=behavior, progress=bar
                )
            else:
                likely = most_likely(mdp, policy, k)
                readings = two_readings(mdp, policy, count, stream(count, 0), likely, progress=bar)
                estimate = readings.sampled
        printer.view(views.sample_view(mdp, truth, estimate, number, found, foretold(count), likely, readings))


@app.command()
def converge(
    model: Model = "two_state",
    n: Annotated[
        str, typer.Option("--n", metavar="LIST", help="Rollouts: 10,100,1e4 or the decades of 10..1e9.")
    ] = "10..1e6",
    replicates: Annotated[str, typer.Option(metavar="R", help="Independent estimates for each N.")] = "1",
    estimator: EstimatorName = "reinforce",
    lam: Lambda = None,
    timeout: Timeout = "60",
    seed: Seed = "0",
    horizon: Horizon = None,
    gamma: Gamma = None,
    form: Form = Format.table,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """The error of the estimate against the number of rollouts N."""
    from pgcheck.cli import arguments
    from pgcheck.estimators.convergence import error_rows, fit_slope
    from pgcheck.estimators.moments import predict
    from pgcheck.exact.gradient import exact_gradient
    from pgcheck.report import views
    from pgcheck.report import words as wording
    from pgcheck.report.printer import Grid, progress_bar
    from pgcheck.trajectories.sampling import MAX_N, streams

    numbers = arguments.counts(n, "--n", MAX_N)
    repeats = arguments.count(replicates, "--replicates", 10**6)
    number, rng = _seed(seed)
    stream = streams(rng)
    with _printer(output, form) as printer:
        mdp, policy, behavior = _model(model, horizon, gamma)
        truth = exact_gradient(mdp, policy, method="backward-induction")
        columns = views.converge_columns(numbers[-1])
        rows = []
        with (
            _estimators([estimator], lam, timeout, mdp, policy) as (found,),
            progress_bar(f"N = {wording.spaced(numbers[0])}", quiet=quiet) as bar,
        ):
            foretold = predict(mdp, policy, found, stream(0, 0), behavior=behavior)
            if form == Format.table:
                head = wording.headline(mdp, truth.trajectories)
                printer.text(f"{head}; {wording.named(found)}seed {number}\n")
                printer.grid(Grid(columns, []))
            for row in error_rows(
                mdp, policy, truth, numbers, repeats, stream,
                estimator=found, behavior=behavior, foretold=foretold, progress=bar,
            ):  # fmt: skip
                bar.stop()
                rows.append(row)
                bar.what = f"N = {wording.spaced(numbers[min(len(rows), len(numbers) - 1)])}"
                if form == Format.table:
                    cells = views.converge_cells(row, rows[0], numbers[-1])
                    printer.grid(Grid(columns, [cells]), header=False)
                elif form != Format.json:
                    printer.row(views.row_record(row))
        fit, limit = fit_slope(rows), foretold(None)
        if form == Format.table:
            printer.text(wording.converge_sentence(rows, fit, truth, found, limit))
        elif form == Format.json:
            printer.record(views.converge_record(mdp, truth, rows, fit, number, repeats, found, limit))


@app.command()
def plan(
    model: Model = "two_state",
    accuracy: Annotated[str, typer.Option(metavar="A", help="Relative error wanted, like 5% or 0.01.")] = "5%",
    estimator: Several = None,
    lam: Lambda = None,
    timeout: Timeout = "60",
    seed: Seed = "0",
    horizon: Horizon = None,
    gamma: Gamma = None,
    form: Form = Format.table,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """How many rollouts each estimator needs for a wanted accuracy, before any is drawn."""
    from pgcheck.cli import arguments

    wanted = arguments.share(accuracy, "--accuracy")
    _side_by_side(model, horizon, gamma, estimator, lam, timeout, seed, form, output, quiet, accuracy=wanted)


@app.command()
def compare(
    model: Model = "two_state",
    n: Rollouts = "1000",
    estimator: Several = None,
    lam: Lambda = None,
    timeout: Timeout = "60",
    seed: Seed = "0",
    horizon: Horizon = None,
    gamma: Gamma = None,
    form: Form = Format.table,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """Estimators side by side: bias, variance, expected and measured error with N rollouts."""
    from pgcheck.cli import arguments
    from pgcheck.trajectories.sampling import MAX_N

    count = arguments.count(n, "--n", MAX_N)
    _side_by_side(model, horizon, gamma, estimator, lam, timeout, seed, form, output, quiet, n=count)


def _side_by_side(
    model: str,
    horizon: str | None,
    gamma: str | None,
    names: str | None,
    lam: str | None,
    timeout: str,
    seed: str,
    form: Format,
    output: str | None,
    quiet: bool,
    *,
    n: int | None = None,
    accuracy: float | None = None,
) -> None:
    """What `plan`, with an accuracy, and `compare`, with N, have in common."""
    from pgcheck.estimators import comparison
    from pgcheck.exact.gradient import exact_gradient
    from pgcheck.report import estimators as standings
    from pgcheck.report.printer import progress_bar
    from pgcheck.trajectories.sampling import streams

    number, rng = _seed(seed)
    chosen = _names(names)
    with _printer(output, form) as printer:
        mdp, policy, behavior = _model(model, horizon, gamma)
        truth = exact_gradient(mdp, policy, method="backward-induction")
        stream = streams(rng)
        with (
            _estimators(chosen, lam, timeout, mdp, policy) as found,
            progress_bar("comparing estimators", quiet=quiet) as bar,
        ):
            some = found if names else comparison.usable(found, behavior)
            if accuracy is not None:
                rows = comparison.plan(mdp, policy, truth, some, accuracy, stream, behavior=behavior, progress=bar)
            else:
                assert n is not None
                rows = comparison.compare(mdp, policy, truth, some, n, stream, behavior=behavior, progress=bar)
        left_out = [one for one in found if one not in some]
        printer.view(standings.contenders_view(mdp, truth, number, rows, left_out, accuracy))


@app.command()
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
    from pgcheck.cli import arguments
    from pgcheck.external.process import Runner
    from pgcheck.report import verification as verdicts
    from pgcheck.report.printer import progress_bar
    from pgcheck.verification import verdict as verification
    from pgcheck.verification.battery import BATTERY

    limit = arguments.count(max_trajectories, "--max-trajectories", 10**9)
    usual = verification.MAX_CALLS if models or batch_sizes else verification.BATTERY_CALLS
    calls = usual if max_calls is None else arguments.count(max_calls, "--max-calls", 10**9)
    allowed = None if tolerance is None else arguments.share(tolerance, "--tolerance")
    sizes = None if batch_sizes is None else arguments.counts(batch_sizes, "--batch-sizes", 64)
    seconds = arguments.number(timeout, "--timeout", 0.01, 1e6)
    with _printer(output, form) as printer:
        named = [(name, horizon) for name in models] if models else [(n, horizon or str(h)) for n, h in BATTERY]
        loaded = [_load(name, steps, gamma) for name, steps in named]
        with progress_bar("calling the estimator", quiet=quiet) as bar, Runner(estimator, timeout=seconds) as runner:

            def progress(model: str, fraction: float) -> None:
                bar.what = model
                bar(fraction)

            found = verification.verify_with(
                runner, loaded, tolerance=allowed, up_to_scale=up_to_scale, batch_sizes=sizes,
                max_trajectories=limit, max_calls=calls, progress=progress,
            )  # fmt: skip
        printer.view(verdicts.verification_view(estimator, found))
    raise typer.Exit(verdicts.EXIT[found.verdict])


@app.command()
def estimators(form: Form = Format.table, output: Into = None, quiet: Quiet = False) -> None:
    """The built-in estimators, right and wrong."""
    from pgcheck.estimators.catalogue import ESTIMATORS
    from pgcheck.report import estimators as standings

    with _printer(output, form) as printer:
        printer.view(standings.estimators_view(ESTIMATORS))


@app.command()
def trajectories(
    model: Model = "two_state",
    n: Annotated[str | None, typer.Option("--n", metavar="N", help="Draw N rollouts instead of listing all.")] = None,
    seed: Seed = "0",
    horizon: Horizon = None,
    gamma: Gamma = None,
    form: Annotated[Format, typer.Option("--format", help="Form of the result.")] = Format.jsonl,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """Every trajectory with its probability, or those of N rollouts with their counts, one a line."""
    from pgcheck.cli import arguments
    from pgcheck.report import views
    from pgcheck.trajectories.paths import enumerate_trajectories, sample_trajectories
    from pgcheck.trajectories.sampling import MAX_N, streams

    count = None if n is None else arguments.count(n, "--n", MAX_N)
    number, rng = _seed(seed)
    with _printer(output, form) as printer:
        mdp, policy = _load(model, horizon, gamma)
        weight = "probability" if count is None else "count"
        batches = (
            enumerate_trajectories(mdp, policy)
            if count is None
            else sample_trajectories(mdp, policy, count, streams(rng)(count, 0))
        )
        head = {**views.model_record(mdp), **({} if count is None else {"n": count, "seed": number})}
        rows = views.trajectory_rows(weight, batches)
        printer.stream(head, "trajectories", rows, *views.trajectory_table(mdp, weight))


@app.command()
def models(
    form: Form = Format.table,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """The bundled models."""
    from pgcheck.formats import modelfile, sources
    from pgcheck.report import views

    with _printer(output, form) as printer:
        found = []
        for name in sources.bundled_names():
            text = sources.read_bytes(name)[1].decode()
            found.append((name, text.partition("\n")[0].lstrip("# "), modelfile.load(name)[0]))
        printer.view(views.models_view(found))


@app.command()
def show(
    model: Model = "two_state",
    horizon: Horizon = None,
    gamma: Gamma = None,
    form: Form = Format.table,
    output: Into = None,
    quiet: Quiet = False,
) -> None:
    """The model as understood: sizes, start, policy, and how many trajectories it has."""
    from pgcheck.report import views
    from pgcheck.trajectories.counting import counts_shown

    with _printer(output, form) as printer:
        mdp, policy, behavior = _model(model, horizon, gamma)
        counts, cut = counts_shown(mdp)
        printer.view(views.show_view(mdp, policy, behavior, counts, cut))


@app.command()
def schema(output: Into = None, quiet: Quiet = False) -> None:
    """The JSON Schema (draft-07) of the model file, for editors."""
    from pgcheck.formats.schema import model_schema

    with _printer(output, Format.json) as printer:
        printer.object(model_schema())


def main() -> None:
    """Runs the command line and exits with its status."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Runs the command line and returns its exit status; never raises."""
    from pgcheck.report.output import silence_stdout

    debug = "--debug" in arguments
    status = BUG
    try:
        sys.set_int_max_str_digits(0)  # numbers of trajectories are printed however long they are
        for which in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(which) is not signal.SIG_IGN:
                signal.signal(which, _interrupt)
        status = _invoke([word for word in arguments if word != "--debug"])
        if sys.stdout is not None:
            sys.stdout.flush()  # what help and --version print
        return status
    except _Interrupted as interruption:
        _say(": ".join(["pgcheck: interrupted", *getattr(interruption, "__notes__", [])]))
        status = interruption.status
    except ReaderGoneError as error:
        status = error.exit_status
    except PgcheckError as error:
        _say(str(error) if isinstance(error, ModelError) else f"error: {error}")
        status = error.exit_status
    except BrokenPipeError:
        status = ReaderGoneError.exit_status
    except OSError as error:
        _say(f"error: standard output: cannot be written: {error.strerror}")
        status = 74
    except MemoryError:
        _say("error: out of memory; lower the horizon, or use a smaller model")
        status = 2
    except Exception:
        _say(traceback.format_exc() if debug else "error: a bug in pgcheck; please report it with --debug's output")
    silence_stdout()
    return status


def _invoke(arguments: list[str]) -> int:
    """Hands the words to Typer; its complaints about them go to standard error."""
    try:
        outcome = app(_with_default_k(arguments), prog_name="pgcheck", standalone_mode=False)
    except Exception as error:
        # Typer's own errors, told by their shape: which package they come from depends on its version.
        if not (hasattr(error, "exit_code") and hasattr(error, "show")):
            raise
        if sys.stderr is not None:
            error.show(file=sys.stderr)
        return int(error.exit_code)
    return outcome if isinstance(outcome, int) else 0


def _with_default_k(arguments: list[str]) -> list[str]:
    """`--trajectories` without a number gets one; Typer has no options whose value may be left out."""
    words: list[str] = []
    for at, word in enumerate(arguments):
        words.append(word)
        if word == "--trajectories" and "--" not in arguments[:at]:
            following = arguments[at + 1 : at + 2]
            if not following or not following[0][:1].isdigit():
                words.append(LIKELY)
    return words


class _Interrupted(BaseException):
    """SIGINT or SIGTERM came."""

    def __init__(self, status: int) -> None:
        self.status = status


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    raise _Interrupted(INTERRUPTED if number == signal.SIGINT else TERMINATED)


def _say(text: str) -> None:
    from pgcheck.report.output import note

    note(text)


@contextlib.contextmanager
def _printer(path: str | None, form: Format) -> "Iterator[Printer]":
    """A printer on standard output or a file; the file is kept only if all went well."""
    from pgcheck.report.output import Output
    from pgcheck.report.printer import Printer

    output = Output(path)
    try:
        yield Printer(output, form.value)
        output.close()
    finally:
        output.discard()


def _load(source: str, horizon: str | None, gamma: str | None) -> "tuple[MDP, Policy]":
    mdp, policy, _ = _model(source, horizon, gamma)
    return mdp, policy


def _model(source: str, horizon: str | None, gamma: str | None) -> "tuple[MDP, Policy, Policy | None]":
    from pgcheck.cli import arguments
    from pgcheck.formats import modelfile

    model = modelfile.load_model(
        source,
        horizon=None if horizon is None else arguments.count(horizon, "--horizon", modelfile.MAX_HORIZON),
        gamma=None if gamma is None else arguments.number(gamma, "--gamma", 0, 1),
    )
    return model.mdp, model.policy, model.behavior


@contextlib.contextmanager
def _estimators(
    names: list[str], lam: str | None, timeout: str, mdp: "MDP", policy: "Policy"
) -> "Iterator[list[Estimator]]":
    """Built-in estimators by name, and those of users, in processes of their own that end with the block."""
    from pgcheck.cli import arguments
    from pgcheck.estimators.catalogue import estimator
    from pgcheck.external.loading import is_built_in

    factor = None if lam is None else arguments.number(lam, "--lambda", 0, 1)
    if factor is not None and "gae" not in names:
        raise UsageError("--lambda belongs to gae, which is not asked for")
    seconds = arguments.number(timeout, "--timeout", 0.01, 1e6)
    with contextlib.ExitStack() as stack:
        found = []
        for name in names:
            if is_built_in(name):
                found.append(estimator(name, factor if name == "gae" else None))
                continue
            from pgcheck.external.estimator import somebodys
            from pgcheck.external.process import Runner

            found.append(somebodys(stack.enter_context(Runner(name, timeout=seconds)), mdp, policy))
        yield found


def _names(text: str | None) -> list[str]:
    """The estimators of `--estimator a,b`; by default all that are built in."""
    from pgcheck.estimators.catalogue import NAMES

    return list(NAMES) if text is None else list(dict.fromkeys(name.strip() for name in text.split(",")))


def _method(choice: Method | None) -> "exact_module.Method | None":
    match choice:
        case Method.enumeration:
            return "enumeration"
        case Method.backward_induction:
            return "backward-induction"
    return None


def _seed(text: str) -> "tuple[int, np.random.Generator]":
    import numpy as np

    from pgcheck.cli import arguments

    seed = arguments.count(text, "--seed", arguments.MAX_SEED, lo=0)
    return seed, np.random.default_rng(seed)


def _likely(text: str | None) -> int | None:
    from pgcheck.cli import arguments

    return None if text is None else arguments.count(text, "--trajectories", 100_000)
