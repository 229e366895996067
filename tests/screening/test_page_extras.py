"""What the page alone shows: names and birth dates on request, and nowhere else."""

import datetime as dt
import logging
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from phantom import radiograph
from PIL import Image

from cxrbatch._lib.ranges import SHOWABLE
from cxrbatch.bundle import DEFAULT_BUNDLE, write_bundle
from cxrbatch.errors import UsageProblem
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.records import TriageRun
from cxrbatch.report.words import TEXTS
from cxrbatch.screening import ScreenOptions, screen
from cxrbatch.screening.page_extras import link_to_previous, page_extras
from cxrbatch.state import State
from tests.factories.dicom_files import write_dicom

STORED = np.rint(radiograph(200, 200, seed=1) * 4095).astype(np.uint16)
PLANTED = {
    "PatientName": "Quasimodo^Esmeralda=\u9418\u697c",
    "PatientBirthDate": "19110317",
    "PatientSex": "F",
    "StationName": "STATION-NDP",
    "StudyTime": "031733.125",
}
SHOWN = ("Quasimodo, Esmeralda / \u9418\u697c", "1911-03-17", "F", "STATION-NDP", "03:17")
SECRET = ("Quasimodo", "Esmeralda", "\u9418\u697c", "19110317", "1911-03-17", "STATION-NDP", "031733")
TABLES = ("report.csv", "report.files.csv", "report.json", "report.files.json")
VIEWER = "https://pacs.example/{accession_number}"
HOSTILE = "<script>alert(1)</script>^+HYPERLINK(1)"


def _planted(path: Path, number: int, **elements: Any) -> None:
    known = {
        "PatientID": f"P{number}",
        "SOPInstanceUID": f"1.2.3.{number}",
        "SpecificCharacterSet": "ISO_IR 192",
    }
    write_dicom(path, np.roll(STORED, number), **(known | PLANTED | elements))


def _export(folder: Path) -> Path:
    folder.mkdir(parents=True)
    _planted(folder / "a.dcm", 1)
    _planted(folder / "b.dcm", 2, ViewPosition="LL")
    _planted(folder / "c.dcm", 3, PatientName=HOSTILE, StudyTime="", PatientBirthDate="unknown")
    Image.fromarray((STORED >> 4).astype(np.uint8)).save(folder / "d.png")
    _planted(folder / "f.dcm", 4)
    (folder / "f.dcm").write_bytes((folder / "f.dcm").read_bytes()[:-1000])
    return folder


def _screened(folder: Path, out: Path, bundle: Path, **options: Any) -> TriageRun:
    return screen(folder, out, bundle=bundle, device="cpu", n_workers=1, n_explained=1, **options)


def _night(number: int) -> Any:
    return lambda: dt.datetime(2026, 3, 1 + number, 23, tzinfo=dt.UTC)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return _export(tmp_path / "export")


def _cells(page: Path) -> dict[str, str]:
    """Content of the column by the patient before it."""
    row = re.compile(r'class="c-id"><bdi>([^<]*)</bdi>.*?</th>\s*<td class="c-shown">(.*?)</td>', re.DOTALL)
    found = row.findall(page.read_text("utf-8"))
    return {patient: re.sub(r"(<[^>]*>)+", "|", cell).strip("|") for patient, cell in found}


