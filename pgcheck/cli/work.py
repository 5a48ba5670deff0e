"""The options about who does the work of a command, and where finished parts of it are kept."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from pgcheck.cli import arguments
from pgcheck.cli.option_groups import WORK, in_place_of, option
from pgcheck.errors import UsageError

if TYPE_CHECKING:
    from pgcheck.formats.modelfile import Model
    from pgcheck.workers.executor import Executor

MAX_WORKERS = 4096
# Options on which no result depends.
IRRELEVANT = {
    "form",
    "output",
    "quiet",
    "timeout",
    "workers",
    "scheduler",
    "checkpoint",
    "explore",
    "max_states",
    "plot",
}


@dataclass(frozen=True)
class Work:
    """The texts of these options; None where an option is not given."""

    workers: Annotated[
        str | None,
        option(
            "N|auto",
            "Processes that share the work; auto: one a processor. Default: auto, where it takes long.",
            group=WORK,
        ),
    ] = None
    scheduler: Annotated[
        str | None,
        option("ADDRESS", "Have the work done by a Dask cluster, or by local:N; needs pgcheck[dask].", group=WORK),
    ] = None
    checkpoint: Annotated[
        str | None,
        option("FILE", "Keep finished parts in FILE; the same command then does only the rest.", group=WORK),
    ] = None

    @contextlib.contextmanager
    def begun(self, context: typer.Context, *, quiet: bool) -> "Iterator[Doing]":
        """Yields who does the work; where processes were asked for, they are started meanwhile.

        Args:
          context: of the command, whose options say what is computed.
          quiet: whether nothing is said on standard error.
        """
        from pgcheck.report.output import note
        from pgcheck.workers.automatic import Automatic, processors
        from pgcheck.workers.executor import HERE

        def tell(seconds: float, workers: int) -> None:
            if not quiet:
                note(
                    f"note: about {seconds:,.0f} s are left: {workers} processes share them (--workers 1 forbids it)"
                )

        if self.scheduler is not None and self.workers is not None:
            raise UsageError("--workers N are processes of this machine, --scheduler has a cluster; give one of them")
        number = None if self.workers is None else workers_of(self.workers)
        with contextlib.ExitStack() as stack:
            executor: Executor = HERE
            if self.scheduler is not None:
                from pgcheck.workers.dask import Cluster  # an optional extra

                executor = stack.enter_context(Cluster(self.scheduler))
            elif number is None:
                executor = stack.enter_context(Automatic(tell, needs_main=False))
            elif (number or processors()) > 1:
                from pgcheck.workers.processes import Processes  # takes some time to load

                processes = stack.enter_context(Processes(number or processors(), needs_main=False))
                processes.start()
                executor = processes
            yield Doing(executor, self.checkpoint, _options(context), stack)


@dataclass(frozen=True)
class Doing:
    """Who does the work of a command.

    Attributes:
      executor: does parts.
      checkpoint: the file for finished parts.
      options: of the command.
    """

    executor: "Executor"
    checkpoint: str | None
    options: dict[str, str]
    _open: contextlib.ExitStack = field(repr=False)

    def on(
        self, models: "Sequence[Model]", estimators: Sequence[str] = (), files: Sequence[str] = ()
    ) -> "Executor":  # fmt: skip
        """Returns what does the work on some models; it goes through the file for finished parts, if there is one.

        Args:
          models: on which.
          estimators: the user's, as they are named on the command line.
          files: of models, where parts load them.

        Raises:
          UsageError: the file belongs to another computation, or is no such file.
          OutputError: it cannot be written.
        """
        if self.checkpoint is None:
            return self.executor
        import numpy as np

        from pgcheck import __version__
        from pgcheck.external.sources import digest_of_files, source_digest
        from pgcheck.workers.checkpoint import Checkpoint
        from pgcheck.workers.digests import digest_of

        problem = {"version of pgcheck": __version__, "version of NumPy": np.__version__, **self.options}
        for number, model in enumerate(models, 1):
            which = "model" if len(models) == 1 else f"model {number}"
            problem[which] = f"{model.mdp.name} ({digest_of(model.mdp)[:16]})"
            problem[f"policies of {which}"] = digest_of(model.policy, model.behavior)[:16]
        problem |= {f"source of {name}": source_digest(name) for name in estimators if ":" in name}
        problem |= {f"content of {name}": digest_of_files([name]) for name in files}
        return self._open.enter_context(Checkpoint(self.checkpoint, problem)).around(self.executor)


def with_work(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command, in place of its argument `work`, all options of `Work`."""
    return in_place_of("work", Work, command)


def workers_of(text: str) -> int | None:
    """Returns the number of `--workers`; None for auto."""
    return None if text == "auto" else arguments.count(text, "--workers", MAX_WORKERS, other=", or auto")


def _options(context: typer.Context) -> dict[str, str]:
    """The command, and what was given of its options that results depend on."""
    given = {name: value for name, value in context.params.items() if name not in IRRELEVANT and value is not None}
    return {"command": context.info_name or "", **{_named(name): str(value) for name, value in given.items()}}


def _named(parameter: str) -> str:
    return parameter.replace("_", "-")
