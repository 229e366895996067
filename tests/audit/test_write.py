"""The two files of an audit, what they say in words, and the command."""

import re
import stat
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cxrbatch.audit.figures import Audit, audit
from cxrbatch.audit.page import audit_html
from cxrbatch.audit.summary import summarise
from cxrbatch.audit.write import audit_csv, check_out, write_audit
from cxrbatch.bundle.bundle import DEFAULT_BUNDLE, load_bundle
from cxrbatch.bundle.operating_points import with_operating_points
from cxrbatch.cli.app import cli
from cxrbatch.errors import OutputError, StateError, UsageProblem
from cxrbatch.pages.wording import CAUTION
from cxrbatch.reasons import Reason
from cxrbatch.state.connection import open_state
from tests.factories.audits import Line, Night, a_bundle, audited, make_state, one_night, tiny_state
from tests.factories.stored import OTHER_BUNDLE

TINY = """\
section,week,quantity,value,low,high,n
at_k,all,n_waits,8,,,8
at_k,all,n_with_result,6,,,6
at_k,all,n_positive,4,,,4
at_k,all,ppv,0.600000,0.230724,0.882379,5
at_k,all,sensitivity,,,,4
at_k,all,prevalence,0.666667,0.299993,0.903229,6
at_k,2026-W45,n_waits,7,,,7
at_k,2026-W45,n_with_result,6,,,6
at_k,2026-W45,n_positive,4,,,4
at_k,2026-W45,ppv,0.600000,0.230724,0.882379,5
at_k,2026-W45,sensitivity,,,,4
at_k,2026-W45,prevalence,0.666667,0.299993,0.903229,6
at_k,2026-W46,n_waits,1,,,1
at_k,2026-W46,n_with_result,0,,,0
at_k,2026-W46,n_positive,0,,,0
at_k,2026-W46,ppv,,,,0
at_k,2026-W46,sensitivity,,,,0
at_k,2026-W46,prevalence,,,,0
verification,all,with_result,0.750000,0.409275,0.928521,8
verification,all,with_result_first_k,0.714286,0.358934,0.917781,7
verification,all,with_result_others,,,,1
verification,all,first_k_minus_others,,,,8
verification,2026-W45,with_result,0.857143,0.486872,0.974320,7
verification,2026-W45,with_result_first_k,0.833333,0.436497,0.969947,6
verification,2026-W45,with_result_others,,,,1
verification,2026-W45,first_k_minus_others,,,,7
verification,2026-W46,with_result,,,,1
verification,2026-W46,with_result_first_k,,,,1
verification,2026-W46,with_result_others,,,,0
verification,2026-W46,first_k_minus_others,,,,1
gain,all,found_list_10,,,,5
gain,all,found_list_20,,,,5
gain,all,found_list_30,,,,5
gain,all,found_list_50,,,,5
gain,all,gain_list,,,,5
gain,all,found_arrival_10,,,,5
gain,all,found_arrival_20,,,,5
gain,all,found_arrival_30,,,,5
gain,all,found_arrival_50,,,,5
gain,all,gain_arrival,,,,5
gain,all,gain_list_minus_arrival,,,,5
waiting,all,n_all,8,,,8
waiting,all,mean_all,2.125000,,,8
waiting,all,p95_all,7.000000,,,8
waiting,all,max_all,7.000000,,,8
waiting,all,n_pcr_positive,4,,,4
waiting,all,mean_pcr_positive,,,,4
waiting,all,p95_pcr_positive,,,,4
waiting,all,max_pcr_positive,,,,4
waiting,all,n_pcr_negative,2,,,2
waiting,all,mean_pcr_negative,,,,2
waiting,all,p95_pcr_negative,,,,2
waiting,all,max_pcr_negative,,,,2
waiting,all,n_left_without_result,0,,,0
waiting,all,mean_left_without_result,,,,0
waiting,all,p95_left_without_result,,,,0
waiting,all,max_left_without_result,,,,0
waiting,all,n_still_waiting,2,,,2
waiting,all,mean_still_waiting,,,,2
waiting,all,p95_still_waiting,,,,2
waiting,all,max_still_waiting,,,,2
waiting,all,n_not_scored,1,,,1
waiting,all,mean_not_scored,,,,1
waiting,all,p95_not_scored,,,,1
waiting,all,max_not_scored,,,,1
waiting,all,n_max_wait,1,,,1
calibration,all,n_positive,3,,,3
calibration,all,n_negative,2,,,2
calibration,all,auroc,,,,5
calibration,all,slope,,,,5
calibration,all,intercept,,,,5
threshold,all,missing_positive,47,,,47
threshold,all,missing_negative,48,,,48
threshold,all,urgent,,,,5
threshold,all,urgent_specificity,,,,5
threshold,all,high,,,,5
threshold,all,high_specificity,,,,5
drift,2026-W45,n_images,7,,,7
drift,2026-W45,not_scored,0.142857,0.025680,0.513128,7
drift,2026-W45,not_scored_corrupt,1,,,1
drift,2026-W45,urgent,0.666667,0.299993,0.903229,6
drift,2026-W46,n_images,1,,,1
drift,2026-W46,not_scored,,,,1
drift,2026-W46,urgent,,,,1
drift,all,not_scored_last_week_minus_before,,,,8
"""
"""Nights waited: A 1, B 1, C 2, D 2, E 7, F 3, G 1, H 0. Among the first 5: A, B, C, D, E, G, H."""


