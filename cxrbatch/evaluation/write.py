"""Write the folder of ``cxrbatch evaluate``: figures for scripts, a page and a model card for people, a table."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cxrbatch._lib.atomic import make_folder, write_together
from cxrbatch._lib.csv import Row, csv_bytes
from cxrbatch.bundle import Bundle
from cxrbatch.evaluation.model_card import model_card
from cxrbatch.evaluation.page import evaluation_html
from cxrbatch.evaluation.patients import to_patient_scores
from cxrbatch.evaluation.site_scores import SiteScores
from cxrbatch.records import FINDINGS

_SCORES = tuple(f"score_{finding}" for finding in FINDINGS)

PATIENT_COLUMNS = ("site", "exposure", "patient", "label", *_SCORES)
"""Columns of ``patients.csv``. Scripts depend on them: append only."""


def write_evaluation(
    out: Path, bundle: Bundle, evaluation: Mapping[str, Any], sites: Sequence[SiteScores]
) -> None:
    """Write ``evaluation.json``, ``patients.csv``, ``MODEL_CARD.md`` and ``index.html``: together or not at all.

    The same arguments give the same bytes.

    Parameters
    ----------
    out : Path
        Folder; created where it is missing. Files of these names in it are replaced.
    bundle : Bundle
    evaluation : mapping
        From `cxrbatch.evaluation.evaluate_sites`.
    sites : sequence of SiteScores
        Scores that were evaluated.

    Raises
    ------
    OutputError
        The files cannot be written; earlier files are unchanged.
    """
    figures = {"bundle": bundle.id, "bundle_sha256": bundle.sha256, **evaluation}
    contents = {
        "evaluation.json": json.dumps(figures, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "MODEL_CARD.md": model_card(bundle, evaluation),
        "index.html": evaluation_html(bundle, evaluation, sites),
    }
    make_folder(out)
    write_together(
        {
            out / "patients.csv": patients_csv(sites, bundle.aggregation),
            **{out / name: text.encode("utf-8") for name, text in contents.items()},
        }
    )


def patients_csv(sites: Sequence[SiteScores], rule: str) -> bytes:
    """Make ``patients.csv``: a row for each patient, label and site, by site, falling COVID-19 score and patient.

    Parameters
    ----------
    sites : sequence of SiteScores
    rule : str
        Key of `cxrbatch.triage.RULES`.
    """
    return csv_bytes(PATIENT_COLUMNS, (row for site in sites for row in _rows(site, rule)))


def _rows(site: SiteScores, rule: str) -> Iterator[Row]:
    scored = to_patient_scores(site.cases, site.scores, rule)
    ranked = sorted(
        zip(scored.patients.tolist(), scored.labels.tolist(), scored.scores.tolist(), strict=True),
        key=lambda unit: (-unit[2][0], unit[0], unit[1]),
    )
    for patient, label, scores in ranked:
        named = {"site": site.site, "exposure": str(site.exposure), "patient": patient, "label": label}
        yield {**named, **dict(zip(_SCORES, scores, strict=True))}
