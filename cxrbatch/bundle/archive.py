"""Write a Keras archive (``.keras``) whose bytes depend on the network only, not on the time or on addresses."""

import json
import zipfile
from pathlib import Path
from typing import Any

import keras

from cxrbatch.bundle.network import CONFIG, METADATA, PARTS

_BEGINNING = (1980, 1, 1, 0, 0, 0)
"""Earliest time that a ZIP archive can state."""
_SHARED = "shared_object_id"


def save_reproducibly(network: keras.Model, path: Path) -> Path:
    """Save a network; the same network gives the same bytes.

    Parameters
    ----------
    path : Path
        With the suffix ``.keras``.

    Returns
    -------
    Path
        That path.
    """
    network.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in PARTS}
    parts[METADATA] = json.dumps({"keras_version": keras.__version__, "date_saved": ""}).encode()
    parts[CONFIG] = json.dumps(_numbered(json.loads(parts[CONFIG]), {})).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _BEGINNING), content)
    return path


def _numbered(value: Any, seen: dict[int, int]) -> Any:
    """Replace the addresses of shared objects by numbers, in the order in which they occur."""
    if isinstance(value, list):
        return [_numbered(item, seen) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: seen.setdefault(item, len(seen) + 1) if key == _SHARED else _numbered(item, seen)
        for key, item in value.items()
    }
