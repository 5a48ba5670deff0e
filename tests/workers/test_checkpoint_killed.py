"""A process is killed at random moments, and begun again until it is done."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pgcheck.workers import processes
from tests.conftest import HANG, ROOT
from tests.workers.logged import Logged, begun, digest

PARTS = 80


def kill_at_random(command: list[str], log: str, rng: np.random.Generator) -> None:
    """Starts a command, and kills it: while it starts and opens the file, or between some parts and the next."""
    before = len(begun(log))
    target = before + (int(rng.integers(1, 9)) if rng.random() < 0.7 else 0)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while len(begun(log)) < target and process.poll() is None:
            time.sleep(0.001)
        time.sleep(rng.uniform(0.0, 0.03 if target > before else 0.4))
        process.kill()


@pytest.mark.parametrize(
    ("workers", "kills", "in_hand", "disk"),
    [(1, 20, 1, "ext4"), (1, 3, 1, "nfs4"), (2, 3, 2 * processes.AHEAD, "ext4")],
)
def test_killed_at_any_moment_it_goes_on_with_the_same_bits(
    workers: int, kills: int, in_hand: int, disk: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng([15, workers])
    file, log = tmp_path / "folder" / "run.ckpt", str(tmp_path / "log")
    file.parent.mkdir()
    command = [
        sys.executable,
        "-m",
        "tests.workers.logged",
        str(file),
        log,
        str(PARTS),
        str(workers),
        str(tmp_path / "mounts"),
    ]
    (tmp_path / "mounts").write_text(f"/dev/sda / {disk} rw 0 0\n")
    for _ in range(kills):
        kill_at_random(command, log, rng)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG, check=True)
    assert done.stdout.strip() == digest([Logged(f"{log}-plain")(part) for part in range(PARTS)])
    times = Counter(begun(log))
    assert set(times) == set(range(PARTS))
    assert times.total() - PARTS <= kills * in_hand
    assert [path.name for path in file.parent.iterdir()] == [file.name]
