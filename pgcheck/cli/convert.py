"""`convert`: a model from any source, as a model file or as arrays."""

import os
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from pgcheck.cli import arguments
from pgcheck.cli.model_options import AboutModel, about_model
from pgcheck.cli.option_groups import OUTPUT
from pgcheck.cli.options import ModelName, Quiet
from pgcheck.errors import UsageError

if TYPE_CHECKING:
    from pgcheck.formats.modelfile import Model

UNIFORM, RANDOM = "uniform", "random:"
YAML, ARRAYS = (".yaml", ".yml"), ".npz"


@about_model
def convert(
    about: AboutModel,
    model: ModelName = "two_state",
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write to FILE.yaml or FILE.npz; default: YAML on standard output.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """A model from any source, as a model file or as arrays.

    Reading what is written gives the same model. --policy uniform or random:SEED puts such a policy into it.
    """
    from pgcheck.formats.arrays.writing import model_arrays
    from pgcheck.formats.writing import model_text
    from pgcheck.report.output import Output

    as_arrays = _is_for_arrays(output)
    into = Output(output)
    try:
        problem, own = _loaded(about, model, quiet=quiet)
        if as_arrays:
            into.write_bytes(model_arrays(problem, preferences=own))
        else:
            comments = [f"Written by pgcheck convert from {model}", *problem.notes]
            comments += [f"policy: {about.policy}"] if own else []
            into.write(model_text(problem, comments, preferences=own))
        into.close()
    finally:
        into.discard()


def _is_for_arrays(path: str | None) -> bool:
    """Whether arrays are written, and not YAML; a device or a pipe takes YAML."""
    if path is None or (os.path.exists(path) and not os.path.isfile(path)):
        return False
    suffix = PurePath(path).suffix.lower()
    if suffix not in (*YAML, ARRAYS):
        raise UsageError(f"--output {arguments.shortened(path)}: expected a name that ends in .yaml or .npz")
    return suffix == ARRAYS


def _loaded(about: AboutModel, source: str, *, quiet: bool) -> "tuple[Model, bool]":
    """The model, and whether its policy is one that `--policy` asks for by a word."""
    seed = None
    if about.policy is not None and about.policy.startswith(RANDOM):
        seed = arguments.count(about.policy.removeprefix(RANDOM), "--policy random:SEED", arguments.MAX_SEED, lo=0)
    if about.policy == RANDOM.removesuffix(":"):
        raise UsageError("--policy random: expected a seed, like random:0, or uniform, or file.py:function")
    if seed is None and about.policy != UNIFORM:
        return about.load(source, quiet=quiet, as_it_stands=True), False
    model = replace(about, policy=None).load(source, quiet=quiet, as_it_stands=True)

    import numpy as np

    from pgcheck.model.softmax import TabularSoftmax

    policy = TabularSoftmax.of(model.mdp)
    if seed is not None:
        policy = replace(policy, theta=np.random.default_rng(seed).normal(size=len(policy.theta)))
    return replace(model, policy=policy), True
