"""State in one sentence what the scores of a bundle are worth: its evaluation in, the sentence out.

It stands in the README, on the model card and on every report; so it is made here, of the figures that the bundle
carries, and not by `cxrbatch.evaluation`, which a report does not need.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

_UNSEEN = ("left out", "never taught")  # of `cxrbatch.evaluation.Exposure`
_KIND = "COVID-19 against other pneumonia"
_ANY = "any pneumonia against normal"
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
    parts = [*_within_person(rows), *_at_hospitals(rows)]
    if not parts:
        return "What the scores are worth within a hospital was not measured."
    stated = "; ".join(parts)
    return f"{stated[0].upper()}{stated[1:]}."


def _within_person(rows: Sequence[Row]) -> Iterator[str]:
    found = [row for row in rows if row.get("within_patient") and row["question"] in _SIDES]
    found = [row for row in found if row["exposure"] in _UNSEEN] or found
    found = [row for row in found if row["question"] != _KIND] or found
    found = [row for row in found if row["question"] == _ANY] or found
    if found:
        row = max(found, key=lambda row: int(row["within_patient"]["n_patients"]))
        sides, right = _SIDES[row["question"]]
        share = _share(row["within_patient"]["patient_mean"])
        yield f"of two films of one person, {sides}, the {right} has the higher score in {share}{_place(row)}"


def _place(row: Row) -> str:
    if row["exposure"] in _UNSEEN:
        return ""
    seen = {"held out": " (other patients of that hospital took part in training)"}
    return seen.get(row["exposure"], " (they may have taken part in training)")


def _at_hospitals(rows: Sequence[Row]) -> Iterator[str]:
    unseen = [row for row in rows if row["exposure"] in _UNSEEN and _estimate(row)["value"] is not None]
    ranges = [
        *_range([row for row in unseen if row["question"] != _KIND], "pneumonia against none"),
        *_range([row for row in unseen if row["question"] == _KIND], _KIND),
    ]
    if ranges:
        yield f"at hospitals never seen the AUROC is {' and '.join(ranges)} (0.5 is chance)"
    elif rows:
        yield "what they are worth at a hospital never seen was not measured"


def _range(rows: Sequence[Row], question: str) -> Iterator[str]:
    areas = [f"{_auroc(row):.2f}" for row in sorted(rows, key=_auroc)]
    if areas:
        yield f"{areas[0] if areas[0] == areas[-1] else f'{areas[0]} to {areas[-1]}'} for {question}"


def _auroc(row: Row) -> float:
    return float(_estimate(row)["value"])


def _estimate(row: Row) -> Row:
    """Return the AUROC of a row with its interval: within a domain, where the site has several."""
    found: Row = (row.get("within_domain") or row)["auroc"]
    return found


def _share(estimate: Mapping[str, Any]) -> str:
    low, high = estimate["low"], estimate["high"]
    between = "" if low is None or high is None else f" ({100 * low:.0f}–{100 * high:.0f})"
    return f"{100 * estimate['value']:.0f} %{between}"
