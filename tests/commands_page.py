"""The page of all commands, docs/reference/commands.md, made from the application itself."""

import html
import re
from typing import Any

import typer.main
from typer.testing import CliRunner

from pgcheck.cli.app import app
from pgcheck.cli.option_groups import OUTPUT
from tests.pages import DOCS

PAGE = DOCS / "reference" / "commands.md"
OWN = "Options"  # of the command alone
HEAD = """# Commands

Written from the program itself, which says the same: `pgcheck COMMAND --help`. `-h` or `--help` and `--quiet`
go with every command; `--debug`, anywhere, shows the traceback of a bug in pgcheck. What the exit statuses mean is
[a page of its own](exit-status.md), and so is [the JSON](json.md).
"""


def commands_page() -> str:
    """The page in Markdown: a section for each command, with a table of its arguments and options."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return "\n".join([HEAD, *(section(name, command) for name, command in commands.items() if not command.hidden)])


def section(name: str, command: Any) -> str:
    """What a command is for, how it is called, a table for each group of options, and the examples of its help."""
    arguments = [it for it in command.params if it.param_type_name == "argument"]
    options = [it for it in command.params if it.param_type_name == "option" and not getattr(it, "hidden", False)]
    usage = " ".join(["pgcheck", name, *["[OPTIONS]"] * bool(options), *(it.metavar or it.name for it in arguments)])
    groups: dict[str, list[Any]] = {OWN: arguments}
    for option in options:
        groups.setdefault(getattr(option, "rich_help_panel", None) or OWN, []).append(option)
    groups[OUTPUT] = groups.pop(OUTPUT, [])  # the last, as in help
    tables = [table(title, group) for title, group in groups.items() if group]
    parts = [f"## pgcheck {name}", *prose(command), f"Usage: `{usage}`", *tables, *examples(name)]
    return "\n\n".join(parts) + "\n"


def table(title: str, parameters: list[Any]) -> str:
    """A row for each argument and option of a group."""
    rows = [f"| {names(it)} | {cell(it.help or '')} | {default(it)} |" for it in parameters]
    return "\n".join([f"| {title} | what it is | default |", "|---|---|---|", *rows])


def examples(name: str) -> list[str]:
    """The examples at the end of a command's help."""
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).output
    lines = [line.strip() for line in shown.partition("\nExamples:\n")[2].splitlines() if line.strip()]
    return ["\n".join(["```sh", *lines, "```"])] if lines else []


def prose(command: Any) -> list[str]:
    """The paragraphs of a command's help."""
    return [escaped(" ".join(part.split())) for part in re.split(r"\n\s*\n", command.help or "") if part.strip()]


def names(parameter: Any) -> str:
    """How an option is written, its short form first, with what it takes; or the name of an argument."""
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name}`"
    spellings = ", ".join(sorted([*parameter.opts, *parameter.secondary_opts], key=len))
    takes = "" if parameter.is_flag else f" {parameter.metavar or parameter.type.name.upper()}"
    return code(f"{spellings}{takes}")


def code(text: str) -> str:
    """A text as code in a cell of a table; readers of Markdown differ about a bar between backticks."""
    return f"<code>{html.escape(text)}</code>".replace("|", "&#124;") if "|" in text else f"`{text}`"


def default(parameter: Any) -> str:
    """What is taken where the option is not given, or nothing."""
    said = parameter.show_default
    if isinstance(said, str):
        return cell(said) if " " in said else f"`{said}`"
    if parameter.default is None or getattr(parameter, "is_flag", False):
        return ""
    return f"`{parameter.default}`" if said else ""


def cell(text: str) -> str:
    """A text for a cell of a table."""
    return escaped(" ".join(text.split())).replace("|", r"\|")


def escaped(text: str) -> str:
    """A text without what Markdown would take for HTML or emphasis, but with its code."""
    return re.sub(r"([<>*_])", r"\\\1", text) if "`" not in text else text
