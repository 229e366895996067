"""Short ways to make records."""

from typing import Any

import numpy as np

from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, ImageHeader, ImageScore, ModelInput


def header(patient: str = "P", **fields: Any) -> ImageHeader:
    return ImageHeader(**{"patient_key": ("dicom", "", patient), "patient_id": patient} | fields)


def image_score(name: str, covid: float, patient: str = "P", **fields: Any) -> ImageScore:
    rest = (1 - covid) / 2
    flags, picture = fields.pop("flags", frozenset()), fields.pop("picture", f"picture of {name}")
    return ImageScore(
        name=name,
        header=header(patient, **fields),
        scores=(covid, rest, rest),
        pixels_sha256=picture,
        flags=frozenset(flags),
    )


def failure(name: str, reason: Reason, patient: str | None = None, *, skipped: bool = False) -> Failure:
    return Failure(name=name, reason=reason, header=header(patient) if patient else None, skipped=skipped)


def model_input(name: str, picture: int = 0, patient: str = "P", **fields: Any) -> ModelInput:
    return ModelInput(name=name, header=header(patient, **fields), pixels=np.full((8, 8), picture, np.uint8))
