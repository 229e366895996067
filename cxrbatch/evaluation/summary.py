"""Summarise an evaluation in plain words: figures in, sentences out, the worst first.

Every rule reads the dict that `cxrbatch.evaluation.evaluate_sites` makes and gives no sentence, or one. Good results
are stated as plainly as bad ones, after them, and begin with ``Good:``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cxrbatch.evaluation.matched import area_of, site_auroc
from cxrbatch.evaluation.perturbations import Expectation
from cxrbatch.evaluation.queries import (
    Evaluation,
    Row,
    best_row,
    count_of,
    healthy_rows,
    lungless_auroc,
    marker_moves,
    perturbations_of,
    rank_moves,
    rows_of,
    what,
    where,
    within_patient_rows,
    worst_row,
)
from cxrbatch.evaluation.site_scores import UNSEEN, Exposure
from cxrbatch.evaluation.summary_floor import (
    HARDLY_ANY_ORDER,
    above_metadata,
    floor_as_good_as_pooled,
    floor_as_good_within,
    metadata_as_good,
    shape_as_good,
    trivial_trap,
)
from cxrbatch.evaluation.targets import (
    KIND,
    MARKER_SHIFT,
    URGENT_HEALTHY,
    USEFUL_AUROC,
    WITHOUT_LUNGS,
    pastes_a_marker,
    without_lungs,
)
from cxrbatch.pages import figure, interval, percent

_SPLENDID = 0.90
_READS_THE_SOURCE = 0.5  # share of the way from chance to certainty
_SAME_LIST = 0.5  # rank correlation
_MUCH_HANDLING = 0.05  # median move in the list


def summarise(evaluation: Evaluation) -> list[str]:
    """State in sentences what the figures mean.

    Parameters
    ----------
    evaluation : mapping
        As `cxrbatch.evaluation.evaluate_sites` makes it; ``source_probe`` and ``weight_randomisation`` may be
        filled in beforehand.

    Returns
    -------
    list of str
        Two films of one person first; then the worst first, the good ones last.
    """
    return [sentence for rule in (*_BAD, *_GOOD) for sentence in rule(evaluation)]


def caveats(evaluation: Evaluation) -> list[str]:
    """Select the sentences that must be on every screening report."""
    return [sentence for rule in _ON_EVERY_REPORT for sentence in rule(evaluation)]


def _two_films_of_one_person(evaluation: Evaluation) -> Iterator[str]:
    """State the cleanest figure; of several sites and questions the worst."""
    rows = within_patient_rows(evaluation)
    if rows:
        row = min(rows, key=lambda row: row["within_patient"]["patient_mean"]["value"])
        found = row["within_patient"]
        mean = found["patient_mean"]
        good = "" if USEFUL_AUROC.fails(mean["value"]) else "Good: "
        yield (
            f"{good}{'o' if good else 'O'}f two films of one person, one on either side of the question, the right "
            f"one has the higher score in {interval(mean)} (share, mean over {found['n_patients']} patients; "
            f"{what(row)}, ranked by {row['ranked_by']}; {row['exposure']}){_chance(mean)}."
        )


def _recognises_the_source(evaluation: Evaluation) -> Iterator[str]:
    """Compare with sites of which nothing was seen: with those that answer the same question, if any does."""
    held_out, everywhere = best_row(rows_of(evaluation, Exposure.HELD_OUT)), rows_of(evaluation, *UNSEEN)
    if held_out is None:
        return
    unseen = worst_row([row for row in everywhere if row["question"] == held_out["question"]] or everywhere)
    if unseen and area_of(held_out) >= _SPLENDID and area_of(unseen) <= HARDLY_ANY_ORDER:
        yield (
            f"This model recognises the source, not the disease: AUROC {figure(area_of(held_out))} on held-out "
            f"patients of the sources that taught it ({what(held_out)}), but {figure(area_of(unseen))} within "
            f"{unseen['site']}, of which it had seen nothing ({unseen['question']})."
        )


def _good_only_when_pooled(evaluation: Evaluation) -> Iterator[str]:
    pooled, worst = evaluation["pooled"], worst_row(evaluation["within_site"])
    if not pooled or not worst or any(_recognises_the_source(evaluation)):
        return
    if area_of(pooled) >= _SPLENDID and area_of(worst) <= HARDLY_ANY_ORDER:
        yield (
            f"The score tells sources apart, not patients: AUROC {figure(area_of(pooled))} across all sources "
            f"together, but {figure(area_of(worst))} within {worst['site']} ({worst['question']})."
        )


def _unknown_training(evaluation: Evaluation) -> Iterator[str]:
    if any(
        row["exposure"] == Exposure.UNKNOWN for row in (*evaluation["within_site"], *evaluation["shares"])
    ):
        yield (
            "Whether these images were in its training set is not known: it may have seen the very patients "
            "on whom it was measured, and every figure may be too good."
        )


def _no_unseen_site(evaluation: Evaluation) -> Iterator[str]:
    if not rows_of(evaluation, *UNSEEN):
        yield (
            "Nothing was measured within a site that is known to have taken no part in training: what the list is "
            "worth in another hospital is not known."
        )


def _low_headline(evaluation: Evaluation) -> Iterator[str]:
    worst = evaluation["headline"]
    if worst and USEFUL_AUROC.fails(area_of(worst)):
        yield (
            f"The headline is weak: within {where(worst)}, {worst['question']} ranked by {worst['ranked_by']}, "
            f"AUROC {interval(site_auroc(worst))} ({worst['n_positive']} against {worst['n_negative']} patients), "
            f"{USEFUL_AUROC.mark(area_of(worst))}{_chance(site_auroc(worst))}."
        )


def _chance(estimate: Mapping[str, float | None]) -> str:
    low, high = estimate["low"], estimate["high"]
    if low is None or high is None or low > 0.5:
        return ""
    return "; a list in random order may be as good" if high >= 0.5 else "; a list in random order is better"


def _needs_no_lungs(evaluation: Evaluation) -> Iterator[str]:
    found = [row for row in evaluation["within_site"] if WITHOUT_LUNGS.fails(lungless_auroc(row))]
    if found:
        worst = max(found, key=lambda row: lungless_auroc(row) or 0.0)
        yield (
            "It does not need the lungs: with the lungs blacked out the AUROC is still "
            f"{figure(lungless_auroc(worst))} ({what(worst)}; {figure(area_of(worst))} with them). "
            f"{count_of(found, evaluation)} above {WITHOUT_LUNGS.bound:.2f} without lungs."
        )


def _lives_on_what_is_left(evaluation: Evaluation) -> Iterator[str]:
    """Report the other changes that remove the disease, wholly or nearly so, but leave much of the AUROC."""
    found = {
        name: (area, row)
        for area, name, row in sorted(
            perturbations_of(evaluation, "auroc", Expectation.MUST_LOSE), key=lambda each: each[0]
        )
        if not without_lungs(name) and WITHOUT_LUNGS.fails(area)
    }
    if found:
        listed = "; ".join(f"{name}: {figure(area)} ({what(row)})" for name, (area, row) in found.items())
        yield f"Much of the AUROC is left where little or nothing of the disease can be seen: {listed}."


def _moved_by_handling(evaluation: Evaluation) -> Iterator[str]:
    found = {
        name: (shift, row)
        for shift, name, row in sorted(rank_moves(evaluation), key=lambda each: each[0])
        if not pastes_a_marker(name) and shift > _MUCH_HANDLING
    }
    if found:
        listed = "; ".join(f"{name}: {percent(shift)} ({what(row)})" for name, (shift, row) in found.items())
        yield f"Patients move in the list, half of them by this much or more, with what is no disease: {listed}."


def _not_separated(evaluation: Evaluation) -> Iterator[str]:
    best = best_row(
        [row for row in rows_of(evaluation, *UNSEEN, Exposure.UNKNOWN) if row["question"] == KIND]
    )
    if best and area_of(best) <= HARDLY_ANY_ORDER:
        yield (
            "COVID-19 is not told from other pneumonia: at best AUROC "
            f"{interval(site_auroc(best))}, within {where(best)}."
        )


def _healthy_called_urgent(evaluation: Evaluation) -> Iterator[str]:
    shares = [row for row in healthy_rows(evaluation) if URGENT_HEALTHY.fails(row["urgent"])]
    if shares:
        worst_first = sorted(shares, key=lambda row: -row["urgent"])
        listed = " and ".join(
            f"{percent(row['urgent'])} of {row['n']} of {row['source']}" for row in worst_first
        )
        yield (
            "The threshold of urgent does not carry over: of healthy adults of sources "
            f"{_part_in_training(shares)}, {listed} would be called urgent. Use the order of the list."
        )


def _part_in_training(shares: Sequence[Row]) -> str:
    known = all(row["exposure"] in UNSEEN for row in shares)
    return "that took no part in training" if known else "that may or may not have taken part in training"


def _moved_by_a_marker(evaluation: Evaluation) -> Iterator[str]:
    moves = [move for move in marker_moves(evaluation) if MARKER_SHIFT.fails(move[0])]
    if moves:
        shift, name, row = max(moves, key=lambda move: move[0])
        yield (
            f"A mark in the picture moves patients: with {name} half of them move by {percent(shift)} of the list or "
            f"more ({what(row)}), {MARKER_SHIFT.mark(shift)}."
        )


def _features_reveal_the_source(evaluation: Evaluation) -> Iterator[str]:
    probe = evaluation.get("source_probe")
    if probe and _towards_certainty(probe) > _READS_THE_SOURCE:
        yield (
            f"What the last layer sees tells the source: {percent(probe['accuracy'])} of images are assigned to the "
            f"right one of {len(probe['sources'])} (by chance {percent(probe['chance'])})."
        )


def _towards_certainty(probe: Mapping[str, Any]) -> float:
    return (probe["accuracy"] - probe["chance"]) / (1 - probe["chance"]) if probe["chance"] < 1 else 0.0


def _same_with_random_weights(evaluation: Evaluation) -> Iterator[str]:
    found = evaluation.get("weight_randomisation")
    if found and abs(found["rank_correlation"] or 0.0) > _SAME_LIST:
        yield (
            "With random weights the list is much the same (rank correlation "
            f"{figure(found['rank_correlation'], 2)}): the order owes little to what was learnt."
        )


def _good_headline(evaluation: Evaluation) -> Iterator[str]:
    worst = evaluation["headline"]
    if worst and worst["exposure"] in UNSEEN and not USEFUL_AUROC.fails(area_of(worst)):
        yield (
            f"Good: within every site that took no part in training the AUROC is {USEFUL_AUROC.bound:.2f} or more; "
            f"the worst is {interval(site_auroc(worst))}, {what(worst)}."
        )


def _needs_lungs(evaluation: Evaluation) -> Iterator[str]:
    """State that the score needs the lungs; only of rows whose score is useful with the lungs in place."""
    rows = [row for row in evaluation["within_site"] if lungless_auroc(row) is not None]
    useful = [row for row in rows if area_of(row) > HARDLY_ANY_ORDER]
    if useful and not any(WITHOUT_LUNGS.fails(lungless_auroc(row)) for row in rows):
        most = max(useful, key=lambda row: lungless_auroc(row) or 0.0)
        yield (
            "Good: it needs the lungs: with the lungs blacked out the AUROC falls to "
            f"{figure(lungless_auroc(most))} or less ({what(most)}; {figure(area_of(most))} with them)."
        )


def _few_healthy_called_urgent(evaluation: Evaluation) -> Iterator[str]:
    shares = [row for row in healthy_rows(evaluation) if row["exposure"] in UNSEEN]
    if shares and not any(URGENT_HEALTHY.fails(row["urgent"]) for row in shares):
        most = max(shares, key=lambda row: row["urgent"])
        yield (
            f"Good: of healthy adults of sources that took no part in training at most {percent(most['urgent'])} "
            f"would be called urgent ({most['n']} of {most['source']})."
        )


def _unmoved_by_a_marker(evaluation: Evaluation) -> Iterator[str]:
    moves = marker_moves(evaluation)
    if moves and not any(MARKER_SHIFT.fails(shift) for shift, _, _ in moves):
        shift, _, row = max(moves, key=lambda move: move[0])
        yield (
            "Good: a mark pasted into the picture moves half of the patients by no more than "
            f"{percent(shift)} of the list ({what(row)})."
        )


_BAD: tuple[Callable[[Evaluation], Iterator[str]], ...] = (
    _two_films_of_one_person,
    _recognises_the_source,
    _good_only_when_pooled,
    _unknown_training,
    _no_unseen_site,
    _low_headline,
    _needs_no_lungs,
    _lives_on_what_is_left,
    floor_as_good_as_pooled,
    floor_as_good_within,
    metadata_as_good,
    shape_as_good,
    trivial_trap,
    _not_separated,
    _healthy_called_urgent,
    _moved_by_a_marker,
    _moved_by_handling,
    _features_reveal_the_source,
    _same_with_random_weights,
)
_GOOD = (_good_headline, _needs_lungs, above_metadata, _few_healthy_called_urgent, _unmoved_by_a_marker)
_ON_EVERY_REPORT = (_recognises_the_source, _good_only_when_pooled, _unknown_training)
