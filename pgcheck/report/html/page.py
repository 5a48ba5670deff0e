"""A report → one page in HTML, which loads nothing. The door to jinja2."""

from importlib.resources import files

import jinja2

from pgcheck.report.html.content import Commands, content_of
from pgcheck.report.html.markup import Html
from pgcheck.verification.dossier import Dossier

__all__ = ["Commands", "page_of"]


def page_of(dossier: Dossier, commands: Commands) -> str:
    """Returns the page of a report; the same report is the same text.

    Args:
      dossier: all that it says.
      commands: that make the page, and check each estimator alone.
    """
    folder = files(__package__)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((folder / "page.jinja").read_text(encoding="utf-8"))
    style = Html((folder / "page.css").read_text(encoding="utf-8"))
    return str(template.render(page=content_of(dossier, commands), style=style)) + "\n"
