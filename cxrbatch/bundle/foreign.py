"""Load Keras models of unknown origin without running code of theirs: file in, Keras model out.

There are two formats, recognised by content and not by file name: the legacy HDF5 of Keras 2 and 3 (``.h5``) and the
Keras 3 archive (``.keras``). The file is copied, and the copy gets the checked description of the layers.
"""

import json
import shutil
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import keras

from cxrbatch.bundle.convert_config import convert
from cxrbatch.bundle.description import CannotConvert, Config
from cxrbatch.bundle.foreign_config import NotTrusted, check_built_in
from cxrbatch.bundle.network import CONFIG, METADATA, PARTS, read_config
from cxrbatch.bundle.normalisation import OF_KERAS_2
from cxrbatch.errors import BundleError

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_MODEL_CONFIG = "model_config"
_PARTS_OF_A_SAVED_MODEL = ("saved_model.pb", "keras_metadata.pb")
_SAVED_MODEL = (
    "is a SavedModel of TensorFlow, which holds a program and no description of layers, so that it is not loaded; "
    "where it was made, load it with that version (tf.keras.models.load_model) and save it again in one file: "
    "model.save('model.h5')"
)
_DAMAGED = (
    *(OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, RecursionError),
    *(zipfile.BadZipFile, zlib.error),
)


def load_foreign(path: Path, scratch: Path) -> keras.Model:
    """Load a Keras model that may come from anywhere.

    Parameters
    ----------
    path : Path
        Legacy HDF5 or Keras archive.
    scratch : Path
        Empty folder for the copy.

    Returns
    -------
    keras.Model
        Not compiled. Its name says whether Keras 2 saved it (`cxrbatch.bundle.normalisation.OF_KERAS_2`).

    Raises
    ------
    BundleError
        There is no such file, it is no model, it cannot be loaded, or it might run code.
    """
    copy = _copy(path, scratch)
    try:
        from_keras_2 = _keras_version(copy) < 3
        config = convert(_read_config(copy), from_keras_2=from_keras_2)
        check_built_in(config)
        _write_config(copy, config)
    except (NotTrusted, CannotConvert) as error:
        raise BundleError(f"{path}: {error}") from error
    except _DAMAGED as error:
        raise BundleError(f"{path}: no Keras model: it is damaged, or holds weights only") from error
    model = _load(copy, path)
    model.name = OF_KERAS_2 if from_keras_2 else "foreign"
    return model


def _copy(path: Path, scratch: Path) -> Path:
    """Copy the file under the suffix by which Keras knows its format."""
    _check_one_file(path)
    try:
        with path.open("rb") as stream:
            start = stream.read(len(_HDF5))
        suffix = ".h5" if start == _HDF5 else ".keras" if start.startswith(_ZIP) else ""
        if not suffix:
            raise BundleError(f"{path}: no Keras model: neither HDF5 (.h5) nor a Keras archive (.keras)")
        return Path(shutil.copyfile(path, scratch / f"foreign{suffix}"))
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}") from error


def _check_one_file(path: Path) -> None:
    """Refuse a folder, and a file of a format that is known and not read, with what to do about it."""
    saved_model = path if path.is_dir() else path.parent
    if path.is_dir() or path.name in _PARTS_OF_A_SAVED_MODEL:
        if any((saved_model / part).is_file() for part in _PARTS_OF_A_SAVED_MODEL):
            raise BundleError(f"{saved_model}: {_SAVED_MODEL}")
        raise BundleError(f"{path}: is a folder; name the model file (.h5 or .keras)")


def _read_config(copy: Path) -> Any:
    if copy.suffix == ".keras":
        return read_config(copy)
    with h5py.File(copy, "r") as file:
        return json.loads(file.attrs[_MODEL_CONFIG])


def _keras_version(copy: Path) -> int:
    """Return the main version of Keras that saved a model; older ones stated none."""
    if copy.suffix == ".keras":
        with zipfile.ZipFile(copy) as archive:
            version = json.loads(archive.read(METADATA)).get("keras_version", "3")
    else:
        with h5py.File(copy, "r") as file:
            version = file.attrs.get("keras_version", "1")
    text = version.decode("ascii") if isinstance(version, bytes) else str(version)
    return int(text.split(".")[0])


def _write_config(copy: Path, config: Config) -> None:
    if copy.suffix == ".h5":
        with h5py.File(copy, "r+") as file:
            file.attrs[_MODEL_CONFIG] = json.dumps(config)
        return
    old = copy.replace(copy.with_suffix(".old"))
    with zipfile.ZipFile(old) as source, zipfile.ZipFile(copy, "w") as target:
        target.writestr(CONFIG, json.dumps(config))
        for name in PARTS[1:]:
            with source.open(name) as read, target.open(name, "w", force_zip64=True) as write:
                shutil.copyfileobj(read, write)


def _load(copy: Path, path: Path) -> keras.Model:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about how the model was written, which cannot be changed here
            return keras.models.load_model(copy, compile=False, safe_mode=True)
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), "")[:200]
        raise BundleError(
            f"{path}: Keras {keras.__version__} cannot load the model ({type(error).__name__}: {reason}); load it "
            "with the version that saved it, and save it again as .keras"
        ) from error
