"""What an evaluation says, in titled tables: the same words for the page and for the model card."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cxrbatch.bundle.bundle import Bundle, OperatingPoints
from cxrbatch.evaluation.capacity_section import buys_section
from cxrbatch.evaluation.perturbations import PERTURBATIONS, Expectation
from cxrbatch.evaluation.targets import (
    MARKER_SHIFT,
    URGENT_HEALTHY,
    USEFUL_AUROC,
    WITHOUT_LUNGS,
    healthy_adults,
    pastes_a_marker,
    targets,
    without_lungs,
)
from cxrbatch.pages.tables import Cell, Section, section, table
from cxrbatch.pages.wording import figure, interval, percent

_EXPECTED = {
    Expectation.MUST_LOSE: "Ought to fall towards 0.5, because what shows disease is gone",
    Expectation.MUST_STAY: "Ought to move nobody",
    Expectation.MAY_MOVE: "Ought to keep most of the AUROC",
}

Evaluation = Mapping[str, Any]
Row = Mapping[str, Any]


def all_sections(bundle: Bundle, evaluation: Evaluation) -> list[Section]:
    """Every section for which the evaluation has something to show, in the order in which they are read."""
    parts = (
        _within_site(evaluation),
        _perturbations(evaluation),
        _features(evaluation),
        _strata(evaluation),
        _floor(evaluation),
        _matrix(evaluation),
        _operating_points(bundle, evaluation),
        _shares(evaluation),
        _list_worth(evaluation),
        buys_section(evaluation),
        _calibration(evaluation),
        _aggregation(bundle, evaluation),
        _targets(evaluation),
        _images(bundle, evaluation),
        _excluded(bundle, evaluation),
    )
    return [part for part in parts if part is not None]


def headline_row(evaluation: Evaluation) -> Row | None:
    """The row of ``within_site`` that is the headline; None where there is none."""
    headline = evaluation.get("headline")
    rows = evaluation.get("within_site", ())
    keys = ("site", "question", "ranked_by", "auroc")
    return next((row for row in rows if headline and all(row[key] == headline[key] for key in keys)), None)


def confound_floor(evaluation: Evaluation, beside: Row | None = None) -> list[tuple[str, str]]:
    """What those reach who see no image: pairs of who and AUROC.

    Parameters
    ----------
    evaluation : mapping
    beside : mapping, optional
        A row of ``within_site``: of the metadata, only what they reach for that question at that site.
    """
    floor = evaluation.get("confound_floor") or {}
    lines = [("the source alone", floor.get("source_alone"))]
    lines += [(f"the publisher alone, {name}", area) for name, area in floor.get("domain_alone", {}).items()]
    lines += [
        (f"{_listed(row['fields'])} alone, {row['question']} at {row['site']}", row["auroc"])
        for row in floor.get("metadata_alone", ())
        if beside is None or (row["site"], row["question"]) == (beside["site"], beside["question"])
    ]
    return [(who, figure(area)) for who, area in lines if area is not None]


def _within_site(evaluation: Evaluation) -> Section | None:
    header = (
        *("site", "in training", "question", "ranked by", "patients with / without"),
        *("AUROC (95 % CI)", "AUPRC (95 % CI)", "share with", "publisher alone", "single networks"),
    )
    return section(
        "within-site",
        "Within a site",
        "The list ranks the patients of one hospital, so a site is judged by itself. One row per patient; intervals "
        "from a bootstrap over patients. A site that was left out, or that never taught, was seen by none of the "
        "networks that scored it; of one that was held out they had seen other patients. Publisher alone: the AUROC "
        "of somebody who knows where a radiograph was published and does not look at it.",
        table(header, 4, map(_within_site_row, evaluation.get("within_site", ()))),
    )


def _within_site_row(row: Row) -> Iterator[Cell]:
    yield from (
        Cell(row["site"]),
        Cell(row["exposure"]),
        Cell(row["question"]),
        Cell(row["ranked_by"]),
        Cell(_patients(row)),
        Cell(interval(row["auroc"]), mark=USEFUL_AUROC.mark(row["auroc"]["value"])),
        Cell(interval(row["auprc"])),
        Cell(percent(row["prevalence"])),
        Cell(figure(row.get("source_alone"))),
        Cell(", ".join(figure(value, 2) for value in row["auroc_of_each_network"])),
    )


def _perturbations(evaluation: Evaluation) -> Section | None:
    rows = [row for row in evaluation.get("within_site", ()) if row["audits"]]
    names = list(dict.fromkeys(name for row in rows for name in row["audits"]))
    return section(
        "audits",
        "What the score looks at",
        "The same patients with changed pictures: AUROC and, in brackets or below it, the median move of a patient "
        f"in the list as a share of its length. {' '.join(_expected(names))}",
        table(
            ("site", "question", "ranked by", "unchanged", *names),
            3,
            (_perturbation_row(row, names) for row in rows),
        ),
    )


def _expected(names: Sequence[str]) -> Iterator[str]:
    for expectation, text in _EXPECTED.items():
        told = [
            perturbation.name
            for perturbation in PERTURBATIONS
            if perturbation.expectation is expectation and perturbation.name in names
        ]
        if told:
            yield f"{text}: {_listed(told)}."


def _perturbation_row(row: Row, names: Sequence[str]) -> Iterator[Cell]:
    yield from (Cell(row["site"]), Cell(row["question"]), Cell(row["ranked_by"]))
    yield Cell(figure(row["auroc"]["value"]))
    for name in names:
        perturbation = row["audits"].get(name)
        yield (
            _perturbation_cell(name, perturbation["auroc"], perturbation["median_rank_shift"])
            if perturbation
            else Cell("–")
        )


def _perturbation_cell(name: str, area: float | None, shift: float | None) -> Cell:
    mark = WITHOUT_LUNGS.mark(area) if without_lungs(name) else ""
    if pastes_a_marker(name):
        mark = MARKER_SHIFT.mark(shift)
    return Cell(figure(area), note=percent(shift), mark=mark)


def _features(evaluation: Evaluation) -> Section | None:
    lines = [*_probe(evaluation.get("source_probe")), *_randomisation(evaluation.get("weight_randomisation"))]
    text = " ".join(lines)
    return Section("features", "What the network knows", text) if lines else None


def _probe(probe: Row | None) -> Iterator[str]:
    if probe:
        yield (
            f"A linear probe on what the last layer sees names the source of {percent(probe['accuracy'])} of "
            f"{probe['n']} radiographs ({_listed(probe['sources'])}); guessing names {percent(probe['chance'])}. "
            "What is known of the source can be used, and need not be."
        )


def _randomisation(found: Row | None) -> Iterator[str]:
    if found:
        yield f"With random weights instead of its own the network reaches {_reached(found)}."
        if top := found.get("top_layer"):
            yield f"With only those of the last layer random, {_reached(top)}."
        yield "What is near to the figures of the unchanged network was not learnt."


def _reached(found: Row) -> str:
    areas = _listed(figure(area, 2) for area in found["auroc"])
    return f"AUROC {areas}, and its scores a rank correlation of {figure(found['rank_correlation'], 2)} with before"


def _strata(evaluation: Evaluation) -> Section | None:
    entries = evaluation.get("strata", ())
    cells = {(*_asked(row), row["stratum"]): row for row in entries}
    asked = dict.fromkeys(map(_asked, entries))
    names = list(dict.fromkeys(row["stratum"] for row in entries))
    rows = (
        [*map(Cell, which), *(_stratum_cell(cells.get((*which, name))) for name in names)] for which in asked
    )
    return section(
        "strata",
        "By view, sex and age",
        "AUROC, its 95 % interval and the patients with and without the finding, where there are at least five of "
        "both. Where the figures within the strata are lower than that of all, the strata themselves told the two "
        "sides apart.",
        table(("site", "question", "ranked by", *names), 3, rows),
    )


def _asked(row: Row) -> tuple[str, str, str]:
    return row["site"], row["question"], row["ranked_by"]


def _stratum_cell(row: Row | None) -> Cell:
    if row is None:
        return Cell("–")
    within = "–".join(figure(row["auroc"][end], 2) for end in ("low", "high"))
    return Cell(figure(row["auroc"]["value"], 2), note=f"{within}, {_patients(row)}")


def _floor(evaluation: Evaluation) -> Section | None:
    pooled = evaluation.get("pooled")
    rows = [(who, area, "") for who, area in confound_floor(evaluation)]
    if pooled:
        areas = interval(pooled["auroc"]), interval(pooled["auprc"])
        rows.insert(0, ("the COVID-19 score, pooled over all sites", *areas))
    counts = f" ({_patients(pooled)} patients)" if pooled else ""
    return section(
        "floor",
        "Pooled over sites, and the confound floor",
        f"COVID-19 against all else{counts}, unless the row says otherwise. Whoever knows only where a radiograph "
        "came from, and sees no image, reaches the figure of the source alone: a pooled figure proves nothing by "
        "itself.",
        table(("ranked by", "AUROC", "AUPRC"), 1, (map(Cell, row) for row in rows)),
    )


def _matrix(evaluation: Evaluation) -> Section | None:
    entries = evaluation.get("matrix", ())
    cells = {(row["positives"], row["question"], row["negatives"]): row for row in entries}
    positives = dict.fromkeys((row["positives"], row["question"]) for row in entries)
    negatives = dict.fromkeys(row["negatives"] for row in entries)
    rows = (
        [
            Cell(site),
            Cell(contrast),
            *(_matrix_cell(cells.get((site, contrast, other))) for other in negatives),
        ]
        for site, contrast in positives
    )
    return section(
        "matrix",
        "Source against source",
        "AUROC of the COVID-19 score, the ill of one source (rows) against the healthy of another (columns), and the "
        "patients. Within one source only the disease can tell them apart; between two sources the hospital can, "
        "so that figures near 1 beside poor ones within a source are a sign that the hospital is recognised.",
        table(("the ill of", "question", *(f"against {name}" for name in negatives)), 2, rows),
    )


def _matrix_cell(row: Row | None) -> Cell:
    if row is None:
        return Cell("–")
    within = "same source, " if row["positives"] == row["negatives"] else ""
    return Cell(figure(row["auroc"], 2), note=f"{within}{_patients(row)}", heat=_heat(row["auroc"]))


def _heat(area: float | None) -> int | None:
    return None if area is None else max(0, min(5, round((area - 0.5) * 10)))


def _operating_points(bundle: Bundle, evaluation: Evaluation) -> Section | None:
    header = (
        *(
            "site",
            "question",
            "ranked by",
            "specificity at 90 % sensitivity",
            "specificity at 95 % sensitivity",
        ),
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
        f"{_bands(bundle.operating_points)} The two specificities to the left are those of the site's own best "
        "thresholds, which nobody knows beforehand.",
        table(header, 3, map(_operating_row, evaluation.get("within_site", ()))),
    )


def _bands(points: OperatingPoints | None) -> str:
    if points is None:
        return "This bundle has none: its list has an order and no bands."
    measured = f"; measured on {points.measured_on}" if points.measured_on else ""
    return (
        f"A COVID-19 score from {figure(points.urgent)} is urgent, from {figure(points.high)} high: thresholds of "
        f"this bundle alone{measured}."
    )


def _operating_row(row: Row) -> Iterator[Cell]:
    yield from (Cell(row["site"]), Cell(row["question"]), Cell(row["ranked_by"]))
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


def _shares(evaluation: Evaluation) -> Section | None:
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


def _list_worth(evaluation: Evaluation) -> Section | None:
    rows = [row for row in evaluation.get("within_site", ()) if row["list"]]
    tested = list(dict.fromkeys(entry["tested"] for row in rows for entry in row["list"]))
    header = (
        *("site", "question", "ranked by", "share with"),
        *(f"first {share:.0%} tested" for share in tested),
    )
    return section(
        "list",
        "What the list is worth",
        "Of all who have the finding, the share found when only the first of the list are tested; then the tests for "
        "one found, and the lift over testing in any order. All of it holds for the share of ill patients in the "
        "first column of figures, not for that of another hospital.",
        table(header, 3, (_list_row(row, tested) for row in rows)),
    )


def _list_row(row: Row, tested: Sequence[float]) -> Iterator[Cell]:
    yield from (
        Cell(row["site"]),
        Cell(row["question"]),
        Cell(row["ranked_by"]),
        Cell(percent(row["prevalence"])),
    )
    found = {entry["tested"]: entry for entry in row["list"]}
    for share in tested:
        yield _list_cell(found[share]) if share in found else Cell("–")


def _list_cell(entry: Row) -> Cell:
    note = f"{figure(entry['number_needed_to_test'], 1)} tests for one, lift {figure(entry['lift'], 2)}"
    return Cell(percent(entry["found"]), note=note)


def _calibration(evaluation: Evaluation) -> Section | None:
    rows = (
        (
            *(Cell(row["site"]), Cell(row["question"]), Cell(row["ranked_by"])),
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
        table(("site", "question", "ranked by", "slope", "intercept", "Brier score", "ECE"), 3, rows),
    )


def _aggregation(bundle: Bundle, evaluation: Evaluation) -> Section | None:
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


def _targets(evaluation: Evaluation) -> Section | None:
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
        "At sites that took no part in training.",
        table(("what", "target", "measured", "outcome"), 4, rows) if evaluation else None,
    )


def _images(bundle: Bundle, evaluation: Evaluation) -> Section | None:
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


def _excluded(bundle: Bundle, evaluation: Evaluation) -> Section | None:
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
    """Of the data evaluated, if it says so; else of that trained on."""
    return evaluation.get(key) or bundle.training.get(key) or {}


def _patients(row: Row) -> str:
    return f"{row['n_positive']}/{row['n_negative']}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
