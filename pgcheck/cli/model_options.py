"""The options that every command with a model takes, and the model that they stand for.

A command takes them all as one argument: with `@about_model`, `about: AboutModel` becomes the options below. What is
slow to import (numpy, yaml) is imported where a command uses it.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from pgcheck.cli import arguments
from pgcheck.cli.option_groups import MODEL, SOURCE, in_place_of, option
from pgcheck.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from pgcheck.formats.given import Options
    from pgcheck.formats.modelfile import Model
    from pgcheck.formats.overrides import Overrides

AXES = ("ast", "sat", "tsa", "sta", "ats")
REWARDS_ON = ("leave", "enter")
OBSERVE = ("state", "observation", "memoryless")
MAX_EXPLORED = 10_000_000  # states


@dataclass(frozen=True)
class AboutModel:
    """The texts of the options about a model; None where an option is not given."""

    horizon: Annotated[str | None, option("T", "Steps, or inf.", group=MODEL)] = None
    gamma: Annotated[str | None, option("G", "Discount, 0 to 1.", group=MODEL)] = None
    entropy: Annotated[str | None, option("ALPHA", "Weight of the entropy in the objective.", group=MODEL)] = None
    kl: Annotated[
        str | None, option("BETA", "Weight of KL(pi || reference) in the objective.", "--kl", group=MODEL)
    ] = None
    policy: Annotated[
        str | None, option("F", "file.py:function that makes a policy of the MDP, such as a network.", group=MODEL)
    ] = None
    start: Annotated[str | None, option("STATE", "The first state, or uniform: any of them.", group=SOURCE)] = None
    axes: Annotated[
        str | None, option("AXES", "Of P in .npz: ast, sat, tsa, sta or ats; t: next state.", group=SOURCE)
    ] = None
    rewards_on: Annotated[
        str | None,
        option("WHEN", "R(s) in .npz is paid for being in s (leave) or for entering it (enter).", group=SOURCE),
    ] = None
    rewards: Annotated[str | None, option("NAME", "The reward structure in .tra or .drn.", group=SOURCE)] = None
    terminal: Annotated[
        str | None, option("LABEL", "States with this label in .npz, .tra or .drn end episodes.", group=SOURCE)
    ] = None
    observe: Annotated[
        str | None,
        option("WHAT", "In .POMDP the policy sees: state, observation, or memoryless: both in pairs.", group=SOURCE),
    ] = None
    explore: Annotated[
        bool,
        typer.Option("--explore", help="Explore an environment that has no table.", rich_help_panel=SOURCE),
    ] = False
    max_states: Annotated[str | None, option("N", "Explore at most so many states; default 1e5.", group=SOURCE)] = (
        None
    )

    def overrides(self) -> "Overrides":
        """Returns what replaces the model's own numbers."""
        from pgcheck.formats.overrides import MAX_COEFFICIENT, Overrides

        return Overrides(
            horizon=None if self.horizon is None else horizon_of(self.horizon),
            gamma=None if self.gamma is None else arguments.number(self.gamma, "--gamma", 0, 1),
            entropy=None if self.entropy is None else arguments.number(self.entropy, "--entropy", 0, MAX_COEFFICIENT),
            kl=None if self.kl is None else arguments.number(self.kl, "--kl", 0, MAX_COEFFICIENT),
        )

    def source(self) -> "Options":
        """Returns what people say of a source that does not say it itself."""
        options: Options = {}
        if self.axes is not None:
            options["axes"] = arguments.choice(self.axes, "--axes", AXES)
        if self.rewards_on is not None:
            options["rewards_on"] = arguments.choice(self.rewards_on, "--rewards-on", REWARDS_ON)
        if self.observe is not None:
            options["observe"] = arguments.choice(self.observe, "--observe", OBSERVE)
        if self.start is not None:
            options["start"] = self.start
        if self.rewards is not None:
            options["rewards"] = self.rewards
        if self.terminal is not None:
            options["terminal"] = self.terminal
        if self.explore:
            options["explore"] = True
        if self.max_states is not None and not self.explore:
            raise UsageError("--max-states is how many states --explore may find; add --explore")
        if self.max_states is not None:
            options["max_states"] = arguments.count(self.max_states, "--max-states", MAX_EXPLORED)
        return options

    def refuse_without_model(self, before: str, *, policy: bool = False) -> None:
        """Raises UsageError where options about a source were given: for a command that was given no MODEL.

        Args:
          before: after which word of the command one is to be named.
          policy: whether `--policy` needs a MODEL too.
        """
        if self.source() or (policy and self.policy is not None):
            raise UsageError(f"options about a source were given, but no MODEL: name one after {before}")

    def load(self, source: "str | Path", *, quiet: bool, as_it_stands: bool = False) -> "Model":
        """Returns the model that `source` names, with these options; unless quiet, notes go to standard error.

        Where it has no horizon, episodes of its policy are cut, unless it is wanted as it stands.
        """
        from pgcheck.formats.loading import read_model
        from pgcheck.model.endless import cut
        from pgcheck.report.output import note
        from pgcheck.report.progress import progress_bar

        options = self.source()
        with progress_bar("exploring", quiet=quiet) if self.explore else nullcontext() as bar:
            if bar is not None:
                options["progress"] = bar.named
            model = read_model(source, **self.overrides(), **options)
        model = self.with_policy(model)
        if not as_it_stands:
            model = replace(model, mdp=cut(model.mdp, model.policy))
        for text in () if quiet else model.notes:
            note(f"note: {text}")
        return model

    def with_policy(self, model: "Model") -> "Model":
        """Returns a model with the policy that the function of `--policy` makes for it."""
        if self.policy is None:
            return model
        from pgcheck.external.policies import with_policy  # may load torch or jax

        return with_policy(model, self.policy)


def about_model(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command, in place of its argument `about`, all options of `AboutModel`."""
    return in_place_of("about", AboutModel, command)


def horizon_of(text: str) -> float:
    """Returns the steps of `--horizon`, or math.inf."""
    from pgcheck.model.horizon import MAX_HORIZON

    return math.inf if text.strip() == "inf" else arguments.count(text, "--horizon", MAX_HORIZON, other=", or inf")
