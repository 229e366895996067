"""Single images: their scores, and the picture with the result written on it."""

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from cxrbatch import gate
from cxrbatch._lib.atomic import write_together
from cxrbatch.bundle.bundle import Bundle
from cxrbatch.discover import classify
from cxrbatch.engines.pool import WorkerPool, default_workers
from cxrbatch.errors import OutputError
from cxrbatch.gate.pixel_check import StoredCheck
from cxrbatch.infer import runtime
from cxrbatch.infer.predictor import KerasPredictor, score_images
from cxrbatch.infer.runtime import Device, Precision
from cxrbatch.limits import WORK_BYTES
from cxrbatch.prepare import PrepareOptions
from cxrbatch.read import PatientRule, open_image
from cxrbatch.reasons import Reason, Refusal
from cxrbatch.records import CxrImage, Failure, ImageRef, ImageScore, ModelInput
from cxrbatch.report.annotate import annotated

Result = ImageScore | Failure
_NOT_READ_AGAIN = (Reason.CORRUPT, Reason.TIMEOUT, Reason.TOO_LARGE)
"""What a reader process may have died of."""


def predict(
    paths: Iterable[Path], bundle: Bundle, device: Device = Device.AUTO, precision: Precision = Precision.AUTO
) -> Iterator[Result]:
    """Score single images as `cxrbatch.screening.run` would.

    Parameters
    ----------
    paths : iterable of Path
        Each becomes one result, in this order, under the name it was given.
    """
    options = PrepareOptions(spec=bundle.preprocess, pixel_check=StoredCheck(bundle.gate_path))
    found = [classify(path, str(path)) for path in paths]
    with WorkerPool(options, default_workers(), WORK_BYTES) as pool:
        results = pool.prepare(item for item in found if isinstance(item, ImageRef))
        prepared = [next(results) if isinstance(item, ImageRef) else item for item in found]
    inputs = [item for item in prepared if isinstance(item, ModelInput)]
    scores = _scores(inputs, bundle, device, precision) if inputs else iter(())
    for result in prepared:
        yield result if isinstance(result, Failure) else next(scores)


def result_names(paths: Iterable[Path]) -> list[str]:
    """Name the annotated pictures: ``<name of the image>.result.png``, numbered where two images have one name."""
    used: Counter[str] = Counter()
    names = []
    for path in paths:
        used[path.name] += 1
        number = f".{used[path.name]}" if used[path.name] > 1 else ""
        names.append(f"{path.name}{number}.result.png")
    return names


def save_annotated(result: Result, path: Path, target: Path) -> None:
    """Save the picture at `path` with its result written on it; only the result where it cannot be decoded.

    Raises
    ------
    OutputError
        The target cannot be written.
    """
    is_safe = not isinstance(result, Failure) or result.reason not in _NOT_READ_AGAIN
    stream = io.BytesIO()
    annotated(_decoded(path) if is_safe else None, result).save(stream, "PNG")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error.strerror or error}") from error
    write_together({target: stream.getvalue()})


def _decoded(path: Path) -> CxrImage | None:
    found = classify(path, str(path))
    if isinstance(found, Failure):
        return None
    try:
        opened = open_image(found, PatientRule())
        gate.check_size(opened.header)
        return opened.decode()
    except (Refusal, OSError):
        return None


def _scores(
    inputs: list[ModelInput], bundle: Bundle, device: Device, precision: Precision
) -> Iterator[ImageScore]:
    started = runtime.start(device, precision)
    predictor = KerasPredictor(bundle, started, batch_size=None)
    return score_images(inputs, predictor, predictor.batch_size, started)
