"""The page of a report in Debian's Chromium, as its readers use it; a smoke test in Firefox ESR.

Needs what ``.ci/run`` installs: chromium, firefox-esr, playwright, and axe-core and puppeteer-core under
``CXRBATCH_NODE_MODULES``.
"""

import dataclasses
import datetime as dt
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cxrbatch.reasons import FLAG_MEANING, REASON_MEANING, Flag, Reason
from cxrbatch.report.extras import PageExtras
from cxrbatch.report.page import render_page
from tests.browser.axe import NODE_MODULES, violations
from tests.browser.conftest import Opened
from tests.browser.nights import made_night
from tests.browser.paper import text_of_first_page

pytest.importorskip("playwright.sync_api")

pytestmark = pytest.mark.browser
HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "=HYPERLINK(1)",
    "\u202eevil\u05de\u05d8",
    "long " * 2000,
)


def test_the_first_five_are_on_the_first_screen(open_page: Opened) -> None:
    page = open_page(made_night(40))
    boxes = [row.bounding_box() for row in page.locator(".ranking tbody tr").all()[:5]]
    assert all(box["y"] + box["height"] <= 800 for box in boxes)
    assert page.locator(".todo .first").inner_text() == "Swab these 30 first"
    assert page.locator(".todo .human").inner_text() == "1 needs a human"


def test_sort_filter_and_find(open_page: Opened) -> None:
    page = open_page(made_night(40))
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
    assert page.locator("#shown").inner_text() == "FILTERED: 1 of 40 ranked, 0 of 1 for a human"


def test_a_patient_by_keyboard_alone(open_page: Opened) -> None:
    page = open_page(made_night(40))
    for key in ("j", "j", "k", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert page.locator("#patient-title").inner_text() == "P000002"
    for key, expected in (("j", "P000003"), ("ArrowUp", "P000002"), ("k", "P000001"), ("k", "P000001")):
        page.keyboard.press(key)
        assert page.locator("#patient-title").inner_text() == expected
    page.keyboard.press("Escape")
    assert not page.locator("#patient").is_visible()
    page.wait_for_function("document.activeElement.textContent === 'P000001'")


def test_who_goes_to_find_as_a_patient_is_closed_stays_there(open_page: Opened) -> None:
    """A dialog tells that it was closed in a later task."""
    page = open_page(made_night(40))
    page.locator(".ranking tbody th button").first.click()
    told = "new Promise(told => document.getElementById('patient').addEventListener('close', () => setTimeout(told)))"
    page.evaluate(
        f"() => {{ const closed = {told}; document.getElementById('patient').close();"
        " document.getElementById('find').focus(); return closed; }"
    )
    assert page.evaluate("document.activeElement.id") == "find"


def _why(page: Any) -> list[str]:
    return [page.locator("#why").inner_text(), *page.locator("#notes li").all_inner_texts()]


def test_a_blank_marks_nobody_and_a_higher_normal_is_named(open_page: Opened) -> None:
    run = made_night(40)
    first = dataclasses.replace(run.patients[0], scores=(0.9, 0.0, 0.95))
    page = open_page(dataclasses.replace(run, patients=(first, *run.patients[1:])))
    page.locator(".ranking tbody th button").first.click()
    page.keyboard.press("Space")
    assert not page.locator("#done").is_checked()
    assert "Normal scores higher: 0.950" in _why(page)


def test_why_this_one_in_the_first_lines(open_page: Opened) -> None:
    run = made_night(40)
    first, second, *others = run.patients
    first = dataclasses.replace(first, scores=(0.9, 0.95, 0.0), flags=(Flag.MAX_WAIT, Flag.IDENTITY_CONFLICT))
    page = open_page(dataclasses.replace(run, patients=(first, second, *others)))
    lungs = "60 % of the evidence for this COVID-19 score lies outside the lungs: do not trust it"
    page.locator(".ranking tbody th button").first.click()
    assert _why(page) == [
        "Rank 1 of 40 because of the wait: COVID-19 score 0.900, urgent (0.526 and above)",
        lungs,
        "Other pneumonia scores higher: 0.950",
        FLAG_MEANING[Flag.MAX_WAIT],
        FLAG_MEANING[Flag.IDENTITY_CONFLICT],
    ]
    assert page.locator("#notes .strong").all_inner_texts() == [lungs, FLAG_MEANING[Flag.IDENTITY_CONFLICT]]
    page.keyboard.press("j")
    assert _why(page) == [
        "Rank 2 of 40: COVID-19 score 0.731, urgent (0.526 and above)", lungs, FLAG_MEANING[Flag.LOSSY],
    ]  # fmt: skip
    page.keyboard.press("k")
    page.keyboard.press("k")
    page.keyboard.press("Escape")
    page.locator(".look tbody th button").first.click()
    assert _why(page) == [f"No score: {REASON_MEANING[Reason.LATERAL_VIEW]}", FLAG_MEANING[Flag.LOSSY]]


def test_the_chosen_map_is_remembered(open_page: Opened) -> None:
    page = open_page(made_night(3))
    pressed = "#maps [aria-pressed=true]"
    page.locator(".ranking tbody th button").first.click()
    assert page.locator(pressed).inner_text() == "COVID-19 against other pneumonia"
    assert page.locator("#map").is_visible()
    for chosen in ("No map", "Any pneumonia"):
        page.get_by_role("button", name=chosen).click()
        page.keyboard.press("j")
        assert page.locator(pressed).inner_text() == chosen
        assert page.locator("#map").is_visible() == (chosen != "No map")
    page.reload()
    page.locator(".ranking tbody th button").first.click()
    assert page.locator(pressed).inner_text() == "Any pneumonia"


def test_large_image_map_and_adjustment(open_page: Opened) -> None:
    page = open_page(made_night(60))
    page.locator(".ranking tbody tr .c-score").first.click()
    assert page.evaluate("[large.naturalWidth, large.naturalHeight]") == [512, 512]
    assert page.evaluate("map.naturalWidth") == 16
    assert page.locator("#map").bounding_box() == page.locator("#large").bounding_box()
    assert (
        page.locator("#map-note").inner_text().strip(". ") == "Where the network looked, not where disease is"
    )
    page.locator("#brightness").fill("150")
    assert page.evaluate("large.style.filter") == "brightness(150%) contrast(100%)"
    page.get_by_role("button", name="As it was").click()
    assert page.evaluate("large.style.filter") == "brightness(100%) contrast(100%)"
    page.keyboard.press("Escape")
    page.locator(".ranking tbody tr .c-score").nth(54).click()
    assert page.locator("#picture-note").inner_text().startswith("Only a small preview")
    assert not page.locator("#brightness").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 640, 1280])
