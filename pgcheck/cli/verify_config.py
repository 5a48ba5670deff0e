"""`verify --config`: the checks that a file lists, side by side, in one table."""

import os
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from pgcheck.cli.model_options import AboutModel
from pgcheck.cli.options import printing
from pgcheck.cli.verify_options import MEANINGS, OF_MODELS, OF_RULES, rules_from
from pgcheck.errors import UsageError

if TYPE_CHECKING:
    from pgcheck.cli.work import Doing
    from pgcheck.formats.checks import Listed
    from pgcheck.verification.checks import Check

FLAGS = ("off-policy", "same-start", "up-to-scale")
# What a source of models does not say itself.
OF_SOURCES = ("start", "axes", "rewards-on", "rewards", "terminal", "observe", "explore")
NO_ESTIMATOR = (
    "ESTIMATOR is missing; expected pgcheck verify [OPTIONS] ESTIMATOR... [MODEL]... (see: pgcheck verify --help)\n"
    "  Or list checks in a file: --config checks.toml, or the table [tool.pgcheck] of ./pyproject.toml"
)


def config_of(context: typer.Context, config: str | None, estimator: str | None) -> str | None:
    """Returns the file whose checks are meant: that of `--config`, or without ESTIMATOR ./pyproject.toml; else None.

    Raises:
      UsageError: there is neither such a file nor ESTIMATOR, or there are both; or an option is given that belongs
        in the file.
    """
    from pgcheck.formats.check_keys import OF_ALL, PROJECT
    from pgcheck.formats.checks import has_checks

    if config is None and estimator is not None:
        return None
    if config is not None and estimator is not None:
        raise UsageError(
            f"--config {config}: it lists the estimators; write {estimator!r} there, or leave out --config"
        )
    if config is None and not has_checks(PROJECT):
        raise UsageError(NO_ESTIMATOR)
    config = PROJECT if config is None else config
    for parameter in (it for it in context.command.params if it.param_type_name == "option"):
        name = max(parameter.opts, key=len).removeprefix("--")
        source = context.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE" and name not in OF_ALL:
            known = name in (*OF_RULES, *OF_MODELS, *FLAGS, "policy", "explore")
            header = "[[tool.pgcheck.check]]" if os.path.basename(config) == PROJECT else "[[check]]"
            where = f"write {name} = ... in {config}: at the top for all checks, or below one's {header}"
            raise UsageError(f"--{name} is not for a list of checks; {where if known else 'leave it out'}")
    return config


def verify_config(file: str, *, form: str | None, output: str | None, quiet: bool, doing: "Doing") -> int:
    """Prints the verdicts on the checks that a file lists, and returns the exit status.

    JSON lines and CSV have one line a check, written as soon as it and those before it are done.
    """
    from pgcheck.report.checks import check_record, check_row, check_text, checks_view, exit_status_of_checks
    from pgcheck.report.output import note
    from pgcheck.report.progress import progress_bar
    from pgcheck.verification.checks import run_checks

    checks = checks_of(file)
    # What is kept in a checkpoint holds as long as the list and all code and models that it names are the same.
    models = dict.fromkeys(model for check in checks for model in check.models)
    policies = [check.policy for check in checks if check.policy is not None]
    executor = doing.on([], [*(check.estimator for check in checks), *policies, *models], (file, *models))
    records, told = [], set()
    label = f"{len(checks):,} checks" if len(checks) != 1 else "1 check"
    with printing(output, form) as printer, progress_bar(label, quiet=quiet) as bar:
        for text in run_checks(checks, check_text, executor=executor):
            record = check_record(text)
            records.append(record)
            bar.stop()
            for said in record["notes"]:
                if not quiet and said not in told:  # several checks may have the same model
                    note(f"note: {said}")
                told.add(said)
            if printer.form in ("jsonl", "csv"):
                printer.row(record if printer.form == "jsonl" else check_row(record))
            bar(len(records) / len(checks))
        bar.stop()
        if printer.form in ("table", "json"):
            printer.view(checks_view(checks, records))
    return exit_status_of_checks(records)


def checks_of(file: str) -> list["Check"]:
    """Returns the checks that a file lists.

    Raises:
      ModelError: something in the file is at fault; the message has FILE:LINE:COL for each.
    """
    from pgcheck.formats.checks import read_checks

    listed, problems = read_checks(file, MEANINGS)
    problems.check()
    for at, message in dict.fromkeys(fault for it in listed for fault in _at_odds(it)):
        problems.add_at(at, message)
    problems.check()
    return [_check(it) for it in listed]


def _at_odds(listed: "Listed") -> Iterator[tuple[int, str]]:
    """What two keys of a check say against each other, with the position of one of them."""
    if "max-states" in listed.entries and not any(listed.values("explore")):
        yield listed.entries["max-states"].at, "max-states is how many states explore may find; add explore = true"
    of_sources = [key for key in OF_SOURCES if any(listed.values(key))]
    if of_sources and not listed.values("models"):
        key = of_sources[0]
        yield listed.entries[key].at, f"{key} is about the source of models, but {listed.estimator} has no models"


def _check(listed: "Listed") -> "Check":
    from pgcheck.verification.checks import Check

    texts = {key: entry.texts for key, entry in listed.entries.items()}
    about = AboutModel(
        **{
            key.replace("-", "_"): text if isinstance(text, bool) else text[0]
            for key, text in texts.items()
            if key in OF_MODELS or key == "explore"
        }  # type: ignore[arg-type]
    )
    rules = {key.replace("-", "_"): listed.values(key) for key in listed.entries if key in (*OF_RULES, *FLAGS)}
    return Check(
        listed.estimator,
        listed.values("models"),
        rules_from(rules),
        about.overrides(),
        about.source(),
        next(iter(listed.values("policy")), None),
        listed.expect,
        command_of(listed),
    )


def command_of(listed: "Listed") -> str:
    """Returns the command line that does one check of a file alone."""
    words = ["pgcheck", "verify", listed.estimator, *listed.values("models")]
    for key, entry in listed.entries.items():
        if isinstance(entry.texts, bool):
            words += [f"--{key}"] * entry.texts
        elif key == "policy":
            words += [f"--{key}", *listed.values(key)]
        elif key != "models":
            words += [f"--{key}", ",".join(entry.texts)]
    return shlex.join(words)
