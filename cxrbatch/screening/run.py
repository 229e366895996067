"""Screen a folder: folder in, report out. The only module that composes all stages.

discover → (engine: read → gate → preprocess → infer) → triage → report
"""

import dataclasses
import datetime as dt
import hashlib
import json
import logging
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

from cxrbatch._lib.clock import Stopwatch, after, night_of
from cxrbatch._lib.log import FOR_PEOPLE
from cxrbatch._lib.packed import Packed
from cxrbatch._lib.text import plural
from cxrbatch._lib.version import __version__
from cxrbatch.bundle import Bundle, choose_bundle
from cxrbatch.engines import Engine, open_engine
from cxrbatch.errors import UsageProblem
from cxrbatch.infer import RuntimeChoice, choose_runtime
from cxrbatch.read import READING_VERSION
from cxrbatch.reasons import Flag
from cxrbatch.records import ObjectPrefix, PatientTriage, Place, TriageRun, place_of
from cxrbatch.report import (
    Pseudonymiser,
    page_path,
    replace_latest,
    write_csv,
    write_report,
)
from cxrbatch.screening.large_images import (
    THUMBNAIL_PX,
    allows_maps,
    thumbnail_of,
    top_file,
    with_earlier_entries,
    with_kept_images,
    with_large_images,
)
from cxrbatch.screening.options import ScreenOptions
from cxrbatch.screening.outcomes import OutcomeResolver
from cxrbatch.screening.page_extras import check_page_options, link_to_previous, page_extras
from cxrbatch.screening.patient_list import (
    add_probabilities,
    images_and_failures,
    list_patients,
    refuse_duplicates,
)
from cxrbatch.screening.places import check_places, check_stream
from cxrbatch.state import RunContext, State, persistent_state, temporary_state
from cxrbatch.terms import HeaderWords, load_header_words
from cxrbatch.triage import capacity_yield, max_wait_warning, prevalence_note

_LOG = logging.getLogger(__name__)


def screen(
    folder: str | PathLike[str] | ObjectPrefix,
    out: str | PathLike[str] | BinaryIO | None = None,
    options: ScreenOptions = ScreenOptions(),
    **changes: Any,
) -> TriageRun:
    """Score every radiograph in a folder, and write the report if `out` is given.

    Parameters
    ----------
    folder : path
        Only read, never written to; or the text ``s3://BUCKET/PREFIX``.
    out : path or binary stream, optional
        The CSV; ``.files.csv`` and ``.html`` are written beside it. A stream gets the CSV, and no other
        file is written. By default nothing is written.
    options : ScreenOptions
    **changes : any
        Fields of `ScreenOptions` and of its `EngineOptions`, instead of those in `options`.

    Returns
    -------
    TriageRun
        Everything that the report states; `TriageRun.patients_frame` and `TriageRun.files_frame` are its tables.
        Identifiers are the patients' own, also where the report has pseudonyms.

    Raises
    ------
    NoImageFound
        There is no image in the folder: an export that is not mounted is empty too.
    CxrbatchError
        No report was written; an earlier report is unchanged. The outcomes of files that were read are remembered.
    TypeError
        There is no such option.
    """
    options = options.with_changes(**changes)
    if isinstance(out, str | PathLike):
        return _screen(place_of(folder), Path(out), None, options)
    return _screen(place_of(folder), None, out, options)


def _screen(folder: Place, out: Path | None, stream: BinaryIO | None, options: ScreenOptions) -> TriageRun:
    check_places(folder, out, options)
    if stream:
        check_stream(options)
    check_page_options(options)
    if options.max_nights and not options.state:
        raise UsageProblem("--max-nights: nights are only counted with --state FILE")
    pseudonymise = Pseudonymiser.from_file(options.pseudonym_key) if options.pseudonym_key else None
    bundle = choose_bundle(options.bundle, options.operating_points, options.prevalence)
    _LOG.debug("verified bundle %s", bundle.id)
    words = load_header_words(options.header_words)
    with _open_state(out, options) as state:
        settings = _settings(bundle, options, words)
        context, warnings = _begin(folder, bundle, options, state, settings)
        run_id = state.begin(context)
        run = _run_folder(
            folder, bundle, options if out else replace(options, n_explained=0), state, context, words
        )
        ended = Stopwatch()
        warnings = (*warnings, *_max_wait_warnings(run.patients, options.capacity))
        run = replace(run, notes=(*warnings, *run.notes), warnings=warnings)
        shown = pseudonymise(run) if pseudonymise else run
        if out:
            previous = link_to_previous(state, page_path(out), options)
            extras = page_extras(shown, folder, options, partial(thumbnail_of, state=state), previous)
            write_report(shown, out, options.csv_encoding, options.formats, extras)
            _LOG.debug("wrote the report %s", out)
        elif stream:
            write_csv(shown, stream, options.csv_encoding)
        state.finish(run_id, run, options.clock(), page_path(out) if out else None)
        if out and options.latest:
            replace_latest(out)
        ended("report")
    return replace(run, stage_s={**run.stage_s, **ended.seconds})


def _open_state(out: Path | None, options: ScreenOptions) -> AbstractContextManager[State]:
    return persistent_state(options.state) if options.state else temporary_state(out)


