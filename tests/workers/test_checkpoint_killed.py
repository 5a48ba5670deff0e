"""A process is killed at random moments, and begun again until it is done."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest

from tests.conftest import HANG, ROOT
from tests.workers.logged import Logged, begun, digest

PARTS = 200


def kill_at_random(server: "subprocess.Popen[str]", arguments: list[str], rng: np.random.Generator) -> None:
    """Begins a process, and kills it: while it opens the file, or between some parts and the next."""
    assert server.stdin is not None
    assert server.stdout is not None
    log = arguments[1]
    target = len(begun(log)) + (int(rng.integers(1, 9)) if rng.random() < 0.7 else 0)
    server.stdin.write(json.dumps(arguments) + "\n")
    server.stdin.flush()
    number = int(server.stdout.readline())
    while len(begun(log)) < target:
        time.sleep(0.001)
    time.sleep(rng.uniform(0.0, 0.03))
    os.kill(number, signal.SIGKILL)
    assert int(server.stdout.readline()) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("workers", "kills", "in_hand", "disk"),
    [(1, 20, 1, "ext4"), (1, 3, 1, "nfs4"), (2, 3, 2, "ext4")],
)
def test_killed_at_any_moment_it_goes_on_with_the_same_bits(
    workers: int, kills: int, in_hand: int, disk: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng([15, workers])
    file, log = tmp_path / "folder" / "run.ckpt", str(tmp_path / "log")
    file.parent.mkdir()
    command = [sys.executable, "-m", "tests.workers.logged"]
    arguments = [str(file), log, str(PARTS), str(workers), str(tmp_path / "mounts")]
    (tmp_path / "mounts").write_text(f"/dev/sda / {disk} rw 0 0\n")
    with subprocess.Popen(command, cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        for _ in range(kills):
            kill_at_random(server, arguments, rng)
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=HANG, check=True)
    assert done.stdout.strip() == digest([Logged(f"{log}-plain")(part) for part in range(PARTS)])
    times = Counter(begun(log))
    assert set(times) == set(range(PARTS))
    assert times.total() - PARTS <= kills * in_hand
    assert [path.name for path in file.parent.iterdir()] == [file.name]
