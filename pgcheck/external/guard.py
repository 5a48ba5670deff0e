"""What sees to it that nothing of a user's process is left when this process ends, even if it is killed."""

import contextlib
import os
import subprocess

# $0 is the number of the group. A shell, because it is there before any Python could be, and takes next to nothing.
SCRIPT = 'read -r _; kill -s KILL -- "-$0"'


class Guard:
    """Kills a process group as soon as this process has ended, however it ended.

    It is a shell that waits for the end of a pipe which this process alone can write to. The group may hang in an
    endless loop, or have closed its own pipes. Where there is no shell, nothing is guarded.

    Args:
      group: the number of the process group.
    """

    def __init__(self, group: int) -> None:
        self._shell: subprocess.Popen[bytes] | None = None
        if os.name == "posix":
            with contextlib.suppress(OSError):
                self._shell = subprocess.Popen(
                    ["/bin/sh", "-c", SCRIPT, str(group)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL, start_new_session=True,
                )  # fmt: skip

    def end(self) -> None:
        """Lets go of the group, before its number can be that of another one."""
        if self._shell is not None:
            self._shell.kill()
            self._shell.wait()
            assert self._shell.stdin is not None
            self._shell.stdin.close()
            self._shell = None
