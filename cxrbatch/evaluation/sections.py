"""Make the sections of an evaluation, titled tables: the same for the page and for the model card."""

from cxrbatch.bundle import Bundle
from cxrbatch.evaluation.capacity_section import buys_section
from cxrbatch.evaluation.list_sections import (
    aggregation_section,
    calibration_section,
    excluded_section,
    images_section,
    list_worth_section,
    operating_points_section,
    shares_section,
    targets_section,
)
from cxrbatch.evaluation.matched_sections import trivial_section, within_patient_section
from cxrbatch.evaluation.queries import Evaluation, Row
from cxrbatch.evaluation.score_sections import (
    features_section,
    floor_section,
    matrix_section,
    perturbations_section,
    subgroups_section,
    within_site_section,
)
from cxrbatch.pages import Section


def all_sections(bundle: Bundle, evaluation: Evaluation) -> list[Section]:
    """Make every section for which the evaluation has figures, in reading order."""
    parts = (
        within_patient_section(evaluation),
        within_site_section(evaluation),
        perturbations_section(evaluation),
        features_section(evaluation),
        subgroups_section(evaluation),
        floor_section(evaluation),
        trivial_section(evaluation),
        matrix_section(evaluation),
        operating_points_section(bundle, evaluation),
        shares_section(evaluation),
        list_worth_section(evaluation),
        buys_section(evaluation),
        calibration_section(evaluation),
        aggregation_section(bundle, evaluation),
        targets_section(evaluation),
        images_section(bundle, evaluation),
        excluded_section(bundle, evaluation),
    )
    return [part for part in parts if part is not None]


def headline_row(evaluation: Evaluation) -> Row | None:
    """Find the row of ``within_site`` that is the headline; None where there is none."""
    headline = evaluation.get("headline")
    rows = evaluation.get("within_site", ())
    keys = ("site", "question", "ranked_by")
    return next((row for row in rows if headline and all(row[key] == headline[key] for key in keys)), None)
