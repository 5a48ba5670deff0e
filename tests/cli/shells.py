"""An interactive bash on a terminal, in which keys are pressed."""

import fcntl
import os
import pty
import re
import select
import shlex
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from tests.conftest import HANG, ROOT, TERMINAL_VARIABLES

SHOW = "\x14"  # Ctrl-T: shows the line as it is
TAB = "\t"
ALL = "\x1b*"  # puts all candidates on the line


def environment_of(home: Path) -> dict[str, str]:
    """Returns the variables of a shell that finds pgcheck, with a home folder of its own."""
    folder = home / "bin"
    if not folder.exists():
        folder.mkdir()
        command = folder / "pgcheck"
        command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m pgcheck "$@"\n')
        command.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name not in TERMINAL_VARIABLES}
    own = {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "HOME": str(home), "TERM": "xterm"}
    return {**kept, **own, "INPUTRC": "/dev/null", "HISTFILE": ""}


class Bash:
    """Bash with what the .bashrc of a home folder says."""

    def __init__(self, folder: Path, home: Path) -> None:
        self._main, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 2000, 0, 0))
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"], stdin=other, stdout=other, stderr=other, cwd=folder,
            start_new_session=True, env=environment_of(home),
        )  # fmt: skip
        os.close(other)
        self.seen = ""
        self._send("PS1='> '; bind 'set enable-bracketed-paste off'; bind 'set bell-style none'\n")
        self._send("bind 'set completion-query-items 0'; source ~/.bashrc\n")
        self._send(r"""bind -x '"\C-t": printf "\x3c<%s>\x3e" "$READLINE_LINE"'""" + "\n")
        self._send(r"printf 'rea%s\n' dy" + "\n")
        self._wait_for("ready")

    def line_after(self, keys: str) -> str:
        """Returns the line that these keys make of an empty one."""
        self.seen = ""
        self._send("\x15" + keys + SHOW)
        self._wait_for(r"<<.*>>")
        line = re.findall(r"<<(.*?)>>", self.seen, re.DOTALL)[-1]
        self._send("\x15")
        return str(line)

    def candidates(self, line: str) -> list[str]:
        """Returns the words that may follow, as bash inserts them all in place of the last word."""
        return shlex.split(self.line_after(line + ALL))

    def close(self) -> None:
        """Ends the shell."""
        os.close(self._main)
        self._process.kill()
        self._process.wait()

    def _send(self, keys: str) -> None:
        os.write(self._main, keys.encode())

    def _wait_for(self, pattern: str) -> None:
        end = time.monotonic() + HANG
        while not re.search(pattern, self.seen, re.DOTALL):
            ready, _, _ = select.select([self._main], [], [], 1)
            assert time.monotonic() < end, self.seen
            if ready:
                self.seen += os.read(self._main, 65536).decode(errors="replace")
