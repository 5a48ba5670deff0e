"""Parts done by a Dask cluster: of this machine, and of a scheduler and workers in processes of their own."""

import contextlib
import json
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

import pgcheck
from pgcheck.errors import ClusterError, EstimatorError, ExitStatus, UsageError, WorkerError
from pgcheck.workers.executor import HERE, Arrays, Part
from pgcheck.workers.processes import Processes
from tests.conftest import HANG, ROOT

if TYPE_CHECKING:
    from pgcheck.workers.dask import Cluster

PARTS = [(number, np.linspace(0.1, number, 5)) for number in range(60)]
SOON = 60  # seconds in which something is wanted that takes one or two on an idle machine


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


def client_of(cluster: "Cluster") -> Any:
    """Another client of the same scheduler."""
    import distributed

    return distributed.Client(cluster.scheduler, set_as_default=False)


def cluster_at(address: str) -> "Cluster":
    from pgcheck.workers.dask import Cluster

    return Cluster(address)


@pytest.fixture(scope="module")
def started() -> "Iterator[Cluster]":
    with cluster_at("local:2") as cluster:
        yield cluster


@pytest.fixture
def cluster(started: "Cluster") -> "Cluster":
    """A cluster with both workers, whatever a test before did to them."""
    with client_of(started) as other:
        assert eventually(lambda: len(other.nthreads()) == 2)
    return started


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
    with cluster_at("local:2") as cluster:
        results = cluster.map(Waves(0.02), PARTS)
        first = [next(results) for _ in range(3)]
        with client_of(cluster) as other:
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
    with client_of(cluster) as other:
        return int(other.run_on_scheduler(_count))


def _count(dask_scheduler: Any) -> int:
    return len(dask_scheduler.tasks)


@pytest.mark.dask
@pytest.mark.parametrize(
    "address",
    ["", "local", "local:0", "local:-1", "local:two", "host", "host:", ":8786", "http://host:1", "tcp://h", "a b:1"],
)
def test_what_is_no_address_is_refused_before_anything_starts(address: str) -> None:
    with pytest.raises(UsageError, match=r"--scheduler .*: not an address; expected tcp://HOST:8786"):
        cluster_at(address)


@pytest.mark.dask
@pytest.mark.parametrize("address", ["tcp://10.0.0.1:1", "tls://host:1", "host:8786", "tcp://[::1]:8786", "local:3"])
def test_what_is_an_address_is_not(address: str) -> None:
    assert cluster_at(address).address == address


def test_without_dask_the_message_says_what_to_install() -> None:
    code = (
        "import sys\nsys.modules['distributed'] = None\nfrom pgcheck.errors import UsageError\n"
        "try:\n  import pgcheck.workers.dask\nexcept UsageError as error:\n  print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "a scheduler needs Dask: pip install 'pgcheck[dask]'\n"


@dataclass
class Served:
    """A scheduler and workers in processes of their own, as the command line of Dask starts them."""

    folder: Path

    def __post_init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.file = self.folder / "scheduler.json"

    def begin(self) -> None:
        """Starts the scheduler."""
        self.scheduler = self.start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0"
        )
        assert eventually(self.file.exists)
        self.address = json.loads(self.file.read_text())["address"]

    def start(self, *words: str, path: Path = ROOT) -> "subprocess.Popen[bytes]":
        """Starts `dask ...` in a process that finds its modules in a folder first."""
        log = (self.folder / f"{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *words, "--scheduler-file", str(self.file)], stdout=log, stderr=log,
            cwd=self.folder, env=os.environ | {"PYTHONPATH": f"{path}{os.pathsep}{ROOT}"},
        )  # fmt: skip
        log.close()
        self.processes.append(process)
        return process

    def worker(self, path: Path = ROOT, number: int = 1) -> "subprocess.Popen[bytes]":
        """Starts a worker; returns when the scheduler has so many."""
        import distributed

        process = self.start("worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", path=path)
        with distributed.Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(number, timeout=60)
        return process

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path)
    try:
        served.begin()
        yield served
    finally:
        served.end()


