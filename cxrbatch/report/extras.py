"""Hold what the page shows beside the run; it is no part of the run, so no table, state or log gets it."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cxrbatch.records import PatientKey, PatientTriage
from cxrbatch.report.viewer import ViewerUrl


@dataclass(frozen=True, slots=True, kw_only=True)
class PageExtras:
    """What the page shows beside the run.

    Attributes
    ----------
    show : tuple of str
        Names of `cxrbatch._lib.ranges.SHOWABLE`, in their order: one column holds them.
    shown : mapping of PatientKey to tuple of str
        Their values for each patient; a patient whose file is not there any more is missing.
    viewer : ViewerUrl or None
        Address of the hospital's viewer.
    previous : tuple of str and datetime.date, or None
        Relative address of the page of the previous report, and its night.
    thumbnail : callable
        Returns the thumbnail of a patient's top image (JPEG), empty where there is none: the page takes one after the
        other, so that they are never in memory together.
    """

    show: tuple[str, ...] = ()
    shown: Mapping[PatientKey, tuple[str, ...]] = field(default_factory=dict, repr=False)
    viewer: ViewerUrl | None = None
    previous: tuple[str, dt.date] | None = None
    thumbnail: Callable[[PatientTriage], bytes] = field(default=lambda _: b"", repr=False)

    def of(self, patient: PatientTriage) -> tuple[str, ...] | None:
        """Return the values of a patient; None where no file of the patient is there."""
        return self.shown.get(patient.patient_key)

    def link(self, patient: PatientTriage) -> str:
        """Make the link to the viewer; empty where there is none."""
        return self.viewer.link(patient) if self.viewer else ""
