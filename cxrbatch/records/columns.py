"""Columns of a run's tables, and what each holds."""

from collections.abc import Mapping

from cxrbatch.records.outcomes import FINDINGS

SCORE_COLUMNS = tuple(f"score_{finding}" for finding in FINDINGS)

_SCORES = {
    "score_covid": "COVID-19 score of the image; no probability",
    "score_pneumonia": "the same of other pneumonia",
    "score_normal": "the same of neither; the three of an image add up to 1",
}
_SCORES_OF_PATIENT = {
    "score_covid": "COVID-19 score over the images of the patient, by the rule of the bundle (`mean` or `max`)",
    "score_pneumonia": "the same of other pneumonia",
    "score_normal": "the same of neither",
}

PATIENT_COLUMN_MEANING: Mapping[str, str] = {
    "rank": "1 is swabbed first; empty where `status` is not `ranked`",
    "status": "`ranked`, `not_scored`, or `swabbed`: the result of a swab is waited for",
    "priority": "`urgent`, `high` or `routine`, by the operating points of the bundle; empty where it has none",
    "patient_id": "PatientID as it is in the file, zeros at the start too; without one the path, or what "
    "`--patient-from` found",
    "accession_number": "AccessionNumber of the image that decided",
    "study_date": "StudyDate, `YYYY-MM-DD`",
    "score": "what the list is sorted by: the COVID-19 score of the patient. No probability",
    **_SCORES_OF_PATIENT,
    "n_images": "images of the patient that count",
    "top_image": "file of the image with the highest COVID-19 score, below the folder",
    "nights_waiting": "nights since the first of these images came in; 0 without a state",
    "flags": "[caveats on the score](#flags-on-a-score), `;` between them",
    "reason": "[why there is no score](#reasons-for-no-score)",
    "issuer_of_patient_id": "issuer of the PatientID",
    "probability": "of COVID-19, with `--prevalence`; empty otherwise",
    "swabbed": "day of a swab that has no result yet, `YYYY-MM-DD`",
}
"""Columns of ``report.csv``, and what they hold, in Markdown. Scripts of users depend on their order: append only."""

FILE_COLUMN_MEANING: Mapping[str, str] = {
    "file": "path below the folder",
    "status": "`scored`, `not_scored`, or `skipped`: no image",
    "reason": "[why there is no score](#reasons-for-no-score)",
    "detail": "what was found in the file, and what was expected",
    "patient_id": "PatientID",
    "study_instance_uid": "StudyInstanceUID",
    "sop_instance_uid": "SOPInstanceUID",
    "view_position": "the view that was found: `PA`, `AP`, …",
    **_SCORES,
}
"""Columns of ``report.files.csv``, and what they hold. Append only."""

PATIENT_COLUMNS = tuple(PATIENT_COLUMN_MEANING)
"""Columns of ``report.csv``."""

FILE_COLUMNS = tuple(FILE_COLUMN_MEANING)
"""Columns of ``report.files.csv``."""

NUMBER_TYPES = {
    "rank": "Int64",
    **dict.fromkeys(("n_images", "nights_waiting"), "int64"),
    **dict.fromkeys(("score", *SCORE_COLUMNS, "probability"), "float64"),
}
"""Columns with numbers, and their pandas type; the other columns contain text."""
