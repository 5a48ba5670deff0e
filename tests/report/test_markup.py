"""Views as HTML: what a browser makes of it is read by the parser of the standard library."""

from html.parser import HTMLParser

import pytest

from pgcheck.report.markup import _COLOURS, blocks_html
from pgcheck.report.view import Block, Column, Filled, Grid, Span, Styled

NASTY = """<script>alert('1')</script> & "x" <!-- </td> 東京 ]]>"""
EMPTY = frozenset({"br"})


class Page(HTMLParser):
    """The elements of a page that are open at each text; fails where one is closed that is not open."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.styles: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.styles += [value or "" for name, value in attributes if name == "style"]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1], data))

    def of(self, tag: str) -> list[str]:
        return [text for owner, text in self.texts if owner == tag]


def page(*blocks: Block, most_rows: int = 10) -> Page:
    return Page(blocks_html(blocks, most_rows=most_rows))


@pytest.mark.parametrize("block", [NASTY, Filled(NASTY), Styled((Span(NASTY),)), Styled((Span(NASTY, "bad"),))])
def test_a_text_is_shown_as_it_is_and_makes_no_element(block: Block) -> None:
    shown = page(block)
    assert "".join(text for _, text in shown.texts) == NASTY
    assert set(shown.tags) <= {"div", "p", "b"}


def test_a_table_shows_its_cells_as_they_are() -> None:
    shown = page(Grid((Column(NASTY, right=False), Column("N")), [(NASTY, "1"), ("b", "2")]))
    assert shown.of("th") == [NASTY, "N"]
    assert shown.of("td") == [NASTY, "1", "b", "2"]
    assert "script" not in shown.tags


def test_a_page_without_escapes_would_be_seen() -> None:
    assert "script" in Page(f"<p>{NASTY}</p>".replace("</td>", "")).tags


def test_a_control_character_is_made_visible() -> None:
    assert page("a\x1b[31m").of("p") == ["a\N{REPLACEMENT CHARACTER}[31m"]


def test_rows_beyond_the_most_are_left_out_and_that_is_said() -> None:
    rows = [(str(k),) for k in range(12)]
    assert page(Grid((Column("k"),), iter(rows))).of("td") == [str(k) for k in range(10)]
    assert "... the first 10 rows" in page(Grid((Column("k"),), iter(rows))).of("p")
    assert page(Grid((Column("k"),), rows[:10])).of("p") == []


def test_columns_of_spaces_stay_columns_and_lines_stay_lines() -> None:
    assert page("a\n  b  1").of("pre") == ["a\n  b  1"]
    assert page("a\nb").of("p") == ["a", "b"]


def test_no_colour_is_fixed_but_those_of_verdicts_and_they_read_well_on_dark_and_light() -> None:
    shown = page(Styled((Span("a"), Span("PASS", "good"))), Grid((Column("k"),), [("1",)]))
    colours = [style for style in shown.styles if "color" in style]
    assert colours == [f"color:var(--pgcheck-good,{_COLOURS['good']})", "color:inherit"]
    for colour in _COLOURS.values():
        assert min(contrast(colour, "#ffffff"), contrast(colour, "#000000")) >= 4.5


def test_black_would_be_seen_to_read_ill_on_dark() -> None:
    assert contrast("#000000", "#1e1e1e") < 1.5
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # a known example


def contrast(one: str, other: str) -> float:
    """Of two colours, as WCAG 2 defines it: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio ."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
