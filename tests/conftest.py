import gc
import importlib.util
import io
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

import pgcheck
from pgcheck import MDP, Policy
from pgcheck.cli.main import run as run_command_line

ROOT = Path(__file__).resolve().parent.parent

Run = Callable[..., "subprocess.CompletedProcess[str]"]

HANG = 600  # seconds after which a process is taken to hang; all of them end within seconds, or minutes under load
NEEDED = (  # a mark, the module that tests with it need, and what installs that
    ("torch", "torch", "'pgcheck[torch]'"), ("jax", "jax", "'pgcheck[jax]'"),
    ("gymnasium", "gymnasium", "'pgcheck[gymnasium]'"), ("sb3", "stable_baselines3", "stable-baselines3"),
    ("dask", "distributed", "'pgcheck[dask]'"), ("plot", "matplotlib", "'pgcheck[plot]'"),
    ("html", "jinja2", "'pgcheck[report]'"), ("html", "matplotlib", "'pgcheck[report]'"),
    ("chromium", "playwright", "playwright"), ("notebook", "nbclient", "nbclient ipykernel"),
    ("docs", "mkdocs", "'pgcheck[docs]'"),
)  # fmt: skip
FROZEN = {"modules": 0}  # how many had been imported when their objects were last frozen
TERMINAL_VARIABLES = ("PYTHONUNBUFFERED", "NO_COLOR", "FORCE_COLOR")


def pytest_configure() -> None:
    """Lets processes that tests start heed Ctrl-C, also where a shell runs the tests in the background without it."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips the tests that need a library that is not installed, and those that take long unless asked for."""
    if not os.environ.get("PGCHECK_SLOW"):
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="takes long: PGCHECK_SLOW=1 runs it"))
    for mark, module, install in NEEDED:
        if importlib.util.find_spec(module) is None:
            skip = pytest.mark.skip(reason=f"needs {module}: pip install {install}")
            for item in items:
                if item.get_closest_marker(mark):
                    item.add_marker(skip)


def pytest_runtest_setup() -> None:
    """Takes what has been imported out of what the collector goes through.

    It holds no generator of a test, but hundreds of thousands of objects once torch is there, and each agent's guard
    looks at all that the collector knows.
    """
    if len(sys.modules) > FROZEN["modules"] + 100:
        gc.freeze()
        FROZEN["modules"] = len(sys.modules)


def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter") -> None:  # pytest 8.0 has no such name
    """Says how many tests were skipped, and what they need: a line for each reason."""
    skipped = [report.longrepr for report in terminalreporter.stats.get("skipped", [])]
    reasons = Counter(reason[2].removeprefix("Skipped: ") for reason in skipped if isinstance(reason, tuple))
    for reason, count in reasons.items():
        were = "test was" if count == 1 else "tests were"
        terminalreporter.write_line(f"{count} {were} skipped: {reason}")


@pytest.fixture
def two_state() -> tuple[MDP, Policy]:
    return pgcheck.load("two_state")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the command line in this process, in an empty folder, and returns what it printed.

    A process costs half a second of start-up. `launch` pays it, for tests of processes, pipes and signals.
    """

    def command(
        *arguments: str, stdin: str = "", env: dict[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        with _global_state_restored() as patch, _captured() as output, _captured() as error:
            patch.chdir(tmp_path)
            for name in TERMINAL_VARIABLES:
                patch.delenv(name, raising=False)
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
            patch.setattr(sys, "stdout", output.stream)
            patch.setattr(sys, "stderr", error.stream)
            with _descriptor(2, error.stream.fileno()):  # where processes that the command starts write to
                status = run_command_line(list(arguments))
        return subprocess.CompletedProcess(arguments, status, output.text, error.text)

    return command


@pytest.fixture
def launch(tmp_path: Path) -> Run:
    """Runs the command as a user would, in a process of its own and an empty folder; returns what it printed."""

    def command(
        *arguments: str, stdin: str | None = None, env: dict[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        environment = {name: value for name, value in os.environ.items() if name not in TERMINAL_VARIABLES}
        return subprocess.run(
            [*pgcheck_command(), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=tmp_path,
            env=environment | {"PYTHONIOENCODING": "utf-8"} | (env or {}),
            timeout=HANG,
            check=False,
        )

    return command


def pgcheck_command() -> Sequence[str]:
    return [sys.executable, "-m", "pgcheck"]


class Captured:
    """A stream with a file descriptor, as the command line needs one, and the text that was written to it."""

    def __init__(self) -> None:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the stream owns and closes it
        self.stream = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="")
        self.text = ""


@contextmanager
def _captured() -> Iterator[Captured]:
    captured = Captured()
    # The command line may point the stream's own descriptor at nothing before it ends.
    reader = os.dup(captured.stream.fileno())
    try:
        yield captured
    finally:
        captured.stream.close()
        with open(reader, "rb") as file:
            file.seek(0)
            captured.text = file.read().decode()


@contextmanager
def _descriptor(number: int, target: int) -> Iterator[None]:
    """Lets a file descriptor lead elsewhere for a while."""
    saved = os.dup(number)
    os.dup2(target, number)
    try:
        yield
    finally:
        os.dup2(saved, number)
        os.close(saved)


@contextmanager
def _global_state_restored() -> Iterator[pytest.MonkeyPatch]:
    """What is patched, and what the command line sets for its whole process, is undone at the end."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    digits = sys.get_int_max_str_digits()
    try:
        with pytest.MonkeyPatch.context() as patch:
            yield patch
    finally:
        sys.set_int_max_str_digits(digits)
        for number, handler in handlers.items():
            signal.signal(number, handler)
