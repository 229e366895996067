"""Look up rows and figures in an evaluation: evaluation in, rows and figures out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cxrbatch.evaluation.contrasts import FEWEST
from cxrbatch.evaluation.matched import area_of
from cxrbatch.evaluation.perturbations import EXPECTATIONS, Expectation
from cxrbatch.evaluation.site_scores import UNSEEN, Exposure
from cxrbatch.evaluation.targets import (
    healthy_adults,
    pastes_a_marker,
    without_lungs,
)

Evaluation = Mapping[str, Any]

Row = Mapping[str, Any]

WHICH = ("site", "in training", "question", "ranked by")
"""First columns of tables with a row for each row within a site."""


def rows_of(evaluation: Evaluation, *exposures: Exposure) -> list[Row]:
    """Select the within-site rows of the exposures given."""
    return [row for row in evaluation["within_site"] if row["exposure"] in exposures]


def best_row(rows: Sequence[Row]) -> Row | None:
    """Find the row with the highest AUROC, or None."""
    return max(rows, key=area_of, default=None)


def worst_row(rows: Sequence[Row]) -> Row | None:
    """Find the row with the lowest AUROC, or None."""
    return min(rows, key=area_of, default=None)


def within_patient_rows(evaluation: Evaluation) -> list[Row]:
    """List the rows with patients on both sides: of sites of which nothing was seen, where there are any."""
    rows = [row for row in evaluation.get("within_site", ()) if row.get("within_patient")]
    return [row for row in rows if row["exposure"] in UNSEEN] or rows


def lungless_auroc(row: Row) -> float | None:
    """Return the AUROC of a row without lungs, or None where it was not measured."""
    return next(
        (perturbation["auroc"] for name, perturbation in row["audits"].items() if without_lungs(name)), None
    )


def perturbations_of(
    evaluation: Evaluation, key: str, expectation: Expectation
) -> Iterator[tuple[float, str, Row]]:
    """Yield value, perturbation and row wherever `key` was measured for an expectation."""
    for row in evaluation["within_site"]:
        for name, perturbation in row["audits"].items():
            if EXPECTATIONS.get(name) is expectation and perturbation[key] is not None:
                yield perturbation[key], name, row


def rank_moves(evaluation: Evaluation) -> Iterator[tuple[float, str, Row]]:
    """Yield the median rank shift of every perturbation that must not move a patient."""
    return perturbations_of(evaluation, "median_rank_shift", Expectation.MUST_STAY)


def marker_moves(evaluation: Evaluation) -> list[tuple[float, str, Row]]:
    """List the rank shifts of the perturbations that paste a marker."""
    return [move for move in rank_moves(evaluation) if pastes_a_marker(move[1])]


def healthy_rows(evaluation: Evaluation) -> list[Row]:
    """List the shares of healthy adults that rest on enough patients."""
    return [row for row in evaluation["shares"] if healthy_adults(row) and row["n"] >= FEWEST]


def what(row: Row) -> str:
    """Name the site and the question of a row."""
    return f"{row['site']}, {row['question']}"


def where(row: Row) -> str:
    """Name the site of a row, and state whether the networks had seen it."""
    seen = {
        Exposure.UNKNOWN: ", perhaps seen in training",
        Exposure.HELD_OUT: ", whose other patients taught",
    }
    return f"{row['site']}{seen.get(row['exposure'], ', which took no part in training')}"


def which(row: Row) -> tuple[str, str, str, str]:
    """Return what tells the within-site rows apart, for the columns of `WHICH`."""
    return row["site"], row["exposure"], row["question"], row["ranked_by"]


def count_of(found: Sequence[Row], evaluation: Evaluation) -> str:
    """State how many of the comparisons were found, in words."""
    total = sum(lungless_auroc(row) is not None for row in evaluation["within_site"])
    return f"{len(found)} of {total} comparisons {'is' if len(found) == 1 else 'are'}"
