"""Debian's Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cxrbatch.records import TriageRun
from cxrbatch.report.extras import PageExtras
from cxrbatch.report.page import render_page
from tests.browser.nights import WITH_THUMBNAILS

SCREENSHOTS = os.environ.get("CXRBATCH_SCREENSHOTS")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")

    chromium = shutil.which("chromium")
    assert chromium, "apt-get install chromium"
    arguments = ["--no-sandbox", "--disable-background-networking"]
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=arguments)
        yield opened
        opened.close()


Opened = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Opened]:
    """Open the page of a run; no console message is allowed, and no request but for the file itself."""
    said: list[str] = []
    pages = []

    def opened(
        run: TriageRun, extras: PageExtras = WITH_THUMBNAILS, name: str = "é report.html", **options: Any
    ) -> Any:
        path = tmp_path / name
        path.write_bytes(b"".join(render_page(run, {"report.csv": 64 * "a"}, extras)))
        page = browser.new_page(**{"viewport": {"width": 1280, "height": 800}} | options)
        pages.append(page)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "data:")) else said.append(request.url),
        )
        page.on("dialog", lambda dialog: said.append("dialog"))
        page.goto(path.as_uri())
        return page

    yield opened
    if SCREENSHOTS:
        for number, page in enumerate(pages):
            page.screenshot(
                path=Path(SCREENSHOTS)
                / f"{os.environ['PYTEST_CURRENT_TEST'].split('::')[1][:60].split(' ')[0]}_{number}.png"
            )
    for page in pages:
        page.close()
    assert said == []
