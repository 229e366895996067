"""Make the sections on the list: operating points, shares, yield, calibration, targets, images."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cxrbatch.bundle import Bundle, OperatingPoints
from cxrbatch.evaluation.queries import WHICH, Evaluation, Row, which
from cxrbatch.evaluation.targets import (
    URGENT_HEALTHY,
    healthy_adults,
    targets,
)
from cxrbatch.pages import Cell, Section, figure, interval, percent, section, table


def operating_points_section(bundle: Bundle, evaluation: Evaluation) -> Section | None:
    """Show what each threshold reaches at each site."""
    header = (
        *WHICH,
        *("specificity at 90 % sensitivity", "specificity at 95 % sensitivity"),
        *(
            "urgent: sensitivity",
            "urgent: specificity",
            "urgent or high: sensitivity",
            "urgent or high: specificity",
        ),
    )
    return section(
        "operating-points",
        "Operating points",
        f"{_bands(bundle.operating_points, evaluation)} The two specificities to the left are those of the site's "
        "own best thresholds, which nobody knows beforehand.",
        table(header, 4, map(_operating_row, evaluation.get("within_site", ()))),
    )


def _bands(points: OperatingPoints | None, evaluation: Evaluation) -> str:
    if points is None:
        rejected = evaluation.get("rejected_points")
        why = f" {_rejected(rejected)}" if rejected else ""
        return f"This bundle has none: its list has an order and no bands.{why}"
    measured = f"; measured on {points.measured_on}" if points.measured_on else ""
    return (
        f"A COVID-19 score from {figure(points.urgent)} is urgent, from {figure(points.high)} high: thresholds of "
        f"this bundle alone{measured}."
    )


def _rejected(points: Row) -> str:
    sites = "; ".join(
        f"{interval(found['urgent'])} of the {found['n']} of {found['site']}" for found in points["broken_at"]
    )
    return (
        f"Measured were {figure(points['urgent'])} for urgent and {figure(points['high'])} for high. They are "
        "rejected, because too many patients without pneumonia would be called urgent at sites that took no "
        f"part in training (share and 95 % CI): {sites}. The figures below are those of the rejected thresholds."
    )


def _operating_row(row: Row) -> Iterator[Cell]:
    yield from map(Cell, which(row))
    own = row["specificity_at_sensitivity"]
    yield from (_estimate(own[sensitivity]) for sensitivity in ("0.90", "0.95"))
    for band in ("urgent", "high"):
        for name in ("sensitivity", "specificity"):
            found = row["operating_points"]
            yield _estimate(found[band][name]) if found else Cell("–")


def _estimate(estimate: Mapping[str, float | None]) -> Cell:
    low, high = estimate["low"], estimate["high"]
    return Cell(
        figure(estimate["value"]), note="" if None in (low, high) else f"{figure(low)}–{figure(high)}"
    )


def shares_section(evaluation: Evaluation) -> Section | None:
    """Show the share of images of each label that would be urgent."""
    rows = (
        (
            *(Cell(row["source"]), Cell(row["exposure"]), Cell(row["label"]), Cell(str(row["n"]))),
            Cell(
                percent(row["urgent"]), mark=URGENT_HEALTHY.mark(row["urgent"]) if healthy_adults(row) else ""
            ),
            Cell(percent(row["urgent_or_high"])),
        )
        for row in evaluation.get("shares", ())
    )
    return section(
        "shares",
        "Who is called urgent",
        "Share of the patients of each source at or above the operating points. For those labelled normal, one minus "
        "this is the specificity.",
        table(("source", "in training", "label", "patients", "urgent", "urgent or high"), 3, rows),
    )


def list_worth_section(evaluation: Evaluation) -> Section | None:
    """Show which share of the patients is found by testing the top of the list."""
    rows = [row for row in evaluation.get("within_site", ()) if row["list"]]
    tested = list(dict.fromkeys(entry["tested"] for row in rows for entry in row["list"]))
    header = (
        *(*WHICH, "share with"),
        *(f"first {share:.0%} tested" for share in tested),
    )
    return section(
        "list",
        "What the list is worth",
        "Of all who have the finding, the share found when only the first of the list are tested; then the tests for "
        "one found, and the lift over testing in any order. All of it holds for the share of ill patients in the "
        "first column of figures, not for that of another hospital.",
        table(header, 4, (_list_row(row, tested) for row in rows)),
    )


def _list_row(row: Row, tested: Sequence[float]) -> Iterator[Cell]:
    yield from map(Cell, (*which(row), percent(row["prevalence"])))
    found = {entry["tested"]: entry for entry in row["list"]}
    for share in tested:
        yield _list_cell(found[share]) if share in found else Cell("–")


def _list_cell(entry: Row) -> Cell:
    note = f"{figure(entry['number_needed_to_test'], 1)} tests for one, lift {figure(entry['lift'], 2)}"
    return Cell(percent(entry["found"]), note=note)


def calibration_section(evaluation: Evaluation) -> Section | None:
    """Show how far scores are probabilities, site by site."""
    rows = (
        (
            *map(Cell, which(row)),
            *(Cell(figure(row["calibration"][name])) for name in ("slope", "intercept", "brier", "ece")),
        )
        for row in evaluation.get("within_site", ())
        if row["calibration"]
    )
    lines = "; ".join(
        f"{name.replace('_', ' ')}: {line['slope']:.3f} × logit {line['intercept']:+.3f}"
        for name, line in evaluation.get("calibration", {}).items()
    )
    return section(
        "calibration",
        "Calibration",
        "Of the score as it stands, both sides weighing the same. Slope 1 and intercept 0 are perfect; below slope 1 "
        "the scores are too extreme. A score is no probability: that takes the share of ill patients of a hospital."
        + (f" Fitted on left-out sites: {lines}." if lines else ""),
        table((*WHICH, "slope", "intercept", "Brier score", "ECE"), 4, rows),
    )


def aggregation_section(bundle: Bundle, evaluation: Evaluation) -> Section | None:
    """Show what each rule from images to patients reaches."""
    rows = (
        (
            *(Cell(", ".join(row["left_out"])), Cell(row["question"]), Cell(row["rule"])),
            *(
                Cell(str(row["n_patients"])),
                Cell(figure(row["auroc"])),
                Cell(figure(row["auroc_from_counts_alone"])),
            ),
        )
        for row in evaluation.get("aggregation", ())
    )
    return section(
        "aggregation",
        f"Several images of one patient: {bundle.aggregation}",
        "Patients with at least two images. The last column is what the number of images alone yields: the scores "
        "shuffled over the images, counts kept. Ill patients are imaged more often, from which a maximum profits by "
        "itself.",
        table(("left out", "question", "rule", "patients", "AUROC", "from counts alone"), 3, rows),
    )


def targets_section(evaluation: Evaluation) -> Section | None:
    """Show the targets and which were reached."""
    rows = (
        (
            *(Cell(target.text), Cell(str(target.limit))),
            Cell(target.figure, mark="not reached" if target.missed else ""),
            Cell("" if target.missed else target.outcome),
        )
        for target in targets(evaluation)
    )
    return section(
        "targets",
        "What it was meant to reach",
        "At sites that took no part in training, where not stated otherwise.",
        table(("what", "target", "measured", "outcome"), 4, rows) if evaluation else None,
    )


def images_section(bundle: Bundle, evaluation: Evaluation) -> Section | None:
    """Show how many images of each source and label were used."""
    trained_on = {} if evaluation.get("images") else bundle.training.get("taught", {})
    rows = (
        map(
            Cell,
            (
                source,
                label,
                *_counts(n),
                *(_counts(trained_on.get(source, {}).get(label, {})) if trained_on else ()),
            ),
        )
        for source, labels in _of_either(bundle, evaluation, "images").items()
        for label, n in labels.items()
    )
    header = (
        "source",
        "label",
        "images",
        "patients",
        *(("images that taught", "patients") if trained_on else ()),
    )
    return section(
        "images", "Images used", "After the gate and the removal of near-duplicates.", table(header, 2, rows)
    )


def _counts(n: Mapping[str, int]) -> tuple[str, str]:
    return str(n.get("images", 0)), str(n.get("patients", 0))


def excluded_section(bundle: Bundle, evaluation: Evaluation) -> Section | None:
    """Show how many images were excluded, and why."""
    rows = (
        map(Cell, (source, reason, str(n)))
        for source, reasons in _of_either(bundle, evaluation, "excluded").items()
        for reason, n in reasons.items()
    )
    return section(
        "excluded",
        "Left out, and why",
        "Rows and files of the sources that took no part; none was turned into another label.",
        table(("source", "reason", "images"), 2, rows),
    )


def _of_either(bundle: Bundle, evaluation: Evaluation, key: str) -> Mapping[str, Any]:
    """Return the entry on the data evaluated, if there is one; else that on the training data."""
    return evaluation.get(key) or bundle.training.get(key) or {}