def said(audit: Audit, start: str) -> str:
    """The one sentence that begins so; empty where there is none."""
    found = [sentence for sentence in summarise(audit) if sentence.startswith(start)]
    assert len(found) <= 1
    return found[0] if found else ""


def busy_nights(
    n_nights: int = 20, bundle: str = "", *, reverse: bool = False
) -> tuple[list[Night], list[tuple[str, int, bool]]]:
    """Ten a night, of whom the three with the highest (or lowest) scores are PCR-positive, but not quite always."""
    nights, results = [], []
    for number in range(n_nights):
        scores = {f"SECRET{number}-{place}": 0.9 - place / 20 for place in range(10)}
        nights.append(one_night(number, scores, bundle) if bundle else one_night(number, scores))
        positive = {0, 1, 2 + number % 3}
        for place, patient in enumerate(reversed(scores) if reverse else scores):
            results.append((patient, number + 1, place in positive))
    return nights, results


# --- files


def test_every_figure_of_eight_patients(tmp_path: Path) -> None:
    found = audit(tiny_state(tmp_path), a_bundle(), capacity=5)
    assert audit_csv(found.estimates).decode() == TINY


def test_the_state_is_only_read_and_the_same_state_gives_the_same_bytes(tmp_path: Path) -> None:
    state = tiny_state(tmp_path)
    before = state.read_bytes()
    written = []
    for name in ("one.csv", "two.csv"):
        write_audit(audit(state, a_bundle(), capacity=5), tmp_path / name)
        written.append([(tmp_path / name).with_suffix(end).read_bytes() for end in (".csv", ".html")])
    assert written[0] == written[1]
    assert state.read_bytes() == before


def test_both_files_are_for_owner_and_group_and_name_nobody(tmp_path: Path) -> None:
    nights, results = busy_nights()
    write_audit(audited(tmp_path, *nights, results=results, capacity=3), tmp_path / "audit.csv")
    for name in ("audit.csv", "audit.html"):
        content = (tmp_path / name).read_bytes()
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) & ~0o640 == 0
        assert b"SECRET" not in content
        assert not re.search(rb"[/\\]export", content)


@pytest.mark.parametrize("name", ["audit", "audit.html", "nothing/audit.csv"])
def test_out_that_cannot_be_is_said_before_the_work(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageProblem):
        check_out(tmp_path / name)


def test_out_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "audit.html").mkdir()
    with pytest.raises(UsageProblem, match=r"audit\.html is not a file"):
        check_out(tmp_path / "audit.csv")


# --- words


def test_a_list_that_misleads_is_said_first(tmp_path: Path) -> None:
    nights, results = busy_nights(reverse=True)
    first = summarise(audited(tmp_path, *nights, results=results))[0]
    assert first.startswith("The list was no better than random order: gain -")
    assert "200 waits with a result" in first


def test_a_list_that_is_worse_than_arrival_is_said_first(tmp_path: Path) -> None:
    """The five who are PCR-positive came in with an earlier run, and have four of the five lowest scores."""
    scores = {f"P{place}": 0.9 - place / 20 for place in range(10)}
    positive = {"P0", "P6", "P7", "P8", "P9"}
    early = {patient: score for patient, score in scores.items() if patient in positive}
    late = {patient: score for patient, score in scores.items() if patient not in positive}
    night = Night(0, [early, late], [Line(patient=patient, score=score) for patient, score in scores.items()])
    results = [(patient, 1, patient in positive) for patient in scores]
    first = summarise(audited(tmp_path, night, results=results))[0]
    # of 25 pairs 5 are in the right order: 2 · 5/25 − 1
    assert first.startswith("The list was no better than the order of arrival: gain -0.600")
    assert "against 1.000 (1.000 to 1.000) by arrival" in first


