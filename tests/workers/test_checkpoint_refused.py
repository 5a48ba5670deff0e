"""Files that are refused, before anything is computed: they stay as they are, and the message says what to do."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pgcheck.errors import ExitStatus, OutputError, UsageError
from pgcheck.workers import examined, locking
from pgcheck.workers.checkpoint import Checkpoint
from pgcheck.workers.executor import HERE
from tests.conftest import HANG, ROOT
from tests.workers.logged import PROBLEM, Logged, digest

PARTS = range(8)


def refusal(path: Path, problem: dict[str, str] = PROBLEM) -> str:
    """The message with which a file is refused; nothing in its folder is changed."""
    folder = path.parent
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()} if folder.is_dir() else {}
    with pytest.raises((UsageError, OutputError)) as caught, Checkpoint(str(path), problem):
        pass
    if folder.is_dir():
        assert {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()} == before
    return f"{int(caught.value.exit_status)} {caught.value}".replace(f"{folder}/", "")


def fill(path: Path, log: Path, problem: dict[str, str] = PROBLEM) -> str:
    """Does all parts, or those that are missing, and returns the digest of the results."""
    with Checkpoint(str(path), problem) as checkpoint:
        return digest(checkpoint.around(HERE).map(Logged(str(log)), PARTS))


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        ({"options": "--gamma 0.95"}, "options was --gamma 0.9, and is --gamma 0.95"),
        ({"estimator": "my_pg.py"}, "estimator was (none), and is my_pg.py"),
        (
            {"options": "--gamma 0.8", "version": "2"},
            "version was 1, and is 2; options was --gamma 0.9, and is --gamma 0.8",
        ),
        ({"command": "a test" + 100 * "x"}, f"command was a test, and is a test{54 * 'x'}..."),
    ],
)
def test_the_file_of_another_problem_is_refused_with_what_differs(
    other: dict[str, str], difference: str, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    file = tmp_path / "folder" / "run.ckpt"
    fill(file, tmp_path / "log")
    assert refusal(file, PROBLEM | other) == (
        f"2 run.ckpt: this is the checkpoint of something else: {difference}.\n"
        "  Give another file, or delete this one to begin anew."
    )
    with Checkpoint(str(file), PROBLEM) as checkpoint:  # the negative twin: of this problem it is taken
        list(checkpoint.around(HERE).map(Logged(str(tmp_path / "log")), PARTS))
        assert checkpoint.resumed == len(PARTS)


def test_of_long_texts_the_place_is_shown_where_they_differ(tmp_path: Path) -> None:
    fill(tmp_path / "run.ckpt", tmp_path / "log", {"options": 200 * "-" + " --seed 1"})
    text = refusal(tmp_path / "run.ckpt", {"options": 200 * "-" + " --seed 2"})
    assert "--seed 1, and is ..." in text
    assert "--seed 2." in text


def test_texts_of_which_one_is_the_beginning_of_the_other_differ(tmp_path: Path) -> None:
    fill(tmp_path / "run.ckpt", tmp_path / "log", {"options": 100 * "-"})
    assert "- --seed 2." in refusal(tmp_path / "run.ckpt", {"options": 100 * "-" + " --seed 2"})


def a_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()


@pytest.mark.parametrize(
    "make",
    [lambda path: path.write_text("states: [a, b]\n"), lambda path: path.write_bytes(b"\0"), a_database],
    ids=["text", "byte", "database"],
)
def test_what_is_no_checkpoint_is_refused(make: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path / "model.yaml")
    assert refusal(tmp_path / "model.yaml") == (
        "2 model.yaml: this file is no checkpoint of pgcheck, and is left as it is.\n  Give another file."
    )


def test_a_directory_a_pipe_and_a_device_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "folder").startswith("2 folder: this is a directory; a checkpoint needs a file")
    assert refusal(tmp_path / "pipe").startswith("2 pipe: this is a device or a pipe")
    assert refusal(Path(os.devnull)).startswith("2 null: this is a device or a pipe")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]


def test_an_empty_file_and_a_link_to_none_are_new_ones(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert fill(tmp_path / "empty", tmp_path / "log") == fill(tmp_path / "link", tmp_path / "log")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "link", "log", "target"]


@pytest.mark.parametrize("name", ["a b?c#d%41.ckpt", "été.ckpt", os.fsdecode(b"\xff.ckpt"), "-wal", "file:x"])
def test_a_file_may_have_any_name(name: str, tmp_path: Path) -> None:
    assert fill(tmp_path / name, tmp_path / "log") == fill(tmp_path / name, tmp_path / "log")
    assert len((tmp_path / "log").read_text().splitlines()) == len(PARTS)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "log"])


def test_where_no_file_can_be_made_the_reason_is_given(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cannot = "the checkpoint cannot be used"
    assert refusal(tmp_path / "none" / "run.ckpt") == f"74 run.ckpt: {cannot}: No such file or directory"
    assert refusal(tmp_path / "file" / "run.ckpt") == f"74 run.ckpt: {cannot}: Not a directory"
    assert refusal(tmp_path / (300 * "x")).endswith(f"{cannot}: File name too long")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_and_file_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "run.ckpt", tmp_path / "log")
    (tmp_path / "run.ckpt").chmod(0o400)
    assert refusal(tmp_path / "run.ckpt") == "74 run.ckpt: the checkpoint cannot be used: Permission denied"
    tmp_path.chmod(0o500)
    assert refusal(tmp_path / "run.ckpt") == "74 run.ckpt: the checkpoint cannot be used: Permission denied"
    tmp_path.chmod(0o700)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts a disk of 256 kB, or changes the one that is mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mounted(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no disk can be mounted here")
        return folder

    yield mounted
    subprocess.run(["umount", str(folder)], capture_output=True, check=False)


def test_on_a_disk_that_can_only_be_read_a_checkpoint_is_refused(disk: Callable[..., Path], tmp_path: Path) -> None:
    file = disk("size=256k") / "run.ckpt"
    fill(file, tmp_path / "log")
    disk("remount,ro")
    assert refusal(file) == "74 run.ckpt: the checkpoint cannot be used: Read-only file system"


def test_on_a_full_disk_what_is_finished_stays(disk: Callable[..., Path], tmp_path: Path) -> None:
    file, log, parts = disk("size=256k") / "run.ckpt", str(tmp_path / "log"), range(400)
    with pytest.raises(OutputError) as caught, Checkpoint(str(file), PROBLEM) as checkpoint:
        list(checkpoint.around(HERE).map(Logged(log), parts))
    assert str(caught.value) == f"{file}: the checkpoint cannot be written: database or disk is full"
    done = len(Path(log).read_text().splitlines())
    disk("remount,size=4m")
    with Checkpoint(str(file), PROBLEM) as checkpoint:
        results = digest(checkpoint.around(HERE).map(Logged(log), parts))
        assert checkpoint.resumed == done - 1 > 10
    assert results == digest([Logged(log)(part) for part in parts])
    assert [path.name for path in file.parent.iterdir()] == ["run.ckpt"]


def test_on_a_full_disk_no_file_is_begun_and_one_that_is_there_stays(
    disk: Callable[..., Path], tmp_path: Path
) -> None:
    folder = disk("size=256k")
    fill(folder / "there.ckpt", tmp_path / "log")
    free = shutil.disk_usage(folder).free
    (folder / "ballast").write_bytes(bytes(free))
    assert shutil.disk_usage(folder).free == 0 < free
    assert refusal(folder / "new.ckpt") == "74 new.ckpt: the checkpoint cannot be written: database or disk is full"
    before = (folder / "there.ckpt").read_bytes()
    with pytest.raises(OutputError, match="is full"), Checkpoint(str(folder / "there.ckpt"), PROBLEM) as checkpoint:
        list(checkpoint.around(HERE).map(Logged(str(tmp_path / "log")), range(9)))
    assert (folder / "there.ckpt").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == ["ballast", "there.ckpt"]


LIMITED = """
import resource, sys
from pgcheck.errors import OutputError
from tests.workers.logged import main
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    main(*sys.argv[1:])
except OutputError as error:
    sys.exit(f"{error.exit_status} {error}")
