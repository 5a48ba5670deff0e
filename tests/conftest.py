import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import pgcheck
from pgcheck import MDP, Policy

ROOT = Path(__file__).resolve().parent.parent

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def two_state() -> tuple[MDP, Policy]:
    return pgcheck.load("two_state")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the command as a user would, in an empty folder, and returns what it printed."""

    def command(
        *arguments: str, stdin: str | None = None, env: dict[str, str] | None = None, unbuffered: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        environment = {
            k: v for k, v in os.environ.items() if k not in ("PYTHONUNBUFFERED", "NO_COLOR", "FORCE_COLOR")
        }
        environment |= {"PYTHONIOENCODING": "utf-8"} | (env or {})
        if unbuffered:
            environment["PYTHONUNBUFFERED"] = "1"
        return subprocess.run(
            [*pgcheck_command(), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=tmp_path,
            env=environment,
            timeout=120,
            check=False,
        )

    return command


def pgcheck_command() -> Sequence[str]:
    return [sys.executable, "-m", "pgcheck"]
