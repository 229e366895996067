"""Make the sections on the score: figures within sites, perturbations, subgroups, confounders."""

from collections.abc import Iterable, Iterator, Sequence

from cxrbatch.evaluation.perturbations import PERTURBATIONS, Expectation, lungs_blacked_out, lungs_only
from cxrbatch.evaluation.queries import WHICH, Evaluation, Row, which
from cxrbatch.evaluation.targets import (
    MARKER_SHIFT,
    USEFUL_AUROC,
    WITHOUT_LUNGS,
    pastes_a_marker,
    without_lungs,
)
from cxrbatch.evaluation.trivial_measures import ALL_DOMAINS
from cxrbatch.pages import Cell, Section, figure, interval, percent, section, table

_EXPECTED = {
    Expectation.MUST_LOSE: "Ought to fall towards 0.5, because what shows disease is gone",
    Expectation.MUST_STAY: "Ought to move nobody",
    Expectation.MAY_MOVE: "Ought to keep most of the AUROC",
}
_SHAPE = (
    " Lung shape alone: area, height and width of the lungs, their shares of left and right, upper and lower half, "
    "by a logistic regression on other patients. Within fifths of it: only patients whose lungs have much the same "
    "shape are compared."
)


def confound_floor(evaluation: Evaluation, beside: Row | None = None) -> list[tuple[str, str]]:
    """List what is reached without an image: pairs of the predictor in words and its AUROC.

    Parameters
    ----------
    evaluation : mapping
    beside : mapping, optional
        A row of ``within_site``. Of the metadata, only the AUROC for the question and the site of this row is listed.
    """
    floor = evaluation.get("confound_floor") or {}
    lines = [("the source alone", floor.get("source_alone"))]
    lines += [(f"the publisher alone, {name}", area) for name, area in floor.get("domain_alone", {}).items()]
    lines += [
        (f"{_listed(row['fields'])} alone, {row['question']} at {row['site']}", row["auroc"])
        for row in floor.get("metadata_alone", ())
        if beside is None or (row["site"], row["question"]) == (beside["site"], beside["question"])
    ]
    lines += [
        (f"{name} alone, {row['question']} at {row['site']}, {row['domain']}", area)
        for row, name, area in _strongest(floor.get("trivial_measures", ()))
        if beside is None or (row["site"], row["question"]) == (beside["site"], beside["question"])
    ]
    return [(who, figure(area)) for who, area in lines if area is not None]


def _strongest(rows: Iterable[Row]) -> Iterator[tuple[Row, str, float]]:
    """Find the measure that tells most, of each site and question: over all domains, else of the largest domain."""
    chosen: dict[tuple[str, str], Row] = {}
    for row in rows:
        known = chosen.setdefault((row["site"], row["question"]), row)
        if known["domain"] != ALL_DOMAINS and _size(row) > _size(known):
            chosen[row["site"], row["question"]] = row
    for row in chosen.values():
        area, name = max((area, name) for name, area in row["auroc"].items())
        yield row, name, area


def _size(row: Row) -> int:
    return int(row["n_positive"] + row["n_negative"])


def within_site_section(evaluation: Evaluation) -> Section | None:
    """Show the ranking within each site; beside it what lung shape tells, where it was measured."""
    rows = evaluation.get("within_site", ())
    has_shape = any(row.get("shape_alone") is not None for row in rows)
    header = (
        *(*WHICH, "patients with / without"),
        *(
            "AUROC within a domain (95 % CI)",
            "AUROC (95 % CI)",
            "AUPRC (95 % CI)",
            "share with",
            "publisher alone",
            *(("lung shape alone", "AUROC within fifths of it (95 % CI)") if has_shape else ()),
            "single networks",
        ),
    )
    return section(
        "within-site",
        "Within a site",
        "The list ranks the patients of one hospital, so a site is judged by itself. One row per patient; intervals "
        "from a bootstrap over patients. A site that was left out, or that never taught, was seen by none of the "
        "networks that scored it; of one that was held out they had seen other patients. Within a domain: only "
        "patients of one view and scanner format are compared, where these are known and differ. Publisher alone: "
        "the AUROC of somebody who knows where a radiograph was published and does not look at it."
        f"{_SHAPE if has_shape else ''}",
        table(header, 4, (_within_site_row(row, has_shape=has_shape) for row in rows)),
    )


