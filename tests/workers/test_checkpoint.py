"""Finished parts in a file: the same bits however often it is resumed, and never the bits of something else."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pgcheck.errors import UsageError
from pgcheck.workers import automatic
from pgcheck.workers.automatic import Automatic
from pgcheck.workers.checkpoint import Checkpoint
from pgcheck.workers.executor import HERE, Arrays, Executor, Finished, Task
from pgcheck.workers.processes import Processes
from tests.conftest import HANG, ROOT
from tests.workers.logged import PROBLEM, Failing, Logged, begun, digest

PARTS = range(12)


@pytest.fixture
def log(tmp_path: Path) -> str:
    return str(tmp_path / "log")


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "folder").mkdir()
    return str(tmp_path / "folder" / "run.ckpt")


def beside(file: str) -> list[str]:
    """The names in the file's folder."""
    return sorted(path.name for path in Path(file).parent.iterdir())


def plainly(log: str, parts: Sequence[int] = PARTS) -> str:
    """The digest of what the task comes to, part by part, with neither executor nor file."""
    return digest([Logged(f"{log}-plain")(part) for part in parts])


def test_each_part_is_done_once_and_is_there_the_next_time(file: str, log: str) -> None:
    for resumed in (0, 12):
        with Checkpoint(file, PROBLEM) as checkpoint:
            results = checkpoint.around(HERE).map(Logged(log), PARTS)
            assert digest(results) == plainly(log)
            assert checkpoint.resumed == resumed
        assert beside(file) == ["run.ckpt"]
    assert begun(log) == list(PARTS)


def test_a_finished_file_is_not_changed_by_being_read(file: str, log: str) -> None:
    with Checkpoint(file, PROBLEM) as checkpoint:
        list(checkpoint.around(HERE).map(Logged(log), PARTS))
    before = Path(file).read_bytes()
    with Checkpoint(file, PROBLEM) as checkpoint:
        list(checkpoint.around(HERE).map(Logged(log), PARTS))
    assert Path(file).read_bytes() == before


class Interrupting:
    """An executor that is interrupted before it has done more than so many parts."""

    def __init__(self, number: int) -> None:
        self.number = number

    def map(self, task: Task, parts: Sequence[int], finished: Finished | None = None) -> Iterator[Arrays]:
        for count, result in enumerate(HERE.map(task, parts[: self.number], finished), 1):
            yield result
            if count == self.number < len(parts):
                raise KeyboardInterrupt


def interrupted(file: str, log: str, number: int) -> None:
    with pytest.raises(KeyboardInterrupt), Checkpoint(file, PROBLEM) as checkpoint:
        list(checkpoint.around(Interrupting(number)).map(Logged(log), PARTS))
    assert beside(file) == ["run.ckpt"]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_computation_goes_on_where_it_was(workers: int, file: str, log: str) -> None:
    interrupted(file, log, 5)
    with Processes(workers) as processes, Checkpoint(file, PROBLEM) as checkpoint:
        executor: Executor = HERE if workers == 1 else processes
        assert digest(checkpoint.around(executor).map(Logged(log), PARTS)) == plainly(log)
    assert sorted(begun(log)) == list(PARTS)


def test_an_iterator_that_is_dropped_leaves_what_it_had(file: str, log: str) -> None:
    with Checkpoint(file, PROBLEM) as checkpoint:
        results = checkpoint.around(HERE).map(Logged(log), PARTS)
        first = [next(results), next(results)]
        assert isinstance(results, Iterator)
        del results
    with Checkpoint(file, PROBLEM) as checkpoint:
        results = checkpoint.around(HERE).map(Logged(log), PARTS)
        assert digest([next(results), next(results)]) == digest(first)
        assert checkpoint.resumed == 2


@dataclass(frozen=True)
class Adding:
    """Adds a number to a part."""

    number: float
    label: str = "adding"

    def __call__(self, part: float) -> Arrays:
        return (np.array(part + self.number),)


@dataclass(frozen=True)
class Never:
    """A task that must not be asked for anything."""

    number: float
    label: str = "adding"

    def __call__(self, part: float) -> Arrays:
        raise AssertionError


def numbers(executor: Executor, *calls: tuple[Task, Sequence[float]]) -> list[list[float]]:
    return [[float(array) for (array,) in executor.map(task, parts)] for task, parts in calls]


def test_calls_in_another_order_get_their_own_results(file: str) -> None:
    one, two, three = (Adding(1.0), [1.0, 2.0]), (Adding(10.0), [1.0, 2.0]), (Adding(1.0), [1.0, 3.0])
    with Checkpoint(file, PROBLEM) as checkpoint:
        assert numbers(checkpoint.around(HERE), one, two, three) == [[2.0, 3.0], [11.0, 12.0], [2.0, 4.0]]
    with Checkpoint(file, PROBLEM) as checkpoint:
        assert numbers(checkpoint.around(HERE), two, one, three) == [[11.0, 12.0], [2.0, 3.0], [2.0, 4.0]]
        assert checkpoint.resumed == 2  # of the third, which is the third still
    with Checkpoint(file, PROBLEM) as checkpoint:  # the first order's are still there
        assert numbers(checkpoint.around(HERE), one, two, three) == [[2.0, 3.0], [11.0, 12.0], [2.0, 4.0]]
        assert checkpoint.resumed == 6


