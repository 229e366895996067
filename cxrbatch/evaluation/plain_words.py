"""Say in plain words for whom a bundle is, how good it is elsewhere and where it fails: evaluation in, sentences out.

Half a page that opens the model card, for readers who know no AUROC. An AUROC is stated as what it is: of one patient
with the finding and one without, how often the one with it has the higher score.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from cxrbatch.bundle import Bundle
from cxrbatch.datasets import OF_CHILDREN
from cxrbatch.evaluation.contrasts import FEWEST
from cxrbatch.evaluation.matched import area_of, site_auroc
from cxrbatch.evaluation.queries import (
    Evaluation,
    Row,
    best_row,
    healthy_rows,
    lungless_auroc,
    rows_of,
    within_patient_rows,
    worst_row,
)
from cxrbatch.evaluation.site_scores import UNSEEN, Exposure
from cxrbatch.evaluation.targets import KIND, URGENT_HEALTHY, USEFUL_AUROC, WITHOUT_LUNGS, targets

HOW_GOOD = "How good it is at a hospital never seen"
"""Heading of the answer with the most figures."""

_FOR_WHOM = (
    "For research only; not a medical device.",
    "It ranks the adult patients of one hospital by a frontal chest radiograph, so that PCR swabs reach the "
    "likeliest first. It is not for children, lateral views or CT, and scores of two hospitals cannot be compared.",
    "A low score is never a rule-out: many PCR-positive patients have a normal radiograph.",
)
_BY_APPEARANCE = ("siim",)  # sources labelled by what radiologists saw


def plain_words(bundle: Bundle, evaluation: Evaluation) -> dict[str, list[str]]:
    """Make the answers to three questions of a reader who wonders whether to use a bundle.

    Parameters
    ----------
    bundle : Bundle
    evaluation : mapping
        From `cxrbatch.evaluation.evaluate_sites`; empty where nothing was measured.

    Returns
    -------
    dict of str to list of str
        Sentences by heading. The first figure is the one within a person, where a data set has such persons; then
        the worst hospital that took no part in training; then the shares called urgent.
    """
    if not evaluation:
        unknown = "Nothing was measured: what its scores are worth in any hospital is not known."
        return {"For whom": list(_FOR_WHOM), "How good it is": [unknown]}
    return {
        "For whom": [*_FOR_WHOM, *_trained_on(bundle, evaluation)],
        HOW_GOOD: [
            *_within_a_person(evaluation),
            *_at_hospitals(evaluation),
            *_called_urgent(bundle, evaluation),
        ],
        "Where it fails": [rule for each in _FAILURES for rule in each(evaluation)],
    }


def _trained_on(bundle: Bundle, evaluation: Evaluation) -> Iterator[str]:
    if taught := sorted(bundle.training.get("taught") or ()):
        left_out = (
            " Figures that are marked “left out” are of other networks, trained without that source."
            if rows_of(evaluation, Exposure.LEFT_OUT)
            else ""
        )
        yield (
            f"It was trained on {' and '.join(taught)}: measured on their films, or on copies of them, it looks "
            f"better than it is.{left_out}"
        )


def _within_a_person(evaluation: Evaluation) -> Iterator[str]:
    rows = _largest_of_each_question(evaluation)
    for row in rows:
        found = row["within_patient"]
        yield (
            "Two films of one person, one on either side of the question: the right one has the higher score in "
            f"{_share(found['patient_mean'])} ({row['question']} at {row['site']}, {found['n_patients']} persons, "
            f"{_exposure(row)})."
        )
    if not rows:
        yield (
            "Whether it ranks two films of one person rightly, one with and one without pneumonia, was not measured: "
            "no data set here has enough such persons."
        )


def _largest_of_each_question(evaluation: Evaluation) -> list[Row]:
    """Select the row with most persons for each question, that with most persons of all first."""
    found: dict[str, Row] = {}
    for row in sorted(
        within_patient_rows(evaluation), key=lambda row: -int(row["within_patient"]["n_patients"])
    ):
        found.setdefault(row["question"], row)
    return list(found.values())


def _at_hospitals(evaluation: Evaluation) -> Iterator[str]:
    unseen = rows_of(evaluation, *UNSEEN)
    if not unseen:
        yield "Nothing was measured at a hospital that is known to have taken no part in training."
    yield from _range(
        "Of one patient with and one without pneumonia, the ill one",
        [row for row in unseen if row["question"] != KIND],
    )
    yield from _range(
        "Of one patient with COVID-19 and one with other pneumonia, the one with COVID-19",
        [row for row in unseen if row["question"] == KIND],
    )


def _range(pair: str, rows: Sequence[Row]) -> Iterator[str]:
    worst, best = worst_row(rows), best_row(rows)
    if worst and best:
        at_best = "" if worst is best else f", in {_share(site_auroc(best))} at the best, {_site(best)}"
        yield (
            f"{pair} has the higher score in {_share(site_auroc(worst))} of pairs at the worst site, "
            f"{_site(worst)}{at_best}. A coin would reach 50 %."
        )


def _site(row: Row) -> str:
    return f"{row['site']} (children)" if row["site"] in OF_CHILDREN else str(row["site"])


def _called_urgent(bundle: Bundle, evaluation: Evaluation) -> Iterator[str]:
    if bundle.operating_points is None:
        yield "It has no bands such as urgent: the list has an order and nothing more."
    called = "Called urgent" if bundle.operating_points else "Above the rejected threshold of urgent"
    healthy = _shares(evaluation, "normal", worst=lambda row: -row["urgent"])
    if healthy:
        yield f"{called}, of healthy adults: {healthy}."
    ill = _shares(evaluation, "covid", worst=lambda row: row["urgent"])
    if ill:
        yield f"{called}, of patients with COVID-19: {ill}."


def _shares(evaluation: Evaluation, label: str, worst: Callable[[Row], float]) -> str:
    """List the shares called urgent, the worst of each source, the worst source first."""
    found: dict[str, Row] = {}
    for row in sorted(evaluation.get("shares", ()), key=worst):
        unseen = row["exposure"] in UNSEEN and row["source"] not in OF_CHILDREN
        if unseen and row["label"] == label and row["n"] >= FEWEST:
            found.setdefault(row["source"], row)
    return "; ".join(f"{row['urgent']:.0%} of {row['n']:,} of {source}" for source, row in found.items())


def _misses_targets(evaluation: Evaluation) -> Iterator[str]:
    measured = [target for target in targets(evaluation) if target.value is not None]
    missed = sum(target.missed for target in measured)
    if missed:
        yield f"It misses {missed} of the {len(measured)} measured targets; they are listed below."


def _mistakes_kinds(evaluation: Evaluation) -> Iterator[str]:
    rows = [row for row in rows_of(evaluation, *UNSEEN, Exposure.UNKNOWN) if row["question"] == KIND]
    worst = worst_row(rows)
    if worst and (low := site_auroc(worst)["low"]) is not None and low <= 0.5:
        yield (
            f"It may not tell COVID-19 from other pneumonia at all: at {worst['site']} a coin may be as good "
            f"({_share(site_auroc(worst))} of pairs)."
        )


def _calls_healthy_urgent(evaluation: Evaluation) -> Iterator[str]:
    found = [row["source"] for row in healthy_rows(evaluation) if URGENT_HEALTHY.fails(row["urgent"])]
    if found:
        yield f"More than a tenth of healthy adults lie above its threshold of urgent: {_listed(found)}."


def _needs_no_lungs(evaluation: Evaluation) -> Iterator[str]:
    areas = [(lungless_auroc(row), row["site"]) for row in evaluation["within_site"]]
    found = {site: area for area, site in sorted(pair for pair in areas if WITHOUT_LUNGS.fails(pair[0]))}
    if found:
        listed = ", ".join(f"{site} ({_percent(area or 0.0)})" for site, area in found.items())
        yield f"With the lungs blacked out it still ranks too many pairs rightly: {listed}."


def _weak_sites(evaluation: Evaluation) -> Iterator[str]:
    rows = [row for row in rows_of(evaluation, *UNSEEN) if row["question"] != KIND]
    weak = {row["site"] for row in rows if USEFUL_AUROC.fails(area_of(row))}
    if weak:
        found = ", ".join(sorted(weak))
        yield f"Of patients with and without pneumonia it ranks fewer than 80 % of pairs rightly at {found}."


def _labelled_by_appearance(evaluation: Evaluation) -> Iterator[str]:
    found = {row["site"] for row in evaluation["within_site"]} & set(_BY_APPEARANCE)
    if found:
        yield (
            f"The films of {_listed(sorted(found))} are labelled by what radiologists saw, not by PCR: a "
            "PCR-positive patient with clear lungs counts as healthy there."
        )


_FAILURES = (
    _misses_targets,
    _weak_sites,
    _mistakes_kinds,
    _calls_healthy_urgent,
    _needs_no_lungs,
    _labelled_by_appearance,
)


def _exposure(row: Row) -> str:
    if row["exposure"] in UNSEEN:
        return "never seen"
    if row["exposure"] == Exposure.HELD_OUT:
        return "other persons of that hospital took part in training"
    return "which may have taken part in training"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _share(estimate: Mapping[str, float | None]) -> str:
    low, high = estimate["low"], estimate["high"]
    between = "" if low is None or high is None else f" ({100 * low:.0f}–{100 * high:.0f})"
    return f"{_percent(estimate['value'] or 0.0)}{between}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
