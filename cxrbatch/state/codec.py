"""Convert outcomes of images to ASCII JSON and back.

Names that are not valid UTF-8 are kept, and floats are restored exactly.
"""

import json
from dataclasses import fields, replace
from typing import Any

from cxrbatch._lib.text import as_code
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Failure, ImageHeader, ImageScore, Outcome, PatientKey

_NOT_STORED = ("view_conflict",)  # the detail of the failure repeats it
_HEADER_FIELDS = tuple(field.name for field in fields(ImageHeader) if field.name not in _NOT_STORED)


def encode(outcome: Outcome) -> str:
    """Encode an outcome as JSON: without the thumbnail, and only those header values that later nights need."""
    header = outcome.header and _as_dict(_to_store(outcome.header))
    content: dict[str, Any] = {"name": outcome.name, "header": header}
    if isinstance(outcome, ImageScore):
        content |= {
            "scores": outcome.scores,
            "picture": outcome.pixels_sha256,
            "flags": sorted(outcome.flags),
        }
    else:
        content |= {"reason": outcome.reason, "detail": outcome.detail, "skipped": outcome.skipped}
    return json.dumps(content)


def as_stored(outcome: Outcome, stored_id: int) -> Outcome:
    """Return what `decode` gives for what `encode` wrote of an outcome: whoever asks later sees no other one."""
    if outcome.header:
        outcome = replace(outcome, header=_to_store(outcome.header))
    return replace(outcome, thumbnail=b"", stored_id=stored_id)


def decode(text: str, stored_id: int = 0) -> Outcome:
    """Decode the JSON that `encode` wrote, and add the number of its row."""
    content = json.loads(text)
    header = content["header"] and _header(content["header"])
    if "reason" in content:
        return Failure(
            name=content["name"],
            reason=Reason(content["reason"]),
            detail=content["detail"],
            header=header,
            skipped=content["skipped"],
            stored_id=stored_id,
        )
    covid, pneumonia, normal = content["scores"]
    return ImageScore(
        name=content["name"],
        header=header,
        scores=(covid, pneumonia, normal),
        pixels_sha256=content["picture"],
        flags=frozenset(Flag(flag) for flag in content["flags"]),
        stored_id=stored_id,
    )


def encode_key(key: PatientKey) -> str:
    """Encode a patient key as JSON; equal keys give equal text."""
    return json.dumps(key)


def decode_key(text: str) -> PatientKey:
    """Decode the JSON that `encode_key` wrote."""
    return tuple(json.loads(text))


def _to_store(header: ImageHeader) -> ImageHeader:
    """Remove the age and free text from a header.

    The age together with the study date would give the birth date.
    """
    return replace(
        header,
        age_years=None,
        view_conflict="",
        modality=as_code(header.modality),
        body_part=as_code(header.body_part),
        view_position=as_code(header.view_position),
    )


def _as_dict(header: ImageHeader) -> dict[str, Any]:
    """Convert a header to a dict as `dataclasses.asdict` does, but without its copies; a header holds no records."""
    return {name: getattr(header, name) for name in _HEADER_FIELDS}


def _header(content: dict[str, Any]) -> ImageHeader:
    return ImageHeader(**content | {"patient_key": tuple(content["patient_key"])})
