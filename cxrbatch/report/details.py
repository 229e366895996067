"""Collect what the page shows of one patient when the row is opened: patient in, JSON out.

The script takes figures and notes from the row itself; here is only what no row has. Texts are made visible; the
script puts them into the page as text.
"""

import base64
import json
from typing import Any

from markupsafe import Markup

from cxrbatch._lib.text import as_code, visible
from cxrbatch.reasons import REASON_MEANING, Flag, Reason
from cxrbatch.records import PatientImage, PatientTriage
from cxrbatch.report.columns import notes
from cxrbatch.report.words import say

MAP_OUTSIDE_LUNGS = 0.5
"""Share of the evidence outside the lungs above which the page says so."""


def details(patient: PatientTriage, *, has_maps: bool = True) -> dict[str, Any]:
    """Collect the details of a patient; empty where the row says all.

    Parameters
    ----------
    patient : PatientTriage
    has_maps : bool
        False where the network allows no map.
    """
    found = {
        "large": _data(patient.large_image, "jpeg"),
        "maps": [
            [one.question, say(f"map_{one.question}"), _data(one.png, "png")] for one in patient.evidence
        ],
        "no_map": _without_map(patient, has_maps=has_maps),
        "outside": _outside(patient.outside_lungs),
        "distrust": bool(lungs_warning(patient.outside_lungs)),
        "images": [_image(image, patient) for image in patient.images] if _is_told_apart(patient) else [],
        "earlier": [
            [entry.night.isoformat(), str(entry.position), _number(entry.score)] for entry in patient.earlier
        ],
    }
    return {name: value for name, value in found.items() if value}


def _without_map(patient: PatientTriage, *, has_maps: bool) -> str:
    """Say why there is no map beside a large image with a score; empty where there is one, or none is looked for."""
    if patient.evidence or not patient.large_image or patient.score is None:
        return ""
    if not has_maps:
        return say("no_map_network")
    is_here = any(image.is_here and image.name == patient.top_image for image in patient.images)
    return say("no_map_flat") if is_here else say("no_map_gone")


def _outside(share: float | None) -> str:
    if share is None:
        return ""
    usual = say("outside_lungs", share=_percent(share), limit=_percent(MAP_OUTSIDE_LUNGS))
    return lungs_warning(share) or usual


def lungs_warning(outside_lungs: float | None) -> str:
    """Write the warning of a score whose evidence lies outside the lungs for the most part; empty without need."""
    if outside_lungs is None or outside_lungs <= MAP_OUTSIDE_LUNGS:
        return ""
    return say("map_outside_lungs", share=_percent(outside_lungs))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _is_told_apart(patient: PatientTriage) -> bool:
    return len(patient.images) > 1 or any(image.night or image.view_position for image in patient.images)


def _image(image: PatientImage, patient: PatientTriage) -> list[str]:
    scores = " / ".join(f"{score:.3f}" for score in image.scores) if image.scores else ""
    what = REASON_MEANING[image.reason] if image.reason else scores
    if _is_copy(image, patient):
        what = f"{what}; {say('no_loss')}"
    said = [what, as_code(image.view_position), *(note.text for note in notes(image.flags))]
    night = image.night.isoformat() if image.night else ""
    here = "" if image.is_here else say("not_here")
    return [visible(image.name), ", ".join(filter(None, said)), ", ".join(filter(None, (night, here)))]


def _is_copy(image: PatientImage, patient: PatientTriage) -> bool:
    """Check whether an image without a score is no loss: else the patient is flagged (docs/nightly.md, rule 9)."""
    if image.reason in {None, Reason.DUPLICATE} or patient.score is None:
        return False
    return Flag.SOME_IMAGES_NOT_SCORED not in patient.flags


def _number(score: float | None) -> str:
    return "–" if score is None else f"{score:.3f}"


def _data(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}" if content else ""


def to_json(value: object) -> Markup:
    """Write JSON that cannot end the element in which it stands (HTML standard, 4.12.1.3)."""
    return Markup(json.dumps(value).replace("<", "\\u003c"))  # noqa: S704  no "<" is left
