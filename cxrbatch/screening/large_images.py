"""Read again the images of the first patients of a list, to look at: the list in, the list with large images out.

Runs after the list is made, in worker processes of this machine and within the limits. What cannot be read again
keeps its thumbnail.
"""

import datetime as dt
import io
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxrbatch._lib.packed import Packed, with_changes
from cxrbatch.bundle import Bundle
from cxrbatch.discover import classify_found, found_again
from cxrbatch.engines import Decode, Engine, EngineOptions, default_workers, prepare_in_order
from cxrbatch.explain import Explanation, explain, has_maps
from cxrbatch.prepare import PrepareOptions, thumbnail
from cxrbatch.records import EarlierEntry, FoundFile, ImageRef, ModelInput, PatientKey, PatientTriage, Place
from cxrbatch.screening.page_extras import NOT_READ_AGAIN
from cxrbatch.state import State

_LOG = logging.getLogger(__name__)

THUMBNAIL_PX = 88
"""Long side of the image beside a patient on the page."""
LARGE_PX = 512
"""Long side of the large image of a patient."""
_PER_WORKER = 6

Patients = Packed[PatientTriage]


def first_patients(patients: Iterable[PatientTriage], n: int) -> list[PatientTriage]:
    """Choose the first `n` ranked patients, and the first `n` without a score whose image might be decoded."""
    ranked: list[PatientTriage] = []
    unscored: list[PatientTriage] = []
    for patient in patients:
        if patient.is_ranked and len(ranked) < n:
            ranked.append(patient)
        elif _may_be_decoded(patient) and len(unscored) < n:
            unscored.append(patient)
    return [*ranked, *unscored]


def _may_be_decoded(patient: PatientTriage) -> bool:
    return patient.status == "not_scored" and patient.reason not in NOT_READ_AGAIN


def with_large_images(
    patients: Patients,
    find: Callable[[PatientTriage], FoundFile],
    n: int,
    bundle: Bundle,
    engine: Engine,
    options: EngineOptions,
) -> Patients:
    """Add large images, and maps of where the network looked, to the first patients.

    Parameters
    ----------
    find : callable
        Makes the record of the file of a patient's top image, as it was when it was found tonight.
    n : int
        Number of ranked patients, and of patients without a score; 0 for none.
    """
    chosen = [patient for patient in first_patients(patients, n) if _is_here(patient)] if n else []
    if not chosen:
        return patients
    refs = [_ref(find(patient)) for patient in chosen]
    prepare = PrepareOptions(
        spec=bundle.preprocess,
        display_px=LARGE_PX,
        full_size=options.decode is Decode.FULL,
        limits=options.limits,
        from_store=any(ref.object for ref in refs if ref),
    )
    readable = [ref for ref in refs if ref is not None]
    prepared: dict[str, ModelInput] = {}
    ranked = {patient.top_image for patient in chosen if patient.is_ranked}
    items = _noted(_prepared(readable, prepare, options), prepared)
    maps = _explained(items, ranked, engine) if ranked else {}
    list(items)  # where nobody is ranked, no network is started and nothing was read yet
    _LOG.debug("read %d large images, made %d maps", len(prepared), len(maps))
    asked = {patient.patient_key for patient in chosen}  # a file of another night may have the same name
    return _changed(patients, asked, lambda patient: _with(patient, prepared, maps))


def top_file(folder: Place, state: State, patient: PatientTriage) -> FoundFile:
    """Make the record of the file of a patient's top image, as it was when it was found."""
    return found_again(folder, patient.top_image, state.version(patient.stored_id))


def allows_maps(patients: Iterable[PatientTriage], engine: Engine) -> bool:
    """Check whether the network allows maps, if there is a patient who could have one."""
    return not any(patient.large_image and patient.is_ranked for patient in patients) or has_maps(
        engine.network
    )


def with_kept_images(patients: Patients, state: State, n: int) -> Patients:
    """Add the kept large images of patients whose file is gone, and keep those of tonight's first `n` patients.

    Whoever is not among them any more has none kept.
    """
    kept = state.large_images.get()
    shown = _changed(patients, kept, lambda patient: _with_kept(patient, kept))
    first = islice((patient for patient in shown if patient.is_ranked), n)
    state.large_images.replace(
        (patient.patient_key, patient.top_image, patient.large_image)
        for patient in first
        if patient.large_image
    )
    return shown


