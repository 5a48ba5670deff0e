"""Options that several commands share, as one argument of each: a dataclass whose fields are the options."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any, get_type_hints

import typer

MODEL = "Model, instead of what it says itself"  # titles of groups in help
SOURCE = "Source, where the model does not say"
WORK = "Long work"
OUTPUT = "Output"

LAST = ("form", "output", "quiet")  # of all commands; they stand at the end of the help


def option(metavar: str, help_text: str, *names: str, group: str | None = None) -> object:
    """Returns what Typer has to know of an option; help lists it in its group."""
    return typer.Option(*names, metavar=metavar, help=help_text, rich_help_panel=group)


def in_place_of(argument: str, group: type[Any], command: Callable[..., None]) -> Callable[..., None]:
    """Returns a command that has the options of `group` in place of an argument, which gets them all."""
    hints = get_type_hints(group, include_extras=True)
    options = [field for field in fields(group) if field.init]
    added = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in options
    ]
    signature = inspect.signature(command, eval_str=True)
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in signature.parameters.items()
        if name != argument
    ]
    common = [parameter for parameter in own if parameter.name in LAST]
    first = [parameter for parameter in own if parameter not in common]

    @wraps(command)
    def with_options(**given: object) -> None:
        values = {field.name: given.pop(field.name) for field in options}
        command(**{argument: group(**values)}, **given)

    with_options.__signature__ = signature.replace(parameters=[*first, *added, *common])  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in [*first, *added, *common]}
    del with_options.__wrapped__  # Typer would read the command's own annotations
    return with_options
