"""Bytes of a file are changed, or its end is missing: it is refused and left as it is, or gives the right results."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pgcheck.errors import UsageError
from pgcheck.workers.checkpoint import Checkpoint
from pgcheck.workers.executor import HERE
from tests.workers.logged import PROBLEM, Logged, digest

PARTS = range(8)
Folder = dict[str, bytes]
ALWAYS = bytes(16)  # a checksum of anything


@pytest.fixture
def log(tmp_path: Path) -> str:
    return str(tmp_path / "log")


@pytest.fixture
def right(log: str) -> str:
    return digest([Logged(f"{log}-plain")(part) for part in PARTS])


@pytest.fixture(params=["ended", "killed"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, log: str) -> Path:
    """A folder with a file of which all parts but the last two are done, and what is beside it after a kill."""
    working, copy = tmp_path / "working", tmp_path / "copy"
    working.mkdir()
    with Checkpoint(str(working / "run.ckpt"), PROBLEM) as checkpoint:
        results = checkpoint.around(HERE).map(Logged(log), PARTS)
        for _ in PARTS[:-2]:
            next(results)
        if request.param == "killed":
            shutil.copytree(working, copy)
            assert sorted(contents(copy)) == ["run.ckpt", "run.ckpt-lock", "run.ckpt-wal"]
    if request.param == "ended":
        shutil.copytree(working, copy)
    return copy


def contents(folder: Path) -> Folder:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def outcome(folder: Path, before: Folder, log: str) -> str:
    """What resuming with these files comes to: `refused`, or the digest of the results."""
    shutil.rmtree(folder)
    folder.mkdir()
    for name, data in before.items():
        (folder / name).write_bytes(data)
    try:
        with Checkpoint(str(folder / "run.ckpt"), PROBLEM) as checkpoint:
            return digest(checkpoint.around(HERE).map(Logged(log), PARTS))
    except UsageError:
        after = contents(folder)
    assert after.pop("run.ckpt-lock", b"") == b""
    assert after == {name: data for name, data in before.items() if data}
    return "refused"


def flipped(before: Folder, number: int, rng: np.random.Generator) -> Iterator[tuple[str, int, Folder]]:
    """The files with some bits of one byte flipped: of those in the headers, and of others at random."""
    for name, data in before.items():
        if data:
            header = range(0, 100 if name == "run.ckpt" else 32, len(before))  # of three files not each byte
            places = [*header, *rng.integers(0, len(data), number).tolist()]
            for place in places:
                changed = bytearray(data)
                changed[place] ^= int(rng.integers(1, 256))
                yield name, place, before | {name: bytes(changed)}


def truncated(before: Folder, number: int, rng: np.random.Generator) -> Iterator[tuple[str, int, Folder]]:
    for name, data in before.items():
        if data:
            for place in [1, 15, 16, 50, 99, 100, 4096, len(data) - 1, *rng.integers(1, len(data), number).tolist()]:
                yield name, place, before | {name: data[:place]}


@pytest.mark.parametrize("change", [flipped, truncated])
def test_a_changed_file_is_refused_or_gives_the_right_results(
    change: Callable[[Folder, int, np.random.Generator], Iterator[tuple[str, int, Folder]]],
    folder: Path, log: str, right: str,
) -> None:  # fmt: skip
    outcomes: Counter[str] = Counter()
    for name, place, changed in change(contents(folder), 40, np.random.default_rng(15)):
        result = outcome(folder, changed, log)
        assert result in ("refused", right), (name, place)
        outcomes[result] += 1
    assert outcomes["refused"] > 10


def test_the_file_of_another_problem_is_left_as_it_is_with_what_is_beside_it(
    folder: Path, log: str, right: str
) -> None:
    before = contents(folder)
    with pytest.raises(UsageError, match="something else"), Checkpoint(str(folder / "run.ckpt"), {"version": "2"}):
        pass
    assert contents(folder) | {"run.ckpt-lock": b""} == before | {"run.ckpt-lock": b""}
    with Checkpoint(str(folder / "run.ckpt"), PROBLEM) as checkpoint:
        assert digest(checkpoint.around(HERE).map(Logged(log), PARTS)) == right
        assert checkpoint.resumed == len(PARTS) - 2


@pytest.mark.parametrize("folder", ["ended"], indirect=True)
def test_without_its_checksum_a_changed_number_would_pass(
    folder: Path, log: str, right: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(folder)
    data = bytearray(before["run.ckpt"])
    place = data.index(Logged(f"{log}-plain")(1)[0].tobytes())
    data[place + 3] ^= 16
    changed = before | {"run.ckpt": bytes(data)}
    assert outcome(folder, changed, log) == "refused"
    for module in ("examined", "stored"):
        monkeypatch.setattr(f"pgcheck.workers.{module}.checksum", lambda *_: ALWAYS)
    # Written once more with a checksum that sees nothing, the file would be taken as it is.
    with Checkpoint(str(folder / "other.ckpt"), PROBLEM) as checkpoint:
        list(checkpoint.around(HERE).map(Logged(log), PARTS))
    blind = bytearray((folder / "other.ckpt").read_bytes())
    blind[blind.index(Logged(f"{log}-plain")(1)[0].tobytes()) + 3] ^= 16
    assert outcome(folder, {"run.ckpt": bytes(blind)}, log) not in ("refused", right)
