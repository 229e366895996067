"""Summarise the confound floor in plain words: figures in, sentences out; rules of `cxrbatch.evaluation.summary`."""

from collections.abc import Iterator, Sequence

from cxrbatch.evaluation.matched import area_of
from cxrbatch.evaluation.queries import Evaluation, Row, what
from cxrbatch.pages import figure

HARDLY_ANY_ORDER = 0.60
"""AUROC up to which a list is hardly better than one in any order."""
_A_TRAP = 0.75  # AUROC of a trivial measure within a domain
_AS_GOOD = 0.02  # a floor at most this much below the score counts as equally good


def floor_as_good_as_pooled(evaluation: Evaluation) -> Iterator[str]:
    """State that the source alone is as good as the pooled score."""
    pooled, floor = evaluation["pooled"], evaluation["confound_floor"]["source_alone"]
    if pooled and floor is not None and floor >= area_of(pooled) - _AS_GOOD:
        yield (
            f"Whoever knows only the source and sees no image reaches AUROC {figure(floor)} on the same patients, "
            f"the score {figure(area_of(pooled))}: the figure across sources is no evidence that it sees disease."
        )


def floor_as_good_within(evaluation: Evaluation) -> Iterator[str]:
    """State where the place alone is as good as the score within a site."""
    yield from _as_good(
        "Knowing only where an image comes from, without seeing it, is as good as the score",
        [(row, row["source_alone"]) for row in evaluation["within_site"] if row["source_alone"] is not None],
    )


def shape_as_good(evaluation: Evaluation) -> Iterator[str]:
    """State where the shape of the lungs alone is as good as the score."""
    rows = evaluation["within_site"]
    yield from _as_good(
        "The shape of the lungs alone, without a look into them, is as good as the score",
        [(row, row["shape_alone"]) for row in rows if row.get("shape_alone") is not None],
    )


def metadata_as_good(evaluation: Evaluation) -> Iterator[str]:
    """State where metadata alone are as good as the score."""
    yield from _as_good(
        "What is known without looking at the pixels (such as view, age, year or file size) is as good as the score",
        _with_metadata(evaluation),
    )


def trivial_trap(evaluation: Evaluation) -> Iterator[str]:
    """State where a trivial measure tells the two sides apart within a domain."""
    rows = evaluation["confound_floor"].get("trivial_measures", ())
    found = {
        (row["site"], row["question"]): (area, name, row)
        for row in sorted(rows, key=lambda row: max(row["auroc"].values()))
        for area, name in [max((area, name) for name, area in row["auroc"].items())]
        if area >= _A_TRAP
    }
    if found:
        listed = "; ".join(
            f"{name}, {what(row)} ({row['domain']}): {figure(area)}" for area, name, row in found.values()
        )
        yield (
            "The two sides were collected differently: what ought to tell nothing of disease tells them apart even "
            f"within one domain (AUROC, either way): {listed}. Figures there may owe much to it."
        )


def _as_good(claim: str, floors: Sequence[tuple[Row, float]]) -> Iterator[str]:
    best: dict[tuple[str, str], tuple[Row, float]] = {}
    for row, floor in floors:
        place = row["site"], row["question"]
        if place not in best or area_of(row) > area_of(best[place][0]):
            best[place] = row, floor
    places = [
        f"{what(row)}: AUROC {figure(floor)}, the score {figure(area_of(row))}"
        for row, floor in sorted(best.values(), key=lambda pair: -pair[1])
        if floor >= max(area_of(row) - _AS_GOOD, HARDLY_ANY_ORDER)
    ]
    if places:
        yield f"{claim}: {'; '.join(places)}."


def _with_metadata(evaluation: Evaluation) -> list[tuple[Row, float]]:
    floors = {
        (row["site"], row["question"]): row["auroc"] for row in evaluation["confound_floor"]["metadata_alone"]
    }
    rows = ((row, floors.get((row["site"], row["question"]))) for row in evaluation["within_site"])
    return [(row, floor) for row, floor in rows if floor is not None]


def above_metadata(evaluation: Evaluation) -> Iterator[str]:
    """State that the score is better than metadata at every site."""
    pairs = _with_metadata(evaluation)
    if pairs and all(area_of(row) > max(floor, 0.5) + _AS_GOOD for row, floor in pairs):
        row, floor = min(pairs, key=lambda pair: area_of(pair[0]) - pair[1])
        yield (
            "Good: at every site the score is better than what is known without looking at the pixels; closest at "
            f"{what(row)}: AUROC {figure(area_of(row))} against {figure(floor)}."
        )
