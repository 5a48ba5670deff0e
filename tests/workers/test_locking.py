"""One process at a time, and what counts as a disk of this machine."""

import fcntl
import os
from pathlib import Path

import pytest

from pgcheck.workers import locking
from pgcheck.workers.locking import alone, is_remote

MOUNTS = r"""proc /proc proc rw 0 0
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/local xfs rw 0 0
//server/share /mnt/a\040b cifs rw 0 0
user@server: /mnt/ssh fuse.sshfs rw 0 0
/dev/sdc1 /mnt/usb fuseblk rw 0 0
tmpfs /mnt/twice tmpfs rw 0 0
server:/x /mnt/twice nfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("/run.ckpt", False), ("/home/a/run.ckpt", True), ("/home/run.ckpt", True), ("/homes/run.ckpt", False),
        ("/home/local/run.ckpt", False), ("/mnt/a b/run.ckpt", True), ("/mnt/ssh/run.ckpt", True),
        ("/mnt/usb/run.ckpt", False), ("/mnt/twice/run.ckpt", True),
    ],
)  # fmt: skip
def test_a_file_is_on_the_network_if_what_is_mounted_there_is(
    path: str, remote: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounts").write_text(MOUNTS)
    monkeypatch.setattr(locking, "MOUNTS", str(tmp_path / "mounts"))
    assert is_remote(path) == remote


def test_without_a_table_of_mounts_a_file_is_taken_to_be_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "MOUNTS", str(tmp_path / "none"))
    assert not is_remote("/home/run.ckpt")


def test_a_lock_is_held_by_one_and_leaves_nothing(tmp_path: Path) -> None:
    file = str(tmp_path / "run.ckpt")
    for _ in range(2):
        with alone(file) as first, alone(file) as second:
            assert first
            assert not second
        assert list(tmp_path.iterdir()) == []


def test_a_file_that_a_killed_process_left_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "run.ckpt-lock").touch()
    with alone(str(tmp_path / "run.ckpt")) as is_alone:
        assert is_alone
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_was_removed_meanwhile_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, flock, calls = str(tmp_path / "run.ckpt"), fcntl.flock, []

    def removed(descriptor: int, how: int) -> None:
        flock(descriptor, how)
        calls.append(how)
        if len(calls) == 1:
            os.unlink(f"{file}-lock")  # as who held it before does

    monkeypatch.setattr(fcntl, "flock", removed)
    with alone(file) as is_alone:
        assert is_alone
        assert os.path.exists(f"{file}-lock")
    assert len(calls) == 2
