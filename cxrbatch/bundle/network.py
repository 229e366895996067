"""Opening the network of a bundle: the archive and its description are looked through before Keras acts on them.

Keras' own ``safe_mode`` is on as well, but was got round more than once (CVE-2025-1550, CVE-2025-9906,
CVE-2026-1462), so nothing depends on it alone.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import keras

from cxrbatch.bundle.foreign_config import NotTrusted, check_built_in
from cxrbatch.errors import BundleError

CONFIG = "config.json"
PARTS = (CONFIG, "metadata.json", "model.weights.h5")
"""What Keras writes into an archive (``.keras``)."""
_MOST_CONFIG_BYTES = 16 << 20


def load_network(path: Path) -> keras.Model:
    """Load the network of a bundle, whose hash says that it is whole, not that it is harmless.

    Parameters
    ----------
    path : Path
        ``model.keras``.

    Returns
    -------
    keras.Model
        Not compiled.

    Raises
    ------
    BundleError
        It is damaged, or holds what is not built into Keras or might run code.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_parts(archive)
        # What Keras does not read when it does not compile may say anything.
        check_built_in(read_config(path) | {"compile_config": None})
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except NotTrusted as error:
        raise BundleError(f"bundle {path.parent}: {path.name} {error}") from error
    except Exception as error:  # Keras raises whatever it stumbles over
        kind = type(error).__name__
        raise BundleError(f"bundle {path.parent}: the network cannot be loaded ({kind})") from error


def read_config(path: Path) -> Any:
    """Read the description of the layers in an archive, unless the archive grows when it is unpacked.

    Raises
    ------
    NotTrusted
        A part is compressed, or the description is larger than any.
    KeyError, ValueError, OSError, RecursionError, zipfile.BadZipFile
        This is no such archive.
    """
    with zipfile.ZipFile(path) as archive:
        if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
            raise NotTrusted("is compressed, which Keras never does; save the model again")
        if archive.getinfo(CONFIG).file_size > _MOST_CONFIG_BYTES:
            raise NotTrusted(f"describes its layers in more than {_MOST_CONFIG_BYTES >> 20} MiB")
        return json.loads(archive.read(CONFIG))


def _check_parts(archive: zipfile.ZipFile) -> None:
    """Keras would unpack whatever else there is, into a folder of its own."""
    if sorted(archive.namelist()) != sorted(PARTS):
        raise NotTrusted(f"must hold {', '.join(PARTS)} and nothing else")
