"""A verdict on an estimator as a section of a page, and as a line of its summary."""

from collections.abc import Mapping
from dataclasses import dataclass

from pgcheck.errors import PgcheckError
from pgcheck.estimators.mistakes.catalogue import EXPLANATIONS
from pgcheck.estimators.mistakes.explanation import Explanation
from pgcheck.report.html.gallery import Gallery, Shown
from pgcheck.report.html.markup import Html
from pgcheck.report.markup import blocks_html
from pgcheck.report.plots.verification import verification_picture
from pgcheck.report.verification import verification_view
from pgcheck.report.verifications import verdict_line
from pgcheck.verification.dossier import Dossier
from pgcheck.verification.verification import Verification


@dataclass(frozen=True)
class Judged:
    """A verdict in a page.

    Attributes:
      name: of the estimator.
      anchor: of its section.
      line: the verdict in one line.
      error: why there is no verdict; empty where there is one.
      said: the verdict as `verify` prints it.
      picture: what it rests on; None where there is nothing to draw.
      mistakes: those that are named and not allowed, explained.
      command: that checks it alone.
    """

    name: str
    anchor: str
    line: Html
    error: str
    said: Html
    picture: Shown | None
    mistakes: tuple[Explanation, ...]
    command: str


def anchor(number: int) -> str:
    """Returns the id of the section of a verdict."""
    return f"verdict-{number}"


def judged_of(dossier: Dossier, gallery: Gallery, commands: Mapping[str, str]) -> tuple[Judged, ...]:
    """Returns the verdicts of a report, in their order.

    Args:
      dossier: all that the report says.
      gallery: takes in their pictures.
      commands: that check each estimator alone, by its name.
    """
    return tuple(
        _judged(anchor(number), name, outcome, gallery, commands[name])
        for number, (name, outcome) in enumerate(dossier.judged, 1)
    )


def _judged(place: str, name: str, outcome: Verification | PgcheckError, gallery: Gallery, command: str) -> Judged:
    line = Html(blocks_html([verdict_line(name, outcome)]))
    if not isinstance(outcome, Verification):
        return Judged(name, place, line, str(outcome), Html(), None, (), command)
    _, *blocks = verification_view(name, outcome, explained=True).blocks  # the first is the verdict itself
    said = Html(blocks_html([verdict_line(name, outcome), *blocks]))
    picture = None
    if outcome.findings:
        picture = gallery.shown(verification_picture(name, outcome), f"What the verdict on {name} rests on.")
    mistakes = tuple(EXPLANATIONS[mistake] for mistake in outcome.mistakes)
    return Judged(name, place, line, "", said, picture, mistakes, command)
