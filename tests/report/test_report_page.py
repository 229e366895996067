import base64
import dataclasses
import datetime as dt
import hashlib
import itertools
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from cxrbatch._lib.text import visible
from cxrbatch.bundle.calibration import ScoreCalibration
from cxrbatch.pages.wording import CAUTION
from cxrbatch.reasons import FLAG_MEANING, REASON_MEANING, Flag, Reason
from cxrbatch.records import EarlierEntry, Evidence, Failure, PatientImage, PatientTriage, Priority, TriageRun
from cxrbatch.report.extras import PageExtras
from cxrbatch.report.page import render_page
from cxrbatch.report.words import TEXTS
from cxrbatch.triage.capacity import capacity_yield
from cxrbatch.triage.probability import prevalence_note, with_probabilities

SHA256 = {"report.files.csv": 64 * "a", "report.csv": 64 * "b"}
CHROMIUM = shutil.which("chromium") or ""
VOID = {"meta", "link", "img", "input", "col", "br", "hr"}
Attributes = list[tuple[str, str | None]]


class Page(HTMLParser):
    """What a browser would read: elements, their attributes, and the text of each table cell."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.rows: list[list[str]] = []
        self.lists: dict[str, list[list[str]]] = {}
        self.section = ""
        self.raw: dict[str, str] = {}
        self.open: list[str] = []
        self.feed(content.decode("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = dict(attrs).get("id") or ""
        if tag == "tr":
            self.rows.append([])
            self.lists.setdefault(self.section, []).append(self.rows[-1])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"style", "script"}:
            self.raw[self.open[-1]] = data
            return
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def page_of(run: TriageRun) -> Page:
    """Only the first patient has a thumbnail."""
    extras = PageExtras(thumbnail=lambda patient: b"\xff\xd8jpeg" if patient.rank == 1 else b"")
    return Page(b"".join(render_page(run, SHA256, extras)))


def test_counts_reconcile_in_words(run: TriageRun) -> None:
    page = page_of(run)
    assert "5 files = 2 scored + 2 not scored + 1 no radiograph" in page.text
    assert "3 patients = 2 ranked (1 urgent, 1 routine) + 1 needs a human" in page.text
    assert page.open == []


def test_what_stands_above_the_list(run: TriageRun) -> None:
    text = page_of(dataclasses.replace(run, notes=("3 files wait until tomorrow",))).text
    for expected in (
        "Swab list",
        "2026-11-22 01:30 UTC",
        "3 min 20 s",
        "default@0123456789ab",
        "3 files wait until tomorrow",
        *SHA256.values(),
    ):
        assert expected in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3600, "1 h 00 min"), (7505, "2 h 05 min")],
)
def test_run_time(seconds: float, words: str, run: TriageRun) -> None:
    assert f"Run time{words}\n" in page_of(dataclasses.replace(run, duration_s=seconds)).text


def test_a_low_score_is_never_a_rule_out(run: TriageRun) -> None:
    page = page_of(run)
    assert page.text.index("A low score does not rule out COVID-19") < page.text.index("Ranking")
    repeated = [row for row in page.rows if len(row) == 1 and row[0].startswith(CAUTION)]
    assert len(repeated) == 2  # in the header of both lists, which print repeats on each page


def test_who_needs_a_human_is_said_above_the_list(run: TriageRun) -> None:
    page = page_of(run)
    assert (
        page.text.index("1 needs a human") < page.text.index("Ranking") < page.text.index("A human must look")
    )
    assert ("a", {"class": "human", "href": "#look"}) in page.elements
    (row,) = page.lists["look"][2:]
    assert row[1:] == ["c.dcm new", f"{REASON_MEANING[Reason.TRUNCATED]} truncated", "ends, too earlyc.dcm"]


def ranking(page: Page) -> list[list[str]]:
    """Rows of the ranking below its header, without headings of groups and the line."""
    return [[cell.strip() for cell in row] for row in page.lists["ranking"][2:] if len(row) > 1]


def heading(page: Page) -> list[str]:
    return page.lists["ranking"][1]


def column(page: Page, name: str) -> list[str]:
    return [row[heading(page).index(name)] for row in ranking(page)]


def test_ranking_row_by_row(run: TriageRun) -> None:
    assert heading(page_of(run))[0] == "Rank"
    assert ranking(page_of(run)) == [
        ["1", "", "4711WARD", "A1", "2026-11-21", "urgent", "0.875", "0.100", "0.025", "2", "1",
         "age unknown · lossy"],
        ["2", "", "b.png new", "", "", "routine", "0.333", "0.333", "0.333", "1", "0", ""],
    ]  # fmt: skip


def test_columns_that_say_nothing_fold_away(run: TriageRun, ranked: PatientTriage) -> None:
    """What is the same for all is said once, above the list."""
    flags = (Flag.AGE_UNKNOWN, Flag.VIEW_UNKNOWN, Flag.BODY_PART_UNKNOWN, Flag.LOSSY)
    patients = tuple(
        dataclasses.replace(
            ranked,
            rank=rank,
            n_images=1,
            nights_waiting=0,
            priority=None,
            accession_number="",
            flags=flags[:n],
        )
        for rank, n in ((1, 3), (2, 4))
    )
    page = page_of(dataclasses.replace(run, patients=patients))
    assert heading(page) == [
        "Rank",
        "Image",
        "Patient",
        "COVID-19 score",
        "Other pneumonia",
        "Normal",
        "Note",
    ]
    assert column(page, "Patient") == ["4711", "4711"]
    assert column(page, "Note") == ["", "lossy"]
    for said in (
        "Study date 2026-11-21",
        "issuer of the patient number WARD",
        "age, view and body part are not stated",
    ):
        assert page.text.count(said) == 1


@pytest.mark.parametrize(
    ("n_swabs", "todo"),
    [
        (None, "Swab in this order, from the top"),
        (1, "Swab this patient first"),
        (2, "There is a swab for each of the 2 ranked patients"),
        (3, "There is a swab for each of the 2 ranked patients"),
    ],
)
def test_one_line_says_what_to_do(n_swabs: int | None, todo: str, run: TriageRun) -> None:
    night = _with_capacity(run, n_swabs) if n_swabs else run
    page = page_of(night)
    assert f"\n{todo}\n" in page.text
    nobody = page_of(dataclasses.replace(night, patients=run.patients[2:]))
    assert "Nobody can be ranked tonight" in nobody.text


def test_ranked_patients_whom_a_human_must_check(run: TriageRun, ranked: PatientTriage) -> None:
    flags = (Flag.LOSSY, Flag.IDENTITY_CONFLICT, Flag.SOME_IMAGES_NOT_SCORED)
    patients = (dataclasses.replace(ranked, flags=flags), *run.patients[1:])
    page = page_of(dataclasses.replace(run, patients=patients))
    assert ("a", {"class": "check", "href": "#check"}) in page.elements
    assert ("a", {"href": "#rank-1"}) in page.elements
    assert "1 more to check" in page.text.split("Ranking")[0]
    said = f"{FLAG_MEANING[Flag.IDENTITY_CONFLICT]}; {FLAG_MEANING[Flag.SOME_IMAGES_NOT_SCORED]}"
    assert f"Rank 1, 4711: {said}" in page.text
    assert "to check" not in page_of(run).text


def test_what_the_model_is_worth_is_one_sentence_above_the_list(run: TriageRun) -> None:
    worth = "Of two films of one person the ill one has the higher score in 61 %."
    brief = "COVID-19 against other pneumonia is near chance at some hospitals."
    notes = (worth, "bands were measured elsewhere")
    page = page_of(dataclasses.replace(run, worth=worth, worth_in_brief=brief, notes=notes))
    assert page.text.index(brief) < page.text.index("What these figures mean") < page.text.index(worth)
    page = page_of(dataclasses.replace(run, worth=worth, notes=notes))
    assert page.text.count(worth) == 1
    assert (
        page.text.index(worth)
        < page.text.index("What these figures mean")
        < page.text.index("measured elsewhere")
    )


def test_warnings_are_not_folded_away(run: TriageRun) -> None:
    page = page_of(dataclasses.replace(run, notes=("Set the clock.",), warnings=("Set the clock.",)))
    assert page.text.count("Set the clock.") == 1
    assert page.text.index("Set the clock.") < page.text.index("What these figures mean")


@pytest.fixture
def with_prevalence(run: TriageRun) -> TriageRun:
    calibration = ScoreCalibration(slope=1.0, intercept=0.0, measured_on="12 patients")
    return dataclasses.replace(
        run,
        patients=with_probabilities(run.patients, calibration, 0.05),
        prevalence=0.05,
        notes=(prevalence_note(calibration, 0.05),),
    )


def test_probabilities_have_a_column_and_a_note(with_prevalence: TriageRun) -> None:
    """Scores 7/8 and 1/3, likelihood ratios 7 and 1/2, at prior odds of 1/19."""
    page = page_of(with_prevalence)
    assert column(page, "Probability at a prevalence of 5 %") == ["26.9 %", "2.6 %"]
    assert column(page, "Rank") == ["1", "2"]
    assert "measured on 12 patients" in page.text
    assert "Bayes" in page.text
    assert page.text.count("%") == 4
    assert "Probability" not in "".join(
        heading(page_of(dataclasses.replace(with_prevalence, prevalence=None)))
    )


def test_columns_line_up(run: TriageRun, with_prevalence: TriageRun, not_scored: PatientTriage) -> None:
    """Cells that reach over all columns do so in both lists, whichever columns there are."""
    for night in (run, with_prevalence, dataclasses.replace(run, patients=(run.patients[1], not_scored))):
        page = page_of(night)
        spans = [
            int(attributes["colspan"] or 0) for _, attributes in page.elements if "colspan" in attributes
        ]
        assert spans == [len(page.lists[name][1]) for name in ("ranking", "look")]
        assert {len(row) for name in ("ranking", "look") for row in page.lists[name][1:]} == set(spans)


def test_no_probability_looks_like_a_certainty(run: TriageRun, ranked: PatientTriage) -> None:
    patients = tuple(
        dataclasses.replace(ranked, rank=rank, probability=probability)
        for rank, probability in enumerate((0.99996, 0.01, 0.00123, 2.5e-7), start=1)
    )
    page = page_of(dataclasses.replace(run, patients=patients, prevalence=0.001))
    (name,) = [name for name in heading(page) if name.startswith("Probability")]
    assert column(page, name) == ["99.9 %", "1.0 %", "0.12 %", "2.5e-05 %"]


def test_without_operating_points_the_priority_is_empty(run: TriageRun) -> None:
    patients = tuple(dataclasses.replace(patient, priority=None) for patient in run.patients)
    page = page_of(dataclasses.replace(run, patients=patients, notes=("no bands",)))
    assert "Priority" not in heading(page)
    assert "3 patients = 2 ranked + 1 needs a human; 1 of them since an earlier night" in page.text
    assert "no bands" in page.text


def _with_capacity(run: TriageRun, n_swabs: int) -> TriageRun:
    return dataclasses.replace(run, capacity=capacity_yield(n_swabs, run.patients, {}, run.prevalence))


def _lines(page: Page) -> list[tuple[list[str], list[str]]]:
    """The row above each line of the capacity, and the line."""
    return [
        (above, row)
        for above, row in itertools.pairwise(page.rows)
        if row[0].startswith("Rank") and len(row) == 1
    ]


def test_a_line_after_as_many_as_there_are_swabs(run: TriageRun, with_prevalence: TriageRun) -> None:
    for night, n_columns in ((run, 12), (with_prevalence, 13)):
        page = page_of(_with_capacity(night, 1))
        ((above, line),) = _lines(page)
        assert (above[0], line) == ("1", ["Rank 1 first: there is one swab"])
        assert ("td", {"colspan": str(n_columns)}) in page.elements
        assert "1 swab: what the first 1 of 2 ranked patients hold cannot be said" in page.text
        assert page.text.index("1 swab:") < page.text.index("Ranking")


@pytest.mark.parametrize("n_swabs", [2, 3])
def test_no_line_where_there_is_a_swab_for_everybody(n_swabs: int, run: TriageRun) -> None:
    page = page_of(_with_capacity(run, n_swabs))
    assert _lines(page) == []
    assert f"{n_swabs} swabs, 2 ranked: there is one for each of them" in page.text


def test_whoever_waits_for_a_result_stands_below_the_ranking(run: TriageRun, ranked: PatientTriage) -> None:
    waiting = dataclasses.replace(ranked, rank=None, patient_id="4712", swabbed=dt.date(2026, 11, 20))
    page = page_of(dataclasses.replace(run, patients=(*run.patients, waiting)))
    (row,) = [row for row in page.rows if row[1:2] and row[1].startswith("4712")]
    assert (row[2], row[3], row[5].split()[0], row[6]) == ("A1", "2026-11-21", "0.875age", "1")
    assert page.text.index("Ranking") < page.text.index("Waiting for the result") < page.text.index("4712")
    assert "2 ranked (1 urgent, 1 routine) + 1 needs a human + 1 waits for a result;" in page.text


def test_whoever_comes_first_because_of_the_wait_has_a_heading(run: TriageRun, ranked: PatientTriage) -> None:
    first, *others = run.patients
    waited = dataclasses.replace(first, flags=(Flag.MAX_WAIT,))
    page = page_of(dataclasses.replace(run, patients=(waited, *others)))
    headings = [(row[0], after[0]) for row, after in itertools.pairwise(page.rows) if len(row) == 1]
    assert [pair for pair in headings if pair[0].startswith(("First because", "By score"))] == [
        ("First because of the wait, whatever the score: 1 patient", "1"),
        ("By score: 1 patient", "2"),
    ]
    assert "By score" not in page_of(run).text


def test_no_line_and_no_word_without_a_capacity(run: TriageRun) -> None:
    page = page_of(run)
    assert _lines(page) == []
    assert "swabs" not in page.text


def test_the_line_in_a_long_list(run: TriageRun, ranked: PatientTriage) -> None:
    page = page_of(_with_capacity(_crowd(run, ranked), 20))
    ((above, line),) = _lines(page)
    assert (above[0], line) == (
        "20",
        ["Ranks 1 to 20 first: there are 20 swabs · 4980 urgent below the line"],
    )


def test_probabilities_that_do_not_add_up_are_explained(with_prevalence: TriageRun) -> None:
    """Of two patients, 26.9 % and 2.6 %; a curve on the diagonal expects half of 0.1 in one of them."""
    curve = {"fpr": [0, 1], "tpr": [0, 1], "low": [0, 1], "high": [0, 1], "measured_on": "some"}
    found = capacity_yield(1, with_prevalence.patients, {"list_curve": curve}, 0.05)
    text = page_of(dataclasses.replace(with_prevalence, capacity=found)).text
    assert (
        "The probabilities of the first 1 add up to 0.3, where 0.1 are expected, and those of all 2 to 0.3"
        in text
    )


def test_thumbnail_is_in_the_page(run: TriageRun) -> None:
    images = [attributes for tag, attributes in page_of(run).elements if tag == "img"]
    assert [image["src"] for image in images] == ["data:image/jpeg;base64,/9hqcGVn"]
    assert images[0]["title"] == "a/1"
    assert base64.b64decode("/9hqcGVn") == b"\xff\xd8jpeg"


def test_score_bar_is_as_long_as_the_score(run: TriageRun) -> None:
    bars = [attributes["width"] for tag, attributes in page_of(run).elements if tag == "rect"]
    assert bars == ["87.5%", "33.3%"]


def test_legends_hold_what_occurs_and_nothing_else(run: TriageRun) -> None:
    page = page_of(run)
    reasons = {row[0]: row[2:] for row in page.lists[""] if len(row) == 4}
    assert reasons == {
        "Reason": ["Not scored", "No radiograph"],
        "truncated": ["1", "0"],
        "not_an_image": ["0", "1"],
        "lateral_view": ["1", "0"],
        "all": ["2", "1"],
    }
    flags = [row for row in page.lists[""] if len(row) == 3][1:]
    assert flags == [
        ["age unknown", FLAG_MEANING[Flag.AGE_UNKNOWN], "1"],
        ["lossy", FLAG_MEANING[Flag.LOSSY], "1"],
    ]


def test_every_reason_and_flag_can_be_shown(
    run: TriageRun, ranked: PatientTriage, not_scored: PatientTriage
) -> None:
    everything = dataclasses.replace(
        run,
        patients=(
            dataclasses.replace(ranked, flags=tuple(Flag)),
            *(dataclasses.replace(not_scored, reason=reason, flags=tuple(Flag)) for reason in Reason),
        ),
        failures=tuple(Failure(name=reason, reason=reason) for reason in Reason),
    )
    text = page_of(everything).text
    assert all(meaning in text for meaning in (*REASON_MEANING.values(), *FLAG_MEANING.values()))


HOSTILE = [
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "\"' onmouseover=alert(1) x='",
    "<!-- ",
    "]]>",
    "&lt;b&gt; &amp;",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "מטופל 12 مريض",
    "  two  blanks  ",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_a_file_says_is_text(
    text: str, run: TriageRun, ranked: PatientTriage, not_scored: PatientTriage
) -> None:
    def night(said: str) -> Page:
        patients = tuple(_saying(said, patient) for patient in (ranked, not_scored))
        return page_of(dataclasses.replace(run, folder=said, notes=(said,), patients=patients))

    page = night(text)
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in night("harmless").elements]
    assert page.lists["ranking"][2][2:5] == [text + text, text, text]
    assert page.lists["look"][2][1:4] == [f"{text}{text} new", text, text]
    assert page.lists["look"][2][5] == text + text
    assert [attributes["title"] for tag, attributes in page.elements if tag == "img"] == [text]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (b"caf\xe9".decode("utf-8", "surrogateescape"), r"caf\xE9"),
        ("a\nb", r"a\nb"),
        ("12\u202e34", r"12\u202e34"),
        ("\x00", r"\x00"),
    ],
)
def test_what_cannot_be_seen_is_shown(text: str, shown: str, run: TriageRun, ranked: PatientTriage) -> None:
    patient = dataclasses.replace(ranked, patient_id=text, issuer_of_patient_id="", top_image=text)
    page = page_of(dataclasses.replace(run, patients=(patient,)))
    assert page.lists["ranking"][2][2] == shown


def test_nothing_is_loaded_from_anywhere(run: TriageRun) -> None:
    page = page_of(run)
    loading = {"src", "href", "action", "data", "poster", "srcset", "background", "formaction", "xlink:href"}
    attributes = [item for _, attributes in page.elements for item in attributes.items()]
    targets = [value or "" for name, value in attributes if name in loading]
    assert targets
    assert all(target.startswith(("data:image/jpeg;base64,", "#")) for target in targets)
    assert not {tag for tag, _ in page.elements} & {"link", "iframe", "object", "embed", "base"}
    assert "url(" not in page.raw["style"]
    assert "@import" not in page.raw["style"]
    assert "http" not in "".join(page.raw.values())


def test_policy_allows_this_style_and_this_script_only(run: TriageRun) -> None:
    page = page_of(run)
    metas = [attributes for tag, attributes in page.elements if tag == "meta"]
    (policy,) = [meta["content"] for meta in metas if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy == (
        f"default-src 'none'; img-src data:; style-src {_source(page.raw['style'])}; "
        f"script-src {_source(page.raw['script'])}; base-uri 'none'; form-action 'none'"
    )
    names = {name for _, attributes in page.elements for name in attributes}
    assert not {name for name in names if name == "style" or name.startswith("on")}


def test_tables_can_be_heard(run: TriageRun) -> None:
    page = page_of(run)
    tags = [tag for tag, _ in page.elements]
    assert ("html", {"lang": "en"}) in page.elements
    assert (tags.count("caption"), tags.count("table")) == (3, 4)
    assert {attributes.get("scope") for tag, attributes in page.elements if tag == "th"} == {"col", "row"}
    assert all(attributes.get("alt") for tag, attributes in page.elements if tag == "img")


def test_words_that_must_not_be_on_a_screen(run: TriageRun) -> None:
    text = page_of(run).text.lower()
    assert "diagnos" not in text
    assert "%" not in text
    assert "chance" not in text


@pytest.mark.parametrize("kept", [(), (0,), (2,)])
def test_a_night_without_one_of_the_lists(kept: tuple[int, ...], run: TriageRun) -> None:
    page = page_of(dataclasses.replace(run, patients=tuple(run.patients[i] for i in kept)))
    assert ("None tonight: every patient has a score." in page.text) == (kept != (2,))
    assert ("No patient has a score." in page.text) == (kept != (0,))


def test_five_thousand_patients_stay_below_20_mb(run: TriageRun, ranked: PatientTriage) -> None:
    extras = PageExtras(thumbnail=lambda _: 2048 * b"\xff")
    assert sum(map(len, render_page(_crowd(run, ranked), SHA256, extras))) < 20e6


def _details(page: bytes) -> dict[int, dict[str, Any]]:
    found = re.findall(
        rb'<script type="application/json" class="patient" data-row="(\d+)">(.*?)</script>', page
    )
    return {int(row): json.loads(content) for row, content in found}


def test_details_hold_what_no_row_has(run: TriageRun, ranked: PatientTriage) -> None:
    images = (
        PatientImage(name="a/1", scores=(0.875, 0.1, 0.025), view_position="PA", flags=(Flag.LOSSY,)),
        PatientImage(name="a/2", reason=Reason.LATERAL_VIEW, night=dt.date(2026, 11, 20), is_here=False),
    )
    opened = dataclasses.replace(
        ranked,
        images=images,
        flags=(Flag.SOME_IMAGES_NOT_SCORED,),
        earlier=(EarlierEntry(night=dt.date(2026, 11, 20), position=7, score=0.25),),
        large_image=b"jpeg",
        evidence=(Evidence(question="covid", png=b"png"),),
        outside_lungs=0.51,
    )
    page = b"".join(render_page(dataclasses.replace(run, patients=(opened, *run.patients[1:])), SHA256))
    assert _details(page) == {
        0: {
            "large": "data:image/jpeg;base64,anBlZw==",
            "maps": [["covid", "COVID-19 against other pneumonia", "data:image/png;base64,cG5n"]],
            "outside": "51 % of the evidence for this COVID-19 score lies outside the lungs: do not trust it",
            "distrust": True,
            "images": [
                ["a/1", "0.875 / 0.100 / 0.025, PA, lossy", ""],
                ["a/2", REASON_MEANING[Reason.LATERAL_VIEW], "2026-11-20, not in the export"],
            ],
            "earlier": [["2026-11-20", "7", "0.250"]],
        }
    }


def test_evidence_outside_the_lungs_says_when_not_to_trust(run: TriageRun, ranked: PatientTriage) -> None:
    opened = dataclasses.replace(ranked, outside_lungs=0.5)
    page = b"".join(render_page(dataclasses.replace(run, patients=(opened,)), SHA256))
    assert _details(page)[0] == {
        "outside": "50 % of the evidence for this COVID-19 score lies outside the lungs (above 50 %: do not trust it)"
    }


def test_bands_are_said_with_their_thresholds(run: TriageRun) -> None:
    thresholds = {Priority.URGENT: 0.35980126, Priority.HIGH: 0.12563822}
    page = b"".join(render_page(dataclasses.replace(run, thresholds=thresholds), SHA256))
    assert _words(page)["bands"] == {
        "urgent": "urgent (0.360 and above)",
        "high": "high (0.126 to 0.360)",
        "routine": "routine (below 0.126)",
    }
    assert _words(b"".join(render_page(run, SHA256)))["bands"] == {}


def _words(page: bytes) -> dict[str, Any]:
    found = re.search(rb'<script type="application/json" id="words">(.*?)</script>', page)
    assert found
    words: dict[str, Any] = json.loads(found[1])
    return words


@pytest.mark.parametrize(
    ("reason", "flags", "is_said"),
    [
        (Reason.TRUNCATED, (), True),
        (Reason.TRUNCATED, (Flag.SOME_IMAGES_NOT_SCORED,), False),
        (Reason.DUPLICATE, (), False),
    ],
)
def test_an_image_without_a_score_that_is_no_loss_says_so(
    reason: Reason, flags: tuple[Flag, ...], is_said: bool, run: TriageRun, ranked: PatientTriage
) -> None:
    """Without the flag, it is a copy of a scored image; that of a second copy is said by its reason."""
    images = (PatientImage(name="a/1", scores=(0.875, 0.1, 0.025)), PatientImage(name="a/2", reason=reason))
    opened = dataclasses.replace(ranked, images=images, flags=flags)
    page = b"".join(render_page(dataclasses.replace(run, patients=(opened,)), SHA256))
    loss = f"; {TEXTS['no_loss']}" if is_said else ""
    assert _details(page)[0]["images"][1] == ["a/2", REASON_MEANING[reason] + loss, ""]


@pytest.mark.parametrize(
    ("has_maps", "is_here", "why"),
    [(True, True, "no_map_flat"), (True, False, "no_map_gone"), (False, True, "no_map_network")],
)
def test_a_large_image_without_a_map_says_why(
    has_maps: bool, is_here: bool, why: str, run: TriageRun, ranked: PatientTriage
) -> None:
    images = (PatientImage(name=ranked.top_image, is_here=is_here),)
    opened = dataclasses.replace(ranked, images=images, large_image=b"jpeg", evidence=())
    night = dataclasses.replace(run, patients=(opened, *run.patients[1:]), has_maps=has_maps)
    assert _details(b"".join(render_page(night, SHA256)))[0]["no_map"] == TEXTS[why]


@pytest.mark.parametrize("text", HOSTILE)
def test_details_cannot_end_their_element(text: str, run: TriageRun, ranked: PatientTriage) -> None:
    images = tuple(PatientImage(name=name, view_position=text) for name in (text, "b"))
    hostile = dataclasses.replace(run, patients=(dataclasses.replace(ranked, images=images),))
    page = b"".join(render_page(hostile, SHA256))
    details = _details(page)[0]["images"][0]
    assert details[0] == visible(text)
    assert details[1] in {"(not a code)", text}


@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_script_runs_in_a_browser(run: TriageRun, tmp_path: Path) -> None:
    page = _in_a_browser(b"".join(render_page(run, SHA256)), tmp_path)
    forms = [attributes for tag, attributes in page.elements if tag == "form"]
    assert "hidden" not in forms[0]
    sortable = [attributes for tag, attributes in page.elements if tag == "th" and "data-sort" in attributes]
    of_page, of_patient = 8, 5
    n_buttons = [tag for tag, _ in page.elements].count("button")
    assert n_buttons == len(sortable) + of_page + of_patient + len(run.patients)
    assert [attributes.get("aria-sort") for attributes in sortable].count("ascending") == 1


@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
@pytest.mark.parametrize(
    ("clicks", "column", "expected"),
    [
        ("[0]", 0, ["3", "2", "1"]),
        ("[4, 0]", 0, ["1", "2", "Ranks 1 to 2 first: there are 2 swabs · 1 urgent below the line", "3"]),
    ],
)
def test_the_line_stands_in_the_order_of_the_list_only(
    clicks: str, column: int, expected: list[str], run: TriageRun, ranked: PatientTriage, tmp_path: Path
) -> None:
    patients = tuple(
        dataclasses.replace(ranked, rank=rank, score=score, scores=(score, 1 - score, 0.0))
        for rank, score in ((1, 0.8), (2, 0.7), (3, 0.9))
    )
    content = b"".join(render_page(_with_capacity(dataclasses.replace(run, patients=patients), 2), SHA256))
    # The page forbids scripts that are not its own; the click is made by one in its place, without the policy.
    press = f"for (const i of {clicks}) document.querySelectorAll('.ranking thead th')[i].firstChild.click();"
    page = _in_a_browser(
        re.sub(rb"<meta http-equiv[^>]*>", b"", content).replace(
            b"</body>", f"<script>{press}</script></body>".encode()
        ),
        tmp_path,
    )
    assert [row[column] for row in page.lists["ranking"][2:]] == expected


def _in_a_browser(content: bytes, folder: Path) -> Page:
    (folder / "report.html").write_bytes(content)
    profile = f"--user-data-dir={folder / 'profile'}"
    uri = (folder / "report.html").as_uri()
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", profile, "--dump-dom", uri]
    return Page(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)


def _saying(said: str, patient: PatientTriage) -> PatientTriage:
    return dataclasses.replace(
        patient,
        patient_id=said,
        accession_number=said,
        study_date=said,
        top_image=said,
        issuer_of_patient_id=said,
        detail=said,
    )


def _source(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode('utf-8')).digest()).decode('ascii')}'"


def _crowd(run: TriageRun, ranked: PatientTriage) -> TriageRun:
    """Make 5,000 patients with long names."""
    patients = (
        dataclasses.replace(
            ranked,
            rank=rank,
            patient_id=f"{rank:064d}",
            top_image=f"2026-11-21/{rank:064d}/{rank:064d}.dcm",
            flags=tuple(Flag)[:3],
        )
        for rank in range(1, 5001)
    )
    return dataclasses.replace(run, patients=tuple(patients))