def test_a_good_list_is_said_last(tmp_path: Path) -> None:
    nights, results = busy_nights()
    assert summarise(audited(tmp_path, *nights, results=results))[-1].startswith("Good: the list was better")


def test_a_list_that_may_be_luck_is_not_called_good(tmp_path: Path) -> None:
    scores = {f"P{place}": 0.9 - place / 20 for place in range(12)}
    results = [(f"P{place}", 1, place in {1, 3, 4, 6, 10}) for place in range(12)]
    found = audited(tmp_path, one_night(0, scores), results=results)
    assert said(found, "It is not shown that the list was better than random order")
    assert not said(found, "Good")


def test_too_few_results_are_counted(tmp_path: Path) -> None:
    found = audit(tiny_state(tmp_path), a_bundle())
    assert "4 waits with a PCR-positive and 2 with a PCR-negative result, of 8" in said(
        found, "Too few results"
    )
    assert "47 PCR-positive and 48 PCR-negative" in said(found, "No local threshold")
    assert said(found, "1 of 8 waits was as long as --max-nights allows")


def test_results_for_the_first_of_the_list_only_are_a_warning(tmp_path: Path) -> None:
    nights, results = busy_nights()
    tested = [result for result in results if result[0][-1] in "01234"]
    found = audited(tmp_path, *nights, results=tested, capacity=5)
    assert "among the first 5 100.0% have one (n = 100), of the others 0.0% (n = 100)" in said(
        found, "Results are not"
    )
    (tmp_path / "all").mkdir()
    assert not said(audited(tmp_path / "all", *nights, results=results, capacity=5), "Results are not")


def test_positive_patients_who_wait_longer(tmp_path: Path) -> None:
    scores = {f"P{place}": 0.9 - place / 20 for place in range(10)}
    results = [(f"P{place}", 4 if place < 5 else 1, place < 5) for place in range(10)]
    found = audited(tmp_path, one_night(0, scores), results=results)
    assert "4.0 nights on average (n = 5) against 1.0 (n = 5)" in said(
        found, "PCR-positive patients waited longer"
    )


def test_results_that_fit_no_wait_and_other_bundles(tmp_path: Path) -> None:
    found = audited(
        tmp_path,
        one_night(0, {"P": 0.5, "Q": 0.4}, OTHER_BUNDLE),
        results=[("P", 1, True), ("Q", 40, True), ("R", 1, False)],
    )
    assert said(found, "2 of 3 PCR results fit no wait")
    assert said(found, "1 wait with a result was ranked by another bundle than made-up@")


def test_more_images_that_are_not_scored(tmp_path: Path) -> None:
    fine = Night(0, [{f"P{i}": 0.5 for i in range(40)}], [])
    broken = Night(7, [{f"Q{i}": Reason.CORRUPT if i < 20 else 0.5 for i in range(40)}], [])
    assert "50.0% of 40 in 2026-W46" in said(audited(tmp_path, fine, broken), "More images are not scored")


def test_scores_that_moved(tmp_path: Path) -> None:
    reference = {"measured_on": "m", "n": 1000, "edges": [i / 10 for i in range(1, 10)], "shares": [0.1] * 10}
    night = Night(0, [{f"P{i}": 0.95 for i in range(120)}], [])
    bundle = a_bundle(evaluation={"reference": reference})
    found = audited(tmp_path, night, bundle=bundle)
    assert "in 2026-W45 (n = 120" in said(
        found, "Scores are distributed otherwise than those of the bundle's"
    )


def test_arrival_that_is_known_is_not_called_unknown(tmp_path: Path) -> None:
    night = Night(0, [{"P": 0.5}, {"Q": 0.6}], [Line(patient="Q", score=0.6), Line(patient="P", score=0.5)])
    assert not said(audited(tmp_path, night), "The order of arrival is not known")


# --- page


class Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.titles: list[str] = []
        self.tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self.tags[-1:] == ["h2"] and data.strip():
            self.titles.append(data)


def test_the_page_says_everything_and_loads_nothing(tmp_path: Path) -> None:
    nights, results = busy_nights()
    html = audit_html(audited(tmp_path, *nights, results=results, capacity=3), "f" * 64)
    page = Page(html)
    assert page.titles == [
        "What this means",
        "The first 3 of the list",
        "Who has a result",
        "The order of the list against others",
        "How long they waited",
        "What the score meant here",
        "By score",
        "Threshold for this hospital",
        "What came in",
        "What is counted",
        "Where this comes from",
    ]
    assert page.tags.count("svg") == 2
    assert not {"script", "img", "link", "iframe"} & set(page.tags)
    text = " ".join(page.text)
    assert CAUTION in text
    assert "f" * 64 in text
    assert (
        "20 nights with a list, 2026-11-02 to 2026-11-21: 200 waits, 200 with a PCR result, 60 of them"
        in text
    )
    for word in ("diagnos", "% chance", "positive patient ", "sick"):
        assert word not in text.replace("PCR-positive patient ", "")


