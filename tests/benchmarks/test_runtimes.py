"""How far two runtimes are apart is counted by hand."""

from pathlib import Path

import pytest

from benchmarks.runtimes import compare, read_scores


def test_scores_are_those_of_the_table(tmp_path: Path) -> None:
    table = tmp_path / "r.files.csv"
    table.write_text(
        "file,status,score_covid,score_pneumonia,score_normal\na,scored,0.5,0.2,0.3\nb,not_scored,,,\n",
        encoding="utf-8",
    )
    assert read_scores(table) == {"a": (0.5, 0.2, 0.3)}


def test_largest_difference_and_inversion_are_stated() -> None:
    """By the first a, b, c; by the second c goes before b."""
    found = {"a": (0.9, 0.1, 0.0), "b": (0.5, 0.5, 0.0), "c": (0.4, 0.5, 0.1)}
    expected = {"a": (0.9, 0.1, 0.0), "b": (0.4, 0.5, 0.1), "c": (0.5, 0.5, 0.0)}
    first, second = compare(found, expected)
    assert first.endswith("1.0e-01, 1.0e-01, 1.0e-01, 1.0e-01")
    assert second == "* 2 differ by more than 1e-5; largest inversion of two COVID-19 scores: 1.0e-01"


def test_the_same_files_must_have_a_score() -> None:
    with pytest.raises(ValueError, match="1 files have a score in one runtime only"):
        list(compare({"a": (1.0, 0.0, 0.0)}, {}))
