"""The process of a program: what it writes to standard error, how it ends, and what is left of it."""

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Run, pgcheck_command
from tests.external.programs import LOOP, RIGHT, UNDISCOUNTED, answering, program


def test_what_it_writes_to_standard_error_is_passed_on(run: Run, tmp_path: Path) -> None:
    talks = f"print('batch', count, file=sys.stderr); {RIGHT}"
    done = run("verify", answering(tmp_path, talks), "two_state")
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert lines[:10] == [f"batch {number}" for number in range(1, 11)]
    assert lines[10].startswith("... and ")
    done = run("verify", answering(tmp_path, "raise ValueError('mine')"), "two_state")
    assert "ValueError: mine" in done.stderr
    assert done.stderr.index("ValueError: mine") < done.stderr.index("ended with status 1")


def test_a_program_that_fails_on_some_batches_is_asked_on_as_a_function_is(run: Run, tmp_path: Path) -> None:
    """The baseline of an episode is the mean of the others: there are none in a batch of one."""
    body = """returns = [sum(e["rewards"]) for e in message["episodes"]]  # of one step
    n = len(returns)
    rows = []
    for e, value in zip(message["episodes"], returns):
        weight = value - (sum(returns) - value) / (n - 1)
        rows.append(flat(header, table(header, {**e, "rewards": [weight]})))
    print(json.dumps([sum(column) / n for column in zip(*rows)]), flush=True)"""
    done = run("verify", answering(tmp_path, body), "bandit", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert [entry["batch_size"] for entry in json.loads(done.stdout)["models"]] == [2, 3]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().split()[2] != "Z"


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_program_and_what_it_has_started(tmp_path: Path, number: int) -> None:
    starts = "import subprocess; child = subprocess.Popen(['sleep', '100'])\n    "
    starts += f"open({str(tmp_path / 'pids')!r}, 'w').write(f'{{os.getpid()}} {{child.pid}} ')\n    time.sleep(100)"
    spec = answering(tmp_path, starts)
    pgcheck = subprocess.Popen([*pgcheck_command(), "verify", spec, "two_state"], stderr=subprocess.PIPE)
    pids = tmp_path / "pids"
    assert wait_until(lambda: pids.exists() and pids.read_text().endswith(" "))
    pgcheck.send_signal(number)
    _, error = pgcheck.communicate(timeout=60)
    assert pgcheck.returncode == 128 + number
    assert b"Traceback" not in error
    assert wait_until(lambda: not any(alive(pid) for pid in map(int, pids.read_text().split())))


def test_the_end_of_its_input_lets_a_program_end_by_itself(run: Run, tmp_path: Path) -> None:
    source = LOOP.replace("BODY", RIGHT) + "open('ended', 'w').write('by itself')\n"
    assert run("verify", program(tmp_path, source), "bandit").returncode == 0
    assert (tmp_path / "ended").read_text() == "by itself"


def test_a_program_that_does_not_end_is_killed(run: Run, tmp_path: Path) -> None:
    source = "open('pid', 'w').write(str(os.getpid()))\n" + LOOP.replace("BODY", RIGHT) + "time.sleep(1000)\n"
    assert run("verify", program(tmp_path, source), "bandit").returncode == 0
    assert not alive(int((tmp_path / "pid").read_text()))


def test_several_programs_are_judged_side_by_side(run: Run, tmp_path: Path) -> None:
    (tmp_path / "wrong").mkdir()
    right, wrong = answering(tmp_path, RIGHT), answering(tmp_path / "wrong", UNDISCOUNTED)
    done = run("verify", right, wrong, "cmd:./absent", "reinforce", "two_state", "--format", "json")
    assert done.returncode == 1
    verdicts = [entry["verdict"] for entry in json.loads(done.stdout)["estimators"]]
    assert verdicts == ["pass", "fail", "error", "pass"]
    told = run("verify", right, wrong, "two_state").stdout
    assert told.endswith(f"for the details of one: pgcheck verify {shlex.quote(wrong)}\n")
