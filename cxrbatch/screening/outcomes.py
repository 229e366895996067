"""Every file found → its outcome: remembered from an earlier run, or read and scored now.

What is found out is remembered at once, so that a killed run goes on where it was.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from cxrbatch import __version__
from cxrbatch._lib.prefetch import prefetch
from cxrbatch.bundle.bundle import Bundle
from cxrbatch.discover import check_settled, classify
from cxrbatch.engines.pool import WorkerPool, default_workers
from cxrbatch.engines.worker import Prepared
from cxrbatch.errors import ExportVanished, NoImageFound
from cxrbatch.gate.pixel_check import StoredCheck
from cxrbatch.infer import runtime
from cxrbatch.infer.predictor import KerasPredictor, score_images
from cxrbatch.limits import share_memory
from cxrbatch.prepare import PrepareOptions
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, FoundFile, ImageRef, ModelInput, Provenance
from cxrbatch.screening.options import Decode, ScreenOptions
from cxrbatch.state.codec import Outcome
from cxrbatch.state.records import RunContext, StoredOutcome
from cxrbatch.state.store import State

THUMBNAIL_PX = 88
_AHEAD_BYTES = 16 << 20
_BESIDE_PIXELS_BYTES = 8 << 10
"""Header and thumbnail of a prepared image; half of that as a rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcomes:
    """What was found out about the files of a folder.

    Attributes
    ----------
    files : tuple of Recalled
        One for every file found, in no order.
    n_remembered : int
        Of them, those that were not read tonight.
    """

    files: tuple[StoredOutcome, ...]
    n_remembered: int
    provenance: Provenance


class OutcomeResolver:
    """Judges the files of one run.

    Parameters
    ----------
    state : State
        Asked before a file is opened, and told every outcome.
    context : Judgement
        What is written beside each.
    """

    def __init__(self, bundle: Bundle, options: ScreenOptions, state: State, context: RunContext) -> None:
        self._bundle = bundle
        self._options = options
        self._state = state
        self._judgement = context
        self._root = Path(context.root)
        self._device = _device_number(self._root)
        self._now_ns = int(options.clock().timestamp() * 1e9)

    def __call__(self, found: Sequence[FoundFile]) -> RunOutcomes:
        """Judge every file.

        Raises
        ------
        NoImageFound
            There is not one image among them.
        ExportVanished
            The folder went away; what was judged before is remembered.
        """
        files = {file.name: file for file in found}
        outcomes = {file.name: self._without_reading(file) for file in found}
        if not any(map(_is_wanted, outcomes.values())):
            raise NoImageFound(f"{self._root}: {len(found)} files, not one image; is the export mounted?")
        remembered = [outcome for outcome in outcomes.values() if isinstance(outcome, StoredOutcome)]
        judged = [
            self._put(files[outcome.name], outcome)
            for outcome in outcomes.values()
            if isinstance(outcome, Failure)
        ]
        refs = [outcome for outcome in outcomes.values() if isinstance(outcome, ImageRef)]
        try:
            provenance = self._score(refs, lambda new: judged.append(self._put(files[new.name], new)))
        finally:
            self._state.commit()
        return RunOutcomes(files=(*remembered, *judged), n_remembered=len(remembered), provenance=provenance)

    def _without_reading(self, file: FoundFile) -> StoredOutcome | ImageRef | Failure:
        if file.failure:
            return file.failure
        if not self._options.rescore:
            # With a state the list takes its thumbnails from there, and only of those who are on it.
            known = self._state.get(file, self._judgement, thumbnail=self._options.state is None)
            if known:
                return known
        changing = check_settled(file, self._options.settle_s, self._now_ns)
        return changing or classify(file.path, file.name, file.version)

    def _put(self, file: FoundFile, outcome: Outcome) -> StoredOutcome:
        if isinstance(outcome, Failure) and outcome.reason is Reason.UNREADABLE:
            self._check_export()
        if outcome.header is None:
            outcome = replace(outcome, header=self._options.patients.unread_header(outcome.name))
        return self._state.put(file, outcome, self._judgement)

    def _check_export(self) -> None:
        if self._device is None or _device_number(self._root) != self._device:
            raise ExportVanished(
                f"{self._root}: went away during the run; is the share mounted? Nothing was reported, what was read "
                "is remembered: run again"
            )

    def _score(self, refs: list[ImageRef], tell: Callable[[Outcome], object]) -> Provenance:
        options = self._options
        prepare = self._prepare_options()
        n_workers, work_bytes = share_memory(options.n_workers or default_workers(), options.max_memory_bytes)
        with (
            WorkerPool(prepare, n_workers, work_bytes) as pool,
            # Files are read while TensorFlow is being imported.
            prefetch(pool.prepare(refs), n_ahead(prepare.spec), pool.stop) as prepared,
        ):
            started = runtime.start(options.device, options.precision, network_threads())
            predictor = KerasPredictor(self._bundle, started, options.batch_size)
            refused: deque[Failure] = deque()
            progress = tqdm(
                prepared, total=len(refs), unit="file", disable=not options.show_progress, leave=False
            )
            inputs = _scorable(progress, refused.append)
            for image in score_images(inputs, predictor, predictor.batch_size, started, pool.stop):
                while refused:
                    tell(refused.popleft())
                tell(image)
            for failure in refused:
                tell(failure)
        return _provenance(self._bundle, started, predictor.batch_size, prepare.least_px)

    def _prepare_options(self) -> PrepareOptions:
        return PrepareOptions(
            spec=self._bundle.preprocess,
            pixel_check=StoredCheck(self._bundle.gate_path),
            patients=self._options.patients,
            thumbnail_px=THUMBNAIL_PX,
            identify_files=self._options.state is not None,
            full_size=self._options.decode is Decode.FULL,
            limits=self._options.limits,
        )


def network_threads() -> int:
    """A quarter of the processors: the others read, and threads that share one operation cost more in all."""
    return max(default_workers() // 4, 1)


def n_ahead(spec: PreprocessSpec) -> int:
    """How many prepared images may wait for the network, so that memory does not depend on the size of its input."""
    return max(_AHEAD_BYTES // (spec.height * spec.width + _BESIDE_PIXELS_BYTES), 1)


def _is_wanted(item: StoredOutcome | ImageRef | Failure) -> bool:
    """Whether a file is an image, or should have been one."""
    outcome = item.outcome if isinstance(item, StoredOutcome) else item
    return not (isinstance(outcome, Failure) and outcome.skipped)


def _scorable(prepared: Iterable[Prepared], refuse: Callable[[Failure], None]) -> Iterator[ModelInput]:
    for item in prepared:
        if isinstance(item, Failure):
            refuse(item)
        else:
            yield item


def _device_number(folder: Path) -> int | None:
    """Of the file system: an unmounted share leaves an empty folder of another one."""
    try:
        return os.stat(folder).st_dev  # noqa: PTH116
    except OSError:
        return None


def _provenance(
    bundle: Bundle, started: runtime.Runtime, batch_size: int, least_px: int | None
) -> Provenance:
    return Provenance(
        bundle_id=bundle.id,
        bundle_sha256=bundle.sha256,
        cxrbatch_version=__version__,
        tensorflow_version=started.tensorflow.__version__,
        device=started.device,
        precision=started.precision,
        batch_size=batch_size,
        decode=Decode.REDUCED if least_px else Decode.FULL,
    )