def other_version(folder: Path) -> Path:
    """A folder with this package under another number."""
    package = folder / "other" / "pgcheck"
    package.mkdir(parents=True)
    for path in Path(pgcheck.__file__).parent.iterdir():
        if path.name != "__init__.py":
            (package / path.name).symlink_to(path)
    text = Path(pgcheck.__file__).read_text()
    assert f'__version__ = "{pgcheck.__version__}"' in text
    (package / "__init__.py").write_text(text.replace(pgcheck.__version__, "9.8.7"))
    return package.parent


def without(folder: Path) -> Path:
    """A folder that hides this package."""
    package = folder / "without" / "pgcheck"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'pgcheck'\", name='pgcheck')")
    return package.parent


def is_refused(caught: "pytest.ExceptionInfo[ClusterError]", words: str) -> bool:
    lines = str(caught.value).splitlines()
    assert caught.value.exit_status == ExitStatus.FAULT
    assert [line.partition(" tcp://127.0.0.1:")[0] for line in lines[1:-1]] == ["  worker"]  # one of the two
    return lines[1].endswith(words) and lines[2] == f"  here: pgcheck {pgcheck.__version__}"


@pytest.mark.dask
@pytest.mark.parametrize(("make", "words"), [(other_version, ": pgcheck 9.8.7"), (without, ": no pgcheck")])
def test_a_worker_with_another_version_or_none_is_refused(
    served: Served, tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    served.worker()
    with cluster_at(served.address.removeprefix("tcp://")) as cluster:  # the same versions are not refused
        assert bits(cluster.map(Waves(), PARTS)) == EXPECTED
    served.worker(make(tmp_path), number=2)
    with pytest.raises(ClusterError) as caught, cluster_at(served.address):
        pass
    assert is_refused(caught, words)


@pytest.mark.dask
def test_a_worker_that_joins_later_with_another_version_is_refused_too(served: Served, tmp_path: Path) -> None:
    served.worker()
    with cluster_at(served.address) as cluster:
        results = cluster.map(Waves(0.2), PARTS)
        next(results)
        served.worker(other_version(tmp_path), number=2)
        with pytest.raises(ClusterError) as caught:
            list(results)
    assert is_refused(caught, ": pgcheck 9.8.7")


@pytest.mark.dask
def test_a_worker_that_joins_later_without_the_package_does_nothing(served: Served, tmp_path: Path) -> None:
    served.worker()
    with cluster_at(served.address) as cluster:
        stranger = served.start("worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", path=without(tmp_path))
        since = time.monotonic()
        while stranger.poll() is None and time.monotonic() < since + 120:
            assert bits(cluster.map(Waves(0.2), PARTS)) == EXPECTED
        assert stranger.poll() is not None  # it could not read what it was sent, and left


@dataclass
class Answers:
    """What stands in for a client: workers with numbers of Python, NumPy and pgcheck."""

    workers: dict[str, tuple[str, str | None, str | Exception]]

    def get_versions(self, packages: list[str]) -> dict[str, Any]:
        def answer(python: str, numpy: str | None) -> dict[str, Any]:
            return {"host": {"python": f"{python}.5.final.0"}, "packages": {"numpy": numpy}}

        assert packages == ["numpy"]
        workers = {name: answer(python, numpy) for name, (python, numpy, _) in self.workers.items()}
        return {"client": answer("3.11", "2.4.6"), "scheduler": answer("3.11", None), "workers": workers}

    def run(self, function: Callable[[Any], str], module: Any, on_error: str) -> dict[str, str | Exception]:
        assert function(module) == pgcheck.__version__
        return {name: version for name, (_, _, version) in self.workers.items()}

    def run_on_scheduler(self, function: Callable[[Any], str], module: Any) -> str:
        return function(module)


def test_another_python_or_numpy_is_refused_with_both_numbers() -> None:
    from pgcheck.workers.dask_versions import check_versions

    same = ("3.11", "2.4.6", pgcheck.__version__)
    check_versions(Answers({"tcp://a:1": same, "tcp://b:1": same}), "tcp://host:8786")
    others: dict[str, tuple[str, str | None, str | Exception]] = {
        "tcp://b:1": ("3.12", "2.4.6", pgcheck.__version__),
        "tcp://c:1": ("3.11", "2.0.0", ImportError("pgcheck")),
    }
    with pytest.raises(ClusterError) as caught:
        check_versions(Answers({"tcp://a:1": same, **others}), "tcp://host:8786")
    assert str(caught.value).splitlines()[1:] == [
        "  worker tcp://b:1: Python 3.12",
        "  worker tcp://c:1: NumPy 2.0.0, no pgcheck",
        f"  here: Python 3.11, NumPy 2.4.6, pgcheck {pgcheck.__version__}",
    ]
    with pytest.raises(ClusterError, match=r"\n  and 6 more\n  here: NumPy 2\.4\.6$"):
        check_versions(Answers({f"tcp://{n}:1": ("3.11", None, pgcheck.__version__) for n in range(9)}), "host:8786")


@pytest.mark.dask
def test_no_scheduler_and_no_workers_are_told_soon(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    import pgcheck.workers.dask

    monkeypatch.setattr(pgcheck.workers.dask, "CONNECTING", 2)
    since = time.monotonic()
    with pytest.raises(ClusterError, match="the scheduler has no workers\n  Start some: dask worker tcp://127"):
        cluster_at(served.address).__enter__()
    served.end()
    with pytest.raises(UsageError, match=rf"^--scheduler {served.address}: no Dask scheduler answers there"):
        cluster_at(served.address).__enter__()
    assert time.monotonic() - since < SOON


@pytest.mark.dask
def test_a_scheduler_or_workers_that_go_for_good_end_the_work(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pgcheck.workers.dask

    monkeypatch.setattr(pgcheck.workers.dask, "LOOK", 0.2)
    monkeypatch.setattr(pgcheck.workers.dask, "PATIENCE", 1)
    worker = served.worker()
    with cluster_at(served.address) as cluster:
        results = cluster.map(Waves(0.1), PARTS)
        next(results)
        worker.kill()
        with pytest.raises(ClusterError, match="no worker is left, for 1 seconds"):
            list(results)
        served.worker()
        results = cluster.map(Waves(0.1), PARTS)
        next(results)
        served.scheduler.kill()
        with pytest.raises(ClusterError, match="the connection to the scheduler was lost"):
            list(results)


SCRIPT = """
import os, sys
from pathlib import Path
from tests.workers.test_dask import PARTS, Die, Waves, client_of, cluster_at

if __name__ == "__main__":
    try:
        with cluster_at("local:2") as cluster:
            results = cluster.map(Waves(float(sys.argv[2]), before=Die((2,), Path(sys.argv[1]))), PARTS)
            next(results)
            with client_of(cluster) as other:
                print(*other.run(os.getpid).values(), flush=True)
            print(1 + len(list(results)))
    except KeyboardInterrupt:
        print("interrupted")
"""


def started_script(folder: Path, seconds: float) -> "subprocess.Popen[str]":
    """A script that does parts and loses a worker at one of them; a session of its own, as a terminal's job is."""
    script, marks = folder / "script.py", folder / "marks"
    script.write_text(SCRIPT)
    marks.mkdir()
    return subprocess.Popen(
        [sys.executable, str(script), str(marks), str(seconds)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def session(leader: int) -> list[int]:
    """The processes of a session that are alive."""
    processes = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            state, _, _, number = stat.read_text().rpartition(")")[2].split()[:4]
            if int(number) == leader and state != "Z":
                processes.append(int(stat.parent.name))
    return processes


@pytest.mark.dask
def test_nothing_is_printed_though_a_worker_dies(tmp_path: Path) -> None:
    process = started_script(tmp_path, 0.0)
    output, error = process.communicate(timeout=HANG)
    assert (output.splitlines()[1:], error, process.returncode) == ([str(len(PARTS))], "", 0)
    assert eventually(lambda: not session(process.pid))


@pytest.mark.dask
@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_and_a_kill_leave_no_process(tmp_path: Path, which: signal.Signals) -> None:
    process = started_script(tmp_path, 5.0)
    assert process.stdout is not None
    assert process.stdout.readline()
    assert len(session(process.pid)) >= 2
    if which == signal.SIGINT:
        os.killpg(process.pid, which)  # as a terminal does
        output, error = process.communicate(timeout=HANG)
        assert (output, error, process.returncode) == ("interrupted\n", "", 0)
        assert not session(process.pid)
    else:
        process.kill()
        process.communicate(timeout=HANG)
    assert eventually(lambda: not session(process.pid))
