"""Render the page of an evaluation: bundle, evaluation and scores in, one HTML file out.

The file needs nothing else, neither a network connection nor scripts. Names come from foreign data: everything passes
through `cxrbatch._lib.text.visible` and is escaped by Jinja2. A Content-Security-Policy allows the page's own style,
by hash, and nothing else.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment

from cxrbatch._lib.version import __version__
from cxrbatch.bundle import Bundle
from cxrbatch.evaluation.matched import area_of, site_auroc
from cxrbatch.evaluation.plots import curve_figures, histogram_figure
from cxrbatch.evaluation.score_sections import confound_floor
from cxrbatch.evaluation.sections import all_sections, headline_row
from cxrbatch.evaluation.site_scores import SiteScores
from cxrbatch.evaluation.targets import USEFUL_AUROC, targets
from cxrbatch.pages import interval, make_environment

_HERE = Path(__file__).parent


def evaluation_html(bundle: Bundle, evaluation: Mapping[str, Any], sites: Sequence[SiteScores] = ()) -> str:
    """Render the page.

    Parameters
    ----------
    bundle : Bundle
    evaluation : mapping
        From `cxrbatch.evaluation.evaluate_sites`.
    sites : sequence of SiteScores
        Scores that were evaluated, for the plots. Without them there are no plots.

    Returns
    -------
    str
        HTML. The same arguments give the same text.
    """
    row = headline_row(evaluation)
    compared = targets(evaluation)
    return (
        _environment()
        .get_template("page.html")
        .render(
            bundle=bundle,
            headline=row,
            headline_auroc=site_auroc(row) if row else None,
            headline_mark=USEFUL_AUROC.mark(area_of(row)) if row else "",
            floor=confound_floor(evaluation, row),
            sentences=list(dict.fromkeys([*evaluation.get("verdict", ()), *evaluation.get("caveats", ())])),
            n_targets=len(compared),
            n_missed=sum(target.missed for target in compared),
            n_unmeasured=sum(target.value is None for target in compared),
            sections=all_sections(bundle, evaluation),
            curves=list(curve_figures(evaluation.get("within_site", ()), sites, bundle.aggregation)),
            histograms=histogram_figure(sites, bundle.aggregation, bundle.operating_points),
            provenance=list(_provenance(bundle.training)),
        )
    )


def _provenance(training: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Written by cxrbatch", __version__
    if recipe := training.get("recipe"):
        yield "Trained by recipe", recipe["name"]
    else:
        yield "Training", training.get("origin", "not known; the network was made elsewhere")
    if stopping := training.get("stopping"):
        yield "Stopped", stopping
    if parameters := training.get("parameters"):
        yield "Parameters", f"{parameters:,}"
    for name, version in training.get("versions", {}).items():
        yield f"Trained with {name}", version


@cache
def _environment() -> Environment:
    made = make_environment(_HERE)
    made.filters.update(interval=interval)
    return made
