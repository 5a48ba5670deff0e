"""SVG with its fonts in it: its words stay words, which can be searched and copied, and look the same everywhere."""

import base64
import io
import re
from xml.etree import ElementTree

import matplotlib.font_manager
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

FAMILY = "DejaVu Sans"
_TEXT = "{http://www.w3.org/2000/svg}text"


def with_fonts(svg: str) -> str:
    """Returns an SVG file of matplotlib with those characters of the font in it that its texts have."""
    texts = ElementTree.fromstring(svg).iter(_TEXT)
    characters = {character for text in texts for character in "".join(text.itertext())}
    if not characters:
        return svg
    face = font_face(frozenset(characters))
    return re.sub(r"(<style type=\"text/css\">)", lambda found: f"{found[1]}{face}", svg, count=1)


def font_face(characters: frozenset[str]) -> str:
    """Returns the rule of a style sheet that holds the font itself, with those of these characters that it has."""
    font = base64.b64encode(_subset(characters)).decode()
    return f"@font-face{{font-family:'{FAMILY}';src:url(data:font/woff;base64,{font}) format('woff')}}"


def _subset(characters: frozenset[str]) -> bytes:
    """The font with these characters only, in WOFF; the same bytes for the same characters."""
    path = matplotlib.font_manager.findfont(FAMILY, fallback_to_default=False)
    font = TTFont(path, recalcTimestamp=False)
    options = Options(flavor="woff", notdef_outline=True, recalc_timestamp=False, layout_features=["kern"])
    options.drop_tables += ["FFTM"]  # when the font was made
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=sorted(map(ord, characters)))
    subsetter.subset(font)
    font.flavor = "woff"
    file = io.BytesIO()
    font.save(file, reorderTables=False)
    return file.getvalue()
