"""The pictures of a page: each with a caption, and all with one font, of which the page holds what they need."""

from dataclasses import dataclass, field

from pgcheck.report.html.markup import Html
from pgcheck.report.plots.fonts import font_face
from pgcheck.report.plots.inlined import inlined
from pgcheck.report.plots.picture import Picture


@dataclass(frozen=True)
class Shown:
    """A picture as it stands in a page.

    Attributes:
      svg: the element.
      caption: what stands below it.
    """

    svg: Html
    caption: str


@dataclass
class Gallery:
    """Takes pictures into a page."""

    _characters: set[str] = field(default_factory=set)
    _number: int = 0

    def shown(self, picture: Picture, caption: str) -> Shown:
        """Returns a picture with its caption, which also says to those who cannot see it what it shows."""
        self._number += 1
        element = inlined(picture, f"picture-{self._number}", caption)
        self._characters |= element.characters
        return Shown(Html(element.svg), caption)

    @property
    def font(self) -> Html:
        """The font of all pictures so far, as a rule of a style sheet; nothing without a picture."""
        return Html(font_face(frozenset(self._characters))) if self._characters else Html()
