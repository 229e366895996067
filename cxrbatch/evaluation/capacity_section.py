"""Make the section on testing the top of a list at stated prevalences, for the page and the model card."""

from collections.abc import Iterator, Mapping
from typing import Any

from cxrbatch.pages import Cell, Section, percent, section, table
from cxrbatch.records import Expected
from cxrbatch.stats import SHARES_TESTED
from cxrbatch.triage import ListCurve

PREVALENCES = (0.02, 0.05, 0.10, 0.20)


def buys_section(evaluation: Mapping[str, Any]) -> Section | None:
    """Make the section: expected share reached, its 95 % interval, and tests per patient found.

    Returns
    -------
    Section or None
        None without a measured curve.
    """
    curve = ListCurve.of(evaluation)
    if curve is None:
        return None
    return section(
        "buys",
        "What swabs buy",
        "Expected share of those with COVID-19 who are among the first of a list, and its 95 % interval: from the "
        "mean ROC curve of the COVID-19 score within domains that took no part in training, measured on "
        f"{curve.measured_on}. Then the tests for one found, of which random order takes one over the prevalence. "
        "Random order reaches the share that is tested; where the interval holds that share, the list may be no "
        "better. The interval tells how few the patients were, and not how much hospitals differ.",
        table(
            ("prevalence", *(f"first {share:.0%} tested" for share in SHARES_TESTED)),
            1,
            (_row(curve, prevalence) for prevalence in PREVALENCES),
        ),
    )


def _row(curve: ListCurve, prevalence: float) -> Iterator[Cell]:
    yield Cell(f"{prevalence:.0%}")
    for tested in SHARES_TESTED:
        share = curve.reached(tested, prevalence)
        yield Cell(
            percent(share.value), note=f"{_interval(share)}, {_tests(share.value, tested, prevalence)}"
        )


def _interval(share: Expected) -> str:
    return f"{percent(share.low)}–{percent(share.high)}"


def _tests(share: float, tested: float, prevalence: float) -> str:
    return f"{tested / (prevalence * share):.1f} tests for one" if share > 0 else "none found"