def _begin(
    folder: Place, bundle: Bundle, options: ScreenOptions, state: State, settings: str
) -> tuple[RunContext, tuple[str, ...]]:
    """Find the night of this run; second: warnings about the clock."""
    now, last = options.clock(), state.last_night()
    night = max(night_of(now), last or dt.date.min)
    context = RunContext(
        root=str(folder.resolve() if isinstance(folder, Path) else folder),
        settings=settings,
        bundle_sha256=bundle.sha256,
        night=night,
        moment=after(now, state.last_moment()),
    )
    return context, _clock_warnings(now, last, options) if last and options.state else ()


def _clock_warnings(now: dt.datetime, last: dt.date, options: ScreenOptions) -> tuple[str, ...]:
    n_nights = (night_of(now) - last).days
    if n_nights < 0:
        return (
            f"The clock of this machine says {now:%Y-%m-%d %H:%M}, but the last run in the state was on the night "
            f"of {last}: this run counts as of that night. Set the clock.",
        )
    if n_nights >= options.expire_nights:
        return (
            f"The last run in the state was {n_nights} nights ago, on the night of {last}: whoever waited then has "
            "left the list (--expire). If the clock of this machine is wrong, set it and see docs/running.md.",
        )
    return ()


def _max_wait_warnings(patients: Iterable[PatientTriage], capacity: int | None) -> tuple[str, ...]:
    n_waited = sum(patient.is_ranked and Flag.MAX_WAIT in patient.flags for patient in patients)
    warning = max_wait_warning(n_waited, capacity) if n_waited else ""
    return (warning,) if warning else ()


def _settings(bundle: Bundle, options: ScreenOptions, words: HeaderWords = HeaderWords()) -> str:
    """Hash everything except the file that an outcome depends on; the name of the engine is not part of it."""
    engine = options.engine
    runtime = choose_runtime(bundle, engine.runtime, engine.device, engine.precision)
    parts = (
        bundle.sha256,
        __version__,
        READING_VERSION,
        options.patients.rule,
        engine.device,
        engine.precision,
        engine.decode,
        *dataclasses.astuple(replace(engine.limits, seconds=0)),  # a timeout is always tried again
        engine.max_memory_bytes,
        # without words and on TensorFlow the hash is that of earlier versions
        *filter(None, [words.digest, runtime is RuntimeChoice.LITERT and runtime]),
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _run_folder(
    folder: Place,
    bundle: Bundle,
    options: ScreenOptions,
    state: State,
    context: RunContext,
    words: HeaderWords,
) -> TriageRun:
    """Do all stages except writing: discover → resolve (read → gate → preprocess → infer) → list."""
    started, ended = options.clock(), Stopwatch()
    with _open_engine(folder, bundle, options, words) as engine:
        found = Packed(engine.discover(folder))
        n_found = len(found)
        _LOG.debug("discovered %d files", n_found)
        ended("discover")
        if found:
            _LOG.info("%s found; starting…", plural(n_found, "file"), extra=FOR_PEOPLE)
        resolved = OutcomeResolver(engine, options, state, context)(found)
        ended("resolve")
        outcomes = refuse_duplicates(resolved, state, by_night=options.state is not None)
        patients = list_patients(outcomes, bundle, options, state, context)
        images, failures = images_and_failures(outcomes)
        _LOG.debug("resolved %d files: %d scored, %d without a score", n_found, len(images), len(failures))
        _LOG.debug("listed %d patients", len(patients))
        ended("list")
        patients = with_large_images(
            patients,
            partial(top_file, folder, state),
            options.n_explained,
            bundle,
            engine,
            options.engine,
        )
        with_maps = allows_maps(patients, engine)
        ended("explain")
    if options.state:
        patients = with_kept_images(patients, state, options.n_explained)
        patients = with_earlier_entries(patients, state, context.night)
    return TriageRun(
        folder=str(folder),
        n_found=n_found,
        started=started,
        duration_s=max((options.clock() - started).total_seconds(), 0.0),
        patients=add_probabilities(patients, bundle, options.prevalence),
        images=images,
        failures=failures,
        provenance=resolved.provenance,
        notes=_notes(bundle, options.prevalence),
        worth=bundle.worth_in_pairs,
        worth_in_brief=bundle.worth_in_brief,
        thresholds=bundle.operating_points.thresholds if bundle.operating_points else {},
        prevalence=options.prevalence,
        has_maps=with_maps,
        n_remembered=resolved.n_remembered,
        capacity=capacity_yield(options.capacity, patients, bundle.evaluation, options.prevalence)
        if options.capacity
        else None,
        stage_s=ended.seconds,
    )


def _open_engine(folder: Place, bundle: Bundle, options: ScreenOptions, words: HeaderWords) -> Engine:
    return open_engine(
        bundle,
        options.engine,
        patients=options.patients,
        header_words=words,
        thumbnail_px=THUMBNAIL_PX,
        identify_files=options.state is not None,
        from_store=isinstance(folder, ObjectPrefix),
    )


def _notes(bundle: Bundle, prevalence: float | None) -> tuple[str, ...]:
    if prevalence is None:
        return bundle.notes
    return (*bundle.notes, prevalence_note(bundle.require_calibration(), prevalence))