def _with_kept(patient: PatientTriage, kept: Mapping[PatientKey, tuple[str, bytes]]) -> PatientTriage:
    name, jpeg = kept.get(patient.patient_key, ("", b""))
    if patient.large_image or name != patient.top_image or not patient.is_ranked:
        return patient
    return replace(patient, large_image=jpeg)


def with_earlier_entries(patients: Patients, state: State, tonight: dt.date) -> Patients:
    """Add to patients who wait since an earlier night where they stood on the lists of the nights of their wait."""
    since = {
        patient.patient_key: tonight - dt.timedelta(days=patient.nights_waiting)
        for patient in patients
        if patient.nights_waiting
    }
    earlier: defaultdict[PatientKey, list[EarlierEntry]] = defaultdict(list)
    for entry in state.lists.entries(since=min(since.values(), default=tonight)):
        if since.get(entry.patient_key, tonight) <= entry.night < tonight:
            found = EarlierEntry(night=entry.night, position=entry.position, score=entry.score)
            earlier[entry.patient_key].append(found)
    return _changed(
        patients, earlier, lambda patient: replace(patient, earlier=tuple(earlier[patient.patient_key]))
    )


def _changed(
    patients: Patients, keys: Container[PatientKey], change: Callable[[PatientTriage], PatientTriage]
) -> Patients:
    """Change the patients with some keys; the others are not copied."""
    return with_changes(
        patients,
        ((index, change(patient)) for index, patient in enumerate(patients) if patient.patient_key in keys),
    )


def _is_here(patient: PatientTriage) -> bool:
    return all(image.is_here for image in patient.images if image.name == patient.top_image)


def _ref(file: FoundFile) -> ImageRef | None:
    ref = classify_found(file)
    return ref if isinstance(ref, ImageRef) else None


def _prepared(
    refs: Sequence[ImageRef], prepare: PrepareOptions, options: EngineOptions
) -> Iterator[ModelInput]:
    if not refs:
        return
    most = options.n_workers or default_workers()
    few = replace(options.on_this_machine(), n_workers=min(most, -(-len(refs) // _PER_WORKER)))
    for item in prepare_in_order(refs, prepare, few):
        if isinstance(item, ModelInput):
            yield item


def _noted(items: Iterable[ModelInput], prepared: dict[str, ModelInput]) -> Iterator[ModelInput]:
    for item in items:
        prepared[item.name] = item
        yield item


def _explained(
    items: Iterable[ModelInput], ranked: Collection[str], engine: Engine
) -> dict[str, Explanation]:
    """Make maps of the ranked ones while the others are still read; all items are taken."""
    names: list[str] = []

    def pixels() -> Iterator[NDArray[np.uint8]]:
        for item in items:
            if item.name in ranked:
                names.append(item.name)
                yield item.pixels

    explanations = list(explain(pixels(), engine.network))
    return dict(zip(names, explanations, strict=True))


def _with(
    patient: PatientTriage, prepared: Mapping[str, ModelInput], maps: Mapping[str, Explanation]
) -> PatientTriage:
    if patient.top_image not in prepared:
        return patient
    large, explanation = prepared[patient.top_image].thumbnail, maps.get(patient.top_image)
    shown = replace(patient, large_image=large)
    if explanation is None:
        return shown
    return replace(
        shown,
        evidence=explanation.evidence,
        outside_lungs=explanation.outside_lungs,
    )


def thumbnail_of(patient: PatientTriage, state: State) -> bytes:
    """Find the thumbnail of a patient's top image (JPEG); empty where there is none.

    A file that was refused by its header alone has none in the state: it is made from the large image.
    """
    if (stored := state.thumbnail(patient.stored_id)) or not patient.large_image:
        return stored
    with Image.open(io.BytesIO(patient.large_image), formats=["JPEG"]) as image:
        return thumbnail(np.asarray(image), THUMBNAIL_PX)
