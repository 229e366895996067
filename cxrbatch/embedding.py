"""Compute the features of a bundle's network for each image: folder in, a table with its features out.

Files are read, checked and preprocessed as in screening. The features are the input of the network's last layers,
from which it computes the scores; what they are worth was not measured.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cxrbatch._lib.csv import Row
from cxrbatch._lib.log import FOR_PEOPLE
from cxrbatch._lib.text import plural
from cxrbatch._lib.version import __version__
from cxrbatch.bundle import DEFAULT_BUNDLE, Bundle, load_bundle
from cxrbatch.discover import discover
from cxrbatch.engines import Decode, EngineOptions, prepare_in_order
from cxrbatch.errors import NoImageFound, UsageProblem
from cxrbatch.gate import StoredCheck
from cxrbatch.infer import Precision, start_runtime
from cxrbatch.prepare import PrepareOptions
from cxrbatch.read import PatientRule
from cxrbatch.records import FILE_COLUMNS, Failure, ModelInput, file_row, header_cells, table_frame
from cxrbatch.terms import load_header_words

if TYPE_CHECKING:
    import pandas as pd

_LOG = logging.getLogger(__name__)

KNOWN_COLUMNS = tuple(column for column in FILE_COLUMNS if not column.startswith("score"))
"""Columns before the features, those of ``report.files.csv`` without the scores."""

Vector = NDArray[np.float32]


def embed(
    folder: str | PathLike[str],
    bundle: Bundle | str | PathLike[str] = DEFAULT_BUNDLE,
    options: EngineOptions = EngineOptions(),
    *,
    patients: PatientRule | str = PatientRule(),
    header_words: str | PathLike[str] | None = None,
    show_progress: bool = False,
) -> "pd.DataFrame":
    """Compute the features of every radiograph in a folder.

    Parameters
    ----------
    folder : path
        Only read.
    bundle : Bundle or path
    options : EngineOptions
        Features are always computed in float32.
    patients : PatientRule or str
        Rule that finds the patient of a file that is not DICOM.
    header_words : path, optional
        File with words of the hospital for body parts and views.
    show_progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    DataFrame
        One row for each file found, by name: `KNOWN_COLUMNS` (``status`` is ``embedded``, ``not_scored`` or
        ``skipped``), then ``feature_0000`` and so on, float32, NaN where there is no image. Second copies of an image
        have features, too. Its ``attrs`` name the bundle and the version of cxrbatch.

    Raises
    ------
    NoImageFound
        There is no image in the folder.
    UsageProblem
        `folder` is no folder, or the network does not expose its features.
    """
    place = Path(folder)
    if not place.is_dir():
        raise UsageProblem(f"{place}: no such folder; is the export mounted?")
    loaded = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
    prepare = _prepare_options(loaded, options, patients, header_words)
    found = list(discover(place))
    if all(isinstance(item, Failure) and item.skipped for item in found):
        raise NoImageFound(f"{place}: {plural(len(found), 'file')}, not one image; is the export mounted?")
    _LOG.info("%s found; starting…", plural(len(found), "file"), extra=FOR_PEOPLE)
    network = _Features(loaded, options)
    prepared = tqdm(
        prepare_in_order(found, prepare, options),
        total=len(found),
        unit="file",
        disable=not show_progress,
        leave=False,
    )
    frame = _table(list(network.compute(prepared)), network.n_features)
    frame.attrs = {"bundle": loaded.id, "bundle_sha256": loaded.sha256, "cxrbatch": __version__}
    return frame


def _prepare_options(
    bundle: Bundle,
    options: EngineOptions,
    patients: PatientRule | str,
    header_words: str | PathLike[str] | None,
) -> PrepareOptions:
    return PrepareOptions(
        spec=bundle.preprocess,
        pixel_check=StoredCheck(bundle.gate_path),
        patients=PatientRule(patients) if isinstance(patients, str) else patients,
        header_words=load_header_words(None if header_words is None else Path(header_words)),
        full_size=options.decode is Decode.FULL,
        limits=options.limits,
    )


class _Features:
    """The bundle's network up to its features, in batches of one shape, so that no row depends on another."""

    def __init__(self, bundle: Bundle, options: EngineOptions) -> None:
        runtime = start_runtime(options.device, Precision.FLOAT32)
        from cxrbatch.bundle import features_only, load_network  # noqa: PLC0415 - they import Keras

        network = features_only(load_network(bundle.model_path))
        if network is None:
            raise UsageProblem(f"bundle {bundle.path}: no layer of its network gives features")
        size = max(options.batch_size or runtime.batch_size, 2)
        self._shape = (size, bundle.preprocess.height, bundle.preprocess.width, 1)
        self.n_features = int(network.output.shape[1])
        self._function = runtime.tensorflow.function(
            lambda batch: network(batch, training=False), autograph=False
        )

    def compute(self, prepared: Iterable[ModelInput | Failure]) -> Iterator[tuple[Row, Vector | None]]:
        """Make the row of each item and its features; no more than a batch of images is held."""
        waiting: list[ModelInput | Failure] = []
        n_images = 0
        for item in prepared:
            waiting.append(item)
            n_images += isinstance(item, ModelInput)
            if n_images == self._shape[0]:
                yield from self._batch(waiting)
                waiting, n_images = [], 0
        yield from self._batch(waiting)

    def _batch(self, items: Sequence[ModelInput | Failure]) -> Iterator[tuple[Row, Vector | None]]:
        pixels = [item.pixels for item in items if isinstance(item, ModelInput)]
        vectors = iter(self._vectors(pixels) if pixels else ())
        for item in items:
            yield _row(item), next(vectors) if isinstance(item, ModelInput) else None

    def _vectors(self, pixels: Sequence[NDArray[np.uint8]]) -> Vector:
        batch = np.zeros(self._shape, np.float32)
        batch[: len(pixels), ..., 0] = pixels
        return np.asarray(self._function(batch), np.float32)[: len(pixels)]


def _row(item: ModelInput | Failure) -> Row:
    if isinstance(item, Failure):
        return file_row(item)
    return {"file": item.name, "status": "embedded", **header_cells(item.header)}


def _table(found: Sequence[tuple[Row, Vector | None]], n_features: int) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415 - takes long, and only this table needs it

    none = np.full(n_features, np.nan, np.float32)
    features = pd.DataFrame(
        np.stack([none if vector is None else vector for _, vector in found]),
        columns=[f"feature_{number:04}" for number in range(n_features)],
    )
    known = table_frame(KNOWN_COLUMNS, [row for row, _ in found])
    return pd.concat([known, features], axis=1).sort_values("file", ignore_index=True)
