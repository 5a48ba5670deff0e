"""Whatever holds a model → the model: a model file, or a source that people have already."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Unpack

from pgcheck.errors import UsageError
from pgcheck.formats import sources
from pgcheck.formats.assembling import assembled
from pgcheck.formats.explicit.exports import expect_explicit
from pgcheck.formats.given import Given, Options, said
from pgcheck.formats.modelfile import Model, loads
from pgcheck.formats.overrides import overridden
from pgcheck.formats.problems import visible
from pgcheck.model.endless import cut
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy

Read = Callable[[str, Options], Given | Model]


@dataclass(frozen=True)
class Kind:
    """A kind of source.

    Attributes:
      what: it is called in messages.
      module: of `formats` that has its reader, `read`.
      options: of `Options`, those that it takes.
    """

    what: str
    module: str
    options: tuple[str, ...]


GYMNASIUM = Kind("a Gymnasium environment", "environments.gymnasium", ("start", "explore", "max_states"))
PYTHON = Kind("Python code", "environments.python", ("start", "explore", "max_states"))
KINDS = {
    ".npz": Kind("arrays", "arrays.npz", ("axes", "rewards_on", "start", "terminal")),
    ".pomdp": Kind("a file in Cassandra's format", "cassandra.pomdp", ("start", "observe")),
    ".mdp": Kind("a file in Cassandra's format", "cassandra.pomdp", ("start", "observe")),
    ".tra": Kind("an explicit model of PRISM", "explicit.prism", ("start", "rewards", "terminal")),
    ".drn": Kind("an explicit model of Storm", "explicit.storm", ("start", "rewards", "terminal")),
}


def load(
    source: str | Path,
    *,
    horizon: float | None = None,
    gamma: float | None = None,
    entropy: float | None = None,
    kl: float | None = None,
    **options: Unpack[Options],
) -> tuple[MDP, Policy]:
    """Returns the MDP and the policy of a model; arguments and errors are those of `load_model`."""
    model = load_model(source, horizon=horizon, gamma=gamma, entropy=entropy, kl=kl, **options)
    return model.mdp, model.policy


def load_model(
    source: str | Path,
    *,
    horizon: float | None = None,
    gamma: float | None = None,
    entropy: float | None = None,
    kl: float | None = None,
    **options: Unpack[Options],
) -> Model:
    """Returns the model that a source holds, with all its policies.

    Args:
      source: a path to a model file, `-` for standard input, the name of a bundled model, `gym:ID?key=value&...`, a
        path that ends in .npz, .POMDP, .MDP, .tra or .drn, or `file.py:name`.
      horizon, gamma, entropy, kl: override the source's own; the last two are α and β of the objective. A horizon of
        math.inf is cut where nothing above rounding is left (`model.endless`).
      options: what the source does not say itself, see `Options`.

    Raises:
      ModelError: the source is at fault; the message lists up to 20 errors, with FILE:LINE:COL where there are lines.
      UsageError: there is no such source, a number is out of range, kl lacks a reference policy, or an option is
        not for this source.
      TooLargeError: without a horizon, episodes never end, or too slowly.
    """
    model = read_model(source, horizon=horizon, gamma=gamma, entropy=entropy, kl=kl, **options)
    return replace(model, mdp=cut(model.mdp, model.policy))


def read_model(
    source: str | Path,
    *,
    horizon: float | None = None,
    gamma: float | None = None,
    entropy: float | None = None,
    kl: float | None = None,
    **options: Unpack[Options],
) -> Model:
    """Returns the model as it stands, before it is known where episodes are cut; else as `load_model`."""
    spec, kind = str(source), kind_of(str(source))
    for name in said(options):
        if kind is None or name not in kind.options:
            what = "a model file" if kind is None else kind.what
            raise UsageError(f"--{name.replace('_', '-')} is not for {what}, which {visible(spec)} is")
    if kind is None:
        expect_explicit(spec)
        file, text = sources.read_text(spec)
        model = loads(text, file)
    else:
        read: Read = import_module(f"pgcheck.formats.{kind.module}").read
        found = read(spec, options)
        if isinstance(found, Given):
            model = assembled(found, start=options.get("start"), horizon=horizon, gamma=gamma)
        else:
            model = found
    return replace(model, mdp=overridden(model.mdp, horizon=horizon, gamma=gamma, entropy=entropy, kl=kl))


def kind_of(source: str) -> Kind | None:
    """Returns the kind of a source; None for model files, by path, name or `-`."""
    if source.startswith("gym:"):
        return GYMNASIUM
    where, colon, name = source.rpartition(":")
    if colon and where.endswith(".py") and name:
        return PYTHON
    return KINDS.get(Path(source).suffix.lower())
