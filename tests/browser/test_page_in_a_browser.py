"""The page of a report in Debian's Chromium, as its readers use it; a smoke test in Firefox ESR.

Needs what ``.ci/run`` installs: chromium, firefox-esr, playwright, and axe-core and puppeteer-core under
``CXRBATCH_NODE_MODULES``.
"""

import dataclasses
import datetime as dt
import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxrbatch.explain.colours import to_png
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Evidence, PatientImage, PatientTriage, Priority, TriageRun
from cxrbatch.report.extras import PageExtras
from cxrbatch.report.page import render_page
from cxrbatch.triage.capacity import capacity_yield
from tests.browser.axe import NODE_MODULES, violations
from tests.factories.triage_runs import made_run

pytest.importorskip("playwright.sync_api")

pytestmark = pytest.mark.browser
SCREENSHOTS = os.environ.get("CXRBATCH_SCREENSHOTS")
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "=HYPERLINK(1)",
    "\u202eevil\u05de\u05d8",
    "long " * 2000,
)


def _jpeg(side_px: int, seed: int) -> bytes:
    grey = np.random.default_rng(seed).integers(0, 256, (16, 16), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(grey).resize((side_px, side_px)).save(stream, "JPEG", quality=60)
    return stream.getvalue()


def _patient(rank: int, small: bytes, large: bytes = b"", patient_id: str = "") -> PatientTriage:
    score = round(0.9 / rank**0.3, 6)
    name = f"2026-11-21/{rank:05}.dcm"
    evidence = Evidence(question="abnormal", png=to_png(np.random.default_rng(rank).random((16, 16))))
    return PatientTriage(
        rank=rank,
        priority=(Priority.URGENT, Priority.HIGH, Priority.ROUTINE)[min(rank // 6, 2)],
        patient_id=patient_id or f"P{rank:06}",
        accession_number=f"ACC{rank:05}",
        study_date=f"2026-11-{20 + rank % 2}",
        score=score,
        scores=(score, round((1 - score) / 2, 6), round((1 - score) / 2, 6)),
        n_images=1 + rank % 2,
        top_image=name,
        nights_waiting=rank % 3,
        flags=(Flag.LOSSY,) if rank % 4 else (),
        thumbnail=small,
        large_image=large,
        evidence=(evidence,) if large else (),
        outside_lungs=0.6 if large else None,
        images=(
            PatientImage(name=name, scores=(score, 0.0, 0.0)),
            PatientImage(name="b.dcm", reason=Reason.CORRUPT),
        ),
    )


def _night(n: int, names: tuple[str, ...] = ()) -> TriageRun:
    small, large = _jpeg(88, 0), _jpeg(512, 1)
    ranked = [
        _patient(rank, small, large if rank <= 50 else b"", names[rank - 1] if rank <= len(names) else "")
        for rank in range(1, n + 1)
    ]
    human = dataclasses.replace(
        ranked[0], rank=None, priority=None, score=None, scores=None, patient_id="HUMAN", reason=Reason.LATERAL_VIEW,
        evidence=(), outside_lungs=None,
    )  # fmt: skip
    run = made_run(patients=(*ranked, human))
    return dataclasses.replace(run, capacity=capacity_yield(30, run.patients, {}, None))


Opened = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Opened]:
    """Open the page of a run; no console message is allowed, and no request but for the file itself."""
    said: list[str] = []
    pages = []

    def opened(
        run: TriageRun, extras: PageExtras = PageExtras(), name: str = "é report.html", **options: Any
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


def test_the_first_five_are_on_the_first_screen(open_page: Opened) -> None:
    page = open_page(_night(40))
    boxes = [row.bounding_box() for row in page.locator(".ranking tbody tr").all()[:5]]
    assert all(box["y"] + box["height"] <= 800 for box in boxes)
    assert page.locator(".todo .first").inner_text() == "Swab these 30 first"
    assert page.locator(".todo .human").inner_text() == "1 needs a human"


def test_sort_filter_and_find(open_page: Opened) -> None:
    page = open_page(_night(40))
    page.locator("thead .c-score button").click()
    page.locator("thead .c-score button").click()
    # The text of the document: a row that has just moved has no layout of its own before the next frame.
    assert page.locator(".ranking tbody .c-rank").first.text_content() == "40"
    assert page.locator(".ranking .line").count() == 0
    page.locator("thead .c-rank button").click()
    assert page.locator(".ranking .line").text_content() == "Ranks 1 to 30 first: there are 30 swabs"
    page.keyboard.press("/")
    page.keyboard.type("P000031")
    assert page.locator(".ranking tbody tr:visible:not(.line)").count() == 1
    assert page.locator("#shown").inner_text() == "Filtered: 1 of 40 ranked, 0 of 1 for a human"


def test_a_patient_by_keyboard_alone(open_page: Opened) -> None:
    page = open_page(_night(40))
    for key in ("j", "j", "k", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert page.locator("#patient-title").inner_text() == "P000002"
    for key, expected in (("j", "P000003"), ("ArrowUp", "P000002"), ("k", "P000001"), ("k", "P000001")):
        page.keyboard.press(key)
        assert page.locator("#patient-title").inner_text() == expected
    page.keyboard.press("Escape")
    assert not page.locator("#patient").is_visible()
    page.wait_for_function("document.activeElement.textContent === 'P000001'")


def test_large_image_map_and_adjustment(open_page: Opened) -> None:
    page = open_page(_night(60))
    page.locator(".ranking tbody tr .c-score").first.click()
    assert page.evaluate("[large.naturalWidth, large.naturalHeight]") == [512, 512]
    assert not page.locator("#map").is_visible()
    page.get_by_role("button", name="Any pneumonia").click()
    assert page.evaluate("map.naturalWidth") == 16
    assert page.locator("#map").bounding_box() == page.locator("#large").bounding_box()
    assert page.locator("#map-note").inner_text().strip() == "Where the network looked, not where disease is"
    assert "do not trust this score" in page.locator("#outside").inner_text()
    page.locator("#brightness").fill("150")
    assert page.evaluate("large.style.filter") == "brightness(150%) contrast(100%)"
    page.get_by_role("button", name="As it was").click()
    assert page.evaluate("large.style.filter") == "brightness(100%) contrast(100%)"
    page.keyboard.press("Escape")
    page.locator(".ranking tbody tr .c-score").nth(54).click()
    assert page.locator("#picture-note").inner_text().startswith("Only a small preview")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 640, 1280])
def test_nothing_spills_and_nothing_serious_is_found(open_page: Opened, scheme: str, width: int) -> None:
    """640 px stands for 1280 px at 200 %. axe-core: no violation that is serious or critical."""
    page = open_page(_night(40), viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = violations(page)
    page.locator(".ranking tbody th button").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert found + violations(page) == []


def test_the_switch_beats_the_system(open_page: Opened) -> None:
    page = open_page(_night(3), color_scheme="light")
    colour = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(colour) == "rgb(255, 255, 255)"
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(colour) == "rgb(18, 23, 28)"


def _text_of(pdf: Path) -> str:
    """Return the text of the first page."""
    return subprocess.run(
        ["pdftotext", "-f", "1", "-l", "1", "-layout", pdf, "-"], capture_output=True, check=True, text=True
    ).stdout


@pytest.mark.parametrize("with_all", [False, True], ids=["usual", "all columns"])
def test_the_first_printed_page_holds_25_patients(
    open_page: Opened, tmp_path: Path, *, with_all: bool
) -> None:
    run, extras = _night(100), PageExtras()
    named: dict[tuple[str, ...], tuple[str, ...]]
    if with_all:
        named = {("P", str(rank)): (f"Family, Given {rank}", "1950-01-01", "F") for rank in range(1, 101)}
        patients = [
            dataclasses.replace(one, patient_key=("P", str(one.rank)), probability=0.5)
            for one in run.patients
        ]
        run = dataclasses.replace(run, patients=tuple(patients), prevalence=0.05)
        extras = PageExtras(show=("name", "birth-date", "sex"), shown=named)
    page = open_page(run, extras=extras, color_scheme="dark")
    page.pdf(path=tmp_path / "list.pdf", prefer_css_page_size=True)
    text = _text_of(tmp_path / "list.pdf")
    assert sum(f"P{rank:06}" in text for rank in range(1, 101)) >= 25
    assert all((f"Given {rank}" in text) == with_all for rank in range(1, 26))
    assert "A low score is never a rule-out" in text


def test_five_thousand_patients_open_within_two_seconds(open_page: Opened) -> None:
    """Of processor time of the page's own thread: what other programs of the machine do is not counted."""
    page = open_page(_night(5000))
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    before = _thread_s(session)
    page.reload()
    took = _thread_s(session) - before
    assert 0.1 < took < 2
    assert page.locator(".ranking tbody tr:not(.line)").count() == 5000


def _thread_s(session: Any) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")


def test_marks_stay_in_the_browser_under_the_hash_of_the_report(open_page: Opened) -> None:
    page = open_page(_night(5))
    page.get_by_role("checkbox", name="Done: P000002").check()
    page.locator("thead .c-score button").click()
    page.locator("thead .c-score button").click()
    page.get_by_role("button", name="P000004", exact=True).click()
    page.locator("#done").check()
    page.keyboard.press("j")
    assert not page.locator("#done").is_checked()
    page.keyboard.press("x")
    page.evaluate("localStorage.setItem('cxrbatch-done-old', JSON.stringify({day: 20000, done: [1]}))")
    page.reload()
    assert page.locator("tr.done th bdi").all_inner_texts() == ["P000002", "P000003", "P000004"]
    assert page.locator("#n-done").inner_text() == "3 of 6 done"
    kept = page.evaluate("Object.entries(localStorage)")
    assert [(key, json.loads(value)["done"]) for key, value in kept] == [
        (f"cxrbatch-done-{16 * 'a'}", [1, 2, 3])
    ]


@pytest.mark.parametrize(
    ("name", "hours", "says"),
    [("latest.html", 27, "This list is 27 hours old."), ("latest.html", 25, ""), ("2026-11-28.html", 99, "")],
)
def test_an_old_list_does_not_look_fresh_under_the_address_of_the_newest(
    name: str, hours: int, says: str, open_page: Opened
) -> None:
    started = dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours, minutes=1)
    page = open_page(dataclasses.replace(_night(3), started=started), name=name)
    assert page.locator("#old").is_visible() == bool(says)
    assert page.locator("#old").inner_text().startswith(says)


def test_who_is_new_tonight(open_page: Opened) -> None:
    page = open_page(_night(6))
    assert page.locator("tr:has(.new) th bdi").all_inner_texts() == ["P000003", "P000006"]


def test_the_first_k_are_printed(open_page: Opened, tmp_path: Path) -> None:
    page = open_page(_night(60))
    page.evaluate("window.print = () => {}")
    assert page.locator("#n-printed").input_value() == "30"
    page.locator("#n-printed").fill("7")
    page.get_by_role("button", name="Print", exact=True).click()
    page.pdf(path=tmp_path / "first.pdf", prefer_css_page_size=True)
    text = _text_of(tmp_path / "first.pdf")
    assert [f"P{rank:06}" in text for rank in (1, 7, 8, 60)] == [True, True, False, False]
    assert "The first 7 of 60 ranked patients" in text
    assert "HUMAN" not in text
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".beyond").count() == 0


def test_the_list_and_a_line_as_text(open_page: Opened, browser: Any) -> None:
    page = open_page(_night(3, ("=HYPERLINK(1)", "two\tcells", "P3")))
    copied = "copied => { window.copied = copied; return Promise.resolve(); }"
    page.evaluate(f"Object.defineProperty(navigator, 'clipboard', {{value: {{writeText: {copied}}}}})")
    page.get_by_role("button", name="Copy list").click()
    lines = [line.split("\t") for line in page.evaluate("window.copied").split("\n")]
    assert len({len(line) for line in lines}) == 1
    assert [line[:2] for line in lines] == [
        ["Rank", "Patient"],
        ["1", "'=HYPERLINK(1)"],
        ["2", "two\\tcells"],
        ["3", "P3, new"],
    ]
    page.get_by_role("button", name="P3", exact=True).click()
    page.get_by_role("button", name="Copy line").click()
    assert page.evaluate("window.copied").split("\n")[1].split("\t") == lines[3]
    assert page.locator("#copy-line").inner_text() == "Copied"


@pytest.mark.parametrize("name", HOSTILE, ids=["script", "image", "formula", "direction", "long"])
def test_names_are_inert(open_page: Opened, tmp_path: Path, name: str) -> None:
    """In the list, as what --show shows, in the detail and in print: text, and no wider than a telephone."""
    run = _night(3, (name, name, name))
    extras = PageExtras(show=("name", "station"), shown={(): (name, name)})
    page = open_page(run, extras=extras, viewport={"width": 390, "height": 800})
    assert page.locator("img[onerror], body > script[src]").count() == 0
    page.locator(".ranking tbody th button").first.click()
    assert page.locator("#patient img").count() == 2
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.keyboard.press("Escape")
    page.pdf(path=tmp_path / "list.pdf", prefer_css_page_size=True)
    assert _text_of(tmp_path / "list.pdf")


def test_firefox_opens_a_patient(tmp_path: Path) -> None:
    firefox = shutil.which("firefox-esr")
    assert firefox, "apt-get install firefox-esr"
    path = tmp_path / "report.html"
    path.write_bytes(b"".join(render_page(_night(5), {"report.csv": 64 * "a"})))
    smoke = Path(__file__).with_name("firefox_smoke.cjs")
    environment = os.environ | {"NODE_PATH": str(NODE_MODULES.resolve()), "HOME": str(tmp_path)}
    ran = subprocess.run(
        ["node", smoke, path.as_uri(), firefox],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert json.loads(ran.stdout or ran.stderr) == {
        "opened": True, "title": "P000001", "closed": True, "messages": [],
    }  # fmt: skip
