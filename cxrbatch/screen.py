"""A folder in, a report out: the one module that composes all stages."""

import datetime as dt
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from cxrbatch import __version__, runtime
from cxrbatch.aggregate import aggregate
from cxrbatch.bundle import DEFAULT_BUNDLE, Bundle
from cxrbatch.chestlike import ChestCheck
from cxrbatch.discover import discover
from cxrbatch.duplicates import DuplicateFilter
from cxrbatch.errors import NoImageFound, UsageProblem
from cxrbatch.infer import KerasPredictor, score_images
from cxrbatch.operating_points import choose_bundle
from cxrbatch.pool import Prepared, ReaderPool, default_workers
from cxrbatch.prepare import PrepareOptions
from cxrbatch.prevalence import prevalence_note, with_probabilities
from cxrbatch.pseudonym import Pseudonymiser
from cxrbatch.read.patient import PatientRule
from cxrbatch.records import (
    Failure,
    ImageRef,
    ImageScore,
    ModelInput,
    PatientTriage,
    Provenance,
    TriageRun,
)
from cxrbatch.report import check_writable, write_report
from cxrbatch.runtime import Device, Precision

THUMBNAIL_PX = 88


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenOptions:
    """How a run executes; nothing here, precision apart, changes a score by more than 1e-5.

    Attributes
    ----------
    bundle : Path
        Folder of the bundle.
    batch_size, n_workers : int or None
        None: what suits the machine.
    patients : PatientRule
        Who the patient of a PNG or JPEG is.
    operating_points : Path or None
        File with other operating points than the bundle's own.
    prevalence : float or None
        Share of the patients with COVID-19, above 0 and below 1, for which probabilities are given.
    pseudonym_key : Path or None
        File with the key that replaces identifiers in the report.
    show_progress : bool
        A progress bar on stderr.
    """

    bundle: Path = DEFAULT_BUNDLE
    batch_size: int | None = None
    n_workers: int | None = None
    device: Device = Device.AUTO
    precision: Precision = Precision.AUTO
    patients: PatientRule = PatientRule()
    operating_points: Path | None = None
    prevalence: float | None = None
    pseudonym_key: Path | None = None
    show_progress: bool = False


def screen(folder: Path, out: Path, options: ScreenOptions) -> TriageRun:
    """Score every radiograph in a folder and write the report.

    Parameters
    ----------
    folder : Path
        Only read, never written to.
    out : Path
        The CSV; ``.files.csv`` and ``.html`` are written beside it.

    Raises
    ------
    CxrbatchError
        Nothing was written.
    """
    _check_places(folder, out)
    pseudonymise = Pseudonymiser.from_file(options.pseudonym_key) if options.pseudonym_key else None
    bundle = choose_bundle(options.bundle, options.operating_points, options.prevalence)
    run = run_folder(folder, bundle, options)
    write_report(pseudonymise(run) if pseudonymise else run, out)
    return run


def run_folder(folder: Path, bundle: Bundle, options: ScreenOptions) -> TriageRun:
    """Everything but the writing: discover → read → gate → preprocess → infer → aggregate.

    Raises
    ------
    NoImageFound
        There is not one image in the folder.
    """
    started, clock = dt.datetime.now().astimezone(), time.monotonic()
    found = list(discover(folder))
    refs = [item for item in found if isinstance(item, ImageRef)]
    failures = [
        replace(item, header=options.patients.unread_header(item.name))
        for item in found
        if isinstance(item, Failure)
    ]
    if not refs and all(failure.skipped for failure in failures):
        raise NoImageFound(f"{folder}: {len(found)} files, not one image; is the export mounted?")
    images, refused, provenance = _score(refs, bundle, options)
    failures += refused
    return TriageRun(
        folder=str(folder),
        n_found=len(found),
        started=started,
        duration_s=time.monotonic() - clock,
        patients=_with_probabilities(
            aggregate(images, failures, bundle.aggregation, bundle.operating_points),
            bundle,
            options.prevalence,
        ),
        images=tuple(sorted(images, key=lambda image: image.name)),
        failures=tuple(sorted(failures, key=lambda failure: failure.name)),
        provenance=provenance,
        notes=_notes(bundle, options.prevalence),
        prevalence=options.prevalence,
    )


def _with_probabilities(
    patients: tuple[PatientTriage, ...], bundle: Bundle, prevalence: float | None
) -> tuple[PatientTriage, ...]:
    if prevalence is None:
        return patients
    return with_probabilities(patients, bundle.require_calibration(), prevalence)


def _notes(bundle: Bundle, prevalence: float | None) -> tuple[str, ...]:
    if prevalence is None:
        return bundle.notes
    return (*bundle.notes, prevalence_note(bundle.require_calibration(), prevalence))


def _score(
    refs: list[ImageRef], bundle: Bundle, options: ScreenOptions
) -> tuple[list[ImageScore], list[Failure], Provenance]:
    prepare_options = PrepareOptions(
        spec=bundle.preprocess,
        pixel_check=ChestCheck.load(bundle.gate_path),
        patients=options.patients,
        thumbnail_px=THUMBNAIL_PX,
    )
    refused: list[Failure] = []
    with ReaderPool(prepare_options, options.n_workers or default_workers()) as pool:
        prepared = pool.prepare(refs)  # reading begins while TensorFlow is being imported
        started = runtime.start(options.device, options.precision)
        predictor = KerasPredictor(bundle, started, options.batch_size)
        progress = tqdm(
            prepared, total=len(refs), unit="file", disable=not options.show_progress, leave=False
        )
        inputs = _scorable(progress, DuplicateFilter(), refused.append)
        images = list(score_images(inputs, predictor, predictor.batch_size, started))
    return images, refused, _provenance(bundle, started, predictor.batch_size)


def _scorable(
    prepared: Iterable[Prepared], duplicates: DuplicateFilter, refuse: Callable[[Failure], None]
) -> Iterator[ModelInput]:
    for item in prepared:
        kept = item if isinstance(item, Failure) else duplicates(item)
        if isinstance(kept, Failure):
            refuse(kept)
        else:
            yield kept


def _provenance(bundle: Bundle, started: runtime.Runtime, batch_size: int) -> Provenance:
    return Provenance(
        bundle_id=bundle.id,
        bundle_sha256=bundle.sha256,
        cxrbatch_version=__version__,
        tensorflow_version=started.tensorflow.__version__,
        device=started.device,
        precision=started.precision,
        batch_size=batch_size,
    )


def _check_places(folder: Path, out: Path) -> None:
    if not folder.is_dir():
        raise UsageProblem(f"{folder}: no such folder; is the export mounted?")
    if out.resolve().is_relative_to(folder.resolve()):
        raise UsageProblem(
            f"--out {out}: lies inside the screened folder, which is only read; choose another place"
        )
    check_writable(out)
