"""`--plot FILE`: a picture of the result, beside what is printed."""

import contextlib
import importlib
import logging
import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from pgcheck.cli.option_groups import OUTPUT
from pgcheck.errors import UsageError

if TYPE_CHECKING:
    from pgcheck.report.output import Output
    from pgcheck.report.plots.picture import Picture

FORMS = {".svg": "svg", ".png": "png", ".pdf": "pdf"}

Plot = Annotated[
    str | None,
    typer.Option(
        "--plot", metavar="FILE", help="Draw it: .svg, .png or .pdf; needs pgcheck[plot].", rich_help_panel=OUTPUT
    ),
]


@dataclass(frozen=True)
class Drawing:
    """A file for a picture.

    Attributes:
      form: `svg`, `png` or `pdf`.
    """

    form: str
    _output: "Output"

    def write(self, picture: "Picture", title: str) -> None:
        """Writes the picture; its title, and the command that makes it, stand in the file's metadata.

        It is kept whatever comes after, so that one is drawn before anything is printed: a reader may go away.
        """
        from pgcheck.report.plots.picture import rendered

        command = shlex.join(["pgcheck", *sys.argv[1:]])
        self._output.write_bytes(rendered(picture, self.form, title=title, command=command))
        self._output.close()


@contextlib.contextmanager
def plotting(path: str | None, output: str | None, *, needs: str = "picture") -> Iterator[Drawing | None]:
    """Yields a file for a picture, None where none is asked for.

    Args:
      path: of the picture.
      output: of what is printed; None is standard output.
      needs: the module of `report.plots` that makes it.

    Raises:
      UsageError: the suffix is none that can be written, the file is that of `--output` too, or matplotlib (or
        networkx) is not installed; before anything is computed.
      OutputError: the file cannot be written.
    """
    if path is None:
        yield None
        return
    form = FORMS.get(PurePath(path).suffix.lower())
    if form is None:
        raise UsageError(f"--plot {path}: expected a file that ends in .svg, .png or .pdf")
    if output is not None and os.path.realpath(path) == os.path.realpath(output):
        raise UsageError(f"--plot {path}: --output writes to the same file; give the picture another name")
    _import_matplotlib(needs)
    from pgcheck.report.output import Output

    picture = Output(path)
    try:
        yield Drawing(form, picture)
    finally:
        picture.discard()


def _import_matplotlib(needs: str) -> None:
    """Imports a module of `report.plots`, an optional extra; what matplotlib's configuration says is not used."""
    logging.getLogger("matplotlib").setLevel(logging.CRITICAL)  # of its configuration and its cache
    backend = os.environ.pop("MPLBACKEND", None)  # a name that it does not know is an error
    try:
        importlib.import_module(f"pgcheck.report.plots.{needs}")
    except ImportError as error:
        raise UsageError(f"--plot needs {error.name}; install it with: pip install 'pgcheck[plot]'") from None
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
