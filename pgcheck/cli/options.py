"""The options that commands share: how each is written, and what its text stands for.

What is slow to import (numpy, rich, yaml) is imported where a command uses it.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from pgcheck.cli import arguments
from pgcheck.cli.option_groups import OUTPUT
from pgcheck.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from pgcheck.estimators.base import Estimator
    from pgcheck.exact.gradient import Method
    from pgcheck.exact.table import Order
    from pgcheck.formats.modelfile import Model
    from pgcheck.report.printer import Printer
    from pgcheck.report.progress import ProgressBar


FORMATS = ("table", "json", "jsonl", "csv")
GRAPHS = {".mmd": "mermaid", ".dot": "dot", ".gv": "dot"}  # formats of a model as a graph, by the suffix of a file
ORDERS = ("probability", "share")
METHODS = ("enumeration", "backward-induction")
FORMAT_OF_SUFFIX = {".json": "json", ".jsonl": "jsonl", ".csv": "csv", ".txt": "table"}

_MODEL = typer.Argument(
    metavar="[MODEL]",
    show_default="two_state",
    help="A model file, a bundled name (see: pgcheck models), gym:ID, file.py:name, or - for standard input.",
)
ModelName = Annotated[str, _MODEL]
GivenModel = Annotated[str | None, _MODEL]  # where it matters whether it was given
Form = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="F", help="table, json, jsonl or csv; default: that of FILE.", rich_help_panel=OUTPUT
    ),
]
Into = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write to FILE: .json, .jsonl and .csv in that format.",
        rich_help_panel=OUTPUT,
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="No notes or progress on standard error.", rich_help_panel=OUTPUT)
]
Seed = Annotated[str, typer.Option(metavar="SEED", help="Seed of the random numbers.")]
Top = Annotated[str | None, typer.Option("--top", metavar="K", help="Show the K most likely trajectories.")]
OldTop = Annotated[str | None, typer.Option("--trajectories", metavar="K", hidden=True)]
Rollouts = Annotated[str, typer.Option("--n", "-n", metavar="N", help="Rollouts: 1,000, 1e6, 10k; up to 1e15.")]
EstimatorName = Annotated[
    str, typer.Option("--estimator", metavar="NAME", help="A built-in name, file.py:function, or cmd:PROGRAM.")
]
SomeEstimators = Annotated[
    str, typer.Option("--estimator", metavar="NAMES", help="Such as reinforce, file.py:function; or several: a,b.")
]
EstimatorNames = Annotated[
    str | None, typer.Option("--estimator", metavar="NAMES", help="Only these, such as reinforce,gae; default: all.")
]
Timeout = Annotated[str, typer.Option("--timeout", metavar="S", help="Seconds that a call of ESTIMATOR may take.")]
Lambda = Annotated[
    str | None, typer.Option("--lambda", metavar="L", show_default="0.95", help="Lambda of gae, 0 to 1.")
]
# How an estimator is judged.
Tolerance = Annotated[
    str | None,
    typer.Option(
        metavar="R", show_default="1e-6; float32 1e-4; sampled 0.05", help="Greatest relative bias that passes."
    ),
]
OffPolicy = Annotated[
    bool, typer.Option("--off-policy", help="The model's behavior draws the episodes; grad J stays the policy's.")
]
SameStart = Annotated[
    bool, typer.Option("--same-start", help="The episodes of a batch share their first state, as a group does.")
]
Allow = Annotated[
    list[str] | None,
    typer.Option(metavar="ID,...", help="Accept these deviations, where they explain all of the bias."),
]
BatchSizes = Annotated[
    str | None,
    typer.Option(metavar="LIST", show_default="2,3", help="Sizes of batches, for estimators of whole batches."),
]
Evidence = Annotated[str, typer.Option(metavar="E", help="auto, exact, or sampled: from drawn episodes, or runs.")]
Confidence = Annotated[str, typer.Option(metavar="C", help="Confidence of a verdict on drawn episodes.")]
MaxRollouts = Annotated[
    str | None,
    typer.Option(metavar="N", show_default="about a minute's", help="Draw at most so many; 4,096 times 2^k."),
]


@contextlib.contextmanager
def running(
    names: list[str], model: "Model", lam: str | None, timeout: str, label: str, quiet: bool
) -> "Iterator[tuple[list[Estimator], ProgressBar]]":
    """Yields the estimators of these names, ready to run on a model, and a progress bar with this label."""
    from pgcheck.external.opening import opened_on
    from pgcheck.report.progress import progress_bar

    factor, seconds = lambda_of(lam), seconds_of(timeout)
    with (
        opened_on(names, model.mdp, model.policy, lam=factor, timeout=seconds) as estimators,
        progress_bar(label, quiet=quiet) as bar,
    ):
        yield estimators, bar


@contextlib.contextmanager
def printing(
    path: str | None,
    form: str | None,
    *,
    usual: str = "table",
    piped: str | None = None,
    also: Mapping[str, str] | None = None,
) -> "Iterator[Printer]":
    """Yields a printer on standard output or on a file; the file is kept only if all went well.

    Args:
      path: of the file; None is standard output.
      form: the output format; None is that of the file's suffix, else the usual one.
      usual: the format where nothing says another.
      piped: the same, where no person reads; None is the usual one too.
      also: what else the command can write: suffixes of files, and their formats.
    """
    from pgcheck.report.output import Output
    from pgcheck.report.printer import Printer

    more = also or {}
    if form is not None:
        arguments.choice(form, "--format", (*FORMATS, *dict.fromkeys(more.values())))
    elif path is not None:
        form = {**FORMAT_OF_SUFFIX, **more}.get(PurePath(path).suffix.lower())
    output = Output(path)
    try:
        yield Printer(output, form or (usual if output.is_terminal else piped or usual))
        output.close()
    finally:
        output.discard()


def rollouts_of(text: str) -> int:
    """Returns the number of rollouts of `--n`."""
    from pgcheck.trajectories.sampling import MAX_N

    return arguments.count(text, "--n", MAX_N)


def seed_of(text: str) -> "tuple[int, np.random.Generator]":
    """Returns the seed of `--seed`, and the generator that it starts."""
    import numpy as np

    seed = arguments.count(text, "--seed", arguments.MAX_SEED, lo=0)
    return seed, np.random.default_rng(seed)


def top_of(top: str | None, old_top: str | None) -> int | None:
    """Returns the K of `--top`, or of `--trajectories`, its old name."""
    option, text = ("--top", top) if top is not None else ("--trajectories", old_top)
    return None if text is None else arguments.count(text, option, 100_000)


def seconds_of(text: str) -> float:
    """Returns the seconds of `--timeout`."""
    return arguments.number(text, "--timeout", 0.01, 1e6)


def names_of(text: str) -> list[str]:
    """Returns the estimators of `--estimator a,b`, each once; what follows `cmd:` may hold commas of its own."""
    from pgcheck.external.opening import leading_estimators
    from pgcheck.external.program_process import PREFIX

    names: list[str] = []
    for name in text.split(","):
        if names and names[-1].startswith(PREFIX) and not leading_estimators([name.strip()])[0]:
            names[-1] += f",{name}"
        else:
            names.append(name.strip())
    return list(dict.fromkeys(names))


def lambda_of(text: str | None) -> float | None:
    """Returns the λ of `--lambda`."""
    return None if text is None else arguments.number(text, "--lambda", 0, 1)


def method_of(text: str | None) -> "Method | None":
    """Returns the way to the exact gradient of `--method`."""
    if text is None:
        return None
    arguments.choice(text, "--method", METHODS)
    return "enumeration" if text == "enumeration" else "backward-induction"


def order_of(text: str | None, top: int | None) -> "Order":
    """Returns the order of `--by`, which needs `--top`."""
    if text is not None and top is None:
        raise UsageError("--by says which trajectories --top shows; give --top K too")
    return "share" if text is not None and arguments.choice(text, "--by", ORDERS) == "share" else "probability"
