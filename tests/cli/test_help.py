"""Help: examples that run, groups of options, lines that fit; and what pgcheck alone says."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer.main

from pgcheck.cli.app import app
from pgcheck.cli.examples import EXAMPLES, Example
from pgcheck.cli.first import FIRST
from tests.cli.shells import environment_of
from tests.conftest import HANG, ROOT, Run

COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
MARKS = {"gymnasium": "gymnasium", "jinja2": "html"}  # of tests that need a module
SHOWN = [
    pytest.param(
        name, example, id=example.command,
        marks=[getattr(pytest.mark, MARKS[example.needs])] if example.needs else [],
    )
    for name in COMMANDS
    for example in EXAMPLES.get(name, ())
]  # fmt: skip
FAILS = {"pgcheck verify dropped-gamma two_state": 1}  # a verdict, as its purpose says


def status_of(example: Example, run: Run, folder: Path) -> int:
    """The exit status of an example, in a folder with the user's files that examples name."""
    shutil.copy(ROOT / "examples" / "reinforce.py", folder / "my_pg.py")
    shutil.copy(ROOT / "mdps" / "two_state.yaml", folder / "my_model.yaml")
    if "|" not in example.command:
        return run(*shlex.split(example.command)[1:]).returncode
    home = folder / "home"
    home.mkdir()
    script = f"set -o pipefail; {example.command}"
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=environment_of(home), timeout=HANG, check=False)
    return done.returncode


@pytest.mark.parametrize(("name", "example"), SHOWN)
def test_an_example_runs(name: str, example: Example, run: Run, tmp_path: Path) -> None:
    assert example.command.split()[:2] == ["pgcheck", name]
    assert status_of(example, run, tmp_path) == FAILS.get(example.command, 0)


@pytest.mark.parametrize("command", ["pgcheck exact nothing.yaml", "pgcheck exact nothing.yaml | cat"])
def test_an_example_that_does_not_run_would_be_seen(command: str, run: Run, tmp_path: Path) -> None:
    assert status_of(Example("", command), run, tmp_path) == 2


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_two_examples_as_they_are(name: str, run: Run) -> None:
    first, second = EXAMPLES[name]
    end = f"\n\nExamples:\n  # {first.purpose}\n  {first.command}\n  # {second.purpose}\n  {second.command}\n"
    assert run(name, "--help").stdout.endswith(end)
    narrow = run(name, "--help", env={"COLUMNS": "40"}).stdout
    assert f"\n  {first.command}\n" in narrow
    assert f"\n  {second.command}\n" in narrow


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_fits_into_80_columns_and_but_for_examples_into_40(name: str, run: Run) -> None:
    for columns in (80, 40):
        text = run(*filter(None, [name]), "--help", env={"COLUMNS": str(columns)}).stdout
        lines = [line for line in text.splitlines() if columns == 80 or not line.startswith("  pgcheck ")]
        assert max(map(len, lines)) <= columns


def test_help_says_all_of_each_command_in_its_list(run: Run) -> None:
    listed = run("--help").stdout.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert sorted(line.split()[0] for line in listed) == COMMANDS
    assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []


def sections(text: str) -> dict[str, list[str]]:
    """The long options under each title of a help text."""
    parts = re.split(r"^(\S.*):\n", text, flags=re.MULTILINE)
    return {
        title: re.findall(r"^  (?:-\w, )?(--[\w-]+)", body, re.MULTILINE)
        for title, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_options_stand_with_those_that_are_about_the_same(run: Run) -> None:
    groups = sections(run("exact", "--help").stdout)
    assert [title.split(",")[0] for title in groups] == [
        "Arguments", "Options", "Model", "Source", "Long work", "Output", "Examples",
    ]  # fmt: skip
    _, own, model, source, work, output, _ = groups.values()
    assert {"--method", "--top", "--by", "--max-trajectories"} <= set(own)
    assert model == ["--horizon", "--gamma", "--entropy", "--kl", "--policy"]
    assert source[0] == "--start"
    assert source[-1] == "--max-states"
    assert work == ["--workers", "--scheduler", "--checkpoint"]
    assert output[-1] == "--help"
    assert {"--format", "--output", "--quiet"} <= set(output)
    assert "Long work" not in sections(run("show", "--help").stdout)


def test_usage_and_defaults_read_the_same_with_every_version_of_typer(run: Run) -> None:
    text = run("verify", "--help").stdout
    assert text.startswith("Usage: pgcheck verify [OPTIONS] ESTIMATOR... [MODEL]...\n")
    words = " ".join(text.split())
    assert "[default: 1e-6; float32 1e-4; sampled 0.05]" in words  # a text that stands for the default
    assert "[default: auto]" in words
    assert "\\[" not in text
    assert run("exact", "--help").stdout.startswith("Usage: pgcheck exact [OPTIONS] [MODEL]\n")


@pytest.mark.parametrize("words", [[], ["--debug"]])
def test_pgcheck_alone_names_three_commands(run: Run, words: list[str]) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert len(lines) <= 12
    assert max(map(len, lines)) < 80
    assert re.findall(r"^  (pgcheck .*)$", done.stderr, re.MULTILINE) == [command for command, _ in FIRST]
    assert len(FIRST) == 3
    assert "pgcheck --help" in done.stderr
    assert "error" not in done.stderr


@pytest.mark.parametrize(("command", "status"), [(FIRST[0][0], 0), (FIRST[1][0], 0), (FIRST[2][0], 0)])
def test_the_three_commands_run(run: Run, tmp_path: Path, command: str, status: int) -> None:
    assert status_of(Example("", command), run, tmp_path) == status


def test_pgcheck_with_words_does_not_name_the_three(run: Run) -> None:
    assert FIRST[1][0] not in run("--help").stdout + run("--version").stdout + run("verfy").stderr
