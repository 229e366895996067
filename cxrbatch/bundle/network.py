"""Load the network of a bundle: the archive and its description are checked before Keras reads them.

Keras' own ``safe_mode`` is on as well. It was bypassed more than once (CVE-2025-1550, CVE-2025-9906,
CVE-2026-1462), so nothing depends on it alone.
"""

import json
import zipfile
from math import prod
from pathlib import Path
from typing import Any

import keras

from cxrbatch.bundle.foreign_config import NotTrusted, check_built_in
from cxrbatch.bundle.normalisation import normalise_as_saved
from cxrbatch.errors import BundleError
from cxrbatch.records import FINDINGS

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
PARTS = (CONFIG, METADATA, WEIGHTS)
"""Parts that Keras writes into an archive (``.keras``)."""
LUNG_LAYER = "is_lung"
"""Name of the layer that gives the probability of lung."""
_MOST_CONFIG_BYTES = 16 << 20


def load_network(path: Path) -> keras.Model:
    """Load the network of a bundle; the hash of a bundle shows that it is complete, not that it is harmless.

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
        It is damaged, holds something that is not built into Keras, or might run code.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_parts(archive)
        # compile_config is not checked: Keras does not read it when it does not compile.
        check_built_in(read_config(path) | {"compile_config": None})
        return normalise_as_saved(keras.models.load_model(path, compile=False, safe_mode=True))
    except NotTrusted as error:
        raise BundleError(f"bundle {path.parent}: {path.name} {error}") from error
    except Exception as error:  # Keras raises many types of exception
        kind = type(error).__name__
        raise BundleError(f"bundle {path.parent}: the network cannot be loaded ({kind})") from error


def scores_only(network: keras.Model) -> keras.Model:
    """Return a network without its other outputs: values 0–255 → scores (batch, 3).

    A network with several outputs names that one ``scores``.
    """
    outputs = getattr(network, "output", None)  # a Sequential that was never called has none
    return keras.Model(network.input, outputs["scores"]) if isinstance(outputs, dict) else network


def explainable(network: keras.Model) -> keras.Model | None:
    """Return a network with the outputs that explain a score; None where it does not state its evidence.

    Returns
    -------
    keras.Model or None
        Values 0–255 → mapping of ``scores``, ``evidence`` and, where the network finds the lungs, ``lungs``: their
        probability, shape (batch, rows, columns, 1).
    """
    outputs = getattr(network, "output", None)
    if not isinstance(outputs, dict) or "evidence" not in outputs:
        return None
    named = {name: outputs[name] for name in ("scores", "evidence")}
    if LUNG_LAYER in {layer.name for layer in network.layers}:
        named["lungs"] = network.get_layer(LUNG_LAYER).output
    return keras.Model(network.input, named)


def features_only(network: keras.Model) -> keras.Model | None:
    """Cut a network before its last layers: values 0–255 → features (batch, n).

    Features are the inputs of every layer that is the first to have no more values than findings, side by side.
    None where the network does not expose them (a model within a model, or no such layer).
    """
    scorer = scores_only(network)
    layers = [] if any(isinstance(layer, keras.Model) for layer in scorer.layers) else scorer.layers
    last = [layer for layer in layers if _n_values(layer.output) <= len(FINDINGS) < _n_values(layer.input)]
    flat = [keras.layers.Flatten(name=f"features_{index}")(layer.input) for index, layer in enumerate(last)]
    if not flat:
        return None
    return keras.Model(scorer.inputs[0], keras.layers.Concatenate()(flat) if len(flat) > 1 else flat[0])


def _n_values(tensor: Any) -> int:
    """Count the values per image; a list of tensors counts as 0."""
    return prod(tensor.shape[1:]) if hasattr(tensor, "shape") else 0


def read_config(path: Path) -> Any:
    """Read the description of the layers in an archive that is not compressed.

    Raises
    ------
    NotTrusted
        A part is compressed, or the description is larger than 16 MiB.
    KeyError, ValueError, OSError, RecursionError, zipfile.BadZipFile
        The file is no such archive.
    """
    with zipfile.ZipFile(path) as archive:
        if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
            raise NotTrusted("is compressed, which Keras never does; save the model again")
        if archive.getinfo(CONFIG).file_size > _MOST_CONFIG_BYTES:
            raise NotTrusted(f"describes its layers in more than {_MOST_CONFIG_BYTES >> 20} MiB")
        return json.loads(archive.read(CONFIG))


def _check_parts(archive: zipfile.ZipFile) -> None:
    """Refuse an archive with further parts: Keras would unpack them, into a folder of its own."""
    if sorted(archive.namelist()) != sorted(PARTS):
        raise NotTrusted(f"must hold {', '.join(PARTS)} and nothing else")
