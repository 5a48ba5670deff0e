"""Parts that processes do: in order, the same bits, whatever becomes of the processes."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pgcheck.errors import UsageError, WorkerError
from pgcheck.workers.automatic import Automatic
from pgcheck.workers.executor import HERE, Arrays, Executor
from pgcheck.workers.processes import TRIES, Processes

TWO = Processes(2)


@dataclass(frozen=True)
class Squares:
    """Squares a part, which may say what else becomes of it."""

    seconds: float = 0.0
    label: str = "squaring"

    def __call__(self, part: tuple[float, str], /) -> Arrays:
        number, deed = part
        time.sleep(self.seconds)
        kind, _, flag = deed.partition(" ")
        if kind == "die" or (kind == "die-once" and os.path.exists(flag)):
            if flag:
                os.remove(flag)
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "raise":
            raise UsageError(f"part {number:g} is at fault")
        return np.array(number) ** 2, np.array([os.getpid()])


def parts(*deeds: str) -> list[tuple[float, str]]:
    return [(number + 0.1, deed) for number, deed in enumerate(deeds)]


def squares(executor: Executor, given: list[tuple[float, str]], seconds: float = 0.0) -> list[float]:
    return [float(square) for square, _ in executor.map(Squares(seconds), given)]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_order_with_the_same_bits(workers: int) -> None:
    many = parts(*[""] * 100)
    with Processes(workers) as executor:
        assert squares(executor, many) == squares(HERE, many) == [(number + 0.1) ** 2 for number in range(100)]


def test_several_processes_do_the_parts_and_not_this_one() -> None:
    with Processes(2) as executor:
        pids = {int(pid[0]) for _, pid in executor.map(Squares(0.01), parts(*[""] * 40))}
    assert len(pids) == 2
    assert os.getpid() not in pids


def test_a_part_whose_process_is_killed_is_done_again(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    given = parts("", "", f"die-once {flag}", "", "")
    with Processes(2) as executor:
        assert squares(executor, given) == [(number + 0.1) ** 2 for number in range(5)]
    assert not flag.exists()


def test_a_part_that_kills_three_processes_is_named() -> None:
    with Processes(2) as executor:
        with pytest.raises(WorkerError, match="squaring: part 2 of 3 was given up: 3 workers died at it") as caught:
            squares(executor, parts("", "die", ""))
        assert caught.value.exit_status == 2
        assert caught.value.tries == TRIES
        assert len(squares(executor, parts("", ""))) == 2  # the others go on


def test_the_first_error_in_the_order_of_the_parts_decides() -> None:
    given = parts("", "raise", "raise", "")
    for executor in (HERE, TWO):
        with TWO, pytest.raises(UsageError, match=r"part 1\.1 is at fault"):
            squares(executor, given)


def test_what_is_under_way_is_dropped_when_nobody_asks_for_more() -> None:
    with Processes(2) as executor:
        results = executor.map(Squares(0.2), parts(*[""] * 1000))
        next(results)
        results.close()  # type: ignore[attr-defined]
        since = time.monotonic()
        assert squares(executor, parts("", "")) == [0.1**2, 1.1**2]
        assert time.monotonic() - since < 100  # not the 200 s that the rest would take


SCRIPT = """
import sys, time
from tests.workers.test_processes import Squares, parts
from pgcheck.workers.processes import Processes
if __name__ == "__main__":
    with Processes(2) as executor:
        for square, pid in executor.map(Squares(0.05), parts(*[""] * 10_000)):
            print(int(pid[0]), flush=True)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_its_parent(which: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    child = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stderr is not None
    pids = {int(child.stdout.readline()) for _ in range(6)}
    assert all(map(alive, pids))
    if which == signal.SIGINT:
        os.killpg(child.pid, which)  # as a terminal does it
    else:
        child.kill()
    since = time.monotonic()
    said = child.stderr.read()
    child.wait()
    while any(map(alive, pids)) and time.monotonic() < since + 20:
        time.sleep(0.01)
    assert not any(map(alive, pids))
    assert said.count("Traceback") == (which == signal.SIGINT)  # that of the parent alone
    child.stdout.close()
    child.stderr.close()


def test_short_work_is_done_here() -> None:
    told: list[tuple[float, int]] = []
    with Automatic(lambda seconds, workers: told.append((seconds, workers)), 2) as executor:
        pids = {int(pid[0]) for _, pid in executor.map(Squares(), parts(*[""] * 100))}
    assert pids == {os.getpid()}
    assert told == []


def test_long_work_is_shared_and_it_is_said_how_long() -> None:
    told: list[tuple[float, int]] = []
    with Automatic(lambda seconds, workers: told.append((seconds, workers)), 2) as executor:
        results = executor.map(Squares(0.2), parts(*[""] * 1000))
        pids = [int(next(results)[1][0]) for _ in range(10)]
        results.close()  # type: ignore[attr-defined]
    assert pids[0] == os.getpid()
    assert pids[-1] != os.getpid()
    ((seconds, workers),) = told
    assert workers == 2
    assert seconds > 190
