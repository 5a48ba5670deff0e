"""Large models and horizons end with a result or a clear refusal, in bounded time and memory.

No test measures time: where work grew with a horizon of 1e15 steps, or as the square of a file's rows, the command
would run into the limit on processor time, which is a hundred times what it takes.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pgcheck.trajectories.tree import MAX_DEPTH
from tests.conftest import HANG, Run

MOST_MEMORY = 1500  # MB

# Runs several command lines in turn. Each one's output goes to a file, its errors are told apart by a mark.
SCRIPT = """
import json, resource, sys
from pgcheck.cli.main import run
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[1]),) * 2)
for number, words in enumerate(json.loads(sys.argv[2])):
    status = run([*words, "-o", f"{number}.txt"])
    print("\\0", status, "\\0", sep="", end="", file=sys.stderr)
if sys.platform == "linux":  # where ru_maxrss holds what the process took that started this one, too
    peak = next(int(line.split()[1]) // 2**10 for line in open("/proc/self/status") if line.startswith("VmHWM"))
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**20
print(peak, file=sys.stderr)
"""


@dataclass(frozen=True)
class Ending:
    """How a command ended: exit status, output, errors."""

    status: int
    output: str
    errors: str


def endings(folder: Path, *command_lines: list[str]) -> tuple[list[Ending], int]:
    """How each of several command lines ended in one process, and that process's peak memory in MB."""
    command = [sys.executable, "-c", SCRIPT, str(HANG // 2), json.dumps(command_lines)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=HANG, check=True)
    *parts, peak = done.stderr.split("\0")
    outputs = [folder / f"{number}.txt" for number in range(len(command_lines))]
    return [
        Ending(int(status), file.read_text() if file.exists() else "", errors)
        for errors, status, file in zip(parts[::2], parts[1::2], outputs, strict=True)
    ], int(peak)


@pytest.fixture(scope="module")
def many_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10,000 states, 10 actions, 100,000 rows."""
    path = tmp_path_factory.mktemp("large") / "many-rows.yaml"
    n = 10_000
    with path.open("w") as file:
        file.write(f"horizon: 20\ngamma: 0.99\nstates: {n}\nactions: 10\nstart: 0\ntransitions:\n")
        file.write("  columns: [state, action, to, p, reward]\n  rows:\n")
        for s in range(n):
            for a in range(10):
                file.write(f"    - [{s}, {a}, {(s * 7 + a * 13 + 1) % n}, 1, {(s * 31 + a * 17) % 100 / 100}]\n")
    return path


def test_many_rows_are_solved(many_rows: Path, tmp_path: Path) -> None:
    (ending,), peak = endings(tmp_path, ["exact", str(many_rows)])
    assert ending.status == 0
    assert ending.output.startswith("many-rows: 10,000 states, 10 actions")
    assert "the first 2,000 rows; --format csv or jsonl prints all" in ending.output
    # A million rows then fit into MOST_MEMORY, beside the 60 MB that start-up takes.
    assert peak < 60 + (MOST_MEMORY - 60) / 10


SLOW = [
    ("sample", "frozen_lake"), ("sample", "river_swim"), ("show", "frozen_lake"), ("show", "river_swim"),
    ("exact", "frozen_lake"), ("exact", "two_state"), ("show", "two_state"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "model"),
    [
        pytest.param(command, model, marks=[pytest.mark.slow] * ((command, model) in SLOW))
        for command in ("exact", "sample", "show")
        for model in ("two_state", "frozen_lake", "river_swim", "bandit")
    ],
)
def test_a_long_horizon_ends_with_a_result_or_a_refusal(command: str, model: str, tmp_path: Path) -> None:
    horizons = ("2e4", "1e9", "1e15")
    found, peak = endings(tmp_path, *([command, model, "--horizon", horizon] for horizon in horizons))
    for ending in found:
        assert ending.status in (0, 2)
        assert (ending.status == 0) == bool(ending.output)
        assert ending.status == 0 or "Lower the horizon" in ending.errors
        assert "Traceback" not in ending.errors
        assert "nan" not in ending.output
    assert peak < MOST_MEMORY


@pytest.mark.parametrize("deepest", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_tree_too_deep_to_walk_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch, deepest: int) -> None:
    if deepest != MAX_DEPTH:
        monkeypatch.setattr("pgcheck.trajectories.tree.MAX_DEPTH", deepest)
    done = run("trajectories", "--horizon", "1000000", "--n", "1e6", "-", stdin=CHAIN)
    assert done.returncode == 2
    assert f"trajectories of more than {deepest:,} steps" in done.stderr
    assert "Lower the horizon from 1,000,000." in done.stderr


CHAIN = "{horizon: 1, states: 1, actions: 2, start: 0, transitions: {0: {0: {to: 0, reward: 1}}}}"


def test_too_many_pairs_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "pairs.yaml").write_text("{horizon: 1, states: 100000, actions: 100000, start: 0, transitions: {}}")
    found, peak = endings(tmp_path, ["exact", "/dev/null"], ["exact", "pairs.yaml"])
    assert [ending.status for ending in found] == [2, 2]
    assert "not a regular file" in found[0].errors
    assert "100,000 states x 100,000 actions" in found[1].errors
    assert peak < 500  # a byte a pair would be 10 GB