def test_the_page_shows_what_was_asked_for_and_nothing_else_does(
    export: Path,
    tiny_bundle: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    state, out = tmp_path / "state.sqlite", tmp_path / "out" / "report.csv"
    out.parent.mkdir()
    caplog.set_level(logging.DEBUG)
    asked = {"state": state, "show": SHOWABLE, "formats": ("csv", "json")}
    run = _screened(export, out, tiny_bundle, clock=_night(0), **asked)
    page = out.with_suffix(".html")
    cells = _cells(page)
    assert cells["P1"] == cells["P2"] == f"{SHOWN[0]}|{'| · |'.join(SHOWN[1:])}"
    assert (
        cells["P3"]
        == "&lt;script&gt;alert(1)&lt;/script&gt;, +HYPERLINK(1)|unknown| · |F| · |STATION-NDP| · |–"
    )
    assert cells["P4"] == cells["d.png"] == "not stated, or not readable"
    said = caplog.text + "".join(capfd.readouterr()) + repr(run)
    others = [
        path for path in tmp_path.rglob("*") if path.is_file() and path != page and export not in path.parents
    ]
    assert {path.name for path in others} >= {*TABLES, "state.sqlite"}
    for value in SECRET:
        assert value not in said
        assert not [path for path in others if value.encode() in path.read_bytes()]
    for path in export.iterdir():
        path.unlink()
    Image.fromarray((STORED >> 5).astype(np.uint8)).save(export / "e.png")
    _screened(export, out, tiny_bundle, clock=_night(1), **asked)
    gone = dict.fromkeys(("P1", "P2", "P3", "P4", "d.png"), "not in the export")
    assert _cells(page) == gone | {"e.png": "not stated, or not readable"}
    assert not [value for value in SECRET if value in page.read_text("utf-8")]


def test_a_file_that_is_another_patients_meanwhile_is_not_shown(
    export: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    run = _screened(export, tmp_path / "report.csv", tiny_bundle)
    _planted(export / "a.dcm", 9, PatientName="Someone^Else")
    (export / "c.dcm").write_bytes(b"no radiograph")
    shown = page_extras(run, export, ScreenOptions(show=("name",)), lambda _: b"").shown
    by_id = {patient.patient_id: shown.get(patient.patient_key) for patient in run.patients}
    assert by_id == {"P1": None, "P2": (SHOWN[0],), "P3": None, "P4": ("",), "d.png": ("",)}


def test_tables_have_the_same_bytes_with_every_option_of_the_page(
    export: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    options: dict[str, dict[str, Any]] = {"without": {}, "with": {"show": SHOWABLE, "viewer_url": VIEWER}}
    written = {}
    for name, asked in options.items():
        out = tmp_path / name / "report.csv"
        out.parent.mkdir()
        _screened(export, out, tiny_bundle, formats=("csv", "json"), **asked)
        written[name] = {table: (out.parent / table).read_bytes() for table in TABLES}
    assert written["without"] == written["with"]
    pages = [(tmp_path / name / "report.html").read_bytes() for name in options]
    assert pages[0] != pages[1]


def test_names_and_pseudonyms_exclude_each_other(export: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"k" * 64)
    with pytest.raises(UsageProblem, match=r"--show: with --pseudonymise"):
        screen(export, tmp_path / "report.csv", show=("name",), pseudonym_key=key)
    with pytest.raises(UsageProblem, match=r"--viewer-url: with --pseudonymise"):
        screen(export, tmp_path / "report.csv", viewer_url=VIEWER, pseudonym_key=key)
    with pytest.raises(UsageProblem, match=r"--viewer-url javascript:x: has to begin with https:"):
        screen(export, tmp_path / "report.csv", viewer_url="javascript:x")
    with pytest.raises(UsageProblem, match=r"show: 'address' is none of name, birth-date"):
        ScreenOptions(show=("address",))


@pytest.mark.parametrize("with_places", [True, False])
def test_the_page_says_when_the_network_allows_no_map(
    export: Path, tmp_path: Path, *, with_places: bool
) -> None:
    import keras

    places = [keras.layers.Conv2D(2, 5, strides=8)] if with_places else []
    layers = [
        keras.layers.Input((64, 64, 1)),
        *places,
        keras.layers.Flatten(),
        keras.layers.Dense(3, "softmax"),
    ]
    keras.Sequential(layers).save(tmp_path / "model.keras")
    write_bundle(
        tmp_path / "other",
        name="other",
        model=tmp_path / "model.keras",
        gate=DEFAULT_BUNDLE / "gate.npz",
        preprocess=PreprocessSpec(height=64, width=64),
        aggregation="mean",
        operating_points=None,
        training={},
        evaluation={},
    )
    run = _screened(export, tmp_path / "report.csv", tmp_path / "other")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert run.has_maps == with_places
    assert page.count(f"<p>{TEXTS['no_map_network']}.</p>") == (not with_places)
    assert page.count(f'"no_map": "{TEXTS["no_map_network"]}"') == (not with_places)


def test_the_address_of_the_previous_report_is_relative_and_encoded(tmp_path: Path) -> None:
    previous = tmp_path / "f\u00e9vrier" / "a b#1?.html"
    night = dt.date(2026, 3, 1)
    page = tmp_path / "mars" / "b.html"
    state = State.__new__(State)
    state.lists = SimpleNamespace(previous_page=lambda _: (night, previous))  # type: ignore[assignment]
    assert link_to_previous(state, page, ScreenOptions()) is None
    previous.parent.mkdir()
    previous.write_text("")
    assert link_to_previous(state, page, ScreenOptions()) == ("../f%C3%A9vrier/a%20b%231%3F.html", night)
    assert link_to_previous(state, page, ScreenOptions(pseudonym_key=tmp_path / "key")) is None
