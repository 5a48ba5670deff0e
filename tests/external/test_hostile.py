"""Estimators that attack the pipe to their judge: an error each time, and no answer that they did not return."""

import itertools
import os
import textwrap
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from pgcheck import MDP, Batch, Policy
from pgcheck.errors import EstimatorError
from pgcheck.external import requests, wire
from pgcheck.external.estimator_process import LOT_GROWTH, Process
from pgcheck.external.opening import opened
from pgcheck.trajectories.paths import listed

# What the module of each estimator starts with: `ends` are the descriptors of pipes that it can reach.
TOOLS = """
import json, os, signal, socket, stat, struct, subprocess, sys, threading, time
import numpy as np
import pgcheck.external.wire as wire
from pgcheck.external.wire import send_answer

def answer(batch):
    return np.ones((len(batch), *batch.theta.shape))

def is_end(descriptor):
    try:
        return stat.S_ISSOCK(os.fstat(descriptor).st_mode) or stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except OSError:
        return False

ends = list(filter(is_end, range(3, 64)))
descriptors = [number for number in range(3, 64) if os.path.exists(f"/proc/self/fd/{number}")]

def write(message):
    for descriptor in ends:
        os.write(descriptor, message)

def write_frame(text):
    write(struct.pack("!i", len(text)) + text)

def header(number, batch):
    return json.dumps({"number": number, "shape": answer(batch).shape, "per_episode": True}).encode()

def sent_instead(function):
    wire.send_answer = function
"""

DISTURBED = "interfered with the pipe to pgcheck"
CLOSED = "closed the pipe to pgcheck"
LATE = "did not answer within"

# What an estimator does before it returns, and what is said of it.
ATTACKS = {
    "answers to numbers to come": ("for k in range(20): write_frame(header(k, batch))", DISTURBED),
    "an answer without a number": ("write_frame(header(None, batch))", DISTURBED),
    "a line of JSON": ('write(b\'{"number": 3, "bytes": 0}\\n\')', DISTURBED),
    "100 MB of noise": (
        "for d in descriptors:\n    try:\n        for _ in range(100): os.write(d, os.urandom(10**6))\n"
        "    except OSError: pass",
        DISTURBED,
    ),
    "a message of 2 GB": ("write(struct.pack('!i', 2**31 - 1))", DISTURBED),
    "a message of a negative length": ("write(struct.pack('!i', -5))", DISTURBED),
    "deep JSON": ("write_frame(b'[' * 10**5)", DISTURBED),
    "a message that drips in": (
        "write(struct.pack('!i', 1000))\nwhile True: write(b' '); time.sleep(0.02)",
        LATE,
    ),
    "a thread that answers later": (
        "threading.Thread(target=lambda: [(write_frame(b'{}'), time.sleep(0.01)) for _ in range(1000)]).start()",
        DISTURBED,
    ),
    "a forked copy that answers": ("os._exit = lambda status: None; os.fork()", DISTURBED),
    "two answers": ("sent_instead(lambda *a: (send_answer(*a), send_answer(*a)))", DISTURBED),
    "a pickle": ("sent_instead(lambda c, n, a: c.send(print))", DISTURBED),
    "too few numbers": (
        "sent_instead(lambda c, n, a: (c.send_bytes(header(n, batch)), c.send_bytes(a.arrays[0].tobytes()[8:])))",
        DISTURBED,
    ),
    "numbers that are not finite": (
        "sent_instead(lambda c, n, a: (c.send_bytes(header(n, batch)), c.send_bytes((a.arrays[0] / 0).tobytes())))",
        DISTURBED,
    ),
    "no answer": ("sent_instead(lambda *a: None)", LATE),
    "answers to nowhere": (
        "null = os.open(os.devnull, os.O_RDWR)\nfor d in ends: os.dup2(null, d)",
        "ended its process with status 0",
    ),
    "shutdown": ("for d in ends: socket.socket(fileno=os.dup(d)).shutdown(socket.SHUT_RDWR)", CLOSED),
    "other files in place of the pipe": (
        "os.closerange(3, 100); batch.__dict__['files'] = [open(os.devnull) for _ in range(30)]",
        CLOSED,
    ),
    "a stopped process": ("os.kill(os.getpid(), signal.SIGSTOP)", LATE),
    "a process that holds the pipe and left the group": (
        "if os.fork() == 0: os.setsid(); time.sleep(5); os._exit(0)\ntime.sleep(100)",
        LATE,
    ),
    "a stack that overflows": (
        "sys.setrecursionlimit(10**9)\nclass Deep:\n"
        "    def __getattr__(self, name): return getattr(self, name + 'x')\nDeep().name",
        "killed by SIGSEGV",
    ),
    "an alarm": ("signal.setitimer(signal.ITIMER_REAL, 0.01); time.sleep(10)", "killed by SIGALRM"),
    "standard input": ("input()", "raised EOFError"),
}

