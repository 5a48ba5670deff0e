"""What can stand at a place of the command line: names, ids, words, files, and what files define.

Shells ask while somebody types: nothing here imports numpy, or runs a file of the user's.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pgcheck.cli.model_options import AXES, OBSERVE, REWARDS_ON
from pgcheck.cli.options import FORMATS, GRAPHS, METHODS, ORDERS
from pgcheck.errors import EstimatorError
from pgcheck.estimators.names import NAMES
from pgcheck.external.defined import functions_in, makes_model, models_in, policies_in

MODEL_FILES = (".yaml", ".yml", ".json", ".npz", ".pomdp", ".mdp", ".tra", ".drn")
MODEL_TEXT = (".yaml", ".yml", ".json")
MODEL_KEY = b"transitions"  # that a model file has, and other files in these formats rarely
MOST_READ = 2**20  # bytes of a file in which the key is looked for
MOST_PARSED = 40  # Python files in which it is checked that there is something to name
DEEPEST = 8  # folders that are gone through where each has one entry

EVIDENCE = ("auto", "exact", "sampled")
PATHS = (
    "model",
    "models",
    "others",
    "estimator",
    "policy",
    "config",
)  # parameters that name files besides other things


@dataclass(frozen=True)
class Candidate:
    """What may be completed to.

    Attributes:
      text: the whole word.
      help: what it is.
      more: what follows it, where it is the beginning of a word, such as a folder.
    """

    text: str
    help: str = ""
    more: Callable[[], "list[Candidate]"] | None = None


def candidates(parameter: Any, current: str, before: Sequence[str] = ()) -> list[Candidate]:
    """Returns what an option or argument may be, where its text begins with `current`.

    Args:
      parameter: of Typer.
      current: what is written of it.
      before: the arguments before it.
    """
    name, prefix = parameter.name, ""
    is_id = re.search(r"\bID\b", parameter.metavar or "") is not None
    if is_id or (name == "estimator" and parameter.param_type_name == "option"):
        prefix = current[: current.rfind(",") + 1]  # a list: its last element is completed
    written, current = prefix.split(","), current[len(prefix) :]
    offered = list(_ids(current) if is_id else _values(name, current, before))
    return _unfolded([
        Candidate(prefix + it.text, it.help, it.more and _behind(prefix, it.more))
        for it in offered
        if it.text not in written
    ])  # fmt: skip


def takes_file(parameter: Any, current: str) -> bool:
    """Whether an option or argument that begins so may go on as the name of any file."""
    return (parameter.name in PATHS or "FILE" in (parameter.metavar or "")) and ".py:" not in current


def _values(name: str, current: str, before: Sequence[str]) -> Iterator[Candidate]:
    """The values of a parameter that are known or can be found."""
    words: dict[str, Sequence[str]] = {
        "form": FORMATS, "form_or_graph": (*FORMATS, *dict.fromkeys(GRAPHS.values())), "method": METHODS,
        "by": ORDERS, "evidence": EVIDENCE, "workers": ("auto",),
        "axes": AXES, "rewards_on": REWARDS_ON, "observe": OBSERVE, "start": ("uniform",),
    }  # fmt: skip
    if name in words:
        yield from _beginning(current, words[name])
    elif name == "estimator" or (name == "others" and all(map(_is_estimator, before[1:]))):
        yield from (it for it in _beginning(current, NAMES) if it.text not in before)
        yield from _files(current, functions_in)
    if name in ("model", "models", "others"):
        yield from _beginning(current, _models())
        yield from _files(current, models_in, MODEL_FILES)
    elif name == "policy":
        yield from _files(current, policies_in)
    elif name == "config":
        yield from _files(current, None, (".toml",))


def _beginning(current: str, words: Iterable[str]) -> Iterator[Candidate]:
    yield from (Candidate(word) for word in words if word.startswith(current))


def _ids(current: str) -> Iterator[Candidate]:
    from pgcheck.estimators.mistakes.ids import IDS, TITLES

    return (Candidate(name, TITLES[name]) for name in IDS if name.startswith(current))


def _models() -> list[str]:
    from pgcheck.formats.sources import bundled_names

    return bundled_names()


def _is_estimator(word: str) -> bool:
    """Whether an argument of `verify` names an estimator, as far as can be told without loading anything."""
    where, colon, name = word.rpartition(":")
    if word in NAMES or word.startswith("cmd:"):
        return True
    return word.endswith(".py") or (bool(colon) and where.endswith(".py") and not makes_model(where, name))


def _files(
    current: str, names_in: Callable[[str], list[str]] | None, suffixes: Sequence[str] = ()
) -> Iterator[Candidate]:
    """Files with these suffixes, Python files with something to name, what one of them defines, and folders.

    Args:
      current: what is written of the path.
      names_in: the names that a Python file gives to what is looked for.
      suffixes: of other files.
    """
    where, colon, _ = current.rpartition(":")
    if names_in is not None and colon and where.endswith(".py"):
        yield from (it for it in _names(where, names_in) if it.text.startswith(current))
        return
    folder, beginning = os.path.split(current)
    place = os.path.join(folder, "") if folder else ""
    parsed = 0
    for entry in _entries(os.path.expanduser(folder) or ".", beginning):
        path, ending = place + entry.name, os.path.splitext(entry.name)[1].lower()
        if _is_folder(entry):
            yield Candidate(f"{path}/", more=lambda path=path: list(_files(f"{path}/", names_in, suffixes)))  # type: ignore[misc]
        elif names_in is not None and ending == ".py":
            parsed += 1
            if parsed > MOST_PARSED or _names(path, names_in):
                yield Candidate(f"{path}:", more=lambda path=path: _names(path, names_in))  # type: ignore[misc]
        elif ending in suffixes and (ending not in MODEL_TEXT or _has_key(entry.path)):
            yield Candidate(path)


def _entries(folder: str, beginning: str) -> list["os.DirEntry[str]"]:
    """The entries of a folder whose names begin so; hidden ones only where the beginning is a dot."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        found = [entry for entry in entries if entry.name.startswith(beginning) and entry.name != "__pycache__"]
        return sorted(
            (it for it in found if it.name.isprintable() and (beginning or not it.name.startswith("."))),
            key=lambda entry: entry.name,
        )
    return []


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _names(path: str, names_in: Callable[[str], list[str]]) -> list[Candidate]:
    """`path:name` for each of a Python file's names; none of a file that cannot be read."""
    try:
        return [Candidate(f"{path}:{name}") for name in dict.fromkeys(names_in(os.path.expanduser(path)))]
    except EstimatorError:
        return []


def _has_key(path: str) -> bool:
    """Whether a file looks like a model file."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return MODEL_KEY in file.read(MOST_READ).replace(b"\0", b"")  # UTF-16 too
    return False


def _behind(prefix: str, more: Callable[[], list[Candidate]]) -> Callable[[], list[Candidate]]:
    return lambda: [Candidate(prefix + it.text, it.help, it.more and _behind(prefix, it.more)) for it in more()]


def _unfolded(offered: list[Candidate]) -> list[Candidate]:
    """The same; where the only one is the beginning of a word, what follows it: shells take a single one for the end.

    Nothing where nothing follows it; the shell then completes the names of any files.
    """
    for _ in range(DEEPEST):
        if len(offered) != 1 or offered[0].more is None:
            break
        offered = offered[0].more()
    return offered
