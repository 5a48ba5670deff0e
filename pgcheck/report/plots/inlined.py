"""A picture as part of a page: an SVG element in the page's colours, whose ids no other element of the page has."""

import re
from dataclasses import dataclass
from xml.etree import ElementTree

from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from pgcheck.report.plots.heatmap import COLOURS as HEAT
from pgcheck.report.plots.heatmap import HATCH
from pgcheck.report.plots.picture import COLOURS, FAINT, GRID, INK, inline_svg
from pgcheck.report.plots.sampled import BAR

SVG = "http://www.w3.org/2000/svg"
_HREF = "{http://www.w3.org/1999/xlink}href"
PAPER = "#ffffff"

# What a page says of colours, in CSS variables; a file's own colours are what they are where it says nothing.
VARIABLES = (
    {to_hex(HEAT(number)): f"--heat-{number}" for number in range(HEAT.N)}
    | {INK: "--ink", FAINT: "--faint", GRID: "--grid", BAR: "--bars", HATCH: "--hatch", PAPER: "--paper"}
    | {colour: f"--series-{number}" for number, colour in enumerate(COLOURS)}
    | {"#1f77b4": "--series-0"}  # matplotlib's own first colour, of marks that have no area
)
ON_STRONG = "--on-strong"  # of letters on a strong colour
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


@dataclass(frozen=True)
class Inlined:
    """A picture in a page.

    Attributes:
      svg: the element, to be put into HTML as it is: matplotlib and the XML writer have escaped its texts.
      characters: all that its texts are made of.
    """

    svg: str
    characters: frozenset[str]


def inlined(picture: Figure, prefix: str, label: str) -> Inlined:
    """Returns a picture as an element of a page.

    Its ink, its lines and its background are the page's: CSS variables, with the colours of a file where a page has
    none. It has no style sheet and no metadata, and refers to nothing outside. The page says how wide it
    is; `--width` is what it is made for.

    Args:
      picture: what to show.
      prefix: of its ids, which no other picture of the page has.
      label: what it shows, for those who cannot see it.
    """
    root = ElementTree.fromstring(inline_svg(picture))
    texts = {character for text in root.iter(f"{{{SVG}}}text") for character in "".join(text.itertext())}
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    taken: set[str] = set()
    for element in root.iter():
        _take_in(element, prefix, taken)
    for element in root.iter(f"{{{SVG}}}g"):
        if re.search(r"-(figure|axes)_\d+$", element.get("id", "")):
            _clear(element)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", label)
    # What the style sheet of the file says of all its elements.
    root.set("style", f"stroke-linejoin:round;stroke-linecap:butt;--width:{_width(root):.0f}px")
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{SVG}}}")
    root.set("xmlns", SVG)
    return Inlined(ElementTree.tostring(root, encoding="unicode").strip(), frozenset(texts))


def _take_in(element: ElementTree.Element, prefix: str, taken: set[str]) -> None:
    """Gives an element the page's colours, and an id that no other has; two panels may have the same ids."""
    style = element.get("style")
    for name in ("fill", "stroke"):
        if name in element.attrib:
            style = ";".join(filter(None, [style, f"{name}:{element.attrib.pop(name)}"]))
    if style is not None:
        is_text = element.tag == f"{{{SVG}}}text"
        element.set("style", _own(_COLOUR.sub(lambda found: _of_page(found[0], is_text), style), prefix))
    if "id" in element.attrib:
        own = f"{prefix}-{element.attrib.pop('id')}"
        if own not in taken:
            taken.add(own)
            element.set("id", own)
    if "clip-path" in element.attrib:
        element.set("clip-path", _own(element.attrib["clip-path"], prefix))
    target = element.attrib.pop(_HREF, None)
    if target is not None:
        element.set("href", f"#{prefix}-{target[1:]}" if target.startswith("#") else target)


def _own(text: str, prefix: str) -> str:
    """A text with references to the ids of this picture."""
    return _REFERENCE.sub(lambda found: f"url(#{prefix}-{found[1]})", text)


def _of_page(colour: str, is_text: bool) -> str:
    """A colour as the page has it; white letters stand on a strong colour."""
    variable = ON_STRONG if is_text and colour == PAPER else VARIABLES.get(colour)
    return colour if variable is None else f"var({variable},{colour})"


def _clear(group: ElementTree.Element) -> None:
    """Takes the background away from a figure, or from axes that have one: it is the first that is drawn there."""
    first = next(iter(group), None)
    if first is not None and re.search(r"-patch_\d+$", first.get("id", "")):
        for path in first.iter(f"{{{SVG}}}path"):
            if path.get("style") == f"fill: var({VARIABLES[PAPER]},{PAPER})":
                path.set("style", "fill:none")


def _width(root: ElementTree.Element) -> float:
    """The width of the drawing in pixels of a page, of which matplotlib's points are 4/3."""
    return float(root.get("viewBox", "0 0 460 0").split()[2]) * 4 / 3
