"""Who may use a file: one process at a time; and whether the file is on a disk of this machine."""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator

# File systems whose files stand on other machines; what is mounted by `fuse.NAME` may be anywhere.
REMOTE = re.compile(r"nfs\d*|cifs|smb\d*|smbfs|ncpfs|afs|9p|ceph|lustre|gpfs|beegfs|pvfs2|glusterfs|fuse\..+")
MOUNTS = "/proc/mounts"


@contextlib.contextmanager
def alone(path: str) -> Iterator[bool]:
    """Locks a file that goes by `path` while the `with` block lasts, and says whether that was possible.

    The lock is that of the system on a file beside it, which goes away with the process that holds it, however that
    ends; the file itself may be left by a killed process, and stops nobody.

    Raises:
      OSError: a file cannot be made there.
    """
    lock = f"{path}-lock"
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it before may have removed it meanwhile: then it is no longer the file of this name.
            is_present = os.path.samestat(os.fstat(descriptor), os.stat(lock))
        except BlockingIOError:
            os.close(descriptor)
            yield False
            return
        except FileNotFoundError:
            is_present = False
        except OSError:
            os.close(descriptor)
            raise
        if is_present:
            break
        os.close(descriptor)
    try:
        yield True
    finally:
        with contextlib.suppress(OSError):
            os.unlink(lock)
        os.close(descriptor)


def is_remote(path: str) -> bool:
    """Returns whether a file is on the network, as far as the system tells: Linux does, by its table of mounts."""
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split(" ") for line in file]
    except OSError:
        return False
    folder = os.path.join(os.path.realpath(os.path.dirname(path)), "")
    kinds = {re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), at): kind for _, at, kind, *_ in lines}
    above = [at for at in kinds if folder.startswith(os.path.join(at, ""))]
    return bool(above) and REMOTE.fullmatch(kinds[max(above, key=len)]) is not None
