"""The pages of an evaluation and of an audit in Chromium: light and dark, wide and narrow, texts of plots apart."""

from pathlib import Path
from typing import Any

import pytest

from cxrbatch.audit.page import audit_html
from cxrbatch.evaluation.page import evaluation_html
from tests.browser.axe import violations
from tests.factories.audits import audited, one_night
from tests.factories.evaluations import evaluated, made_bundle, scored_sites

pytest.importorskip("playwright.sync_api")

pytestmark = pytest.mark.browser
OVERLAPS = """Array.from(document.querySelectorAll("svg.plot"), (plot) => {
  const texts = Array.from(plot.querySelectorAll("text"), (text) => [text.textContent, text.getBoundingClientRect()]);
  const isPast = (a, b) => a.left > b.right - 1 || a.top > b.bottom - 3;
  const areApart = (a, b) => isPast(a, b) || isPast(b, a);
  return texts.flatMap(([text, box], n) => texts.slice(n + 1).filter(([, other]) => !areApart(box, other))
    .map(([other]) => text + " | " + other));
}).flat()"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    evaluation = evaluated()
    nights = [one_night(n, {f"{n}{p}": p / 30 for p in range(20)}) for n in range(6)]
    audit = audited(
        folder / "state", *nights, results=[(f"{n}{p}", n, p > 12) for n in range(6) for p in range(20)]
    )
    (folder / "evaluation.html").write_text(
        evaluation_html(made_bundle(), evaluation, scored_sites()), "utf-8"
    )
    (folder / "audit.html").write_text(audit_html(audit, 64 * "a"), "utf-8")
    return {name: folder / f"{name}.html" for name in ("evaluation", "audit")}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["evaluation", "audit"])
def test_figures_are_read_in_any_light(browser: Any, pages: dict[str, Path], name: str, scheme: str) -> None:
    said: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
    page.on("console", lambda message: said.append(message.text))
    page.goto(pages[name].as_uri())
    paper = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 23, 28)"}[scheme]
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == paper
    assert page.locator("svg.plot").count() > 0
    assert page.evaluate(OVERLAPS) == []
    assert violations(page) == []
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()
    assert said == []
