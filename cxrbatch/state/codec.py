"""Records of images as ASCII JSON: names that are no UTF-8 survive, and floats come back to the last bit."""

import json
from dataclasses import fields, replace
from typing import Any

from cxrbatch._lib.text import as_code
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Failure, ImageHeader, ImageScore, Outcome, PatientKey

_HEADER_FIELDS = tuple(field.name for field in fields(ImageHeader))


def encode(outcome: Outcome) -> str:
    """Write everything but the thumbnail, and of the header what is needed on later nights."""
    header = outcome.header and _plain(_to_store(outcome.header))
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


def decode(text: str, thumbnail: bytes = b"") -> Outcome:
    """Read what `encode` wrote."""
    content = json.loads(text)
    header = content["header"] and _header(content["header"])
    if "reason" in content:
        return Failure(
            name=content["name"],
            reason=Reason(content["reason"]),
            detail=content["detail"],
            header=header,
            skipped=content["skipped"],
            thumbnail=thumbnail,
        )
    covid, pneumonia, normal = content["scores"]
    return ImageScore(
        name=content["name"],
        header=header,
        scores=(covid, pneumonia, normal),
        pixels_sha256=content["picture"],
        flags=frozenset(Flag(flag) for flag in content["flags"]),
        thumbnail=thumbnail,
    )


def encode_key(key: PatientKey) -> str:
    """Write a patient key; equal keys give equal text."""
    return json.dumps(key)


def decode_key(text: str) -> PatientKey:
    """Read what `encode_key` wrote."""
    return tuple(json.loads(text))


def _to_store(header: ImageHeader) -> ImageHeader:
    """Without the age, which with the day of the study would tell the birth date, and without free text."""
    return replace(
        header,
        age_years=None,
        modality=as_code(header.modality),
        body_part=as_code(header.body_part),
        view_position=as_code(header.view_position),
    )


def _plain(header: ImageHeader) -> dict[str, Any]:
    """What `dataclasses.asdict` gives of a record that holds no other records, without its copies."""
    return {name: getattr(header, name) for name in _HEADER_FIELDS}


def _header(content: dict[str, Any]) -> ImageHeader:
    return ImageHeader(**content | {"patient_key": tuple(content["patient_key"])})