"""


def test_where_files_may_not_grow_further_what_is_finished_stays(tmp_path: Path) -> None:
    file, log = tmp_path / "run.ckpt", tmp_path / "log"
    command = [sys.executable, "-c", LIMITED, str(file), str(log), "40", "1"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG, check=False)
    assert ended.stderr.startswith(f"{ExitStatus.UNWRITABLE} {file}: the checkpoint cannot be written: ")
    with Checkpoint(str(file), PROBLEM) as checkpoint:
        digest(checkpoint.around(HERE).map(Logged(str(log), 0.02), range(40)))
        assert 3 < checkpoint.resumed < 40


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("PRAGMA user_version = 2", "this checkpoint is of another version of pgcheck"),
        ("PRAGMA application_id = 2", "this file is no checkpoint"),
        ("CREATE TRIGGER t AFTER INSERT ON part BEGIN DELETE FROM part; END", "damaged: its tables are not those of"),
        ("DELETE FROM problem", "damaged: what it was made for cannot be read"),
        ("UPDATE problem SET description = '{}'", "damaged: what it was made for cannot be read"),
        ("UPDATE part SET number = 9 WHERE number = 3", "damaged: the checksum of a part does not agree"),
        ("UPDATE part SET call = 1 WHERE number = 3", "damaged: the checksum of a part does not agree"),
        ("UPDATE part SET data = 1 WHERE number = 3", "damaged: the checksum of a part does not agree"),
        ("UPDATE part SET arrays = replace(arrays, 'f8', 'i8') WHERE number = 4", "damaged: the checksum of a part"),
    ],
)
def test_a_file_that_was_changed_by_hand_is_refused(statement: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "run.ckpt"
    fill(file, tmp_path / "log")
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute(statement)
    connection.close()
    assert message in refusal(file)


def test_a_part_of_another_problem_is_no_part_of_this_one(tmp_path: Path) -> None:
    fill(tmp_path / "run.ckpt", tmp_path / "log")
    fill(tmp_path / "other.ckpt", tmp_path / "log", PROBLEM | {"version": "2"})
    connection = sqlite3.connect(tmp_path / "run.ckpt", isolation_level=None)
    connection.execute("ATTACH ? AS other", (str(tmp_path / "other.ckpt"),))
    connection.execute("DELETE FROM part WHERE number = 3")
    connection.execute("INSERT INTO part SELECT * FROM other.part WHERE number = 3")
    connection.close()
    assert "damaged: the checksum of a part" in refusal(tmp_path / "run.ckpt")


def test_a_file_whose_making_was_cut_short_is_begun_anew(tmp_path: Path) -> None:
    working, folder = tmp_path / "working", tmp_path / "folder"
    working.mkdir()
    connection = sqlite3.connect(working / "run.ckpt", isolation_level=None)
    connection.execute("PRAGMA cache_size = 1")  # so that pages are written before the end of the transaction
    connection.execute("BEGIN EXCLUSIVE")
    for statement in (examined.PROBLEM, examined.PART):
        connection.execute(statement)
    connection.execute("INSERT INTO problem VALUES ('{}', ?)", (bytes(100_000),))
    shutil.copytree(working, folder)
    connection.close()
    assert (folder / "run.ckpt").stat().st_size > 0
    assert (folder / "run.ckpt-journal").stat().st_size > 0
    fill(folder / "run.ckpt", tmp_path / "log")
    fill(folder / "run.ckpt", tmp_path / "log")
    assert len((tmp_path / "log").read_text().splitlines()) == len(PARTS)
    assert [path.name for path in folder.iterdir()] == ["run.ckpt"]


@pytest.mark.parametrize(("kind", "log_beside"), [("nfs4", "run.ckpt-journal"), ("ext4", "run.ckpt-wal")])
def test_the_log_is_that_for_the_kind_of_disk(
    kind: str, log_beside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounts").write_text(f"/dev/sda / ext4 rw 0 0\nserver:/home {tmp_path} {kind} rw 0 0\n")
    monkeypatch.setattr(locking, "MOUNTS", str(tmp_path / "mounts"))
    file, log = tmp_path / "run.ckpt", tmp_path / "log"
    right = fill(tmp_path / "other.ckpt", log)
    with Checkpoint(str(file), PROBLEM) as checkpoint:
        results = checkpoint.around(HERE).map(Logged(str(log)), PARTS)
        next(results)
        assert {path.name for path in tmp_path.glob("run.ckpt-*")} == {"run.ckpt-lock", log_beside}
    assert not list(tmp_path.glob("run.ckpt-*"))
    monkeypatch.setattr(locking, "MOUNTS", str(tmp_path / "none"))  # and then it is taken to another disk
    assert fill(file, log) == right
