"""What a shell is told when somebody types TAB.

The scripts of `--install-completion` and `--show-completion` are Typer's: they run pgcheck with the line in
variables. It is answered here, without Typer's own parser: that takes as long as all the rest, and does not know that
bash breaks words at colons and does not quote what it inserts.
"""

import contextlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer.main

from pgcheck.cli.app import app
from pgcheck.cli.candidates import Candidate, candidates, takes_file

BASH_BREAKS = frozenset(":=")  # where bash ends a word besides at spaces; each run of them is a word of its own


@dataclass(frozen=True)
class Line:
    """A command line up to the cursor.

    Attributes:
      words: after the program's name, without quotes; the last one is being written.
      kept: the beginning of the last word that the shell does not replace.
      quoted: whether a quote is open in the last word.
    """

    words: list[str]
    kept: str = ""
    quoted: bool = False


@dataclass(frozen=True)
class Offer:
    """What may stand where the last word is; where that is nothing, maybe any file."""

    candidates: list[Candidate]
    any_file: bool = False


def answer(shell: str, variables: Mapping[str, str]) -> int:
    """Prints what a shell is to offer, in the form that its script expects; returns the exit status.

    Whatever goes wrong, nothing is printed: it would stand in the middle of somebody's line.

    Args:
      shell: bash, zsh or fish.
      variables: of the environment, in which the script has put the line.
    """
    text, status = "", 1
    with contextlib.suppress(Exception):
        line = _line_of_bash(variables) if shell == "bash" else _line(variables)
        offer = offer_for(line.words)
        if shell == "bash":
            text = _for_bash(offer, line)
        elif shell == "zsh":
            text = _for_zsh(offer)
        elif variables.get("_TYPER_COMPLETE_FISH_ACTION") == "get-args":
            text = "\n".join(f"{it.text}\t{it.help}" if it.help else it.text for it in offer.candidates)
        status = int(shell == "fish" and not offer.candidates and offer.any_file)  # 1: fish completes files
    if text:
        print(text)
    return status


def offer_for(words: Sequence[str]) -> Offer:
    """Returns what may stand in place of the last word.

    Args:
      words: after the program's name; the last one is being written.
    """
    group: Any = typer.main.get_command(app)
    *before, current = words
    name = next((word for word in before if not word.startswith("-")), None)
    if name is None:
        commands = [Candidate(it, _summary(group.commands[it])) for it in group.commands if it.startswith(current)]
        return Offer(_options(group, current, []) if current.startswith("-") else commands)
    if name not in group.commands:
        return Offer([])
    return _offer_of(group.commands[name], before[before.index(name) + 1 :], current)


def _offer_of(command: Any, before: Sequence[str], current: str) -> Offer:
    """What may stand after some words of a command."""
    options = {name: it for it in command.params if it.param_type_name == "option" for name in it.opts}
    arguments = [it for it in command.params if it.param_type_name == "argument"]
    given: list[Any] = []
    positional: list[str] = []
    waiting, only_arguments = None, False
    for word in before:
        name, equals, _ = word.partition("=")
        if waiting is not None:
            waiting = None
        elif only_arguments or word == "-" or not word.startswith("-"):
            positional.append(word)
        elif word == "--":
            only_arguments = True
        elif name in options:
            given.append(options[name])
            waiting = None if equals or options[name].is_flag else options[name]
    if waiting is not None:
        return Offer(candidates(waiting, current), takes_file(waiting, current))
    if current.startswith("-") and not only_arguments:
        name, equals, value = current.partition("=")
        if not equals:
            return Offer(_options(command, current, given))
        if name not in options or options[name].is_flag:
            return Offer([])
        texts = candidates(options[name], value)
        return Offer([Candidate(f"{name}={it.text}", it.help) for it in texts], takes_file(options[name], value))
    place = min(len(positional), len(arguments) - 1)
    if place < 0 or (place < len(positional) and arguments[place].nargs == 1):
        return Offer([])  # it takes no more
    return Offer(candidates(arguments[place], current, positional), takes_file(arguments[place], current))


def _options(command: Any, current: str, given: Sequence[Any]) -> list[Candidate]:
    """The options of a command that begin so, without those that are given and count once."""
    left = [it for it in command.params if it.param_type_name == "option" and not it.hidden]
    offered = [
        Candidate(name, it.help or "") for it in left if it not in given or it.multiple for name in reversed(it.opts)
    ]
    offered += [Candidate(name, "Show help.") for name in ("--help", "-h")]
    return [it for it in offered if it.text.startswith(current)]


def _summary(command: Any) -> str:
    return str(command.help or "").partition("\n")[0]


def _line(variables: Mapping[str, str]) -> Line:
    """The line that the scripts for zsh and fish hand over, in quotes as it was typed."""
    text = variables.get("_TYPER_COMPLETE_ARGS", "")
    words = _split(text)
    if not text or (text[-1].isspace() and not text.endswith("\\ ")):
        words.append("")
    return Line(words[1:] or [""])


def _line_of_bash(variables: Mapping[str, str]) -> Line:
    """The line that the script for bash hands over: its words, one a line, ended at spaces and at `BASH_BREAKS`."""
    tokens = variables["COMP_WORDS"].split("\n")[: int(variables["COMP_CWORD"]) + 1]
    words: list[str] = []
    broken = False
    for token in tokens:
        is_break = token != "" and set(token) <= BASH_BREAKS
        if words and (is_break or (broken and token != "")):
            words[-1] += token
        else:
            words.append(token)
        broken = is_break
    kept = words[-1] if broken else words[-1].removesuffix(tokens[-1])
    plain = [_unquoted(word) for word in words[1:]]
    return Line(plain or [""], _unquoted(kept), _open_quote(words[-1]) != "")


def _split(text: str) -> list[str]:
    """The words of a text in which a quote may be open."""
    text = text.removesuffix("\\")
    return shlex.split(text + _open_quote(text))


def _unquoted(word: str) -> str:
    return "".join(_split(word))


def _open_quote(text: str) -> str:
    """The quote that is open at the end of a text; "" where none is."""
    for quote in ("", '"', "'"):
        with contextlib.suppress(ValueError):
            shlex.split(text.removesuffix("\\") + quote)
            return quote
    return ""


def _for_bash(offer: Offer, line: Line) -> str:
    """One candidate a line, as bash is to insert it: without what it keeps, and quoted."""
    texts = [it.text[len(line.kept) :] for it in offer.candidates if it.text.startswith(line.kept)]
    return "\n".join(texts if line.quoted else map(_escaped, texts))


def _escaped(text: str) -> str:
    return re.sub(r"[^\w@%+=:,./~-]", r"\\\g<0>", text)


def _for_zsh(offer: Offer) -> str:
    """Code that zsh runs: what it is to offer, with no space after the beginning of a word."""
    if not offer.candidates:
        return "_files" if offer.any_file else ""
    code = []
    for option, are_open in (("", False), (" -S ''", True)):
        entries = [
            it.text.replace("\\", "\\\\").replace(":", "\\:") + (f":{it.help}" if it.help else "")
            for it in offer.candidates
            if (it.more is not None) == are_open
        ]
        if entries:
            code.append(f"offered=({' '.join(map(shlex.quote, entries))}); _describe '' offered{option}")
    return f"local -a offered; {'; '.join(code)}"
