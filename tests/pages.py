"""The pages that people read, README.md and docs/, and the blocks of code in them.

A block whose first line is a comment with the name of a file belongs to it: `# examples/reinforce.py` is a part of
that example, `# mine.py` a file that the commands of the page find in their folder.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from tests.conftest import ROOT, TERMINAL_VARIABLES

README = ROOT / "README.md"
DOCS = ROOT / "docs"
MADE = ("mistakes", "reference/commands.md")  # written from the code, and compared with it by tests of their own
PICTURES = DOCS / "pictures"  # what the commands of the pages draw
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"(?:#|//) ([\w./-]+)\n")
PROMPT = re.compile(r"^\$ (.*)\n", re.MULTILINE)
BY_THE_CLOCK = re.compile(r"^note: about .* are left: .*\n", re.MULTILINE)  # where the machine is slow
HANG = 300  # seconds after which a command is taken to hang


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
      page: the page that it stands in.
      line: of its first line of code.
      language: what its fence says; nothing, if that says nothing.
      text: the code, without the fences and their indentation.
    """

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """As FILE:LINE, from the root of the repository."""
        page = self.page.relative_to(ROOT) if self.page.is_relative_to(ROOT) else self.page
        return f"{page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that its first line names, or None."""
        named = FILE.match(self.text)
        return named[1] if named else None

    @property
    def code(self) -> str:
        """The text without the line that names the file."""
        return FILE.sub("", self.text, count=1)


def pages() -> list[Path]:
    """All pages that people write."""
    written = [page for page in sorted(DOCS.rglob("*.md")) if not page.relative_to(DOCS).as_posix().startswith(MADE)]
    return [README, *written]


def blocks(page: Path, text: str | None = None) -> list[Block]:
    """The blocks of a page, or of a text in its place."""
    text = page.read_text() if text is None else text
    fences = FENCE.finditer(text)
    return [Block(page, text.count("\n", 0, fence.start()) + 2, fence[2], dedent(fence[3])) for fence in fences]


def commands(session: str) -> list[tuple[str, str]]:
    """The commands of a console's session, each with the output that follows it."""
    parts = PROMPT.split(session)
    return list(zip(parts[1::2], parts[2::2], strict=True))


@contextmanager
def folder(page: Path) -> Iterator[Path]:
    """A folder as the page's reader has it: the examples, the page's own files, and `pgcheck` on the path."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "examples").symlink_to(ROOT / "examples")
        (place / "bin").mkdir()
        for program, arguments in (("pgcheck", "-m pgcheck "), ("python", ""), ("pytest", "-m pytest -p no:xdist ")):
            script = place / "bin" / program
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}"$@"\n')
            script.chmod(0o755)
        for block in blocks(page):
            if block.file and "/" not in block.file:
                (place / block.file).write_text(block.code)
        yield place


def output_of(command: str, place: Path) -> str:
    """What a shell command prints in a folder, errors and all, but for what a slow machine says."""
    env = {name: value for name, value in os.environ.items() if name not in TERMINAL_VARIABLES}
    done = subprocess.run(
        ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
        env=env | {"PYTHONIOENCODING": "utf-8", "PATH": f"{place / 'bin'}:{env['PATH']}"}, cwd=place,
        timeout=HANG, check=False,
    )  # fmt: skip
    return BY_THE_CLOCK.sub("", done.stdout)
