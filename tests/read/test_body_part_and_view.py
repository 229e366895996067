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


def outcome(path: Path) -> str:
    """Reason of the gate, or flags about body part and view."""
    image = open_image(ImageRef(path=path, name=path.name, kind=FileKind.DICOM), PatientRule())
    try:
        check_header(image.header, FileKind.DICOM)
    except Refusal as refusal:
        return str(refusal.reason)
    return " ".join(sorted(image.decode().flags & _FLAGS))


WRONG, LATERAL = Reason.WRONG_BODY_PART, Reason.LATERAL_VIEW
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
]


@pytest.mark.parametrize(("stated", "region", "expected"), PARTS)
def test_body_part(tmp_path: Path, stated: str | None, region: list[Dataset] | None, expected: str) -> None:
    elements: dict[str, Any] = {"AnatomicRegionSequence": region} if region else {}
    path = write_dicom(tmp_path / "a", SQUARE, BodyPartExamined=stated, **elements)
    assert outcome(path) == expected


@pytest.mark.parametrize(("stated", "elements", "expected"), VIEWS)
def test_view(tmp_path: Path, stated: str | None, elements: dict[str, Any], expected: str) -> None:
    assert outcome(write_dicom(tmp_path / "a", SQUARE, ViewPosition=stated, **elements)) == expected
