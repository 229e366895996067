import numpy as np
import pytest

from cxrbatch.evaluation.capacity_section import PREVALENCES, buys_section
from cxrbatch.stats.ranking import SHARES_TESTED
from tests.factories.evaluations import evaluated

GRID = np.linspace(0, 1, 51)


def test_random_order_in_every_cell() -> None:
    diagonal = dict.fromkeys(("fpr", "tpr", "low", "high"), GRID.tolist())
    section = buys_section({"list_curve": {"measured_on": "them", **diagonal}})
    assert section is not None
    assert section.table is not None
    assert "measured on them" in section.text
    assert [row[0].text for row in section.table.rows] == ["2%", "5%", "10%", "20%"]
    for row, prevalence in zip(section.table.rows, PREVALENCES, strict=True):
        for cell, share in zip(row[1:], SHARES_TESTED, strict=True):
            shown = f"{share:.1%}"
            assert (cell.text, cell.note) == (shown, f"{shown}–{shown}, {1 / prevalence:.1f} tests for one")


def test_a_curve_of_three_to_one() -> None:
    """The first fifth at 10 %: 3 · 0.2 / (1 + 2 · 0.1) = 1/2, with 0.2 / (0.1 · 1/2) = 4 tests for each."""
    rows = {
        name: np.minimum(1, slope * GRID).tolist() for name, slope in (("tpr", 3), ("low", 2), ("high", 4))
    }
    section = buys_section({"list_curve": {"measured_on": "them", "fpr": GRID.tolist(), **rows}})
    assert section is not None
    assert section.table is not None
    assert section.table.header[2] == "first 20% tested"
    cell = section.table.rows[2][2]
    assert (cell.text, cell.note) == ("50.0%", "36.4%–61.5%, 4.0 tests for one")


@pytest.mark.parametrize("evaluation", [{}, {"list_curve": None}])
def test_without_a_curve_there_is_nothing_to_show(evaluation: dict[str, None]) -> None:
    assert buys_section(evaluation) is None


def test_the_curve_of_an_evaluation_is_taken() -> None:
    section = buys_section(evaluated())
    assert section is not None
    assert "40 patients with COVID-19 and 32 without (12 normal, 20 pneumonia)" in section.text
