"""Body part and view of DICOM files: which element decides, and what the gate makes of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from cxrbatch.gate import check_header
from cxrbatch.read import PatientRule, open_image
from cxrbatch.reasons import Flag, Reason, Refusal
from cxrbatch.records import FileKind, ImageRef
from cxrbatch.terms import HeaderWords
from tests.factories.dicom_files import write_dicom

SQUARE = np.arange(128 * 128, dtype=np.uint16).reshape(128, 128)
_FLAGS = {Flag.BODY_PART_UNKNOWN, Flag.VIEW_UNKNOWN}


def code(scheme: str, value: str, meaning: str = "", **others: str) -> list[Dataset]:
    item = Dataset()
    item.CodingSchemeDesignator, item.CodeMeaning = scheme, meaning
    if value:
        item.CodeValue = value
    for keyword, other in others.items():
        setattr(item, keyword, other)
    return [item]


def outcome(path: Path, added: HeaderWords = HeaderWords()) -> str:
    """Reason of the gate, or flags about body part and view."""
    ref = ImageRef(path=path, name=path.name, kind=FileKind.DICOM)
    image = open_image(ref, PatientRule(), added=added)
    try:
        check_header(image.header, FileKind.DICOM, added=added)
    except Refusal as refusal:
        return str(refusal.reason)
    return " ".join(sorted(image.decode().flags & _FLAGS))


WRONG, LATERAL, CONFLICT = Reason.WRONG_BODY_PART, Reason.LATERAL_VIEW, Reason.VIEW_CONFLICT
PARTS: list[tuple[str | None, list[Dataset] | None, str]] = [
    ("TORACE", None, ""),
    ("PECHO", None, ""),
    ("T\u00d3RAX", None, ""),
    ("T?RAX", None, ""),
    ("UNKNOWN", None, Flag.BODY_PART_UNKNOWN),
    ("OTHER", None, Flag.BODY_PART_UNKNOWN),
    ("N/A", None, Flag.BODY_PART_UNKNOWN),
    ("THORACIC SPINE", None, WRONG),
    ("CHEST", code("SRT", "T-D8700", "Hand"), ""),
    ("UNKNOWN", code("SRT", "T-D8700", "Hand"), WRONG),
    ("UNKNOWN", code("SRT", "T-D3000"), ""),
    (None, code("SRT", "T-D3000", "Torace"), ""),
    (None, code("SRT", "T-D3000", "Bapa"), ""),
    (None, code("SCT", "51185008", "Hand"), ""),
    (None, code("SCT", "122495006", "Thoracic spine"), WRONG),
    (None, code("SCT", "122495006", "Chest"), WRONG),
    (None, code("SCT", "85562004"), WRONG),
    (None, code("SCT", "", LongCodeValue="51185008"), ""),
    (None, code("99LOCAL", "T-D8700", "Poitrine"), ""),
    (None, code("99LOCAL", "17", "Main"), WRONG),
    (None, code("99LOCAL", "17"), Flag.BODY_PART_UNKNOWN),
    (None, code("99LOCAL", "17", "Other"), Flag.BODY_PART_UNKNOWN),
]
VIEWS: list[tuple[str | None, dict[str, Any], str]] = [
    ("P.A.", {}, ""),
    ("POSTEROANTERIOR", {}, ""),
    ("UNKNOWN", {}, Flag.VIEW_UNKNOWN),
    ("AP OBL", {}, LATERAL),
    ("PA RAO", {}, LATERAL),
    ("UNKNOWN", {"PatientOrientation": ["P", "F"]}, LATERAL),
    ("UNKNOWN", {"SeriesDescription": "Thorax profil"}, LATERAL),
    ("UNKNOWN", {"SeriesDescription": "Thorax face et profil"}, Flag.VIEW_UNKNOWN),
    ("UNKNOWN", {"ViewCodeSequence": code("SRT", "R-10206")}, ""),
    (None, {"ViewCodeSequence": code("SCT", "399067008", "profil gauche")}, LATERAL),
    (None, {"ViewCodeSequence": code("SCT", "399067008", "PA")}, LATERAL),
    (None, {"ViewCodeSequence": code("SRT", "R-10202", "lateral")}, ""),
    (None, {"ViewCodeSequence": code("99LOCAL", "1", "de face")}, ""),
    (None, {"ViewCodeSequence": code("99LOCAL", "1", "left anterior oblique")}, LATERAL),
    (None, {"ViewCodeSequence": code("99LOCAL", "1", "1")}, Flag.VIEW_UNKNOWN),
    (None, {"ViewCodeSequence": code("99LOCAL", "1"), "PatientOrientation": ["L", "F"]}, ""),
    (None, {"PatientOrientation": ["L", "F"]}, ""),
    (None, {"PatientOrientation": ["H", "R"]}, ""),
    (None, {"PatientOrientation": ["F", "A"]}, LATERAL),
    (None, {"PatientOrientation": ["A", ""]}, LATERAL),
    (None, {"PatientOrientation": ["", "P"]}, LATERAL),
    (None, {"PatientOrientation": ["R", "P"]}, LATERAL),
    (None, {"PatientOrientation": ["L", ""]}, Flag.VIEW_UNKNOWN),
    (None, {"PatientOrientation": ["A", "P"]}, Flag.VIEW_UNKNOWN),
    (None, {"SeriesDescription": "RAO"}, LATERAL),
    (None, {"SeriesDescription": "PA", "ProtocolName": "Chest PA and lateral"}, ""),
]
FRONTAL_CODE, LATERAL_CODE = code("SRT", "R-10206"), code("SCT", "399067008", "PA")
CONFLICTS: list[tuple[str | None, dict[str, Any]]] = [
    ("PA", {"PatientOrientation": ["A", "F"]}),
    ("PA", {"PatientOrientation": ["p", "f"]}),
    ("AP", {"PatientOrientation": ["AL", "F"]}),
    ("AP", {"PatientOrientation": ["F", "P"]}),
    ("FRONTAL", {"PatientOrientation": ["L", "A"]}),
    ("P.A.", {"PatientOrientation": ["A"]}),
    ("LL", {"PatientOrientation": ["L", "F"]}),
    ("RL", {"PatientOrientation": ["R", "F"]}),
    ("LATERAL", {"PatientOrientation": ["F", "L"]}),
    ("PROFIL", {"PatientOrientation": ["L", "F"]}),
    ("PA", {"ViewCodeSequence": LATERAL_CODE}),
    ("AP", {"ViewCodeSequence": code("SRT", "R-10232")}),
    ("AP", {"ViewCodeSequence": code("99LOCAL", "1", "profil gauche")}),
    ("AP", {"ViewCodeSequence": [*FRONTAL_CODE, *LATERAL_CODE]}),
    ("LL", {"ViewCodeSequence": FRONTAL_CODE}),
    ("RAO", {"ViewCodeSequence": code("SCT", "399348003")}),
    ("PA", {"SeriesDescription": "Chest lateral"}),
    ("PA", {"SeriesDescription": "Thorax seitlich"}),
    ("AP", {"ProtocolName": "CHEST LAT"}),
    ("AP", {"AcquisitionDeviceProcessingDescription": "Torax perfil"}),
    ("AP", {"SeriesDescription": "Chest AP", "ProtocolName": "Chest lateral"}),
    ("PA", {"SeriesDescription": "Chest oblique"}),
    ("AP", {"SeriesDescription": "CHEST AP L DECUB"}),
    ("AP", {"ProtocolName": "XR Chest AP left lateral-decubitus"}),
    ("AP", {"SeriesDescription": "lordotic"}),
    ("LATERAL", {"SeriesDescription": "CHEST PA"}),
    ("LL", {"ProtocolName": "Thorax p.a."}),
    (None, {"ViewCodeSequence": FRONTAL_CODE, "PatientOrientation": ["P", "F"]}),
    (None, {"ViewCodeSequence": LATERAL_CODE, "PatientOrientation": ["L", "F"]}),
    (None, {"ViewCodeSequence": FRONTAL_CODE, "SeriesDescription": "Thorax profil"}),
    ("UNKNOWN", {"ViewCodeSequence": LATERAL_CODE, "SeriesDescription": "Thorax face"}),
    ("ERECT", {"PatientOrientation": ["A", "F"], "SeriesDescription": "PA"}),
    (None, {"PatientOrientation": ["L", "F"], "SeriesDescription": "lateral"}),
    (None, {"SeriesDescription": "PA", "ProtocolName": "lateral"}),
]
AGREE: list[tuple[str | None, dict[str, Any], str]] = [
    (
        "PA",
        {"ViewCodeSequence": FRONTAL_CODE, "PatientOrientation": ["L", "F"], "SeriesDescription": "AP"},
        "",
    ),
    ("PA", {"SeriesDescription": "CHEST PA AND LATERAL"}, ""),
    ("PA", {"SeriesDescription": "PA and AP left lateral-decubitus"}, ""),
    ("AP", {"ProtocolName": "Thorax 2 Ebenen, p.a. und seitlich"}, ""),
    ("PA", {"SeriesDescription": "Bilateral infiltrates"}, ""),
    ("PA", {"StudyDescription": "Chest lateral"}, ""),
    ("PA", {"PatientOrientation": ["A", "A"]}, ""),
    ("PA", {"PatientOrientation": ["A", "F", "L"]}, ""),
    ("PA", {"ViewCodeSequence": code("99LOCAL", "1", "Left")}, ""),
    ("LL", {"PatientOrientation": ["A", "F"], "SeriesDescription": "lateral"}, LATERAL),
    ("LL", {"SeriesDescription": "CHEST PA/LAT"}, LATERAL),
    ("RAO", {"PatientOrientation": ["L", "F"]}, LATERAL),
    ("LLD", {"PatientOrientation": ["L", "F"]}, LATERAL),
    ("LEFT LATERAL DECUBITUS", {"PatientOrientation": ["H", "L"]}, LATERAL),
    ("LORDOTIC", {"PatientOrientation": ["R", "F"]}, LATERAL),
    ("PA RAO", {"SeriesDescription": "PA", "PatientOrientation": ["L", "F"]}, LATERAL),
    ("PA/LAT", {"SeriesDescription": "PA"}, LATERAL),
    ("XYZ", {"SeriesDescription": "PA", "PatientOrientation": ["L", "F"]}, LATERAL),
    (None, {"ViewCodeSequence": code("SCT", "399182000"), "PatientOrientation": ["L", "F"]}, LATERAL),
]


@pytest.mark.parametrize(("stated", "region", "expected"), PARTS)
def test_body_part(tmp_path: Path, stated: str | None, region: list[Dataset] | None, expected: str) -> None:
    elements: dict[str, Any] = {"AnatomicRegionSequence": region} if region else {}
    path = write_dicom(tmp_path / "a", SQUARE, BodyPartExamined=stated, **elements)
    assert outcome(path) == expected


@pytest.mark.parametrize(("stated", "elements", "expected"), VIEWS)
def test_view(tmp_path: Path, stated: str | None, elements: dict[str, Any], expected: str) -> None:
    assert outcome(write_dicom(tmp_path / "a", SQUARE, ViewPosition=stated, **elements)) == expected


@pytest.mark.parametrize(("stated", "elements"), CONFLICTS)
def test_view_conflict(tmp_path: Path, stated: str | None, elements: dict[str, Any]) -> None:
    path = write_dicom(tmp_path / "a", SQUARE, ViewPosition=stated, **elements)
    assert outcome(path) == CONFLICT


@pytest.mark.parametrize(("stated", "elements", "expected"), AGREE)
def test_no_view_conflict(
    tmp_path: Path, stated: str | None, elements: dict[str, Any], expected: str
) -> None:
    assert outcome(write_dicom(tmp_path / "a", SQUARE, ViewPosition=stated, **elements)) == expected


def test_the_detail_of_a_conflict_names_elements_and_repeats_no_value(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a", SQUARE, SeriesDescription="DOE^JANE lateral")
    header = open_image(ImageRef(path=path, name="a", kind=FileKind.DICOM), PatientRule()).header
    assert header.view_conflict == "ViewPosition says frontal, SeriesDescription does not"
    with pytest.raises(Refusal, match="view_conflict"):
        check_header(header, FileKind.DICOM)


HOSPITAL = HeaderWords(
    chest=("TRX", "*BIZ*"),
    other_part=("THORAX GIPS", "ZEH*"),
    frontal=("STEHEND VORN",),
    not_frontal=("KIPP*",),
    says_nothing=("ROUTINE",),
)
ADDED: list[tuple[dict[str, Any], str, str]] = [
    ({"BodyPartExamined": "TRX"}, WRONG, ""),
    ({"BodyPartExamined": "t.rx 1"}, WRONG, WRONG),
    ({"BodyPartExamined": "ABIZU"}, WRONG, ""),
    ({"BodyPartExamined": "TRX RIBS"}, WRONG, WRONG),
    ({"BodyPartExamined": "Thorax-Gips"}, "", WRONG),
    ({"BodyPartExamined": "CHEST ZEHEN"}, "", WRONG),
    ({"BodyPartExamined": "THORAX"}, "", ""),
    ({"BodyPartExamined": "ROUTINE"}, WRONG, Flag.BODY_PART_UNKNOWN),
    ({"BodyPartExamined": None, "AnatomicRegionSequence": code("99X", "1", "Trx")}, WRONG, ""),
    ({"ViewPosition": "STEHEND VORN"}, LATERAL, ""),
    ({"ViewPosition": "PA KIPPUNG"}, "", LATERAL),
    ({"ViewPosition": "ROUTINE"}, LATERAL, Flag.VIEW_UNKNOWN),
    ({"ViewPosition": "PA", "SeriesDescription": "Kipp 20"}, "", CONFLICT),
    ({"ViewPosition": "LL", "SeriesDescription": "stehend vorn"}, LATERAL, CONFLICT),
    ({"ViewPosition": "KIPP", "PatientOrientation": ["L", "F"]}, LATERAL, LATERAL),
    ({"ViewPosition": None, "ViewCodeSequence": code("99X", "1", "Stehend vorn")}, Flag.VIEW_UNKNOWN, ""),
]


@pytest.mark.parametrize(("elements", "without", "expected"), ADDED)
def test_words_of_a_hospital(tmp_path: Path, elements: dict[str, Any], without: str, expected: str) -> None:
    path = write_dicom(tmp_path / "a", SQUARE, **elements)
    assert (outcome(path), outcome(path, HOSPITAL)) == (without, expected)
