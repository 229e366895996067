"""What the header alone rules out."""

from dataclasses import replace

import numpy as np
import pytest

from cxrbatch.gate.header import check_header, check_pixels
from cxrbatch.preprocess import GreyImage
from cxrbatch.reasons import Reason, Refusal
from cxrbatch.records import FileKind, ImageHeader

ADULT = ImageHeader(
    patient_key=("dicom", "", "1"),
    patient_id="1",
    modality="DX",
    body_part="CHEST",
    view_position="PA",
    age_years=40,
    rows=2000,
    columns=2000,
)

REFUSED: list[tuple[dict[str, object], Reason]] = [
    ({"modality": "CT"}, Reason.WRONG_MODALITY),
    ({"modality": ""}, Reason.WRONG_MODALITY),
    ({"modality": "MG"}, Reason.WRONG_MODALITY),
    ({"body_part": "HAND"}, Reason.WRONG_BODY_PART),
    ({"body_part": "ABDOMEN"}, Reason.WRONG_BODY_PART),
    ({"body_part": "THORACIC SPINE"}, Reason.WRONG_BODY_PART),
    ({"body_part": "CHEST ABDOMEN"}, Reason.WRONG_BODY_PART),
    ({"for_processing": True}, Reason.FOR_PROCESSING),
    ({"n_frames": 2}, Reason.MULTI_FRAME),
    ({"view_position": "LL"}, Reason.LATERAL_VIEW),
    ({"view_position": "RL"}, Reason.LATERAL_VIEW),
    ({"view_position": "LATERAL"}, Reason.LATERAL_VIEW),
    ({"view_position": "LLD"}, Reason.LATERAL_VIEW),
    ({"view_position": "PA OBLIQUE"}, Reason.LATERAL_VIEW),
    ({"view_position": "PA RAO"}, Reason.LATERAL_VIEW),
    ({"view_position": "AP OBL"}, Reason.LATERAL_VIEW),
    ({"age_years": 17.99}, Reason.PAEDIATRIC),
    ({"age_years": 0.0}, Reason.PAEDIATRIC),
    ({"rows": 127}, Reason.TOO_SMALL),
    ({"columns": 127}, Reason.TOO_SMALL),
    ({"rows": 12_001, "columns": 12_000}, Reason.TOO_LARGE),
]
ACCEPTED: list[dict[str, object]] = [
    {},
    {"modality": "CR"},
    {"modality": "RG"},
    {"body_part": ""},
    {"body_part": "PORT CHEST"},
    {"body_part": "THORAX"},
    {"body_part": "TORACE"},
    {"body_part": "PECHO"},
    {"body_part": "UNKNOWN"},
    {"view_position": "P.A."},
    {"view_position": "POSTEROANTERIOR"},
    {"view_position": "UNKNOWN"},
    {"view_position": ""},
    {"view_position": "AP"},
    {"view_position": "AP SUPINE"},
    {"view_position": "FRONTAL"},
    {"age_years": None},
    {"age_years": 18.0},
    {"rows": 128, "columns": 128},
    {"rows": 12_000, "columns": 12_000},
]


@pytest.mark.parametrize(("change", "reason"), REFUSED)
def test_refused(change: dict[str, object], reason: Reason) -> None:
    with pytest.raises(Refusal) as refusal:
        check_header(replace(ADULT, **change), FileKind.DICOM)  # type: ignore[arg-type]
    assert refusal.value.reason is reason
    assert refusal.value.detail


@pytest.mark.parametrize("change", ACCEPTED)
def test_accepted(change: dict[str, object]) -> None:
    check_header(replace(ADULT, **change), FileKind.DICOM)  # type: ignore[arg-type]


def test_only_dicom_states_a_modality() -> None:
    check_header(replace(ADULT, modality=""), FileKind.PNG)


def test_a_value_that_could_be_a_name_is_not_repeated() -> None:
    with pytest.raises(Refusal) as refusal:
        check_header(replace(ADULT, body_part="DOE^JANE"), FileKind.DICOM)
    assert "DOE" not in refusal.value.detail


class Objector:
    def rejection(self, image: GreyImage, colourfulness: float = 0.0) -> str:
        return f"mean {np.mean(image):.2f}, colour {colourfulness:.2f}"  # type: ignore[arg-type]


def test_the_objection_of_the_pixel_check_is_the_detail() -> None:
    with pytest.raises(Refusal) as refusal:
        check_pixels(np.full((4, 4), 0.25, np.float32), 0.5, Objector())
    assert (refusal.value.reason, refusal.value.detail) == (
        Reason.NOT_A_CHEST_RADIOGRAPH,
        "mean 0.25, colour 0.50",
    )
