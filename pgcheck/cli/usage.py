"""What is wrong with the words of a command line, in pgcheck's own words.

Typer raises errors of its own for unknown commands and options, and for words that are missing or too many. They are
told apart by their attributes: which package their classes come from depends on Typer's version.
"""

import contextlib
import difflib
from typing import Any

from pgcheck.cli.arguments import shortened


def complaint(error: Any, words: list[str]) -> str:
    """Returns the message for an error of Typer about these words."""
    context = getattr(error, "ctx", None)
    if context is None and not hasattr(error, "option_name"):
        return str(error.format_message())
    command = _command_of(words) if context is None else context.command_path
    return f"{_fault(error, context, words)} (see: {command} --help)"


def _fault(error: Any, context: Any, words: list[str]) -> str:
    name = getattr(error, "option_name", None)
    if name is not None and hasattr(error, "possibilities"):
        options = [] if context is None else [text for parameter in context.command.params for text in parameter.opts]
        return f"unknown option {shortened(name)}{_meant(name, [text for text in options if text.startswith('-')])}"
    if name is not None:
        if any(word.startswith(f"{name}=") for word in words):
            return f"{name} takes no value; write {name} alone"
        return f"{name} needs a value after it"
    parameter = getattr(error, "param", None)
    if parameter is not None:
        title = parameter.name.upper()
        return f"{title} is missing; expected {_shape(context)}" if not error.message else str(error.format_message())
    if context.parent is None:
        command = next((word for word in words if not word.startswith("-")), "")
        return f"unknown command {shortened(command)}{_meant(command, list(context.command.commands))}"
    surplus = _surplus(context, words)
    if not surplus:
        return str(error.format_message())
    return f"{', '.join(map(shortened, surplus))}: too many arguments; expected {_shape(context)}"


def _meant(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.6)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; expected one of {', '.join(sorted(known))}" if known and not known[0].startswith("-") else ""


def _shape(context: Any) -> str:
    """How the command is to be called: `pgcheck exact [OPTIONS] [MODEL]`."""
    arguments = [
        parameter.metavar or parameter.name.upper()
        for parameter in context.command.params
        if parameter.param_type_name == "argument"
    ]
    return " ".join([context.command_path, "[OPTIONS]", *arguments])


def _surplus(context: Any, words: list[str]) -> list[str]:
    """The words that no argument of the command takes."""
    with contextlib.suppress(Exception):  # an inner matter of Typer, without which the message is shorter
        after = words[words.index(context.command.name) + 1 :]
        _, rest, _ = context.command.make_parser(context).parse_args(list(after))
        return list(rest)
    return []


def _command_of(words: list[str]) -> str:
    """The command that these words ask for, for a hint."""
    name = next((word for word in words if not word.startswith("-")), "")
    return f"pgcheck {name}".rstrip()
