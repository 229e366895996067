"""State in one sentence what the scores of a bundle are worth: its evaluation in, the sentence out.

It stands in the README, on the model card and on every report; so it is made here, of the figures that the bundle
carries, and not by `cxrbatch.evaluation`, which a report does not need.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

_UNSEEN = ("left out", "never taught")  # of `cxrbatch.evaluation.Exposure`
_KIND = "COVID-19 against other pneumonia"
_ANY = "any pneumonia against normal"
_NONE = "pneumonia against none"
_NEAR_CHANCE = 0.55
"""Area up to which a hospital counts as near chance."""
_UNKNOWN = "what they are worth at a hospital never seen was not measured"
_SIDES = {
    _ANY: ("one with and one without pneumonia", "ill one"),
    "pneumonia against normal": ("one with and one without pneumonia", "ill one"),
    "COVID-19 against normal": ("one with COVID-19 and one without pneumonia", "ill one"),
    _KIND: ("one with COVID-19 and one with other pneumonia", "one with COVID-19"),
}


def state_worth(evaluation: Mapping[str, Any]) -> str:
    """State what the scores are worth: within a person, then at hospitals never seen, the worst first.

    Parameters
    ----------
    evaluation : mapping
        As `cxrbatch.evaluation.evaluate_sites` makes it; parts may be missing.

    Returns
    -------
    str
        One sentence. Of several figures within a person it has one on any pneumonia, or else on one kind; of
        hospitals that took no part in training, if there are any; and of these the one of most persons, because that
        of a few may be anything.

    Raises
    ------
    TypeError, KeyError, AttributeError
        The evaluation is something else.
    """
    rows = evaluation.get("within_site", ())
    return _sentence([*_within_person(rows), *_at_hospitals(rows)])


def state_worth_in_pairs(evaluation: Mapping[str, Any]) -> str:
    """State the same for whoever reads the list: how many of 100 pairs the score puts in the right order.

    The AUROC is that share (Hanley, McNeil 1982). Parameters and errors as of `state_worth`.
    """
    rows = evaluation.get("within_site", ())
    parts = [*_pairs_of_a_person(rows), *_pairs_at_hospitals(rows)]
    return _sentence([*parts, "50 would be chance"] if parts else [])


def state_worth_in_brief(evaluation: Mapping[str, Any]) -> str:
    """State in one line what whoever reads the list must know first: of COVID-19 against other pneumonia.

    Figures are those of `state_worth_in_pairs` at hospitals never seen. Parameters and errors as of `state_worth`.
    """
    rows = evaluation.get("within_site", ())
    if not any(found := _unseen(rows)):
        return _sentence([_UNKNOWN] if rows else [])
    kind, none = (_span(part, _of_100) for part in found)
    scale = "of 100 pairs, 50 is chance"
    if not kind:
        return _sentence([f"{_KIND} was not measured at a hospital never seen", f"{_NONE}: {none} {scale}"])
    return _sentence(
        [f"{_KIND}{_warning(found[0])}: {kind} {scale}", *([f"{_NONE}: {none}"] if none else [])]
    )


def _warning(rows: Sequence[Row]) -> str:
    if min(map(_area, rows)) > _NEAR_CHANCE:
        return ""
    return (
        " is near chance at some hospitals"
        if len(rows) > 1
        else " is near chance at the one hospital measured"
    )


def _sentence(parts: Sequence[str]) -> str:
    if not parts:
        return "What the scores are worth within a hospital was not measured."
    stated = "; ".join(parts)
    return f"{stated[0].upper()}{stated[1:]}."


def _pairs_of_a_person(rows: Sequence[Row]) -> Iterator[str]:
    if row := _row_within_person(rows):
        sides, right = _SIDES[row["question"]]
        share = _share(row["within_patient"]["patient_mean"], "")
        what = f"of 100 pairs of films of one person, {sides}, the model puts the {right} first"
        yield f"{what} in {share}{_place(row)}"


def _pairs_at_hospitals(rows: Sequence[Row]) -> Iterator[str]:
    if ranges := list(_ranges(rows, _of_100)):
        yield f"of 100 pairs of patients of a hospital never seen, in {' and '.join(ranges)}"
    elif rows:
        yield _UNKNOWN


def _within_person(rows: Sequence[Row]) -> Iterator[str]:
    if row := _row_within_person(rows):
        sides, right = _SIDES[row["question"]]
        share = _share(row["within_patient"]["patient_mean"])
        yield f"of two films of one person, {sides}, the {right} has the higher score in {share}{_place(row)}"


def _row_within_person(rows: Sequence[Row]) -> Row | None:
    """Choose one row of several, as `state_worth` says."""
    found = [row for row in rows if row.get("within_patient") and row["question"] in _SIDES]
    found = [row for row in found if row["exposure"] in _UNSEEN] or found
    found = [row for row in found if row["question"] != _KIND] or found
    found = [row for row in found if row["question"] == _ANY] or found
    return max(found, key=lambda row: int(row["within_patient"]["n_patients"]), default=None)


def _place(row: Row) -> str:
    if row["exposure"] in _UNSEEN:
        return ""
    seen = {"held out": " (other patients of that hospital took part in training)"}
    return seen.get(row["exposure"], " (they may have taken part in training)")


def _at_hospitals(rows: Sequence[Row]) -> Iterator[str]:
    if ranges := list(_ranges(rows, _auroc)):
        yield f"at hospitals never seen the AUROC is {' and '.join(ranges)} (0.5 is chance)"
    elif rows:
        yield _UNKNOWN


def _ranges(rows: Sequence[Row], written: Callable[[Row], str]) -> Iterator[str]:
    kind, none = _unseen(rows)
    for part, question in ((none, _NONE), (kind, _KIND)):
        if part:
            yield f"{_span(part, written)} for {question}"


def _unseen(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Choose the rows of hospitals never seen: on the kind of pneumonia, and on pneumonia against none."""
    unseen = [row for row in rows if row["exposure"] in _UNSEEN and _estimate(row)["value"] is not None]
    kind = [row for row in unseen if row["question"] == _KIND]
    return kind, [row for row in unseen if row["question"] != _KIND]


def _span(rows: Sequence[Row], written: Callable[[Row], str]) -> str:
    """Write the lowest and the highest figure; empty where there is none."""
    areas = [written(row) for row in sorted(rows, key=_area)]
    return " to ".join(dict.fromkeys([areas[0], areas[-1]])) if areas else ""


def _area(row: Row) -> float:
    return float(_estimate(row)["value"])


def _auroc(row: Row) -> str:
    return f"{_area(row):.2f}"


def _of_100(row: Row) -> str:
    return f"{100 * _area(row):.0f}"


def _estimate(row: Row) -> Row:
    """Return the AUROC of a row with its interval: within a domain, where the site has several."""
    found: Row = (row.get("within_domain") or row)["auroc"]
    return found


def _share(estimate: Mapping[str, Any], unit: str = " %") -> str:
    low, high = estimate["low"], estimate["high"]
    between = "" if low is None or high is None else f" ({100 * low:.0f}–{100 * high:.0f})"
    return f"{100 * estimate['value']:.0f}{unit}{between}"
