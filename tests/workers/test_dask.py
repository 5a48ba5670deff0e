"""Parts done by a Dask cluster: of this machine, and of a scheduler and workers in processes of their own."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pgcheck.errors import EstimatorError, ExitStatus, UsageError, WorkerError
from pgcheck.workers.executor import HERE, Arrays, Part
from pgcheck.workers.processes import Processes
from tests.conftest import ROOT

if TYPE_CHECKING:
    from pgcheck.workers.dask import Cluster

PARTS = [(number, np.linspace(0.1, number, 5)) for number in range(60)]
SOON = 20  # seconds in which something is wanted that takes less than one on an idle machine


@dataclass(frozen=True)
class Waves:
    """Sums that depend on the order of their terms; some parts are slow, or do something else before."""

    seconds: float = 0.0
    slow: int = -1
    before: "Callable[[int], None] | None" = None

    @property
    def label(self) -> str:
        return "adding waves"

    def __call__(self, part: Part) -> Arrays:
        number, points = part
        if self.before is not None:
            self.before(number)
        if self.seconds and self.slow in (-1, number):
            time.sleep(self.seconds)
        return np.exp(points) * np.pi, np.array(number), np.sin(points).sum(keepdims=True)


@dataclass(frozen=True)
class Die:
    """Kills the worker at some parts: always, or the first time."""

    numbers: tuple[int, ...]
    marks: Path | None = None

    def __call__(self, number: int) -> None:
        if number in self.numbers:
            if self.marks is not None:
                try:
                    (self.marks / str(number)).touch(exist_ok=False)
                except FileExistsError:
                    return
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Mark:
    """Leaves a file for each part that is begun, with the process that began it."""

    marks: Path

    def __call__(self, number: int) -> None:
        (self.marks / str(number)).write_text(str(os.getpid()))


def fail(number: int) -> None:
    """Fails with an error of the package at one part, at once; at another, that is earlier, after a while."""
    if number == 5:
        raise EstimatorError("the later part")
    if number == 3:
        time.sleep(0.5)
        raise EstimatorError("mine.py:f returned NaN", not_finite=True)


def divide(number: int) -> None:
    1 // (number - 3)


def bits(results: Iterator[Arrays]) -> list[list[tuple[bytes, str, tuple[int, ...]]]]:
    return [[(array.tobytes(), str(array.dtype), array.shape) for array in arrays] for arrays in results]


EXPECTED = bits(HERE.map(Waves(), PARTS))


def eventually(holds: Callable[[], object]) -> bool:
    """Whether something comes to hold."""
    until = time.monotonic() + SOON
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def cluster_at(address: str) -> "Cluster":
    from pgcheck.workers.dask import Cluster

    return Cluster(address)


@pytest.fixture(scope="module")
def cluster() -> "Iterator[Cluster]":
    with cluster_at("local:2") as cluster:
        yield cluster


@pytest.mark.dask
def test_the_bits_are_those_of_this_process_and_of_processes(cluster: "Cluster") -> None:
    with Processes(2) as processes:
        assert bits(processes.map(Waves(), PARTS)) == EXPECTED
    assert bits(cluster.map(Waves(), PARTS)) == EXPECTED
    assert bits(cluster.map(Waves(), PARTS[:1])) == EXPECTED[:1]
    assert bits(cluster.map(Waves(), [])) == []
    for array in next(cluster.map(Waves(), PARTS)):
        array += 1  # what comes back can be added to


@pytest.mark.dask
@pytest.mark.parametrize("numbers", [(7,), (6, 7, 8), (0, 30, 59)], ids=str)
def test_a_worker_that_is_killed_is_replaced_and_its_parts_done_again(
    cluster: "Cluster", numbers: tuple[int, ...], tmp_path: Path
) -> None:
    assert bits(cluster.map(Waves(before=Die(numbers, tmp_path)), PARTS)) == EXPECTED
    assert len(list(tmp_path.iterdir())) == len(numbers)


@pytest.mark.dask
def test_all_workers_killed_at_once_lose_nothing_either(cluster: "Cluster", tmp_path: Path) -> None:
    results = cluster.map(Waves(0.02, before=Mark(tmp_path)), PARTS)
    first = [next(results) for _ in range(3)]
    for pid in {int(mark.read_text() or "0") for mark in tmp_path.iterdir()} - {0}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert bits(iter(first)) + bits(results) == EXPECTED


@pytest.mark.dask
def test_a_worker_that_is_closed_hands_its_parts_over() -> None:
    import distributed

    with cluster_at("local:2") as cluster:
        results = cluster.map(Waves(0.02), PARTS)
        first = [next(results) for _ in range(3)]
        with distributed.Client(cluster.scheduler, set_as_default=False) as other:
            workers = sorted(other.nthreads())
            other.retire_workers(workers[:1])
            assert bits(iter(first)) + bits(results) == EXPECTED
            assert workers[1] in other.nthreads()


@pytest.mark.dask
def test_a_part_that_kills_every_worker_is_given_up_by_name(cluster: "Cluster") -> None:
    with pytest.raises(WorkerError) as caught:
        list(cluster.map(Waves(before=Die((4,))), PARTS))
    assert str(caught.value).startswith("adding waves: part 5 of 60 was given up: 3 workers died at it.")
    assert caught.value.exit_status == ExitStatus.FAULT
    assert bits(cluster.map(Waves(), PARTS)) == EXPECTED  # the cluster is as good as before


@pytest.mark.dask
def test_the_first_error_in_the_order_of_the_parts_comes_back_as_itself(cluster: "Cluster") -> None:
    results = cluster.map(Waves(before=fail), PARTS)
    assert bits(next(results) for _ in range(3)) == EXPECTED[:3]
    with pytest.raises(EstimatorError, match=r"^mine\.py:f returned NaN$") as caught:
        next(results)
    assert caught.value.not_finite
    with pytest.raises(ZeroDivisionError) as bug:
        list(cluster.map(Waves(before=divide), PARTS))
    assert any(entry.name == "divide" for entry in bug.traceback)  # where it happened, for a report


@pytest.mark.dask
def test_parts_wait_for_a_slow_first_one_and_are_dropped_when_nobody_wants_them(
    cluster: "Cluster", tmp_path: Path
) -> None:
    from pgcheck.workers.dask import AHEAD

    many = [(number, np.ones(1)) for number in range(500)]
    results = cluster.map(Waves(1.5, slow=0, before=Mark(tmp_path)), many)
    next(results)
    assert 2 * AHEAD - 1 <= len(list(tmp_path.iterdir())) <= 2 * AHEAD + 2
    results.close()  # type: ignore[attr-defined]
    assert eventually(lambda: number_of_tasks(cluster) == 0)
    begun = len(list(tmp_path.iterdir()))
    assert begun < 4 * AHEAD
    assert bits(cluster.map(Waves(), PARTS)) == EXPECTED
    assert len(list(tmp_path.iterdir())) == begun


def number_of_tasks(cluster: "Cluster") -> int:
    """How many tasks the scheduler knows."""
    import distributed

    with distributed.Client(cluster.scheduler, set_as_default=False) as other:
        return int(other.run_on_scheduler(_count))


def _count(dask_scheduler: Any) -> int:
    return len(dask_scheduler.tasks)


@pytest.mark.dask
@pytest.mark.parametrize(
    "address",
    [
        "",
        "local",
        "local:0",
        "local:-1",
        "local:two",
        "host",
        "host:",
        ":8786",
        "http://host:8786",
        "tcp://host",
        "a b:1",
    ],
)
def test_what_is_no_address_is_refused_before_anything_starts(address: str) -> None:
    with pytest.raises(UsageError, match=r"--scheduler .*: not an address; expected tcp://HOST:8786"):
        cluster_at(address)


@pytest.mark.dask
@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.1:8786", "tls://host:1", "host:8786", "tcp://[::1]:8786", "local:3"]
)
def test_what_is_an_address_is_not(address: str) -> None:
    assert cluster_at(address).address == address


def test_without_dask_the_message_says_what_to_install() -> None:
    code = (
        "import sys\nsys.modules['distributed'] = None\nfrom pgcheck.errors import UsageError\n"
        "try:\n  import pgcheck.workers.dask\nexcept UsageError as error:\n  print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "a scheduler needs Dask: pip install 'pgcheck[dask]'\n"
