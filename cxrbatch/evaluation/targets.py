"""Compare an evaluation with the targets of a bundle: evaluation in, targets with their outcome out.

Only figures of a site that took no part in training count, where a target does not ask for patients held out. Where
that is not known, the outcome states it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cxrbatch.datasets import OF_CHILDREN
from cxrbatch.evaluation.matched import site_auroc
from cxrbatch.evaluation.site_scores import Exposure
from cxrbatch.pages import figure, interval, percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Lower or upper limit of a figure.

    Attributes
    ----------
    bound : float
    at_least : bool
        True for a lower limit, False for an upper limit.
    share : bool
        True if it is written as a percentage.
    """

    bound: float
    at_least: bool = True
    share: bool = False

    def fails(self, value: float | None) -> bool:
        """Check whether a figure is on the wrong side; a figure that could not be computed is not."""
        return value is not None and (value < self.bound if self.at_least else value > self.bound)

    def mark(self, value: float | None) -> str:
        """Return the mark beside a figure: ``below 0.80``, ``above 2%``; empty where nothing is wrong."""
        return f"{'below' if self.at_least else 'above'} {self._bound()}" if self.fails(value) else ""

    def __str__(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {self._bound()}"

    def _bound(self) -> str:
        return f"{self.bound:.0%}" if self.share else f"{self.bound:.2f}"


USEFUL_AUROC = Limit(bound=0.80)
WITHOUT_LUNGS = Limit(bound=0.60, at_least=False)
MARKER_SHIFT = Limit(bound=0.02, at_least=False, share=True)
URGENT_HEALTHY = Limit(bound=0.10, at_least=False, share=True)

ILL = "pneumonia against normal"
COVID = "COVID-19 against normal"
KIND = "COVID-19 against other pneumonia"
ANY = "any pneumonia against normal"

_Sought = Sequence[tuple[str, str, Limit]]
"""Site, question and limit of each target."""

_AUROCS: _Sought = (
    ("nih", ILL, USEFUL_AUROC),
    ("kaggle", ILL, Limit(bound=0.92)),
    ("ieee8023", COVID, USEFUL_AUROC),
    ("ieee8023/radiopaedia.org", KIND, Limit(bound=0.70)),
    ("ieee8023/eurorad.org", KIND, Limit(bound=0.70)),
    ("siim", COVID, Limit(bound=0.76)),
)
_HELD_OUT_AUROCS: _Sought = (
    ("siim", COVID, Limit(bound=0.92)),
    ("siim", KIND, Limit(bound=0.78)),
)
_HELD_OUT_PERSONS: _Sought = (
    ("siim", COVID, Limit(bound=0.85)),
    ("siim", ANY, Limit(bound=0.75)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One target, with its measured figure.

    Attributes
    ----------
    text : str
        Name of the figure, and the site.
    limit : Limit
    value : float or None
        None where it was not measured.
    figure : str
        The value as it is written, with its interval where there is one.
    exposure : str
        Part of the site that the networks had seen in training (`cxrbatch.evaluation.Exposure`).
    """

    text: str
    limit: Limit
    value: float | None = None
    figure: str = "not measured"
    exposure: str = ""

    @property
    def missed(self) -> bool:
        """True if the figure was measured and is on the wrong side of the limit."""
        return self.limit.fails(self.value)

    @property
    def outcome(self) -> str:
        """Outcome in words."""
        if self.value is None:
            return "not measured"
        if self.missed:
            return "not reached"
        unknown = self.exposure == Exposure.UNKNOWN
        return "reached, if the bundle was not taught there" if unknown else "reached"


def targets(evaluation: Mapping[str, Any]) -> list[Target]:
    """Compare an evaluation with all targets.

    Returns
    -------
    list of Target
        Those not reached first, then those not measured, then those reached.
    """
    parts = (_aurocs, _held_out, _without_lungs, _markers, _urgent)
    found = [target for part in parts for target in part(evaluation)]
    return sorted(found, key=lambda target: (not target.missed, target.value is not None))


def without_lungs(perturbation: str) -> bool:
    """Check whether a change removes the lungs, which the score ought to use."""
    return perturbation.startswith("lungs blacked out")


def pastes_a_marker(perturbation: str) -> bool:
    """Check whether a change adds a letter or an arrow, as a technician does."""
    return perturbation.startswith(("marker", "arrow"))


def healthy_adults(share: Mapping[str, Any]) -> bool:
    """Check whether a row is about healthy adults of a source that, as far as is known, took no part in training."""
    return bool(share["label"] == "normal" and share["source"] not in OF_CHILDREN and _counts(share))


def _counts(row: Mapping[str, Any]) -> bool:
    return bool(row["exposure"] != Exposure.HELD_OUT)


def _aurocs(evaluation: Mapping[str, Any]) -> Iterator[Target]:
    yield from _compared(_rows(evaluation), _AUROCS, "AUROC", site_auroc)


def _held_out(evaluation: Mapping[str, Any]) -> Iterator[Target]:
    """Compare figures of patients held out: of other patients of their site the networks have learnt."""
    rows = [row for row in evaluation.get("within_site", ()) if not _counts(row)]
    yield from _compared(rows, _HELD_OUT_AUROCS, "AUROC of patients held out", site_auroc)
    what = "Share of persons held out whose film with the finding has the higher score"
    yield from _compared(rows, _HELD_OUT_PERSONS, what, _right_within_patient)


def _right_within_patient(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    found = row.get("within_patient")
    return found["patient_mean"] if found else None


def _compared(
    rows: Sequence[Mapping[str, Any]],
    sought: _Sought,
    what: str,
    estimate_of: Callable[[Mapping[str, Any]], Mapping[str, Any] | None],
) -> Iterator[Target]:
    for site, contrast, limit in sought:
        found = [(row, estimate_of(row)) for row in rows if _contrast(row) == (site, contrast)]
        measured = [(row, estimate) for row, estimate in found if estimate is not None]
        if not measured:
            yield Target(text=f"{what}, {contrast} at {site}", limit=limit)
        for row, estimate in measured:
            yield Target(
                text=f"{what}, {_place(row)}",
                limit=limit,
                value=estimate["value"],
                figure=interval(estimate),
                exposure=row["exposure"],
            )


def _without_lungs(evaluation: Mapping[str, Any]) -> Iterator[Target]:
    found = [
        Target(
            text=f"AUROC with the {name}, {_place(row)}",
            limit=WITHOUT_LUNGS,
            value=perturbation["auroc"],
            figure=figure(perturbation["auroc"]),
            exposure=row["exposure"],
        )
        for row in _rows(evaluation)
        for name, perturbation in row["audits"].items()
        if without_lungs(name)
    ]
    yield from found or [Target(text="AUROC with the lungs blacked out", limit=WITHOUT_LUNGS)]


def _markers(evaluation: Mapping[str, Any]) -> Iterator[Target]:
    found = [_worst_marker(row) for row in _rows(evaluation) if any(map(pastes_a_marker, row["audits"]))]
    yield from found or [Target(text="Median move in the list with a marker pasted", limit=MARKER_SHIFT)]


def _worst_marker(row: Mapping[str, Any]) -> Target:
    shifts = {
        name: perturbation["median_rank_shift"]
        for name, perturbation in row["audits"].items()
        if pastes_a_marker(name)
    }
    name = max(shifts, key=lambda name: shifts[name])
    return Target(
        text=f"Median move in the list with {name}, {_place(row)}",
        limit=MARKER_SHIFT,
        value=shifts[name],
        figure=percent(shifts[name]),
        exposure=row["exposure"],
    )


def _urgent(evaluation: Mapping[str, Any]) -> Iterator[Target]:
    found = [
        Target(
            text=f"Healthy adults of {row['source']} called urgent ({row['n']} patients)",
            limit=URGENT_HEALTHY,
            value=row["urgent"],
            figure=percent(row["urgent"]),
            exposure=row["exposure"],
        )
        for row in evaluation.get("shares", ())
        if healthy_adults(row)
    ]
    yield from found or [
        Target(text="Healthy adults of a left-out source called urgent", limit=URGENT_HEALTHY)
    ]


def _rows(evaluation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Select the rows of the contrasts that have a target."""
    contrasts = {(site, contrast) for site, contrast, _ in _AUROCS}
    return [row for row in evaluation.get("within_site", ()) if _counts(row) and _contrast(row) in contrasts]


def _contrast(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["site"], row["question"]


def _place(row: Mapping[str, Any]) -> str:
    return f"{row['question']} at {row['site']}, ranked by {row['ranked_by']}"
