"""The commands of the README and docs/ print what is said. `python -m tests.test_readme` writes their output anew."""

import doctest
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

README = ROOT / "README.md"
PAGES = (README, ROOT / "docs" / "models.md")
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?")
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)


def commands(block: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output that follows it."""
    parts = re.split(r"^\$ (.*)\n", block, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def real_output(command: str) -> str:
    """What a command prints, in a folder that holds the examples and the README's own model."""
    model = re.search(r"```yaml\n(name: coin\n.*?)```", README.read_text(), re.DOTALL)
    assert model is not None
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "coin.yaml").write_text(model[1])
        (Path(folder) / "examples").symlink_to(ROOT / "examples")
        (Path(folder) / "bin").mkdir()
        for name, arguments in (("pgcheck", "-m pgcheck "), ("python", "")):
            script = Path(folder) / "bin" / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}"$@"\n')
            script.chmod(0o755)
        unset = ("PYTHONUNBUFFERED", "NO_COLOR", "FORCE_COLOR")
        env = {k: v for k, v in os.environ.items() if k not in unset} | {"PYTHONIOENCODING": "utf-8"}
        env["PATH"] = f"{script.parent}:{env['PATH']}"
        done = subprocess.run(
            ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
            env=env, cwd=folder, timeout=120, check=False,
        )  # fmt: skip
    return done.stdout


SHOWN = [pair for page in PAGES for block in CONSOLE.findall(page.read_text()) for pair in commands(block)]


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
def test_a_command_prints_what_is_said(command: str, output: str) -> None:
    if "jq" in command and shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    printed = real_output(command)
    assert NUMBER.sub("0", printed) == NUMBER.sub("0", output)
    # The last digits may differ from one processor to another.
    for ours, told in zip(NUMBER.findall(printed), NUMBER.findall(output), strict=True):
        assert float(ours) == pytest.approx(float(told), rel=1e-4, abs=1e-12)


def test_the_python_session_is_real() -> None:
    session = re.search(r"```pycon\n(.*?)```", README.read_text(), re.DOTALL)
    assert session is not None
    test = doctest.DocTestParser().get_doctest(session[1], {}, "README", str(README), 0)
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


def test_every_command_is_in_the_readme() -> None:
    text = README.read_text()
    for name in (
        "exact",
        "sample",
        "converge",
        "verify",
        "plan",
        "compare",
        "estimators",
        "trajectories",
        "show",
        "models",
    ):
        assert f"`pgcheck {name}" in text
    assert SHOWN[0][0] == "pgcheck converge"
    assert len(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)) == 2  # the two that .ci/run runs


def write() -> None:
    def renewed(block: re.Match[str]) -> str:
        return "```console\n" + "".join(f"$ {c}\n{real_output(c)}" for c, _ in commands(block[1])) + "```"

    for page in PAGES:
        page.write_text(CONSOLE.sub(renewed, page.read_text()))


if __name__ == "__main__":
    write()