def _within_site_row(row: Row, *, has_shape: bool) -> Iterator[Cell]:
    yield from map(Cell, which(row))
    yield from (
        Cell(_patients(row)),
        _within_domain_cell(row.get("within_domain")),
        Cell(interval(row["auroc"]), mark=USEFUL_AUROC.mark(row["auroc"]["value"])),
        Cell(interval(row["auprc"])),
        Cell(percent(row["prevalence"])),
        Cell(figure(row.get("source_alone"))),
        *(_shape_cells(row) if has_shape else ()),
        Cell(", ".join(figure(value, 2) for value in row["auroc_of_each_network"])),
    )


def _within_domain_cell(found: Row | None) -> Cell:
    if found is None:
        return Cell("–")
    note = f"{found['n_domains']} domains, {_patients(found)}"
    return Cell(interval(found["auroc"]), note=note, mark=USEFUL_AUROC.mark(found["auroc"]["value"]))


def _shape_cells(row: Row) -> Iterator[Cell]:
    yield Cell(figure(row.get("shape_alone")))
    found = row.get("within_shape_fifths")
    yield Cell(interval(found["auroc"]), note=_patients(found)) if found else Cell("–")


def perturbations_section(evaluation: Evaluation) -> Section | None:
    """Show how changed images change the score."""
    rows = [row for row in evaluation.get("within_site", ()) if row["audits"]]
    names = list(dict.fromkeys(name for row in rows for name in row["audits"]))
    return section(
        "audits",
        "What the score looks at",
        "The same patients with changed pictures: AUROC and, in brackets or below it, the median move of a patient "
        f"in the list as a share of its length. {' '.join([*_expected(names), *_lungs_are(names)])}",
        table(
            (*WHICH, "unchanged", *names),
            4,
            (_perturbation_row(row, names) for row in rows),
        ),
    )


def _expected(names: Sequence[str]) -> Iterator[str]:
    for expectation, text in _EXPECTED.items():
        shown = [
            perturbation.name
            for perturbation in PERTURBATIONS
            if perturbation.expectation is expectation and perturbation.name in names
        ]
        if shown:
            yield f"{text}: {_listed(shown)}."


def _lungs_are(names: Sequence[str]) -> Iterator[str]:
    """State where the lungs are thought to be: a box that is the same for all is not what a mask is."""
    for perturbation in PERTURBATIONS:
        if perturbation.name in names and perturbation.change in (lungs_blacked_out, lungs_only):
            yield f"{perturbation.name.capitalize()}: {perturbation.text}."


def _perturbation_row(row: Row, names: Sequence[str]) -> Iterator[Cell]:
    yield from map(Cell, which(row))
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


def features_section(evaluation: Evaluation) -> Section | None:
    """Show how well the features predict the source, and what is left with random weights."""
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


def subgroups_section(evaluation: Evaluation) -> Section | None:
    """Show the ranking within sex, age and view."""
    entries = evaluation.get("strata", ())
    cells = {(*_contrast_of(row), row["stratum"]): row for row in entries}
    contrasts = dict.fromkeys(map(_contrast_of, entries))
    names = list(dict.fromkeys(row["stratum"] for row in entries))
    rows = (
        [*map(Cell, contrast), *(_stratum_cell(cells.get((*contrast, name))) for name in names)]
        for contrast in contrasts
    )
    return section(
        "strata",
        "By view, sex and age",
        "AUROC, its 95 % interval and the patients with and without the finding, where there are at least five of "
        "both. Where the figures within the strata are lower than that of all, the strata themselves told the two "
        "sides apart.",
        table(("site", "question", "ranked by", *names), 3, rows),
    )


def _contrast_of(row: Row) -> tuple[str, str, str]:
    return row["site"], row["question"], row["ranked_by"]


def _stratum_cell(row: Row | None) -> Cell:
    if row is None:
        return Cell("–")
    within = "–".join(figure(row["auroc"][end], 2) for end in ("low", "high"))
    return Cell(figure(row["auroc"]["value"], 2), note=f"{within}, {_patients(row)}")


def floor_section(evaluation: Evaluation) -> Section | None:
    """Show what is reached without an image, beside the pooled score."""
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


def matrix_section(evaluation: Evaluation) -> Section | None:
    """Show positives of one site against negatives of another."""
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


def _patients(row: Row) -> str:
    return f"{row['n_positive']}/{row['n_negative']}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
