"""What an SVG file holds, read by an XML parser."""

import base64
import io
import re
from collections import Counter
from xml.etree import ElementTree

SVG, DC = "{http://www.w3.org/2000/svg}", "{http://purl.org/dc/elements/1.1/}"


class Drawn:
    """The texts, ids and metadata of an SVG file."""

    def __init__(self, file: bytes | str) -> None:
        self.root = ElementTree.fromstring(file)
        assert self.root.tag == f"{SVG}svg"
        self.texts = ["".join(text.itertext()) for text in self.root.iter(f"{SVG}text")]
        self.ids = Counter(element.get("id", "") for element in self.root.iter() if element.get("id"))

    def groups(self, prefix: str) -> list[ElementTree.Element]:
        """The groups whose id begins with a prefix."""
        return [group for group in self.root.iter(f"{SVG}g") if group.get("id", "").startswith(prefix)]

    def metadata(self, name: str) -> str:
        """What the metadata say under a name of Dublin Core."""
        (element,) = self.root.iter(f"{DC}{name}")
        return "".join(element.itertext()).strip()

    def font(self) -> set[str]:
        """The characters that the embedded font has."""
        from fontTools.ttLib import TTFont

        (style,) = (style.text or "" for style in self.root.iter(f"{SVG}style"))
        match = re.search(r"base64,([A-Za-z0-9+/=]+)", style)
        assert match is not None
        return set(map(chr, TTFont(io.BytesIO(base64.b64decode(match[1]))).getBestCmap()))

    def uses(self, group: ElementTree.Element) -> list[tuple[float, float]]:
        """Where the marks of a line stand."""
        return [(float(use.get("x", "nan")), float(use.get("y", "nan"))) for use in group.iter(f"{SVG}use")]
