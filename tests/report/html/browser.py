"""A page in headless Chromium, and what a reader would notice of it."""

import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
WIDE, NARROW = 1280, 400


@dataclass
class Visit:
    """What a page did when it was opened.

    Attributes:
      page: of the browser.
      address: of the page.
      messages: that it wrote to the console, with errors.
      requests: of what it loaded.
      dialogs: that it opened.
    """

    page: Any
    address: str
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def answer(self, dialog: Any) -> None:
        """Notes a dialog and closes it."""
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def faults(self) -> list[str]:
        """What a page that is to stand alone must not do."""
        elsewhere = [f"request: {it}" for it in self.requests if it != self.address and not it.startswith("data:")]
        scripts = self.page.locator("script").count()
        return [
            *(f"console: {it}" for it in self.messages), *elsewhere, *(f"dialog: {it}" for it in self.dialogs),
            *["script"] * scripts,
        ]  # fmt: skip

    def overhang(self) -> int:
        """How many pixels of the page are beyond the right edge of the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def screenshot(self, file: Path) -> tuple[int, int]:
        """Writes a picture of all of the page as PNG, and returns its width and height in pixels."""
        data = self.page.screenshot(path=file, full_page=True)
        width, height = struct.unpack(">II", data[16:24])
        return width, height

    def colour(self, selector: str, name: str) -> str:
        """A property of the first such element, as it is shown."""
        return str(
            self.page.evaluate(f"getComputedStyle(document.querySelector({selector!r})).getPropertyValue({name!r})")
        )


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; the test is skipped where there is none."""
    from playwright.sync_api import Error, sync_playwright

    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=program, args=list(QUIET))
        except Error as error:
            pytest.skip(f"Chromium cannot be started: {str(error).splitlines()[0]}")
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visit(browser: Any, html: str, *, width: int = WIDE, scheme: str = "light") -> Iterator[Visit]:
    """Opens a page from a file, in a window of this width, for a reader who likes light or dark pages."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.html"
        file.write_text(html, encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()
        it = Visit(page, file.as_uri())
        page.on("console", lambda message: it.messages.append(message.text))
        page.on("pageerror", lambda error: it.messages.append(str(error)))
        page.on("request", lambda request: it.requests.append(request.url))
        page.on("dialog", it.answer)
        page.goto(it.address)
        try:
            yield it
        finally:
            context.close()
