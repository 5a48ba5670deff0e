"""What has to be true of a block of code in README.md and docs/, for each language that may stand there."""

import doctest
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import typer.main
import yaml

import pgcheck
from pgcheck.cli.app import app
from pgcheck.cli.verify_config import checks_of
from tests.conftest import ROOT
from tests.pages import PICTURES, Block, blocks, commands, folder, output_of

NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?")
OTHER_PROGRAMS = {"pip", "python", "python3", "dask", "helm", "mine", "."}  # that `sh` blocks may start
NOT_RUN = ("dask_jobqueue", "dask_kubernetes")  # these need a cluster: such code is compiled
COMMANDS: Mapping[str, object] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def console(block: Block) -> None:
    """Every command prints what stands below it, and draws what `docs/pictures` has."""
    shown = commands(block.text)
    assert shown, f"{block.place}: no command"
    with folder(block.page) as place:
        for command, told in shown:
            same_output(output_of(command, place), told, f"{block.place}: {command}")
        for picture in place.glob("*.svg"):
            same_output(words(picture), words(PICTURES / picture.name), f"{block.place}: {picture.name}")


def same_output(printed: str, told: str, where: str) -> None:
    """Every word is the same, and every number up to the last digits, which differ from one processor to another."""
    assert NUMBER.sub("0", printed) == NUMBER.sub("0", told), where
    for ours, theirs in zip(NUMBER.findall(printed), NUMBER.findall(told), strict=True):
        assert float(ours) == pytest.approx(float(theirs), rel=1e-4, abs=1e-12), where


def words(picture: Path) -> str:
    """What is written in a picture, a line each."""
    written = re.findall(r"<text[^>]*>([^<]+)", picture.read_text())
    assert written, picture
    return "\n".join(written)


def session(block: Block) -> None:
    """A session of Python's prompt, by doctest."""
    test = doctest.DocTestParser().get_doctest(block.text, {}, block.place, str(block.page), block.line)
    assert test.examples, f"{block.place}: no prompt"
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0, block.place


def source(block: Block) -> None:
    """Code is a part of the file that it names, a file that the page's commands use, or a program that runs."""
    if block.file and "/" in block.file:
        part(block)
    elif block.file:
        compile(block.code, block.place, "exec")
        named = [other.text for other in blocks(block.page) if other.line != block.line and block.file in other.text]
        assert named, f"{block.place}: no command of the page uses {block.file}"
    elif any(module in block.text for module in NOT_RUN):
        compile(block.text, block.place, "exec")
    else:
        with folder(block.page) as place:
            (place / "block.py").write_text(block.text)
            run = "pytest -q -p no:cacheprovider block.py" if "def test_" in block.text else "python block.py"
            printed = output_of(f"{run} && echo done", place)
        assert printed.endswith("done\n"), f"{block.place}: {printed}"


def part(block: Block) -> None:
    """The code stands in the file that the block names, in this order; a line `...` is for what is left out."""
    assert block.file, f"{block.place}: its first line names no file, as in # examples/reinforce.py"
    text = (ROOT / block.file).read_text()
    for piece in re.split(r"^ *\.\.\.\n", block.code, flags=re.MULTILINE):
        before, found, text = text.partition(piece.strip("\n"))
        assert found, f"{block.place}: {block.file} has no such lines (any more):\n{piece}"
        assert not before or before.endswith((" ", "\n"))


def model(block: Block) -> None:
    """A model that can be read, or a workflow whose commands exist."""
    document = yaml.safe_load(block.text)
    if isinstance(document, dict) and "jobs" in document:
        run = [step["run"] for job in document["jobs"].values() for step in job["steps"] if "run" in step]
        shell_lines("\n".join(run), block.place)
    elif isinstance(document, dict) and "repos" in document:
        hooks = [hook for repository in document["repos"] for hook in repository["hooks"]]
        assert hooks
        shell_lines("\n".join(hook["entry"] for hook in hooks), block.place)
    else:
        pgcheck.loads(block.text, block.place)


def checks(block: Block) -> None:
    """A list of checks, as `verify --config` reads it; its estimators and models are there."""
    project = "tool" in tomllib.loads(block.text)
    with folder(block.page) as place:
        file = place / ("pyproject.toml" if project else "checks.toml")
        file.write_text(block.text)
        listed = checks_of(str(file))
        assert listed, block.place
        for path in re.findall(r'"([\w./-]+\.(?:py|yaml))[:"]', block.text):
            assert (place / path).exists(), f"{block.place}: {path}"


def shell(block: Block) -> None:
    """Commands that are not run here: pgcheck has those that it is asked for, with these options."""
    shell_lines(block.text, block.place)


def shell_lines(text: str, where: str) -> None:
    for line in re.sub(r"\\\n *", " ", text).splitlines():
        words = shlex.split(re.sub(r"^\w*[$] +", "", line), comments=True)
        for command in split_at(words, {"|", "&&", ";"}):
            program = command[0].rpartition("/")[2]
            if program == "pgcheck":
                parsed(command[1:], where)
            else:
                assert program in OTHER_PROGRAMS, f"{where}: {line}"


def split_at(words: list[str], marks: set[str]) -> list[list[str]]:
    """The words between the marks, without empty lists."""
    parts: list[list[str]] = [[]]
    for word in words:
        if word in marks:
            parts.append([])
        else:
            parts[-1].append(word)
    return [words for words in parts if words]


def parsed(words: list[str], where: str) -> None:
    """Has the command line read a command, without running it."""
    command = COMMANDS.get(words[0])
    assert command is not None, f"{where}: pgcheck {words[0]}"
    try:
        command.make_context(words[0], words[1:])  # type: ignore[attr-defined]
    except Exception as error:  # of typer's own click, or of the one beside it
        raise AssertionError(f"{where}: pgcheck {shlex.join(words)}: {error}") from error


def objects(block: Block) -> None:
    """A JSON value in each line, or one in all."""
    try:
        json.loads(block.text)
    except ValueError:
        for line in block.text.splitlines():
            json.loads(line)


def image(block: Block) -> None:
    """A container with this version of pgcheck."""
    assert f"=={pgcheck.__version__}'" in block.text, block.place


CHECKS: Mapping[str, Callable[[Block], None]] = {
    "console": console, "pycon": session, "python": source, "js": part, "awk": part, "c": part, "yaml": model,
    "toml": checks, "sh": shell, "json": objects, "dockerfile": image,
}  # fmt: skip
