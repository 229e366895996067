"""Make the sections on matched comparisons: two films of one person, and what trivial measures tell in a domain."""

from collections.abc import Iterator

from cxrbatch.evaluation.queries import WHICH, Evaluation, Row, which
from cxrbatch.evaluation.targets import USEFUL_AUROC
from cxrbatch.evaluation.trivial_measures import MEASURES
from cxrbatch.pages import Cell, Section, figure, interval, section, table


def within_patient_section(evaluation: Evaluation) -> Section | None:
    """Show which of two films of one person has the higher score."""
    rows = [row for row in evaluation.get("within_site", ()) if row.get("within_patient")]
    header = (
        *(*WHICH, "patients with both", "pairs of films"),
        *("right, mean over patients (95 % CI)", "right, of all pairs (95 % CI)"),
        "by lung shape alone, mean over patients (95 % CI)",
    )
    return section(
        "within-patient",
        "Two films of one person",
        "Patients with a film on either side of the question: how often the film with the finding has the higher "
        "score; 0.5 is chance. Person and hospital are the same, and mostly the machine, so that hardly anything but "
        "the lungs can tell. Lung shape alone: area, height and width of the lungs, without a look into them; the "
        "ill breathe less deeply. Intervals from a bootstrap over patients.",
        table(header, 4, map(_within_patient_row, rows)),
    )


def _within_patient_row(row: Row) -> Iterator[Cell]:
    found = row["within_patient"]
    yield from map(Cell, which(row))
    yield from (Cell(str(found["n_patients"])), Cell(str(found["n_pairs"])))
    mean = found["patient_mean"]
    yield Cell(interval(mean), mark=USEFUL_AUROC.mark(mean["value"]))
    yield Cell(interval(found["share_of_pairs"]))
    alone = found.get("shape_alone")
    yield Cell(interval(alone) if alone else "–")


def trivial_section(evaluation: Evaluation) -> Section | None:
    """Show what trivial measures tell within each domain."""
    rows = (evaluation.get("confound_floor") or {}).get("trivial_measures", ())
    header = ("site", "question", "domain", "patients with / without", *MEASURES)
    return section(
        "trivial-measures",
        "What trivial measures tell",
        "AUROC, either way, of measures that ought to tell nothing of disease, comparing only patients of one domain "
        "(source, view, scanner format) with at least 20 on either side. Where a figure is high, the two sides were "
        "collected differently: a network trained there learns that, and one tested there may seem to be good. Mean, "
        "spread and noise are those of the network's input.",
        table(header, 3, map(_trivial_row, rows)),
    )


def _trivial_row(row: Row) -> Iterator[Cell]:
    yield from (Cell(row["site"]), Cell(row["question"]), Cell(row["domain"]))
    yield Cell(f"{row['n_positive']}/{row['n_negative']}")
    yield from (Cell(figure(row["auroc"].get(name), 2)) for name in MEASURES)
