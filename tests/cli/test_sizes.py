"""Large models and horizons end with a result or a clear refusal, in bounded time and memory."""

import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import Run, pgcheck_command


def measured(words: list[str], seconds: float) -> tuple[int, str, str, float]:
    """Exit status, output, errors and peak memory in MB of a command that must end in some seconds."""
    code = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]);"
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024;"
        "print(chr(10) + str(peak), file=sys.stderr); sys.exit(done.returncode)"
    )
    begin = time.monotonic()
    command = [pgcheck_command()[0], "-c", code, *pgcheck_command(), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=4 * seconds, check=False)
    assert time.monotonic() - begin < seconds
    errors, _, peak = done.stderr.rstrip().rpartition("\n")
    return done.returncode, done.stdout, errors, float(peak)


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100,000 states, 10 actions, a million rows."""
    path = tmp_path_factory.mktemp("large") / "million.yaml"
    n = 100_000
    with path.open("w") as file:
        file.write(f"horizon: 20\ngamma: 0.99\nstates: {n}\nactions: 10\nstart: 0\ntransitions:\n")
        file.write("  columns: [state, action, to, p, reward]\n  rows:\n")
        for s in range(n):
            for a in range(10):
                file.write(f"    - [{s}, {a}, {(s * 7 + a * 13 + 1) % n}, 1, {(s * 31 + a * 17) % 100 / 100}]\n")
    return path


def test_a_million_rows_are_solved(million: Path) -> None:
    # Twice the time that it takes on a slow machine by itself; memory is what it is everywhere.
    status, output, _, peak = measured(["exact", str(million)], seconds=40)
    assert status == 0
    assert output.startswith("million: 100,000 states, 10 actions")
    assert "the first 2,000 rows; --format csv or jsonl prints all" in output
    assert peak < 1500


@pytest.mark.parametrize("horizon", ["1e5", "1e9", "1e15"])
@pytest.mark.parametrize("model", ["two_state", "frozen_lake", "river_swim", "bandit"])
@pytest.mark.parametrize("command", ["exact", "sample", "show"])
def test_a_long_horizon_ends_with_a_result_or_a_refusal(command: str, model: str, horizon: str) -> None:
    status, output, errors, peak = measured([command, model, "--horizon", horizon], seconds=60)
    assert status in (0, 2)
    assert (status == 0) == bool(output)
    assert status == 0 or "Lower the horizon" in errors
    assert "Traceback" not in errors
    assert peak < 1500
    assert "nan" not in output


def test_a_tree_too_deep_to_walk_is_refused(run: Run) -> None:
    done = run("trajectories", "--horizon", "1000000", "--n", "1e6", "-", stdin=CHAIN)
    assert done.returncode == 2
    assert "trajectories of more than 100,000 steps" in done.stderr
    assert "Lower the horizon from 1,000,000." in done.stderr


CHAIN = "{horizon: 1, states: 1, actions: 2, start: 0, transitions: {0: {0: {to: 0, reward: 1}}}}"


def test_too_many_pairs_are_refused_before_memory_is_taken(run: Run) -> None:
    status, _, errors, peak = measured(["exact", "/dev/null"], seconds=20)
    assert (status, peak < 200) == (2, True)
    assert "not a regular file" in errors
    done = run("exact", "-", stdin="{horizon: 1, states: 100000, actions: 100000, start: 0, transitions: {}}")
    assert done.returncode == 2
    assert "100,000 states x 100,000 actions" in done.stderr
