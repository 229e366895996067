"""Compute all figures of an audit: state and bundle in, `Audit` out."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cxrbatch.audit.calibration import calibration, scored_by
from cxrbatch.audit.drift import counted_images, drift
from cxrbatch.audit.episodes import Episodes, find_episodes, waiting
from cxrbatch.audit.estimate import ALL, AuditEstimate
from cxrbatch.audit.gain import Curve, at_k, gain, gain_curves, verification
from cxrbatch.audit.threshold import SECTION as THRESHOLD
from cxrbatch.audit.threshold import threshold
from cxrbatch.bundle import Bundle, OperatingPoints
from cxrbatch.errors import StateError
from cxrbatch.state import open_state


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Content of the table and the page of an audit; no patient is named.

    Attributes
    ----------
    first_night, last_night : datetime.date
    n_nights : int
        Number of nights with a list.
    curves : mapping of str to Curve
        Gain curves by order; empty if there are too few results.
    n_other_bundles : int
        Number of ranked waits with a result whose score is that of another bundle.
    """

    bundle: Bundle
    capacity: int | None
    sensitivity: float
    first_night: dt.date
    last_night: dt.date
    n_nights: int
    found: Episodes
    n_other_bundles: int
    estimates: tuple[AuditEstimate, ...]
    curves: Mapping[str, Curve] = field(default_factory=dict)

    def get(self, section: str, name: str, week: str = ALL) -> AuditEstimate:
        """Return a figure; one with n = 0 and no value if there is none of that name."""
        found = (one for one in self.estimates if (one.section, one.name, one.week) == (section, name, week))
        return next(found, AuditEstimate(section=section, name=name, n=0, week=week))

    def weeks(self, section: str) -> list[str]:
        """List the weeks for which a section has figures, rising; `ALL` comes last."""
        weeks = {one.week for one in self.estimates if one.section == section}
        return [*sorted(weeks - {ALL}), *sorted(weeks & {ALL})]

    @property
    def recommended(self) -> OperatingPoints | None:
        """Operating points for ``screen --operating-points``; None if there are too few results."""
        urgent, high = (self.get(THRESHOLD, band).value for band in ("urgent", "high"))
        if urgent is None or high is None:
            return None
        return OperatingPoints(urgent=urgent, high=high, measured_on=self._measured_on)

    @property
    def _measured_on(self) -> str:
        n_positive, n_negative = (self.get("calibration", name).n for name in ("n_positive", "n_negative"))
        return (
            f"PCR results of this hospital, {self.first_night} to {self.last_night}: {n_positive} positive, "
            f"{n_negative} negative; sensitivity {self.sensitivity:g} for urgent"
        )


def audit(
    state_path: Path, bundle: Bundle, *, capacity: int | None = None, sensitivity: float = 0.9
) -> Audit:
    """Compute all figures of an audit; the same state gives the same figures.

    Parameters
    ----------
    state_path : Path
        The state; it is only read.
    bundle : Bundle
        Bundle whose scores calibration, threshold and drift use.
    capacity : int or None
        Number of swabs per night; None: no figures for the first K.
    sensitivity : float
        Sensitivity that the recommended threshold must reach, above 0 and below 1.

    Raises
    ------
    StateError
        There is no such state, or no list in it.
    """
    with open_state(state_path, read_only=True) as state:
        runs = [run for run in state.runs() if run.finished]
        if not runs:
            raise StateError(
                f"state {state_path}: holds no list yet; cxrbatch screen with --state makes one every night"
            )
        images = list(state.images())
        found = find_episodes(runs, state.lists.entries(), state.pcr.results(), images)
    nights = {run.night for run in runs}
    scored = scored_by(found.episodes, bundle.sha256)
    return Audit(
        bundle=bundle,
        capacity=capacity,
        sensitivity=sensitivity,
        first_night=min(nights),
        last_night=max(nights),
        n_nights=len(nights),
        found=found,
        n_other_bundles=sum(
            episode.is_ranked and episode.is_positive is not None for episode in found.episodes
        )
        - scored.n,
        estimates=(
            *_of_the_list(found, capacity),
            *calibration(scored),
            *threshold(scored, sensitivity),
            *drift(counted_images(images), bundle),
        ),
        curves=gain_curves(found.episodes),
    )


def _of_the_list(found: Episodes, capacity: int | None) -> Iterator[AuditEstimate]:
    if capacity is not None:
        yield from at_k(found.episodes, capacity)
    yield from verification(found.episodes, capacity)
    yield from gain(found.episodes)
    yield from waiting(found.episodes)