def test_nothing_spills_and_nothing_serious_is_found(open_page: Opened, scheme: str, width: int) -> None:
    """640 px stands for 1280 px at 200 %. axe-core: no violation that is serious or critical."""
    page = open_page(made_night(40), viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = violations(page)
    page.locator(".ranking tbody th button").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert found + violations(page) == []


def test_find_leads_to_the_patient(open_page: Opened) -> None:
    page = open_page(made_night(40))
    focused = "document.activeElement.textContent"
    for key in ("Enter", "ArrowDown"):
        page.locator("#find").fill("P00003")
        page.keyboard.press(key)
        assert page.evaluate(focused) == "P000030"
        assert not page.locator("#patient").is_visible()
    page.locator("#find").fill("ACC00031")
    page.keyboard.press("Enter")
    assert page.locator("#patient-title").inner_text() == "P000031"
    page.keyboard.press("Escape")
    page.locator("#find").fill("nobody")
    assert page.locator("#shown").inner_text() == "No patient matches"
    page.locator("#find").press("Enter")
    assert not page.locator("#patient").is_visible()


def test_keys_are_shown(open_page: Opened) -> None:
    page = open_page(made_night(3))
    page.keyboard.press("?")
    assert page.locator("#help li").first.inner_text() == "j, k or arrows: next, previous patient"
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()
    page.get_by_role("button", name="Keys (?)").click()
    page.locator("#help-close").click()
    assert not page.locator("#help").is_visible()


def test_whoever_must_be_checked_is_a_click_away(open_page: Opened) -> None:
    run = made_night(40)
    patients = tuple(
        dataclasses.replace(one, flags=(Flag.IDENTITY_CONFLICT,)) if one.rank == 35 else one
        for one in run.patients
    )
    page = open_page(dataclasses.replace(run, patients=patients))
    assert page.locator(".todo .check").inner_text() == "1 more to check"
    page.locator(".todo .check").click()
    page.locator("#check a").click()
    assert page.locator("#patient-title").inner_text() == "P000035"
    assert FLAG_MEANING[Flag.IDENTITY_CONFLICT] in page.locator("#notes").inner_text()


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_a_link_to_the_patients_for_a_human_shows_them(open_page: Opened, width: int) -> None:
    """Below what sticks to the top, with whole words: no cell is narrower than its longest one."""
    page = open_page(made_night(40), viewport={"width": width, "height": 700})
    page.locator(".todo .human").click()
    title, bar = page.locator("#look-title").bounding_box(), page.locator("#filter").bounding_box()
    assert max(bar["y"] + bar["height"], 0) <= title["y"] < 300
    assert page.locator(".ranking thead").bounding_box()["y"] < title["y"]
    reason = page.locator(".look .c-reason").last
    assert reason.evaluate("cell => cell.scrollWidth <= cell.clientWidth && cell.clientWidth >= 150")


def test_the_switch_beats_the_system(open_page: Opened) -> None:
    page = open_page(made_night(3), color_scheme="light")
    colour = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(colour) == "rgb(255, 255, 255)"
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(colour) == "rgb(18, 23, 28)"


def test_five_thousand_patients_open_within_two_seconds(open_page: Opened) -> None:
    """Of processor time of the page's own thread: what other programs of the machine do is not counted."""
    page = open_page(made_night(5000))
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
    page = open_page(made_night(5))
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
    [("latest.html", 25, "This list is 25 hours old."), ("latest.html", 23, ""), ("2026-11-28.html", 99, "")],
)
def test_an_old_list_does_not_look_fresh_under_the_address_of_the_newest(
    name: str, hours: int, says: str, open_page: Opened
) -> None:
    started = dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours, minutes=1)
    page = open_page(dataclasses.replace(made_night(3), started=started), name=name)
    assert page.locator("#old").is_visible() == bool(says)
    assert page.locator("#old").inner_text().startswith(says)


