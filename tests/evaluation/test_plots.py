import dataclasses
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve, roc_curve

from cxrbatch.bundle.bundle import OperatingPoints
from cxrbatch.evaluation.plots import curve_figures, histogram_figure
from cxrbatch.evaluation.site_scores import Exposure, SiteScores
from cxrbatch.pages.svg import CHANCE, SIDE, Plot, dot, line
from tests.factories.collections import case
from tests.factories.evaluations import POINTS, evaluated, scored_site, scored_sites


def site(*rows: tuple[str, float]) -> SiteScores:
    """Patients of (label, COVID-19 score)."""
    scores = np.array([[score, 0.0, 1 - score] for _, score in rows])
    return SiteScores(
        site="s",
        exposure=Exposure.LEFT_OUT,
        cases=tuple(case(f"s/{index}", label, "s") for index, (label, _) in enumerate(rows)),
        scores=scores,
        networks=scores[None],
    )


def plots(made: SiteScores, contrast: str = "COVID-19 against normal") -> dict[str, Plot]:
    """The plots of a question at a site, by the first word of their title."""
    rows = [row for row in evaluated([made])["within_site"] if row["question"] == contrast]
    (figure,) = curve_figures(rows, [made], "mean")
    return {plot.title.split(",")[0].split()[0]: plot for plot in figure.plots}


def points(plot: Plot) -> list[tuple[float, float]]:
    """The curve, in shares and not in units of the drawing."""
    (path,) = [line.path for line in plot.lines if line.kind == "curve"]
    drawn = [tuple(map(float, point.split(","))) for point in path.split()]
    return [(round(x / SIDE, 3), round(1 - y / SIDE, 3)) for x, y in drawn]


PERFECT = site(*[("covid", 0.9)] * 5, *[("normal", 0.1)] * 15)


def test_a_perfect_score_gives_the_corner_of_the_roc_curve() -> None:
    plot = plots(PERFECT)["ROC"]
    assert points(plot) == [(0, 0), (0, 1), (1, 1)]
    assert plot.title == "ROC, area 1.000"


def test_a_constant_score_gives_the_diagonals_and_the_prevalence() -> None:
    constant = plots(site(*[("covid", 0.5)] * 5, *[("normal", 0.5)] * 15))
    assert points(constant["ROC"]) == [(0, 0), (1, 1)]
    assert points(constant["Gain"]) == [(0, 0), (1, 1)]
    assert points(constant["Precision–recall"]) == [(0, 0.25), (1, 0.25)]


def test_the_gain_of_a_perfect_score_ends_at_the_prevalence() -> None:
    assert points(plots(PERFECT)["Gain"]) == [(0, 0), (0.25, 1), (1, 1)]


def test_precision_holds_from_one_recall_to_the_next() -> None:
    ranked = site(*(("covid" if index % 2 else "normal", 1 - index / 20) for index in range(10)))
    drawn = points(plots(ranked)["Precision–recall"])
    assert drawn[:6] == [(0, 0), (0, 0.5), (0.2, 0.5), (0.2, 0.333), (0.2, 0.5), (0.4, 0.5)]


def test_the_reference_of_precision_is_the_share_of_the_ill() -> None:
    (reference,) = [line for line in plots(PERFECT)["Precision–recall"].lines if line.kind == "reference"]
    assert reference.path == f"0.0,{0.75 * SIDE:.1f} {SIDE:.1f},{0.75 * SIDE:.1f}"


def test_the_curves_go_through_the_points_of_scikit_learn() -> None:
    made = scored_site("nih", {"covid": 40, "normal": 60}, 1.0)
    drawn = plots(made)
    y_true, y_score = [each.label == "covid" for each in made.cases], made.scores[:, 0]
    false_positive, true_positive, _ = roc_curve(y_true, y_score, drop_intermediate=False)
    assert np.array(points(drawn["ROC"])) == pytest.approx(
        np.column_stack([false_positive, true_positive]), abs=1e-3
    )
    precision, recall, _ = precision_recall_curve(y_true, y_score)
    corners = {(round(x, 3), round(y, 3)) for x, y in zip(recall[:-1], precision[:-1], strict=True)}
    assert all(
        min(abs(x - a) + abs(y - b) for a, b in points(drawn["Precision–recall"])) < 2e-3 for x, y in corners
    )


def test_the_bands_lie_where_their_sensitivity_and_specificity_are() -> None:
    made = scored_site("nih", {"covid": 40, "normal": 60}, 1.0)
    (row,) = evaluated([made])["within_site"]
    urgent, high = plots(made)["ROC"].dots
    assert (urgent.label, high.label) == ("urgent", "high")
    found = row["operating_points"]["urgent"]
    assert urgent.x / SIDE == pytest.approx(1 - found["specificity"]["value"], abs=1e-3)
    assert 1 - urgent.y / SIDE == pytest.approx(found["sensitivity"]["value"], abs=1e-3)


