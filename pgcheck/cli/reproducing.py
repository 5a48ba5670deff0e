"""The command line that does the same again, from what a command was given."""

import shlex
from collections.abc import Collection, Sequence

import typer

# Options on which a page does not depend.
LEFT_OUT = {"output", "quiet", "workers", "scheduler", "checkpoint"}


def command_of(
    context: typer.Context, name: str | None = None, first: Sequence[str] = (), without: Collection[str] = ()
) -> str:
    """Returns the words of a command that were given, without where its result went and who did the work.

    Args:
      context: of the command.
      name: of another command that is meant, with the same options.
      first: its first arguments.
      without: options that it does not have.
    """
    words, options = ["pgcheck", name or context.info_name or "", *first], []
    for parameter in context.command.params:
        option = parameter.name or ""
        source = context.get_parameter_source(option)
        if option in LEFT_OUT or option in without or source is None or source.name != "COMMANDLINE":
            continue
        value = context.params[option]
        texts = value if isinstance(value, list | tuple) else [value]
        if parameter.param_type_name == "argument":
            words += [str(text) for text in texts]
        else:
            flag = max(parameter.opts, key=len)
            for text in texts:
                options += [flag] if text is True else [flag, str(text)]
    return shlex.join([*words, *options])