HARMLESS = {
    "copies of copies": "os.fork(); os.fork()",
    "a program that reads": "assert subprocess.run(['cat'], capture_output=True).stdout == b''",
    "no standard descriptors": "os.closerange(0, 3)",
}


@pytest.fixture
def batch(two_state: tuple[MDP, Policy]) -> Batch:
    return listed(*two_state)[0]


def written(folder: Path, code: str, on_import: str = "") -> str:
    """Returns the place of an estimator that runs `code` and then returns an answer."""
    body = textwrap.indent(code or "pass", "    ")
    (folder / "mine.py").write_text(f"{TOOLS}\n{on_import}\ndef estimate(batch):\n{body}\n    return answer(batch)\n")
    return f"{folder / 'mine.py'}:estimate"


@contextmanager
def process_of(spec: str, *, timeout: float) -> Iterator[Process]:
    """Yields the estimator in a process of its own."""
    with opened(spec, timeout=timeout) as process:
        assert isinstance(process, Process)
        yield process


def call_in_turn(opening: AbstractContextManager[Process], *batches: Batch) -> None:
    """Calls the estimator, with a moment between the calls in which its threads go on."""
    with opening as process:
        for batch in batches:
            process(batch)
            time.sleep(0.02)


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_an_attack_is_an_error(tmp_path: Path, batch: Batch, name: str) -> None:
    code, message = ATTACKS[name]
    process = process_of(written(tmp_path, code), timeout=2 if message == LATE else 30)
    with pytest.raises(EstimatorError, match=message):
        call_in_turn(process, batch, batch, batch)


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_no_harm_is_no_error(tmp_path: Path, batch: Batch, name: str) -> None:
    with process_of(written(tmp_path, HARMLESS[name]), timeout=30) as process:
        for _ in range(3):
            assert np.array_equal(process(batch), np.ones((len(batch), *batch.theta.shape)))


def test_a_copy_forked_on_import_does_not_answer(tmp_path: Path, batch: Batch) -> None:
    with process_of(written(tmp_path, "", on_import="os.fork()"), timeout=30) as process:
        for _ in range(3):
            process(batch)


def test_a_large_request_that_is_never_read_runs_into_the_timeout(tmp_path: Path, batch: Batch) -> None:
    large = batch.part(np.zeros(200_000, dtype=np.int64))
    process = process_of(written(tmp_path, "wire.receive_request = lambda end: time.sleep(1000)"), timeout=2)
    with pytest.raises(EstimatorError, match=LATE):
        call_in_turn(process, batch, large)


def test_processes_that_the_estimator_started_end_with_it(tmp_path: Path, batch: Batch) -> None:
    code = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(subprocess.Popen(['sleep', '1000']).pid))"
    with process_of(written(tmp_path, code), timeout=30) as process:
        process(batch)
        pid = int((tmp_path / "pid").read_text())
        assert is_running(pid)
    for _ in range(100):
        if not is_running(pid):
            return
        time.sleep(0.1)
    pytest.fail("the process goes on")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_lots_of_small_batches_grow_at_most_fourfold(
    tmp_path: Path, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    send = wire.send_request

    def counted(connection: Connection, number: int, request: requests.Request) -> None:
        if isinstance(request, requests.Call):
            assert request.index is not None
            sizes.append(len(request.index))
        send(connection, number, request)

    monkeypatch.setattr(wire, "send_request", counted)
    index = np.zeros((1000, 2), dtype=np.int64)
    with process_of(written(tmp_path, ""), timeout=30) as process:
        gradients = process.of_batches(batch, index)
    assert len(gradients) == sum(sizes) == 1000
    assert sizes[0] == 1
    assert all(after <= LOT_GROWTH * before for before, after in itertools.pairwise(sizes))


@pytest.mark.parametrize("closed", [(0,), (0, 1), (0, 1, 2)])
def test_standard_descriptors_may_be_closed(tmp_path: Path, batch: Batch, closed: tuple[int, ...]) -> None:
    spec = written(tmp_path, "print('hello')")
    copies = {number: os.dup(number) for number in closed}
    try:
        for number in closed:
            os.close(number)
        with process_of(spec, timeout=30) as process:
            process(batch)
            taken = [number for number in closed if os.path.exists(f"/proc/self/fd/{number}")]
    finally:
        for number, copy in copies.items():
            os.dup2(copy, number)
            os.close(copy)
    assert not taken
