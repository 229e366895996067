"""Write what ``cxrbatch predict`` says of one image: outcome in, a line of text or of JSON out."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from cxrbatch._lib.text import visible
from cxrbatch.bundle import Bundle, OperatingPoints
from cxrbatch.explain import Explanation
from cxrbatch.records import FINDINGS, ImageScore, Outcome
from cxrbatch.report import lungs_warning

_DECIMALS = 6
_MAP_DECIMALS = 3


def prediction_line(
    path: Path, outcome: Outcome, bundle: Bundle, points: OperatingPoints | None, share: float | None
) -> str:
    """Write a line with tabs; one line for each image, whatever characters its name has."""
    name = visible(str(path))
    if not isinstance(outcome, ImageScore):
        return f"{name}\tnot_scored\t{outcome.reason}\t{outcome.detail}"
    scores = (f"{finding}={score:.6f}" for finding, score in zip(FINDINGS, outcome.scores, strict=True))
    meaning = (f"{key}={value}" for key, value in _meaning(outcome, bundle, points, share).items())
    return "\t".join((name, "scored", *scores, ";".join(sorted(outcome.flags)), *meaning))


def _meaning(
    outcome: ImageScore, bundle: Bundle, points: OperatingPoints | None, share: float | None
) -> dict[str, str]:
    """Find priority and probability of a score, where they are asked for."""
    covid = outcome.scores[0]
    found = {"priority": str(points.priority(covid))} if points else {}
    return found | ({"probability": f"{bundle.probability(covid, share):.6f}"} if share else {})


def json_line(
    path: Path,
    outcome: Outcome,
    explanation: Explanation | None,
    bundle: Bundle,
    points: OperatingPoints | None,
    share: float | None,
) -> str:
    """Write a JSON object in one line; what is not known is null."""
    found: dict[str, Any] = {"file": visible(str(path)), "status": outcome.status, "bundle": bundle.id}
    if not isinstance(outcome, ImageScore):
        return json.dumps(found | {"reason": outcome.reason, "detail": visible(outcome.detail)})
    meaning = _meaning(outcome, bundle, points, share)
    return json.dumps(
        found
        | {
            "scores": {
                name: round(score, _DECIMALS) for name, score in zip(FINDINGS, outcome.scores, strict=True)
            },
            "flags": sorted(outcome.flags),
            "priority": meaning.get("priority"),
            "probability": float(meaning["probability"]) if "probability" in meaning else None,
        }
        | _where(explanation)
    )


def _where(explanation: Explanation | None) -> dict[str, Any]:
    """Write where the network looked: the share of evidence outside the lungs, and the maps, rows from the top."""
    outside = explanation.outside_lungs if explanation else None
    strengths = explanation.strengths if explanation else {}
    return {
        "outside_lungs": None if outside is None else round(outside, _MAP_DECIMALS),
        "map_outside_lungs": lungs_warning(outside) or None,
        "maps": {
            name: strength.astype(np.float64).round(_MAP_DECIMALS).tolist()
            for name, strength in strengths.items()
        },
    }