def test_a_list_grows_old_in_a_tab_that_is_left_open(open_page: Opened) -> None:
    page = open_page(dataclasses.replace(made_night(3), started=dt.datetime.now(dt.UTC)), name="latest.html")
    later = "const now = Date.now(); Date.now = () => now + 30.5 * 3600000"
    page.evaluate(f"{later}; document.dispatchEvent(new Event('visibilitychange'))")
    assert page.locator("#old").inner_text().startswith("This list is 30 hours old.")


def test_who_is_new_tonight(open_page: Opened) -> None:
    page = open_page(made_night(6))
    assert page.locator("tr:has(.new) th bdi").all_inner_texts() == ["P000003", "P000006"]


def test_the_list_and_a_line_as_text(open_page: Opened, browser: Any) -> None:
    page = open_page(made_night(3, ("=HYPERLINK(1)", "two\tcells", "P3")))
    copied = "copied => { window.copied = copied; return Promise.resolve(); }"
    page.evaluate(f"Object.defineProperty(navigator, 'clipboard', {{value: {{writeText: {copied}}}}})")
    page.get_by_role("button", name="Copy list").click()
    ranked, human = (
        [line.split("\t") for line in part.split("\n")]
        for part in page.evaluate("window.copied").split("\n\n")
    )
    assert len({len(line) for line in ranked}) == 1
    assert [line[:2] for line in ranked] == [
        ["Rank", "Patient"],
        ["1", "'=HYPERLINK(1)"],
        ["2", "two\\tcells"],
        ["3", "P3, new"],
    ]
    assert human[1][0] == "HUMAN"
    assert REASON_MEANING[Reason.LATERAL_VIEW] in human[1][3]
    page.get_by_role("button", name="P3", exact=True).click()
    page.get_by_role("button", name="Copy line").click()
    assert page.evaluate("window.copied").split("\n")[1].split("\t") == ranked[3]
    assert page.locator("#copy-line").inner_text() == "Copied"


@pytest.mark.parametrize("name", HOSTILE, ids=["script", "image", "formula", "direction", "long"])
def test_names_are_inert(open_page: Opened, tmp_path: Path, name: str) -> None:
    """In the list, as what --show shows, in the detail and in print: text, and no wider than a telephone."""
    run = made_night(3, (name, name, name))
    extras = PageExtras(show=("name", "station"), shown={(): (name, name)})
    page = open_page(run, extras=extras, viewport={"width": 390, "height": 800})
    assert page.locator("img[onerror], body > script[src]").count() == 0
    page.locator(".ranking tbody th button").first.click()
    assert page.locator("#patient img").count() == 2
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.keyboard.press("Escape")
    page.pdf(path=tmp_path / "list.pdf", prefer_css_page_size=True)
    assert text_of_first_page(tmp_path / "list.pdf")


def test_firefox_opens_a_patient(tmp_path: Path) -> None:
    firefox = shutil.which("firefox-esr")
    assert firefox, "apt-get install firefox-esr"
    path = tmp_path / "report.html"
    path.write_bytes(b"".join(render_page(made_night(5), {"report.csv": 64 * "a"})))
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
