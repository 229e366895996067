"""Render the page of an audit: `Audit` in, HTML out.

The page is one file that needs no other. It shares style and parts with the page of an evaluation.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from jinja2 import Environment

from cxrbatch._lib.version import __version__
from cxrbatch.audit.calibration import BINS
from cxrbatch.audit.figures import Audit
from cxrbatch.audit.sections import all_sections
from cxrbatch.audit.summary import summarise
from cxrbatch.pages import CHANCE, Figure, Plot, dot, line, make_environment

_HERE = Path(__file__).parent
_KIND = {"list": ("curve", "the list"), "arrival": ("other", "arrival")}


def audit_html(audit: Audit, table_sha256: str) -> str:
    """Render the page.

    Parameters
    ----------
    audit : Audit
    table_sha256 : str
        SHA-256 of the CSV beside it, in hexadecimal.

    Returns
    -------
    str
        HTML; the same for the same arguments.
    """
    tested = [episode for episode in audit.found.episodes if episode.is_positive is not None]
    return (
        _environment()
        .get_template("page.html")
        .render(
            audit=audit,
            n_tested=len(tested),
            n_positive=sum(episode.is_positive is True for episode in tested),
            sentences=summarise(audit),
            sections=all_sections(audit),
            figure=Figure(caption="Order and score, by the results", plots=tuple(_plots(audit))),
            version=__version__,
            table_sha256=table_sha256,
        )
    )


def _plots(audit: Audit) -> Iterator[Plot]:
    if audit.curves:
        yield Plot(
            title="Gain within a night",
            x="share of the night tested",
            y="share of the PCR-positive found",
            lines=(
                line(CHANCE, "reference", "random"),
                *(line(points, *_KIND[order]) for order, points in audit.curves.items()),
            ),
        )
    points = list(_reliability(audit))
    if points:
        yield Plot(
            title="PCR-positive by score",
            x="mean score of the part",
            y="share PCR-positive",
            lines=(line(CHANCE, "reference"), line(points)),
            dots=tuple(dot(*point) for point in points),
        )


def _reliability(audit: Audit) -> Iterator[tuple[float, float]]:
    for part in range(1, BINS + 1):
        score, positive = (
            audit.get("calibration", f"quintile_{part}_{name}").value for name in ("score", "positive")
        )
        if score is not None and positive is not None:
            yield score, positive


@cache
def _environment() -> Environment:
    return make_environment(_HERE)
