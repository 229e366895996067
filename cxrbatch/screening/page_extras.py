"""Collect what the page alone shows: the run and its folder in, `PageExtras` out."""

import datetime as dt
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from cxrbatch._lib.safe_open import NotRegular
from cxrbatch.discover import classify_found, found_below
from cxrbatch.errors import UsageProblem
from cxrbatch.limits import Limits
from cxrbatch.prepare import held
from cxrbatch.read import ShownHeader, read_shown
from cxrbatch.reasons import Reason, Refusal
from cxrbatch.records import (
    FoundFile,
    ImageRef,
    PatientImage,
    PatientKey,
    PatientTriage,
    Place,
    TriageRun,
)
from cxrbatch.report import PageExtras, ViewerUrl
from cxrbatch.screening.options import ScreenOptions
from cxrbatch.state import State

NOT_READ_AGAIN = frozenset(
    {Reason.CORRUPT, Reason.TRUNCATED, Reason.TIMEOUT, Reason.TOO_LARGE, Reason.UNREADABLE}
)
"""Reasons of files that may harm who reads them again, or cannot be read."""


def check_page_options(options: ScreenOptions) -> None:
    """Check what the page is to show, before the run.

    Raises
    ------
    UsageProblem
        It would undo the pseudonyms, or is no address of a viewer.
    """
    for name, asked in (("--show", options.show), ("--viewer-url", options.viewer_url)):
        if asked and options.pseudonym_key:
            raise UsageProblem(
                f"{name}: with --pseudonymise a report tells nobody who a patient is; leave one out"
            )
    _viewer(options)


def _viewer(options: ScreenOptions) -> ViewerUrl | None:
    return ViewerUrl.parse(options.viewer_url, options.viewer_scheme) if options.viewer_url else None


def page_extras(
    run: TriageRun,
    folder: Place,
    options: ScreenOptions,
    thumbnail: Callable[[PatientTriage], bytes],
    previous: tuple[str, dt.date] | None = None,
) -> PageExtras:
    """Collect what the page shows beside the run.

    Parameters
    ----------
    run : TriageRun
    folder : Path or ObjectPrefix
        That was screened.
    options : ScreenOptions
    thumbnail : callable
        Returns the thumbnail of a patient.
    previous : tuple of str and datetime.date, optional
        From `link_to_previous`.
    """
    return PageExtras(
        show=options.show,
        shown=dict(_shown(run, folder, options)),
        viewer=_viewer(options),
        previous=previous,
        thumbnail=thumbnail,
    )


def link_to_previous(state: State, page: Path, options: ScreenOptions) -> tuple[str, dt.date] | None:
    """Make the relative address of the previous report's page, and its night; None where there is none any more.

    A report with pseudonyms leaves the hospital, and names no place in it.
    """
    found = None if options.pseudonym_key else state.lists.previous_page(page)
    if not found or not found[1].is_file():
        return None
    night, previous = found
    address = os.path.relpath(previous, page.absolute().parent)
    return quote(os.fsencode(address.replace(os.sep, "/"))), night


def _shown(
    run: TriageRun, folder: Place, options: ScreenOptions
) -> Iterator[tuple[PatientKey, tuple[str, ...]]]:
    """Read the headers of files that are still there, one for each patient."""
    for patient in run.patients if options.show else ():
        for image in _by_use(patient):
            header = _header(found_below(folder, image.name), options.engine.limits)
            if header and _is_of(header, patient):
                yield patient.patient_key, tuple(header.values.get(name, "") for name in options.show)
                break
        else:
            if any(image.is_here and image.reason in NOT_READ_AGAIN for image in patient.images):
                yield patient.patient_key, ("",) * len(options.show)


def _by_use(patient: PatientTriage) -> Iterable[PatientImage]:
    """Choose the images of a patient whose headers can be read, that of the score first."""
    here = [image for image in patient.images if image.is_here and image.reason not in NOT_READ_AGAIN]
    return sorted(here, key=lambda image: image.name != patient.top_image)


def _header(file: FoundFile, limits: Limits) -> ShownHeader | None:
    try:
        found = classify_found(file)
        if not isinstance(found, ImageRef):
            return None
        with held(found, limits) as (place, _):
            return read_shown(place, limits)
    except (NotRegular, Refusal, OSError, MemoryError):
        return None


def _is_of(header: ShownHeader, patient: PatientTriage) -> bool:
    """Check that the file is still that of the patient: the name of another one must not stand there."""
    key = header.patient_key
    return not key or key == patient.patient_key[: len(key) if key[0] == "file" else None]