def test_reliability_is_drawn_where_it_was_measured() -> None:
    perfect = site(*[("covid", 0.9)] * 20, *[("normal", 0.1)] * 20)
    assert points(plots(perfect)["Reliability"]) == [(0.1, 0), (0.9, 1)]
    assert [(dot.x, dot.y) for dot in plots(perfect)["Reliability"].dots] == [(20, 200), (180, 0)]
    (row,) = evaluated([PERFECT])["within_site"]
    (without,) = curve_figures([{**row, "calibration": None}], [PERFECT], "mean")
    assert [plot.title.split(",")[0] for plot in without.plots] == [
        "ROC",
        "Precision–recall",
        "Gain over any order",
    ]


def test_every_row_has_its_figure_publishers_too() -> None:
    sites = scored_sites()
    rows = evaluated(sites)["within_site"]
    figures = list(curve_figures(rows, sites, "mean"))
    assert len(figures) == len(rows)
    assert any("ieee8023/eurorad.org" in figure.caption for figure in figures)
    for figure, row in zip(figures, rows, strict=True):
        assert figure.caption.startswith(
            f"{row['question']} at {row['site']} (left out), ranked by {row['ranked_by']}:"
        )
        assert figure.plots[0].title == f"ROC, area {row['auroc']['value']:.3f}"


def test_a_row_whose_scores_are_not_at_hand_has_no_figure() -> None:
    sites = scored_sites()
    rows: list[dict[str, Any]] = evaluated(sites)["within_site"]
    assert list(curve_figures(rows, [], "mean")) == []
    assert (
        list(curve_figures(rows, [dataclasses.replace(sites[0], exposure=Exposure.HELD_OUT)], "mean")) == []
    )


def test_a_histogram_has_a_line_for_each_label_and_its_tallest_bar_is_the_height() -> None:
    covid, normal = [0.97, 0.97, 0.12, 0.22], [0.02, 0.02, 0.07, 0.97]
    made = site(*(("covid", score) for score in covid), *(("normal", score) for score in normal))
    (plot,) = histogram_figure([made], "mean", OperatingPoints(urgent=0.5, high=0.25)).plots
    assert [(line.kind, line.label) for line in plot.lines] == [
        ("covid", "covid (4)"),
        ("normal", "normal (4)"),
    ]
    assert plot.top == "50.0%"
    ill, well = (line.path.split() for line in plot.lines)
    assert ill[-4:] == ["190.0,200.0", "190.0,0.0", "200.0,0.0", "200.0,200.0"]
    assert well[:5] == ["0.0,200.0", "0.0,0.0", "10.0,0.0", "10.0,100.0", "20.0,100.0"]
    assert [(line.label, line.x) for line in plot.thresholds] == [("urgent", 100.0), ("high", 50.0)]


def test_a_bundle_without_operating_points_has_no_lines_for_them() -> None:
    (plot,) = histogram_figure([PERFECT], "mean", None).plots
    assert plot.thresholds == ()
    assert len(histogram_figure(scored_sites(), "mean", POINTS).plots) == 4


def test_points_that_would_be_drawn_on_one_another_are_drawn_once() -> None:
    made = scored_site("nih", {"pneumonia": 4000, "normal": 4000}, 1.0)
    drawn = plots(made, "pneumonia against normal")
    for plot in drawn.values():
        for drawn_line in plot.lines:
            written = drawn_line.path.split()
            assert all(one != other for one, other in pairwise(written))
    assert len(points(drawn["ROC"])) <= 2 * 10 * SIDE + 1  # tenths of a unit, and it never goes back


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1), st.sampled_from(["", "high", "urgent"])), max_size=4
    ),
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["high", "urgent"])), max_size=2),
)
def test_no_label_is_upon_another(
    dots: list[tuple[float, float, str]], thresholds: list[tuple[float, str]]
) -> None:
    plot = Plot(
        title="",
        x="",
        y="",
        lines=(line(CHANCE, "reference"),),
        dots=tuple(dot(*one) for one in dots),
        thresholds=tuple(dot(x, 0, label) for x, label in thresholds),
    )
    labels = plot.labels
    assert sorted(label.text for label in labels) == sorted(text for *_, text in (*dots, *thresholds) if text)
    for number, label in enumerate(labels):
        assert 0 < label.y <= SIDE
        assert not any(label.covers(other) for other in labels[number + 1 :])


def test_the_legend_is_below_the_plot_and_has_the_lines_with_a_label() -> None:
    plot = Plot(title="", x="", y="", lines=(line(CHANCE, "reference"), line(CHANCE, "covid", "covid (3)")))
    assert [one.label for one in plot.legend] == ["covid (3)"]
