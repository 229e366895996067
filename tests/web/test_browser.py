"""The pages in Debian's Chromium: uploads, the list, marks, roles, dark, a phone, keyboard, and axe-core."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.factories.nights import HOSTILE
from tests.factories.web_client import PASSWORD, Server, serving

pytest.importorskip("playwright")
pytestmark = [pytest.mark.browser, pytest.mark.slow]
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not here (CHROMIUM)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def demo(tiny_bundle: Path, sample_night: Path) -> Iterator[Server]:
    with serving("--demo", sample_night, "--bundle", tiny_bundle, "--capacity", "5") as server:
        yield server


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of a new browser; what it says in its console fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    opened.set_default_timeout(90_000)
    said: list[str] = []
    opened.on("console", lambda message: said.extend([message.text] if message.type == "error" else []))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
    yield opened
    context.close()
    assert said == []


def address(server: Server, path: str = "/") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


def open_list(page: Any, server: Server) -> None:
    """Open the list; the demonstration reloads until it is there."""
    page.goto(address(server))
    page.wait_for_selector("table.list")


def faults(page: Any) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    page.context.set_default_timeout(90_000)
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found if one["impact"] in SERIOUS]


@pytest.fixture
def mixed(tmp_path: Path, sample_night: Path) -> list[Path]:
    """Good and bad files, a hostile name, and an archive."""
    source = sample_night / "pictures" / "SAMPLE-023.png"
    hostile = tmp_path / "<img src=x onerror=alert(1)>.png"
    hostile.write_bytes(source.read_bytes())
    (tmp_path / "empty.png").touch()
    (tmp_path / "page.html").write_text("<script>alert(1)</script>")
    with zipfile.ZipFile(tmp_path / "night.zip", "w") as archive:
        archive.write(source, "../a.png")
        archive.writestr("broken.dcm", b"\0" * 128 + b"DICM")
    return sorted(tmp_path.iterdir())


def test_upload_of_good_and_bad_files_and_an_archive(page: Any, demo: Server, mixed: list[Path]) -> None:
    page.goto(address(demo, "/uploads/new/"))
    page.set_input_files("#files", [str(path) for path in mixed])
    page.click("#send")
    page.wait_for_selector('#progress:has-text("All files have an answer")')
    assert page.locator(".card").count() == 5
    assert page.locator(".card.scored").count() == 2
    assert page.locator(f".card h3:has-text('{HOSTILE}')").count() == 1
    assert page.locator(".card h3 img").count() == 0
    page.reload()
    assert page.locator(".card").count() == 5
    with page.expect_download() as download:
        page.click("#table")
    assert len(Path(download.value.path()).read_text(encoding="utf-8-sig").splitlines()) == 6
    page.set_input_files("#files", str(mixed[0]))
    page.click("#send")
    page.wait_for_selector(".card:nth-child(6)")
    page.wait_for_selector('#progress:has-text("All files have an answer")')


def test_maps_of_an_upload_are_laid_over_the_image_and_taken_away(
    page: Any, tmp_path: Path, sample_night: Path
) -> None:
    """With the shipped network, which states its evidence."""
    image = sample_night / "pictures" / "SAMPLE-023.png"
    (tmp_path / image.name).write_bytes(image.read_bytes())
    with serving("--demo", tmp_path) as server:
        page.goto(address(server, "/uploads/new/"))
        page.set_input_files("#files", str(image))
        page.click("#send")
        page.wait_for_selector("#maps button[data-map=covid]")
        shown = page.locator(".card img.map:visible")
        assert shown.count() == 0
        page.click("#maps button[data-map=covid]")
        assert shown.count() == 1
        assert shown.bounding_box() == page.locator(".card .picture img").first.bounding_box()
        page.wait_for_function("() => document.querySelector('.card .map.covid').naturalWidth > 1")
        assert "not where disease is" in page.inner_text("#maps")
        assert faults(page) == []
        if folder := os.environ.get("CXRBATCH_SCREENSHOTS"):
            page.screenshot(path=str(Path(folder) / "upload-map.png"))
        page.click("#maps button[data-map='']")
        assert shown.count() == 0


def test_files_that_are_dropped(page: Any, demo: Server) -> None:
    page.goto(address(demo, "/uploads/new/"))
    transfer = page.evaluate_handle(
        "() => { const data = new DataTransfer(); data.items.add(new File(['x'], 'dropped.png')); return data; }"
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    page.wait_for_selector('.card.not_scored:has-text("dropped.png")')


def test_swabbed_and_result_in_two_clicks_and_back(page: Any, demo: Server) -> None:
    open_list(page, demo)
    assert "Swab these 5 first" in page.inner_text("h1")
    first = page.locator("table.list tbody tr").first
    first.locator("summary").click()
    first.locator("button[value=swabbed]").click()
    page.wait_for_selector("tr.marked .done")
    first = page.locator("table.list tbody tr").first
    assert "swabbed" in first.inner_text()
    first.locator("summary").click()
    first.locator("button[value=positive]").click()
    page.wait_for_selector('tr.marked:has-text("positive")')
    page.locator("tr.marked button:has-text('Undo')").click()
    page.wait_for_selector('tr.marked:has-text("swabbed")')
    page.locator("tr.marked button:has-text('Undo')").click()
    page.wait_for_selector("tr.marked", state="detached")


def test_the_human_queue_and_a_patient(page: Any, demo: Server) -> None:
    open_list(page, demo)
    page.click("nav.tabs a:has-text('A human must look')")
    page.locator("button:has-text('Looked at')").first.click()
    page.wait_for_selector("td .done")
    page.locator("th[scope=row] a").first.click()
    page.wait_for_selector("h2:has-text('Swabs and results')")


def test_the_report_of_the_night_with_its_maps_runs_here_too(page: Any, demo: Server) -> None:
    open_list(page, demo)
    page.click("h1 a:has-text('report')")
    page.wait_for_url("**/report/")
    page.locator(".ranking tbody th button").first.click()
    page.wait_for_selector("dialog[open] img#large")
    if folder := os.environ.get("CXRBATCH_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / "report.png"))
    page.keyboard.press("Escape")
    page.click("text=Back to the swab list")
    page.wait_for_selector("table.list")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_serious(scheme: str, width: int, page: Any, demo: Server, tmp_path: Path) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 844})
    open_list(page, demo)
    pages = ("/", "/lists/1/?status=not_scored", "/lists/1/1/", "/lists/", "/uploads/new/", "/uploads/")
    found = {}
    for path in pages:
        page.goto(address(demo, path))
        if faulty := faults(page):
            found[path] = faulty
        too_wide = page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
        assert too_wide <= 0, path
        if folder := os.environ.get("CXRBATCH_SCREENSHOTS"):
            name = f"{scheme}-{width}-{path.strip('/').replace('/', '-').replace('?', '-') or 'home'}.png"
            page.screenshot(path=str(Path(folder) / name))
    assert found == {}


def test_the_keyboard_reaches_the_content_and_the_swab(page: Any, demo: Server) -> None:
    open_list(page, demo)
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    summary = page.locator("table.list summary").first
    summary.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.closest('.enter') !== null")


def test_sign_in_roles_and_refusals(page: Any, browser: Any, tmp_path: Path, tiny_bundle: Path) -> None:
    with serving("--state", tmp_path / "state.sqlite", "--bundle", tiny_bundle) as server:
        page.goto(address(server, server.path))
        page.fill("[name=username]", "admin")
        for name in ("password", "again"):
            page.fill(f"[name={name}]", PASSWORD)
        page.click("main button")
        page.wait_for_selector("h1:has-text('No list yet')")
        page.goto(address(server, "/users/"))
        assert faults(page) == []
        page.fill("[name=username]", "eva")
        page.click("button:has-text('Make a link')")
        link = page.inner_text("[role=alert] code")
        page.click("button:has-text('Sign out')")
        page.wait_for_selector("h1:has-text('Sign in')")
        assert faults(page) == []
        page.goto(link)
        for name in ("password", "again"):
            page.fill(f"[name={name}]", PASSWORD)
        page.click("main button")
        page.wait_for_selector("h1:has-text('No list yet')")
        assert page.locator("nav a:has-text('Users')").count() == 0
        assert page.request.get(address(server, "/users/")).status == 403
