"""A terminal of some width, and what a person sees on it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence

from tests.conftest import HANG, ROOT

CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # colours, and where the cursor goes


def seen_on_terminal(command: Sequence[str], columns: int, env: Mapping[str, str]) -> str:
    """Runs a command on a terminal, and returns all that it wrote, with its control sequences."""
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        command, stdout=other, stderr=other, stdin=other,
        env={**env, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}, cwd=ROOT,
    )  # fmt: skip
    os.close(other)
    seen = b""
    while True:
        try:
            some = os.read(main, 65536)
        except OSError:  # the other end is closed
            break
        if not some:
            break
        seen += some
    process.wait(timeout=HANG)
    os.close(main)
    return seen.decode().replace("\r\n", "\n")


def lines_of(text: str) -> list[str]:
    """What stood in each line, also where it was written over, without control sequences."""
    return CONTROLS.sub("", text).splitlines()
