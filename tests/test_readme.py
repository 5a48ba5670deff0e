"""The README: one idea a screen, in at most 180 lines. What its blocks say is checked by `tests/test_docs.py`."""

import re

import typer.main

from pgcheck.cli.app import app
from tests.pages import README, blocks, commands

LINES = 180
FIRST_SCREEN = 45  # lines


def test_it_is_read_in_a_minute() -> None:
    assert len(README.read_text().splitlines()) <= LINES


def test_the_first_screen_has_a_verdict_on_a_real_bug() -> None:
    first = next(block for block in blocks(README) if block.language == "console")
    ((command, output),) = commands(first.text)
    assert command.startswith("pgcheck verify examples/")
    assert ": FAIL\n" in output
    assert len(output.splitlines()) <= 20
    assert first.line + len(output.splitlines()) < FIRST_SCREEN


def test_every_command_is_in_the_readme() -> None:
    text = README.read_text()
    for name in typer.main.get_command(app).commands:  # type: ignore[attr-defined]
        assert f"`pgcheck {name}" in text, name


def test_it_has_two_blocks_that_a_shell_runs() -> None:
    shown = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)  # as .ci/run finds them
    install_and_run, install_and_test = (block.strip() for block in shown)
    assert install_and_run.endswith("&& .venv/bin/pgcheck converge")
    assert install_and_test.endswith("&& .venv/bin/python -m pytest")
    for block in (install_and_run, install_and_test):
        assert block.startswith("python3 -m venv .venv && .venv/bin/pip install -q ")
