import base64
import dataclasses
import hashlib
import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from cxrbatch.evaluation.page import evaluation_html
from cxrbatch.evaluation.targets import targets
from cxrbatch.pages.wording import CAUTION, interval
from tests.factories.evaluations import evaluated, made_bundle, scored_site, scored_sites

VOID = {"meta", "link", "img", "input", "col", "br", "hr"}


class Page(HTMLParser):
    """What a browser would read: elements with their attributes, text, and the cells of each section's table."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.style = ""
        self.rows: dict[str, list[list[str]]] = {}
        self.section = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = attributes.get("id") or ""
        if tag == "tr":
            self.rows.setdefault(self.section, []).append([])
        if tag in {"td", "th"}:
            self.rows[self.section][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style = data
            return
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[self.section][-1][-1] += data

    def classes(self, tag: str) -> list[str]:
        return [attributes.get("class") or "" for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def evaluation() -> dict[str, Any]:
    return evaluated()


@pytest.fixture(scope="module")
def html(evaluation: dict[str, Any]) -> str:
    return evaluation_html(made_bundle(), evaluation, scored_sites())


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_every_row_within_a_site_appears_with_its_figure_marked_in_words(
    page: Page, evaluation: dict[str, Any]
) -> None:
    _, *shown = page.rows["within-site"]
    assert len(shown) == len(evaluation["within_site"]) > 5
    for cells, row in zip(shown, evaluation["within_site"], strict=True):
        mark = "below 0.80" if row["auroc"]["value"] < 0.8 else ""
        assert cells[:4] == [row["site"], row["exposure"], row["question"], row["ranked_by"]]
        assert cells[4] == f"{row['n_positive']}/{row['n_negative']}"
        matched = row["within_domain"]
        assert cells[5].startswith(interval(matched["auroc"]) if matched else "–")
        assert cells[6] == interval(row["auroc"]) + mark


def test_the_page_begins_with_the_headline_the_floor_and_the_verdict(
    page: Page, evaluation: dict[str, Any]
) -> None:
    headline = evaluation["headline"]
    marked = f"AUROC {interval(headline['auroc'])} below 0.80"
    floor = f"AUROC of the source alone{evaluation['confound_floor']['source_alone']:.3f}"
    order = [CAUTION, marked, floor, evaluation["verdict"][0], "Within a site"]
    places = [page.text.index(part) for part in order]
    assert places == sorted(places)
    missed = sum(target.missed for target in targets(evaluation))
    assert f"{missed} of {len(targets(evaluation))} targets are not reached" in page.text


def test_beside_the_headline_stands_what_metadata_reach_for_the_same_question(
    evaluation: dict[str, Any],
) -> None:
    headline = evaluation["headline"]
    same = {
        "site": headline["site"],
        "question": headline["question"],
        "auroc": 0.777,
        "fields": ["view", "year"],
    }
    other = {**same, "site": "elsewhere", "auroc": 0.888}
    floor = {**evaluation["confound_floor"], "metadata_alone": [other, same]}
    page = Page(evaluation_html(made_bundle(), {**evaluation, "confound_floor": floor}))
    beside, below = page.text.split("What this means")
    assert f"view, year alone, {same['question']} at {same['site']}0.777" in beside
    assert "0.888" not in beside
    assert "0.888" in below


def test_sections_come_in_the_order_in_which_they_are_read(page: Page) -> None:
    sections = [
        attributes["id"] for tag, attributes in page.elements if tag == "section" and "id" in attributes
    ]
    assert sections == [
        *(
            "verdict",
            "within-site",
            "audits",
            "strata",
            "floor",
            "matrix",
            "operating-points",
            "shares",
            "list",
            "buys",
        ),
        *("calibration", "targets", "images", "excluded", "provenance"),
    ]
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert set(links) <= {f"#{section}" for section in sections}


@pytest.mark.parametrize(
    ("audit", "changed", "mark"),
    [
        ("lungs blacked out", {"auroc": 0.61, "median_rank_shift": 0.3}, "above 0.60"),
        ("lungs blacked out", {"auroc": 0.60, "median_rank_shift": 0.3}, ""),
        ("marker L", {"auroc": 0.9, "median_rank_shift": 0.021}, "above 2%"),
        ("marker L", {"auroc": 0.9, "median_rank_shift": 0.02}, ""),
        ("mirrored", {"auroc": 0.9, "median_rank_shift": 0.5}, ""),
    ],
)
def test_audits_that_fail_are_marked_in_words(
    evaluation: dict[str, Any], audit: str, changed: dict[str, float], mark: str
) -> None:
    row = {**evaluation["within_site"][0], "audits": {audit: changed}}
    page = Page(evaluation_html(made_bundle(), {**evaluation, "within_site": [row]}))
    header, cells = page.rows["audits"]
    assert header[-1] == audit
    assert cells[-1] == f"{changed['auroc']:.3f}{changed['median_rank_shift']:.1%}{mark}"


def test_healthy_adults_called_urgent_are_marked_in_words(page: Page, evaluation: dict[str, Any]) -> None:
    _, *shown = page.rows["shares"]
    for cells, row in zip(shown, evaluation["shares"], strict=True):
        fails = row["label"] == "normal" and row["urgent"] > 0.1
        assert cells[4] == f"{row['urgent']:.1%}" + ("above 10%" if fails else "")
    assert any("above 10%" in cells[4] for cells in shown)


def test_every_row_within_a_site_says_what_the_networks_had_seen(
    page: Page, evaluation: dict[str, Any]
) -> None:
    rows = evaluation["within_site"]
    expected = [[row["site"], row["exposure"], row["question"], row["ranked_by"]] for row in rows]
    for name in ("within-site", "operating-points", "list", "calibration"):
        header, *shown = page.rows[name]
        assert header[:4] == ["site", "in training", "question", "ranked by"]
        assert [cells[:4] for cells in shown] == expected


def test_the_list_says_what_testing_its_top_finds(page: Page, evaluation: dict[str, Any]) -> None:
    header, *shown = page.rows["list"]
    assert header[5:] == ["first 10% tested", "first 20% tested", "first 30% tested", "first 50% tested"]
    for cells, row in zip(shown, evaluation["within_site"], strict=True):
        entry = row["list"][1]
        assert cells[6] == (
            f"{entry['found']:.1%}{entry['number_needed_to_test']:.1f} tests for one, lift {entry['lift']:.2f}"
        )


def test_the_matrix_is_shaded_by_its_figures(evaluation: dict[str, Any]) -> None:
    entries = [
        {
            "positives": "a",
            "negatives": name,
            "question": "q",
            "n_positive": 5,
            "n_negative": 6,
            "auroc": area,
        }
        for name, area in (("b", 0.2), ("c", 0.5), ("d", 0.76), ("e", 1.0), ("f", None))
    ]
    page = Page(evaluation_html(made_bundle(), {**evaluation, "matrix": entries}))
    assert [match[1] for name in page.classes("td") if (match := re.search(r"heat(\d)", name))] == [
        "0",
        "0",
        "3",
        "5",
    ]
    assert page.rows["matrix"][1] == ["a", "q", "0.205/6", "0.505/6", "0.765/6", "1.005/6", "–5/6"]


def test_there_are_plots_for_each_row_and_each_site(page: Page, evaluation: dict[str, Any]) -> None:
    plots = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(plots) == 4 * len(evaluation["within_site"]) + len(scored_sites())
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in plots)


def test_without_scores_there_is_a_page_without_plots(evaluation: dict[str, Any]) -> None:
    page = Page(evaluation_html(made_bundle(), evaluation))
    assert "svg" not in {tag for tag, _ in page.elements}
    assert len(page.rows["within-site"]) == 1 + len(evaluation["within_site"])


def test_a_bundle_without_evaluation_operating_points_or_known_training_has_a_page() -> None:
    page = Page(evaluation_html(made_bundle(training={}, operating_points=None), {}))
    assert "Not measured" in page.text
    assert "Trainingnot known; the network was made elsewhere" in page.text.replace("\n", "")


def test_nothing_is_loaded_and_nothing_runs(html: str, page: Page) -> None:
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "use", "image"}
    assert not re.search(r"url\(|@import|https?:", html)
    assert not [
        name
        for _, attributes in page.elements
        for name in attributes
        if name.startswith("on") or name == "style"
    ]
    policy = next(a["content"] for t, a in page.elements if t == "meta" and "http-equiv" in a) or ""
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")


def test_hostile_names_stay_text() -> None:
    name = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\u202e"
    site = dataclasses.replace(scored_site("x", {"pneumonia": 9, "normal": 9}, 1.0), site=name)
    bundle = made_bundle(
        name=name, training={"origin": name, "versions": {name: name}, "excluded": {name: {name: 1}}}
    )
    html = evaluation_html(bundle, evaluated([site]), [site])
    page = Page(html)
    assert not {"script", "img"} & {tag for tag, _ in page.elements}
    assert "\u202e" not in html
    assert page.rows["within-site"][1][0] == name.replace("\u202e", r"\u202e")
    assert page.rows["excluded"][1][:2] == [name.replace("\u202e", r"\u202e")] * 2


def test_the_same_figures_give_the_same_bytes(html: str, evaluation: dict[str, Any]) -> None:
    stored = json.loads(json.dumps(evaluation))
    assert evaluation_html(made_bundle(), stored, scored_sites()) == html


def test_rendering_does_not_depend_on_the_hash_seed(html: str) -> None:
    program = (
        "from cxrbatch.evaluation.page import evaluation_html as f; import tests.factories.evaluations as e; "
        "import sys; sys.stdout.write(f(e.made_bundle(), e.evaluated(), e.scored_sites()))"
    )
    found = subprocess.run(
        [Path(__import__("sys").executable), "-W", "error", "-c", program],
        env={"PYTHONHASHSEED": "7", "PATH": "", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=True,
        text=True,
        encoding="utf-8",
    )
    assert found.stdout == html


def test_a_headline_of_a_site_that_may_have_taught_does_not_say_otherwise(evaluation: dict[str, Any]) -> None:
    row = {**evaluation["within_site"][0], "exposure": "held out"}
    shown = {key: row[key] for key in ("site", "exposure", "question", "ranked_by", "auroc")}
    page = Page(evaluation_html(made_bundle(), {**evaluation, "within_site": [row], "headline": shown}))
    assert "Worst site that took no part in training" not in page.text
    assert "In training: held out." in page.text
