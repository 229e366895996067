"""Store trained networks on disk, so that a killed training continues where it stopped.

The work folder of ``cxrbatch train … --out BUNDLE`` is ``BUNDLE.work``: one file per finished network, named by the
hash of everything that decides its weights, and one for each unfinished network. Files appear whole or not at all.
"""

import contextlib
import dataclasses
import hashlib
import inspect
import json
import logging
import secrets
import types
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from cxrbatch.datasets import LabelledImage
from cxrbatch.training.recipe import TrainRecipe

_LOGGER = logging.getLogger(__name__)

Arrays = list[NDArray[Any]]
_DECIDE_NO_WEIGHTS = (
    "name",
    "gate",
    "mirrored",
    "bootstraps",
    "folds",
    "patient_folds",
    "sources",
    "test_share",
    "lungs",
)
"""Keys of a recipe that are not hashed: the digest contains the images of the training set, cropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """Options of a training run; none of them changes the weights.

    Attributes
    ----------
    work : Path, optional
        Folder of finished and unfinished networks; none are kept by default.
    fresh : bool
        Train the networks in `work` again.
    log_dir : Path, optional
        Folder for TensorBoard: the loss of every step, one run per network.
    on_progress : callable
        Called with one line for each part of the work, such as a network: trained, or taken from `work`. By default
        the line is logged.
    checkpoint_steps : int
        Steps after which the state of an unfinished network is written.
    name : str
        Name of the network for people, in progress lines and in `log_dir`.
    """

    work: Path | None = None
    fresh: bool = False
    log_dir: Path | None = None
    on_progress: Callable[[str], object] = _LOGGER.info
    checkpoint_steps: int = 100
    name: str = ""

    def named(self, name: str) -> "TrainOptions":
        """Make a copy whose name is the name so far, then `name`."""
        return dataclasses.replace(self, name=f"{self.name}, {name}" if self.name else name)

    def report_progress(self, what: str) -> None:
        """Report one line of progress, after the name of the network."""
        self.on_progress(f"{self.name}: {what}" if self.name else what)

    @property
    def run_dir(self) -> Path | None:
        """Folder of this network in `log_dir`."""
        return self.log_dir / self.name.replace("/", "_") if self.log_dir else None


def work_folder(bundle: Path) -> Path:
    """Return the work folder of a bundle: beside it, with ``.work`` after its name."""
    return bundle.resolve().with_name(f"{bundle.resolve().name}.work")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Files of one network in the work folder."""

    options: TrainOptions
    key: str

    def finished(self) -> Arrays | None:
        """Load the weights of the trained network; None where there is none."""
        return self._load("npz")

    def unfinished(self) -> Arrays | None:
        """Load the state of an unfinished training; None where there is none."""
        return self._load("unfinished.npz")

    def save_finished(self, arrays: Arrays) -> None:
        """Save the weights of the trained network and delete its unfinished state."""
        self._save("npz", arrays)
        if self.options.work:
            self._path("unfinished.npz").unlink(missing_ok=True)

    def save_unfinished(self, arrays: Arrays) -> None:
        """Save the state of an unfinished training in place of an earlier one."""
        self._save("unfinished.npz", arrays)

    def _path(self, suffix: str) -> Path:
        assert self.options.work is not None  # noqa: S101 - callers have asked
        return self.options.work / f"{self.key}.{suffix}"

    def _load(self, suffix: str) -> Arrays | None:
        if self.options.work is None or self.options.fresh:
            return None
        # A missing or unreadable file counts as none: the network is trained again.
        unreadable = (OSError, EOFError, ValueError, zipfile.BadZipFile)
        with contextlib.suppress(*unreadable), self._path(suffix).open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            return [archive[name] for name in sorted(archive.files)]
        return None

    def _save(self, suffix: str, arrays: Arrays) -> None:
        if self.options.work is None:
            return
        self.options.work.mkdir(parents=True, exist_ok=True)
        path = self._path(suffix)
        unseen = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp.npz")
        try:
            np.savez(unseen, allow_pickle=False, **_named(arrays))
            unseen.replace(path)
        finally:
            unseen.unlink(missing_ok=True)


def _named(arrays: Arrays) -> dict[str, Any]:
    return {f"{index:05}": array for index, array in enumerate(arrays)}


def dataset_digest(images: NDArray[np.uint8], cases: Sequence[LabelledImage]) -> str:
    """Compute the SHA-256 of images and of what training uses of them: label, patient, site and domain, in order.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width)
    cases : sequence of LabelledImage
        In the order of `images`.
    """
    used = [(case.label, case.patient, case.site, case.domain) for case in cases]
    digest = hashlib.sha256(json.dumps(used).encode())
    digest.update(json.dumps(images.shape).encode())
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()


def network_key(digest: str, recipe: TrainRecipe, seed: int, program: Sequence[types.ModuleType]) -> str:
    """Compute the hash of everything that decides the weights of a network, except the machine.

    Parameters
    ----------
    digest : str
        Digest of the training set, see `dataset_digest`.
    program : sequence of module
        Modules whose source code is hashed too.
    """
    whole = dataclasses.asdict(recipe)
    whole["fit"]["seeds"] = [seed]
    parts = {
        "images": digest,
        "recipe": {key: value for key, value in whole.items() if key not in _DECIDE_NO_WEIGHTS},
    }
    return content_key(parts, program)


def content_key(parts: Mapping[str, Any], program: Sequence[types.ModuleType]) -> str:
    """Compute the hash (32 hex digits) of JSON-ready parts, package versions and the source code of modules."""
    everything = {
        **parts,
        "versions": [np.__version__, tf.__version__, keras.__version__],
        "program": [inspect.getsource(module) for module in program],
    }
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:32]
