"""The page as a reader sees it, in a browser: it stands alone, shows all sections, and does what no name asks for."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report.html.browser import NARROW, WIDE, chromium, visit
from tests.report.html.pages import NAMES, RAISED, failing, hostile, plain

pytestmark = [pytest.mark.html, pytest.mark.chromium]

SECTIONS = {
    "summary": "FAIL", "model": "3 states", "gradient": "backward induction agrees",
    "trajectories": "a weight per rollout", "error": "Monte Carlo rate", "estimators": "reward-to-go",
    "verdicts": "gamma^t is left out", "reproduce": "pgcheck report two_state",
}  # fmt: skip
POLICY = "http-equiv"  # of what a page may load


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as it:
        yield it


@pytest.mark.parametrize("made", [failing, plain, hostile])
def test_a_page_loads_nothing_says_nothing_and_has_no_script(browser: Any, made: Any) -> None:
    with visit(browser, made().html) as it:
        assert it.faults() == []


@pytest.mark.parametrize(
    ("element", "fault"),
    [
        ('<img src="https://pgcheck.invalid/x.png" alt="">', "request: https://pgcheck.invalid/x.png"),
        ('<link rel="stylesheet" href="https://pgcheck.invalid/x.css">', "request: https://pgcheck.invalid/x.css"),
        ("<script>console.error('oh')</script>", "console: oh"),
        ("<script>alert('oh')</script>", "dialog: oh"),
    ],
)
@pytest.mark.parametrize("has_policy", [True, False])
def test_a_page_that_does_so_is_found(browser: Any, element: str, fault: str, has_policy: bool) -> None:
    html = plain().html.replace("</body>", f"{element}</body>")
    with visit(browser, html if has_policy else html.replace(POLICY, "name")) as it:
        faults = it.faults()
    # With the page's own policy the browser refuses, and says so.
    assert any("Content Security Policy" in it for it in faults) if has_policy else fault in faults


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_can_be_read(browser: Any, section: str) -> None:
    with visit(browser, failing().html) as it:
        shown = it.page.locator(f"#{section}")
        assert shown.is_visible()
        it.page.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)")
        assert SECTIONS[section] in shown.inner_text()
        assert it.page.locator(f"#{section} .picture svg").count() == it.page.locator(f"#{section} figure").count()


def test_the_test_knows_all_sections() -> None:
    html = failing().html
    assert html.count("<section id=") == len(SECTIONS)
    assert all(f'<section id="{section}"' in html for section in SECTIONS)


def test_hostile_names_are_shown_as_they_are(browser: Any) -> None:
    with visit(browser, hostile().html) as it:
        it.page.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)")
        text = it.page.locator("body").inner_text()
        assert [name for name in (*NAMES, RAISED) if name not in text] == []
        assert it.page.locator("img, iframe, object, embed, script, [onload], [onerror]").count() == 0
        assert it.page.title() == f"pgcheck report: {NAMES[0]}"


def test_a_name_taken_for_html_would_be_found(browser: Any) -> None:
    name = NAMES[0]
    escaped = name.replace("<", "&lt;").replace(">", "&gt;")
    html = hostile().html.replace(POLICY, "name")
    assert escaped in html
    with visit(browser, html.replace(escaped, name)) as it:
        assert {"dialog: 1", "script"} <= set(it.faults())


@pytest.mark.parametrize("made", [failing, plain, hostile])
@pytest.mark.parametrize("is_open", [False, True])
def test_a_phone_need_not_scroll_sideways(browser: Any, made: Any, is_open: bool) -> None:
    with visit(browser, made().html, width=NARROW) as it:
        it.page.evaluate(f"document.querySelectorAll('details').forEach(it => it.open = {str(is_open).lower()})")
        assert it.overhang() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_screenshot_is_as_wide_as_the_window(browser: Any, width: int, scheme: str, tmp_path: Path) -> None:
    folder = Path(os.environ.get("PGCHECK_SCREENSHOTS") or tmp_path)  # where people look at them
    folder.mkdir(parents=True, exist_ok=True)
    with visit(browser, failing().html, width=width, scheme=scheme) as it:
        seen, height = it.screenshot(folder / f"report-{width}-{scheme}.png")
    assert seen == width
    assert height > 3000  # all sections, not the first window


def test_a_screenshot_of_a_page_that_is_too_wide_is_wider(browser: Any, tmp_path: Path) -> None:
    wide = plain().html.replace("</body>", "<div style='width:900px'>wide</div></body>")
    with visit(browser, wide, width=NARROW) as it:
        assert it.screenshot(tmp_path / "wide.png")[0] > NARROW


def test_a_page_that_is_too_wide_is_found(browser: Any) -> None:
    wide = plain().html.replace("</body>", "<div style='width:900px'>wide</div></body>")
    with visit(browser, wide, width=NARROW) as it:
        assert it.overhang() > 400


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_have_the_colours_of_the_page(browser: Any, scheme: str) -> None:
    with visit(browser, plain().html, scheme=scheme) as it:
        ink, paper = it.colour("body", "color"), it.colour("body", "background-color")
        assert (sum(_parts(ink)) > sum(_parts(paper))) == (scheme == "dark")
        assert it.colour("#estimators svg text", "fill") == ink
        backgrounds = it.page.evaluate(
            "[...document.querySelectorAll('svg [id$=figure_1] > [id$=patch_1] path')]"
            ".map(it => getComputedStyle(it).fill)"
        )
        assert set(backgrounds) == {"none"}


def test_print_is_light_also_for_readers_who_like_dark(browser: Any) -> None:
    with visit(browser, plain().html, scheme="dark") as it:
        dark = it.colour("body", "background-color")
        it.page.emulate_media(media="print")
        assert sum(_parts(it.colour("body", "background-color"))) > 700 > 100 > sum(_parts(dark))
        assert it.colour("#error tr", "display") == "table-row"
        assert it.colour("#error tr", "break-inside") == "avoid"


def test_a_page_prints_on_a4(browser: Any, tmp_path: Any) -> None:
    with visit(browser, failing().html) as it:
        data = it.page.pdf(prefer_css_page_size=True)
    assert data.startswith(b"%PDF")
    assert b"/MediaBox [0 0 594.95996 841.91998]" in data or b"/MediaBox [0 0 595" in data
    assert 3 <= data.count(b"/Type /Page\n") <= 12


def _parts(colour: str) -> list[int]:
    return [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