def test_every_figure_of_the_page_has_its_n_or_is_a_count(tmp_path: Path) -> None:
    html = audit_html(audit(tiny_state(tmp_path), a_bundle(), capacity=5), "")
    cells = re.findall(r'<td class="n[^"]*"><bdi>([^<]*)</bdi>(?:<small>([^<]*)</small>)?', html)
    assert cells
    for text, note in cells:
        if "(" in text:
            assert re.match(r"n = \d+", note), text


def test_with_too_few_results_the_page_has_no_plots_and_says_so(tmp_path: Path) -> None:
    html = audit_html(audit(tiny_state(tmp_path), a_bundle()), "")
    assert "<svg" not in html
    assert "too few" in html
    assert "Not asked for: --capacity K" in html


# --- command


def command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(
        cli, ["audit", *map(str, arguments)], standalone_mode=False, catch_exceptions=False
    )


@pytest.fixture(scope="module")
def shipped() -> str:
    return load_bundle(DEFAULT_BUNDLE).sha256


def test_the_command_writes_both_files_and_prints_the_words(tmp_path: Path, shipped: str) -> None:
    nights, results = busy_nights(bundle=shipped)
    state = make_state(tmp_path / "state.sqlite", nights, results)
    points = tmp_path / "points.json"
    result = command(
        "--state",
        state,
        "--out",
        tmp_path / "audit.csv",
        "--capacity",
        "3",
        "--write-operating-points",
        points,
    )
    assert result.return_value == 0
    assert "Good: the list was better" in result.stdout
    assert "audit of 20 nights" in result.stderr
    assert sorted(path.name for path in tmp_path.glob("audit.*")) == ["audit.csv", "audit.html"]
    bundle = with_operating_points(load_bundle(DEFAULT_BUNDLE), points)
    assert bundle.operating_points is not None
    # PCR-positive: 20 at either of the first two places, 7, 7 and 6 at the next three; 54 of 60 reach to the fourth
    assert bundle.operating_points.urgent == pytest.approx(0.75)
    assert bundle.operating_points.high == pytest.approx(0.70)
    assert "60 positive, 140 negative" in bundle.operating_points.measured_on


def test_too_few_results_write_no_operating_points_and_leave_3(tmp_path: Path, shipped: str) -> None:
    nights, results = busy_nights(10, bundle=shipped)
    state = make_state(tmp_path / "state.sqlite", nights, results)
    points = tmp_path / "points.json"
    result = command("--state", state, "--out", tmp_path / "audit.csv", "--write-operating-points", points)
    assert result.return_value == 3
    assert "not written, because there are too few results" in result.stderr
    assert (tmp_path / "audit.csv").exists()
    assert not points.exists()


def test_no_state_and_a_state_without_a_list(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot be opened"):
        command("--state", tmp_path / "nothing.sqlite", "--out", tmp_path / "audit.csv")
    with open_state(tmp_path / "empty.sqlite"):
        pass
    with pytest.raises(StateError, match="holds no list yet"):
        command("--state", tmp_path / "empty.sqlite", "--out", tmp_path / "audit.csv")
    assert not list(tmp_path.glob("audit.*"))


def test_a_folder_that_takes_no_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="/proc"):
        command("--state", tiny_state(tmp_path), "--out", "/proc/audit.csv")


@pytest.mark.parametrize("arguments", [["--capacity", "0"], ["--recommend-sensitivity", "1"]])
def test_options_out_of_range(tmp_path: Path, arguments: list[str]) -> None:
    result = CliRunner().invoke(
        cli, ["audit", "--state", "s", "--out", str(tmp_path / "audit.csv"), *arguments]
    )
    assert result.exit_code == 2


def test_a_state_without_results_is_audited_all_the_same(tmp_path: Path) -> None:
    found = audited(tmp_path, one_night(0, {"P": 0.5}), capacity=5)
    write_audit(found, tmp_path / "audit.csv")
    assert "0 waits with a PCR-positive and 0 with a PCR-negative result, of 1" in said(
        found, "Too few results"
    )


def test_lists_that_were_empty(tmp_path: Path) -> None:
    write_audit(audited(tmp_path, Night(0, [{}], [])), tmp_path / "audit.csv")
