"""Single images: their scores, and the picture with the result written on it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from cxrbatch import gate, runtime
from cxrbatch.annotate import annotated
from cxrbatch.bundle import Bundle
from cxrbatch.chestlike import ChestCheck
from cxrbatch.discover import classify
from cxrbatch.errors import OutputError
from cxrbatch.infer import KerasPredictor, score_images
from cxrbatch.prepare import PrepareOptions, prepare
from cxrbatch.read import PatientRule, open_image
from cxrbatch.reasons import Refusal
from cxrbatch.records import CxrImage, Failure, ImageRef, ImageScore, ModelInput
from cxrbatch.runtime import Device, Precision

Result = ImageScore | Failure


def predict(
    paths: Iterable[Path], bundle: Bundle, device: Device = Device.AUTO, precision: Precision = Precision.AUTO
) -> Iterator[Result]:
    """Score single images as `cxrbatch.screen` would.

    Parameters
    ----------
    paths : iterable of Path
        Each becomes one result, in this order, under the name it was given.
    """
    options = PrepareOptions(spec=bundle.preprocess, pixel_check=ChestCheck.load(bundle.gate_path))
    prepared = [_prepare(path, options) for path in paths]
    inputs = [item for item in prepared if isinstance(item, ModelInput)]
    scores = _scores(inputs, bundle, device, precision) if inputs else iter(())
    for item in prepared:
        yield item if isinstance(item, Failure) else next(scores)


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
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        annotated(_decoded(path), result).save(target)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written: {error.strerror or error}") from error


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


def _prepare(path: Path, options: PrepareOptions) -> ModelInput | Failure:
    found = classify(path, str(path))
    return prepare(found, options) if isinstance(found, ImageRef) else found


def _scores(
    inputs: list[ModelInput], bundle: Bundle, device: Device, precision: Precision
) -> Iterator[ImageScore]:
    started = runtime.start(device, precision)
    predictor = KerasPredictor(bundle, started, batch_size=None)
    return score_images(inputs, predictor, predictor.batch_size, started)
