"""How help looks: options by what they are about, and examples at the end; the same with every version of Typer."""

import re
import shutil
import textwrap
from typing import Any

from typer.core import TyperCommand, TyperGroup

from pgcheck.cli.examples import EXAMPLES
from pgcheck.cli.option_groups import OUTPUT

OWN = "Options"  # of the command alone
MARGIN = 2
MOST_COLUMNS = 78


class Group(TyperGroup):
    """All commands of pgcheck."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help."""
        formatter.width = _width()
        super().format_help(ctx, formatter)


class Command(TyperCommand):
    """A command of pgcheck."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Writes the help."""
        formatter.width = _width()
        super().format_help(ctx, formatter)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Returns the words after the command's name in the line on its usage."""
        return ["[OPTIONS]", *(_metavar(it) for it in self.get_params(ctx) if it.param_type_name == "argument")]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the arguments, and the options by their groups."""
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": [], OWN: []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            name, text = record[0], re.sub(r"\\?\[default: \(?(.*?)\)?\]$", r"[default: \1]", record[1])
            if parameter.param_type_name == "argument":
                groups["Arguments"].append((_metavar(parameter).strip("[]").replace("]...", "..."), text))
            else:
                title = OUTPUT if "--help" in parameter.opts else getattr(parameter, "rich_help_panel", None) or OWN
                groups.setdefault(title, []).append((name, text))
        groups[OUTPUT] = groups.pop(OUTPUT)  # the last
        for title, rows in groups.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Writes the examples: what each is for, and the command as it is, however narrow the terminal."""
        examples = EXAMPLES.get(ctx.info_name, ())
        if examples:
            formatter.write("\nExamples:\n")
        for example in examples:
            margin = " " * MARGIN + "# "
            text = textwrap.fill(example.purpose, formatter.width, initial_indent=margin, subsequent_indent=margin)
            formatter.write(f"{text}\n{'':{MARGIN}}{example.command}\n")


def _width() -> int:
    """The columns of a line of help; Typer's own least is 50, which some terminals do not have."""
    return max(min(shutil.get_terminal_size().columns - MARGIN, MOST_COLUMNS), 20)


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())
