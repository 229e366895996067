"""The order of the list, filters and paper: paper has the swab order, whatever the screen shows."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from cxrbatch.report.extras import PageExtras
from tests.browser.conftest import Opened
from tests.browser.nights import WITH_THUMBNAILS, made_night
from tests.browser.paper import text_of, text_of_first_page

pytestmark = pytest.mark.browser

PRINTS = "() => { window.prints = 0; window.print = () => { window.prints += 1; }; }"
RANKS = "Array.from(document.querySelectorAll('.ranking .c-rank'), cell => cell.textContent.trim()).slice(1)"


def _sort_by_id(page: Any) -> None:
    page.locator("thead .c-id button").first.click()
    page.locator("thead .c-id button").first.click()


def _printed(page: Any, pdf: Path, button: str) -> list[int]:
    """Ranks on paper, from the top."""
    page.evaluate(PRINTS)
    page.get_by_role("button", name=button, exact=True).click()
    assert page.evaluate("window.prints") == 1
    page.pdf(path=pdf, prefer_css_page_size=True)
    return [int(found) for found in re.findall(r"\bP0*(\d+)", text_of(pdf))]


@pytest.mark.parametrize("with_all", [False, True], ids=["usual", "all columns"])
def test_the_first_printed_page_holds_25_patients(
    open_page: Opened, tmp_path: Path, *, with_all: bool
) -> None:
    run, extras = made_night(100), WITH_THUMBNAILS
    named: dict[tuple[str, ...], tuple[str, ...]]
    if with_all:
        named = {("P", str(rank)): (f"Family, Given {rank}", "1950-01-01", "F") for rank in range(1, 101)}
        patients = [
            dataclasses.replace(one, patient_key=("P", str(one.rank)), probability=0.5)
            for one in run.patients
        ]
        run = dataclasses.replace(run, patients=tuple(patients), prevalence=0.05)
        extras = dataclasses.replace(extras, show=("name", "birth-date", "sex"), shown=named)
    page = open_page(run, extras=extras, color_scheme="dark")
    page.pdf(path=tmp_path / "list.pdf", prefer_css_page_size=True)
    text = text_of_first_page(tmp_path / "list.pdf")
    assert sum(f"P{rank:06}" in text for rank in range(1, 101)) >= 25
    assert all((f"Given {rank}" in text) == with_all for rank in range(1, 26))
    assert "A low score is never a rule-out" in text


def test_the_first_k_are_printed(open_page: Opened, tmp_path: Path) -> None:
    page = open_page(made_night(60))
    page.evaluate("window.print = () => {}")
    assert page.locator("#n-printed").input_value() == "30"
    page.locator("#n-printed").fill("7")
    page.get_by_role("button", name="Print", exact=True).click()
    page.pdf(path=tmp_path / "first.pdf", prefer_css_page_size=True)
    text = text_of_first_page(tmp_path / "first.pdf")
    assert [f"P{rank:06}" in text for rank in (1, 7, 8, 60)] == [True, True, False, False]
    assert "The first 7 of 60 ranked patients" in text
    assert re.findall("Swab these|there are 30 swabs", text) == []
    assert "HUMAN" not in text
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".beyond").count() == 0


@pytest.mark.parametrize(
    ("button", "n"), [pytest.param("Print", 7, id="first"), pytest.param("Print all", 40, id="all")]
)
def test_paper_has_the_order_for_swabs_whatever_the_screen_shows(
    open_page: Opened, tmp_path: Path, button: str, n: int
) -> None:
    """Neither a filter, nor an unticked priority, nor another order decides who is on paper."""
    page = open_page(made_night(40))
    _sort_by_id(page)
    page.get_by_label("urgent").uncheck()
    page.locator("#find").fill("P00002")
    shown = page.evaluate(RANKS)
    page.locator("#n-printed").fill("7")
    assert _printed(page, tmp_path / "paper.pdf", button) == list(range(1, n + 1))
    assert "FILTERED" not in text_of(tmp_path / "paper.pdf")
    assert page.evaluate(RANKS) == shown
    assert not page.get_by_label("urgent").is_checked()
    assert page.locator("#find").input_value() == "P00002"
    assert page.locator("#sorted").is_visible()


def test_the_browsers_own_print_says_what_it_leaves_out(open_page: Opened, tmp_path: Path) -> None:
    page = open_page(made_night(40))
    _sort_by_id(page)
    page.locator("#find").fill("P00002")
    page.pdf(path=tmp_path / "paper.pdf", prefer_css_page_size=True)
    text = text_of_first_page(tmp_path / "paper.pdf")
    assert "FILTERED: 10 of 40 ranked, 0 of 1 for a human" in text
    assert "Sorted by Patient: not the swab order" in text
    assert "Swab these 30 first" not in text


def test_filtered_there_is_no_line_of_the_swabs_and_no_empty_list(open_page: Opened) -> None:
    page = open_page(made_night(40))
    page.locator("#find").fill("P00003")
    assert [page.locator(part).is_visible() for part in (".line", "#ranking", "#look")] == [
        False,
        True,
        False,
    ]
    page.locator("#find").fill("nobody")
    assert [page.locator(part).is_visible() for part in ("#ranking", "#look")] == [False, False]
    assert page.locator("#shown").inner_text() == "No patient matches"
    page.locator("#show-all").click()
    assert [page.locator(part).is_visible() for part in (".line", "#ranking", "#look")] == [True, True, True]


def test_enter_prints_and_escape_leaves_the_search(open_page: Opened) -> None:
    page = open_page(made_night(40))
    page.evaluate(PRINTS)
    page.locator("#n-printed").press("Enter")
    assert page.evaluate("window.prints") == 1
    page.locator("#find").press("x")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()


@pytest.mark.parametrize("number", ["0", "-3", "", "2.5", "41"])
def test_no_number_of_patients_is_made_up(open_page: Opened, number: str) -> None:
    page = open_page(made_night(40))
    page.evaluate(PRINTS)
    page.locator("#n-printed").fill(number)
    page.get_by_role("button", name="Print", exact=True).click()
    assert page.evaluate("window.prints") == 0
    assert page.locator(".beyond").count() == 0


@pytest.mark.parametrize("back", ["#in-order", "#show-all", ".todo .first"])
def test_another_order_says_so_and_leads_back(open_page: Opened, back: str) -> None:
    page = open_page(made_night(40))
    assert not page.locator("#sorted").is_visible()
    _sort_by_id(page)
    page.get_by_label("urgent").uncheck()
    assert page.locator("#sorted-by").inner_text() == "Sorted by Patient: not the swab order"
    page.locator(back).click()
    assert not page.locator("#sorted").is_visible()
    assert page.evaluate(RANKS) == [str(rank) for rank in range(1, 41)]
    assert page.locator(".ranking tbody tr:visible:not(.line)").count() == 40
    assert page.locator(".line + tr .c-rank").text_content() == "31"


def test_swab_these_goes_to_rank_1(open_page: Opened) -> None:
    page = open_page(made_night(40))
    page.locator(".line").scroll_into_view_if_needed()
    page.locator(".todo .first").click(force=True)
    assert page.evaluate("document.activeElement.textContent") == "P000001"
    box = page.locator(".ranking tbody tr").first.bounding_box()
    head = page.locator(".ranking thead").bounding_box()
    assert head["y"] + head["height"] <= box["y"] < 300


@pytest.mark.parametrize("width", [390, 640, 768])
def test_print_buttons_at_every_width(open_page: Opened, width: int) -> None:
    page = open_page(made_night(3), viewport={"width": width, "height": 700})
    assert page.locator("#print-first").is_visible()
    assert page.locator("#print").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_images_are_on_paper_without_scrolling(open_page: Opened, tmp_path: Path) -> None:
    """Those of the last rows too, which were never near the screen."""
    page = open_page(made_night(60))
    images = "Array.from(document.querySelectorAll('tbody img'))"
    assert page.evaluate(f"{images}.filter(one => one.complete && one.naturalWidth === 88).length") == 61
    page.pdf(path=tmp_path / "list.pdf", prefer_css_page_size=True)
    assert text_of(tmp_path / "list.pdf").count("P000060") == 1


@pytest.mark.parametrize("with_all", [False, True], ids=["usual", "all columns"])
def test_the_first_thirty_are_one_page(open_page: Opened, tmp_path: Path, *, with_all: bool) -> None:
    run = made_night(60)
    if with_all:
        patients = [dataclasses.replace(one, probability=0.5) for one in run.patients]
        run = dataclasses.replace(run, patients=tuple(patients), prevalence=0.05)
    extras = PageExtras(show=("name",) if with_all else ())
    page = open_page(run, extras=extras)
    assert _printed(page, tmp_path / "paper.pdf", "Print") == list(range(1, 31))
    first = text_of_first_page(tmp_path / "paper.pdf")
    assert first.count("P0000") == 30
    assert "Ranks 1 to 30 first" in first
