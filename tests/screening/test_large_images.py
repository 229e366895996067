"""The images of the first patients, as the page shows them: read again after the list is made."""

import datetime as dt
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cxrbatch.reasons import Reason
from cxrbatch.records import TriageRun, dicom_key
from cxrbatch.report.words import TEXTS
from cxrbatch.screening import screen
from cxrbatch.state.connection import open_state
from tests.factories.report_pages import thumbnails


def _screened(folder: Path, out: Path, bundle: Path, **options: Any) -> TriageRun:
    return screen(folder, out, bundle=bundle, device="cpu", n_workers=1, **options)


@pytest.fixture(scope="module")
def night(sample_night: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "night"
    shutil.copytree(sample_night, folder)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    return folder


@pytest.fixture(scope="module")
def with_two(
    night: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TriageRun, Path]:
    out = tmp_path_factory.mktemp("two") / "report.csv"
    return _screened(night, out, tiny_bundle, n_explained=2), out


def test_the_first_patients_have_a_large_image(with_two: tuple[TriageRun, Path]) -> None:
    run, _ = with_two
    ranked = [patient for patient in run.patients if patient.is_ranked]
    assert [bool(patient.large_image) for patient in ranked] == [True, True, *[False] * (len(ranked) - 2)]
    for patient in ranked[:2]:
        image = Image.open(io.BytesIO(patient.large_image))
        assert (max(image.size), image.mode, image.format) == (512, "L", "JPEG")


def test_so_have_those_who_need_a_human_where_there_is_something_to_see(
    night: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report.csv"
    run = _screened(night, out, tiny_bundle)
    shown = {patient.reason: bool(patient.large_image) for patient in run.patients if patient.reason}
    assert not any(shown.get(reason) for reason in (Reason.CORRUPT, Reason.TRUNCATED))
    assert shown[Reason.PAEDIATRIC]
    small = thumbnails(out)
    assert {patient.top_image for patient in run.patients if patient.large_image} <= small.keys()
    (child,) = (patient for patient in run.patients if patient.reason is Reason.PAEDIATRIC)
    assert max(Image.open(io.BytesIO(small[child.top_image])).size) == 88
    assert not any(patient.evidence for patient in run.patients if not patient.is_ranked)


def test_tables_do_not_depend_on_it(
    with_two: tuple[TriageRun, Path], night: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    none = tmp_path / "report.csv"
    run = _screened(night, none, tiny_bundle, n_explained=0)
    assert not any(patient.large_image for patient in run.patients)
    for name in ("report.csv", "report.files.csv"):
        assert (none.parent / name).read_bytes() == (with_two[1].parent / name).read_bytes()
    assert b'class="patient" data-row="0"' in with_two[1].with_suffix(".html").read_bytes()


def test_the_page_holds_what_the_record_holds(with_two: tuple[TriageRun, Path]) -> None:
    run, out = with_two
    page = out.with_suffix(".html").read_text(encoding="utf-8")
    found = re.findall(
        r'<script type="application/json" class="patient" data-row="(\d+)">(.*?)</script>', page
    )
    large = {int(row) for row, content in found if "large" in json.loads(content)}
    listed = [
        patient for status in ("ranked", "not_scored") for patient in run.patients if patient.status == status
    ]
    assert large == {row for row, patient in enumerate(listed) if patient.large_image}


def test_nothing_is_read_again_without_a_report(night: Path, tiny_bundle: Path) -> None:
    run = screen(night, bundle=tiny_bundle, device="cpu", n_workers=1)
    assert not any(patient.large_image for patient in run.patients)


def test_a_large_image_keeps_its_shape(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (300, 600), np.uint8)
    Image.fromarray(pixels).save(folder / "wide.png")
    (patient,) = _screened(folder, tmp_path / "report.csv", tiny_bundle).patients
    if patient.large_image:
        assert Image.open(io.BytesIO(patient.large_image)).size == (512, 256)


def _night(number: int) -> Any:
    return lambda: dt.datetime(2026, 3, 1 + number, 23, tzinfo=dt.UTC)


def test_a_large_image_is_kept_while_the_patient_is_among_the_first(
    night: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    """The export is emptied: whoever is carried over is still to be seen, and no longer after leaving the first.

    Also where the file of another patient has the same name now.
    """
    folder, state = tmp_path / "export", tmp_path / "state.sqlite"
    shutil.copytree(night, folder)
    asked = {"state": state, "n_explained": 3}
    before = _screened(folder, tmp_path / "a.csv", tiny_bundle, clock=_night(0), **asked)
    shutil.rmtree(folder)
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)
    Image.fromarray(pixels).save(folder / "of_tonight.png")
    somebody_else = folder / next(p.top_image for p in before.patients if p.rank == 1)
    somebody_else.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[::-1]).save(somebody_else, format="png")  # an old name, another patient
    after = _screened(folder, tmp_path / "b.csv", tiny_bundle, clock=_night(1), **asked)
    first = {p.patient_key: p.large_image for p in before.patients if p.is_ranked and p.large_image}
    again = {p.patient_key: p for p in after.patients if p.is_ranked and p.patient_key in first}
    assert len(first) == len(again) == 3
    for key, patient in again.items():
        assert patient.large_image == first[key]
        assert not any(image.is_here for image in patient.images)
        assert [entry.night for entry in patient.earlier] == [dt.date(2026, 3, 1)]
        assert patient.earlier[0].score == patient.score
    assert "Previous list" not in (tmp_path / "a.html").read_text("utf-8")
    page = (tmp_path / "b.html").read_text("utf-8")
    assert '<a href="a.html" class="previous">Previous list, night of 2026-03-01</a>' in page
    assert page.count(f'"no_map": "{TEXTS["no_map_gone"]}"') == 3
    last = _screened(folder, tmp_path / "c.csv", tiny_bundle, clock=_night(2), **asked | {"n_explained": 1})
    assert sum(bool(p.large_image) and p.patient_key in first for p in last.patients) == 3
    with open_state(state) as opened:
        assert len(opened.large_images.get()) == 1


def test_a_forgotten_patient_leaves_no_large_image(tmp_path: Path) -> None:
    with open_state(tmp_path / "state") as state:
        state.large_images.replace(
            [(dicom_key(name), f"{name}.dcm", b"jpeg of " + name.encode()) for name in "AB"]
        )
        state.removal.forget(dicom_key("A"))
        assert state.large_images.get() == {dicom_key("B"): ("B.dcm", b"jpeg of B")}
    assert b"jpeg of A" not in (tmp_path / "state").read_bytes()
