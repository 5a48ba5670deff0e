"""Writes the outputs in README.md and docs/ anew, and the page of commands: `python -m tests.write_docs [PAGE]...`"""

import shutil
import sys
from pathlib import Path
from textwrap import indent

from tests import commands_page
from tests.pages import FENCE, PICTURES, commands, folder, output_of, pages


def renewed(page: Path) -> str:
    """The page with what its commands print now."""
    text = page.read_text()
    for fence in reversed(list(FENCE.finditer(text))):
        if fence[2] == "console":
            with folder(page) as place:
                shown = "".join(f"$ {command}\n{output_of(command, place)}" for command, _ in commands(fence[3]))
                for picture in place.glob("*.svg"):
                    shutil.copy(picture, PICTURES)
            text = text[: fence.start(3)] + indent(shown, fence[1]) + text[fence.end(3) :]
    return text


def main(wanted: list[str]) -> None:
    """Writes the pages that are named, or all."""
    commands_page.PAGE.write_text(commands_page.commands_page())
    for page in pages():
        if not wanted or page in [Path(name).resolve() for name in wanted]:
            page.write_text(renewed(page))


if __name__ == "__main__":
    main(sys.argv[1:])
