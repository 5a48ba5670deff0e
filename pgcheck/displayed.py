"""What makes a result show itself in a notebook. Nothing is imported for that before it is shown."""

import importlib
from typing import Any


class Displayed:
    """A result that a notebook shows as a table."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        html: str = _notebooks().html_of(self)
        return html


class Plotted(Displayed):
    """A result that can be drawn, too."""

    __slots__ = ()

    def plot(self) -> Any:
        """Returns the result as a picture, a matplotlib Figure that a notebook shows; `savefig` writes it to a file.

        Raises:
          UsageError: matplotlib is not installed: pip install 'pgcheck[plot]'.
        """
        return drawn(self)


def drawn(*shown: object) -> Any:
    """Returns the picture of a result, and of what is to be known besides; errors are those of `Plotted.plot`."""
    return _notebooks().picture_of(*shown)


def _notebooks() -> Any:
    return importlib.import_module("pgcheck.notebooks")  # it imports the modules whose classes these here are for
