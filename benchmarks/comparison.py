"""Two reports of one folder, side by side: how far the scores lie apart, and whether anything else does."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

Row = dict[str, str]
_SCORES = ("score_covid", "score_pneumonia", "score_normal")
_OUTCOME = ("status", "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is different between two reports.

    Attributes
    ----------
    n_files : int
        Found by both.
    largest : float
        Difference of any printed score of any file.
    mean : float
        Of the absolute differences.
    n_differ : int
        Files of which any printed score differs.
    n_outcomes : int
        Files scored in one and not in the other, or not scored for another reason.
    n_ranks : int
        Patients with another rank.
    most_ranks : int
        By which one patient moved.
    """

    n_files: int
    largest: float
    mean: float
    n_differ: int
    n_outcomes: int
    n_ranks: int
    most_ranks: int


def compare(one: Path, other: Path) -> Comparison:
    """Compare two reports by the paths of their CSVs.

    Raises
    ------
    ValueError
        They are not of the same files and patients.
    """
    files = _pairs(one.with_suffix(".files.csv"), other.with_suffix(".files.csv"), "file")
    apart = [
        [abs(float(a[key]) - float(b[key])) for key in _SCORES]
        for a, b in files
        if a[_SCORES[0]] and b[_SCORES[0]]
    ]
    differences = [difference for scores in apart for difference in scores]
    moved = list(_moved(_pairs(one, other, "patient_id")))
    return Comparison(
        n_files=len(files),
        largest=max(differences, default=0.0),
        mean=sum(differences) / max(len(differences), 1),
        n_differ=sum(any(a[key] != b[key] for key in _SCORES) for a, b in files),
        n_outcomes=sum(any(a[key] != b[key] for key in _OUTCOME) for a, b in files),
        n_ranks=sum(places != 0 for places in moved),
        most_ranks=max(moved, default=0),
    )


def _pairs(one: Path, other: Path, key: str) -> list[tuple[Row, Row]]:
    left, right = _rows(one, key), _rows(other, key)
    if left.keys() != right.keys():
        raise ValueError(f"{one} and {other} are not of the same {key}s")
    return [(row, right[name]) for name, row in left.items()]


def _rows(path: Path, key: str) -> dict[str, Row]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        return {row[key]: row for row in csv.DictReader(stream)}


def _moved(patients: list[tuple[Row, Row]]) -> Iterator[int]:
    """By how many ranks each patient moved; one who is ranked only once moved by all of them."""
    for a, b in patients:
        if bool(a["rank"]) != bool(b["rank"]):
            yield len(patients)
        else:
            yield abs(int(a["rank"] or 0) - int(b["rank"] or 0))


def sentence(found: Comparison) -> str:
    """Say it in words."""
    return (
        f"{found.n_files} files: scores differ by at most {found.largest:.6f}, {found.mean:.6f} on average; "
        f"{found.n_differ} files differ in a printed digit, {found.n_outcomes} in status or reason; "
        f"{found.n_ranks} patients have another rank, by {found.most_ranks} at most"
    )
