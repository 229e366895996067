"""Links to the hospital's viewer: what an address may be, and what no value of a file can make of it."""

from dataclasses import replace
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.errors import UsageProblem
from cxrbatch.records import PatientTriage, dicom_key
from cxrbatch.report.extras import PageExtras
from cxrbatch.report.page import render_page
from cxrbatch.report.viewer import ViewerUrl
from tests.factories.triage_runs import made_run

URL = "https://pacs.example/view/{accession_number}?id={patient_id}#{study_instance_uid}"
PATIENT = PatientTriage(
    rank=1,
    priority=None,
    patient_id="P 1",
    accession_number="A/1&x=2",
    study_date="",
    score=0.5,
    scores=(0.5, 0.25, 0.25),
    n_images=1,
    top_image="a.dcm",
    study_instance_uid="1.2.3",
    patient_key=dicom_key("P 1", ""),
)


def test_values_are_percent_encoded() -> None:
    link = ViewerUrl.parse(URL).link(PATIENT)
    assert link == "https://pacs.example/view/A%2F1%26x%3D2?id=P%201#1.2.3"


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_value_leads_elsewhere(accession: str, identifier: str) -> None:
    """Scheme, host and the parts of the path are those of the address, and the value comes back whole."""
    patient = replace(PATIENT, accession_number=accession, patient_id=identifier)
    link = ViewerUrl.parse(URL).link(patient)
    if accession in {".", ".."}:
        assert link == ""
        return
    parts = urlsplit(link)
    assert (parts.scheme, parts.netloc, parts.path.split("/")[:2]) == ("https", "pacs.example", ["", "view"])
    assert unquote_to_bytes(parts.path.split("/")[2]) == accession.encode("utf-8", "surrogatepass")
    assert parts.path.count("/") == 2
    assert link.isascii()


@pytest.mark.parametrize(
    "patient",
    [
        replace(PATIENT, accession_number=""),
        replace(PATIENT, accession_number=".."),
        replace(PATIENT, patient_key=("study", "1.2.3")),
        replace(PATIENT, study_instance_uid=""),
    ],
)
def test_without_a_value_there_is_no_link(patient: PatientTriage) -> None:
    assert ViewerUrl.parse(URL).link(patient) == ""


def test_a_dot_before_a_dot_climbs_too() -> None:
    dotted = ViewerUrl.parse("https://pacs.example/a/.{patient_id}")
    assert dotted.link(replace(PATIENT, patient_id=".")) == ""
    assert dotted.link(PATIENT) == "https://pacs.example/a/.P%201"


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        ("http://pacs/x?{patient_id}", "http"),
        ("HTTPS://pacs.example:8443/{patient_id}", "https"),
        ("weasis://?$dicom:rs%20--request%20{study_instance_uid}", "weasis"),
        ("radiant:{accession_number}", "radiant"),
    ],
)
def test_addresses_that_are_taken(url: str, scheme: str) -> None:
    assert ViewerUrl.parse(url, scheme).link(PATIENT)


@pytest.mark.parametrize(
    ("url", "scheme", "problem"),
    [
        ("http://pacs/{patient_id}", "https", "has to begin with https:"),
        ("//pacs/{patient_id}", "https", "has to begin with https:"),
        ("javascript:alert({patient_id})", "https", "has to begin with https:"),
        ("javascript:alert({patient_id})", "javascript", "--viewer-scheme javascript"),
        ("DATA:text/html,{patient_id}", "Data", "--viewer-scheme Data"),
        ("{patient_id}://x", "{patient_id}", "--viewer-scheme"),
        (" javascript:alert({patient_id})", "https", "no blanks"),
        ("java\tscript:alert({patient_id})", "https", "no blanks"),
        ("https:\\\\evil\\{patient_id}", "https", "no blanks"),
        ("https://{patient_id}/x", "https", "before the path"),
        ("https://pacs{patient_id}", "https", "before the path"),
        ("https://pacs:{patient_id}/", "https", "before the path"),
        ("https://user:password@pacs/{patient_id}", "https", "before the path"),
        ("https:///{patient_id}", "https", "names no host"),
        ("https://[::1/{patient_id}", "https", "is no address"),
        ("https://pacs/all", "https", "write what it is to hold"),
        ("https://pacs/{name}", "https", "write what it is to hold"),
        ("https://pacs/{patient_id.__class__}", "https", "write what it is to hold"),
        ("https://pacs/{patient_id}{", "https", "write what it is to hold"),
        ("https://pacs/{}", "https", "write what it is to hold"),
    ],
)
def test_addresses_that_are_refused(url: str, scheme: str, problem: str) -> None:
    with pytest.raises(UsageProblem, match=problem):
        ViewerUrl.parse(url, scheme)


def test_the_page_links_without_a_way_back() -> None:
    run = made_run(patients=(PATIENT,))
    page = b"".join(
        render_page(run, {"report.csv": 64 * "a"}, PageExtras(viewer=ViewerUrl.parse(URL)))
    ).decode()
    assert (
        '<a class="viewer" href="https://pacs.example/view/A%2F1%26x%3D2?id=P%201#1.2.3" target="_blank" '
        'rel="noopener noreferrer">Viewer</a>' in page
    )
    assert "noopener" not in b"".join(render_page(run, {"report.csv": 64 * "a"})).decode()