def test_without_the_digest_of_the_task_another_order_would_get_wrong_results(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgcheck.workers.checkpoint.digest_of", lambda *_: "00")
    one, two = (Adding(1.0), [1.0, 2.0]), (Adding(10.0), [1.0, 2.0])
    with Checkpoint(file, PROBLEM) as checkpoint:
        numbers(checkpoint.around(HERE), one, two)
    with Checkpoint(file, PROBLEM) as checkpoint:
        assert numbers(checkpoint.around(HERE), two, one) == [[2.0, 3.0], [11.0, 12.0]]


def test_calls_that_go_on_side_by_side_keep_their_numbers(file: str) -> None:
    for _ in range(2):
        with Checkpoint(file, PROBLEM) as checkpoint:
            executor = checkpoint.around(HERE)
            pairs = zip(executor.map(Adding(1.0), [1.0, 2.0]), executor.map(Adding(2.0), [1.0, 2.0]), strict=True)
            assert [(float(a), float(b)) for (a,), (b,) in pairs] == [(2.0, 3.0), (3.0, 4.0)]
    assert checkpoint.resumed == 4


def test_an_error_of_a_part_comes_after_the_results_before_it(file: str) -> None:
    @dataclass(frozen=True)
    class Picky(Adding):
        def __call__(self, part: float) -> Arrays:
            if part == 3.0:
                raise UsageError("no threes")
            return super().__call__(part)

    for resumed in (0, 2):
        with Checkpoint(file, PROBLEM) as checkpoint:
            results = checkpoint.around(HERE).map(Picky(1.0), [1.0, 2.0, 3.0, 4.0])
            assert [float(next(results)[0]), float(next(results)[0])] == [2.0, 3.0]
            with pytest.raises(UsageError, match="no threes"):
                next(results)
            assert checkpoint.resumed == resumed


def test_what_is_done_before_its_turn_is_stored_at_once(file: str, log: str) -> None:
    task = Failing(log, parts=len(PARTS))
    for _ in range(2):
        with (
            Processes(2) as processes,
            Checkpoint(file, PROBLEM) as checkpoint,
            pytest.raises(UsageError, match="part 0 is wrong"),
        ):
            next(checkpoint.around(processes).map(task, PARTS))
    assert sorted(begun(log)) == list(PARTS)[1:]  # all others were done the first time, and not again


def test_parts_that_go_on_in_processes_keep_their_numbers(
    file: str, log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automatic, "TRIED_SECONDS", 0.0)
    monkeypatch.setattr(automatic, "LONG_SECONDS", 0.0)
    started: list[int] = []
    for resumed in (0, 12):
        executor = Automatic(lambda _, workers: started.append(workers), 2)
        with executor, Checkpoint(file, PROBLEM) as checkpoint:
            assert digest(checkpoint.around(executor).map(Logged(log), PARTS)) == plainly(log)
            assert checkpoint.resumed == resumed
    assert started == [2]
    assert sorted(begun(log)) == list(PARTS)


def test_no_parts_are_no_results(file: str) -> None:
    with Checkpoint(file, PROBLEM) as checkpoint:
        assert list(checkpoint.around(HERE).map(Never(1.0), [])) == []


def test_results_are_laid_out_the_same_whether_or_not_they_were_there(file: str) -> None:
    @dataclass(frozen=True)
    class Strided:
        label: str = "every other number"

        def __call__(self, part: int) -> Arrays:
            return np.arange(24.0).reshape(2, 3, 4).T[::2], np.asfortranarray(np.ones((2, 3)))

    layouts = []
    for _ in range(2):
        with Checkpoint(file, PROBLEM) as checkpoint:
            (arrays,) = checkpoint.around(HERE).map(Strided(), [0])
            layouts.append([(a.strides, a.flags.aligned, a.flags.writeable, a.tobytes()) for a in arrays])
    assert layouts[0] == layouts[1]
    assert layouts[0][1][0] == (24, 8)
    assert layouts[0][0][3] == np.arange(24.0).reshape(2, 3, 4).T[::2].tobytes()


def test_a_second_process_is_refused_and_the_first_goes_on(file: str, log: str) -> None:
    command = [sys.executable, "-m", "tests.workers.logged", file, log, "3", "1"]
    with Checkpoint(file, PROBLEM) as checkpoint:
        results = checkpoint.around(HERE).map(Logged(log), PARTS)
        first = next(results)
        second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG, check=False)
        assert "run.ckpt: another process is using this checkpoint" in second.stderr
        with pytest.raises(UsageError, match="another process"), Checkpoint(file, PROBLEM):
            pass
        assert digest([first, *results]) == plainly(log)
    assert begun(log) == list(PARTS)
    assert beside(file) == ["run.ckpt"]
    # Afterwards it is free.
    third = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG, check=True)
    assert third.stdout.strip() == plainly(log, range(3))
