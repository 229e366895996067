"""A bundle: a model with everything its scores depend on, in one folder that is loaded only when its hash matches.

::

    bundle.json    name, findings, preprocessing, aggregation, operating points, training, evaluation
    model.keras    the network: uint8 (batch, height, width, 1) → scores (batch, 3)
    gate.npz       what a frontal chest radiograph looks like (see `cxrbatch.chestlike`)
    SHA256SUMS     of the three above, as ``sha256sum -c`` checks it; the bundle's hash is the hash of this file
"""

import dataclasses
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrbatch.errors import BundleError
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.records import FINDINGS, Priority

FORMAT = 1
DEFAULT_BUNDLE = Path(__file__).parent / "bundles" / "default"
_FILES = ("bundle.json", "gate.npz", "model.keras")
_SUMS = "SHA256SUMS"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoints:
    """Least COVID-19 score of a band; measured on images whose source took no part in training.

    Attributes
    ----------
    urgent, high : float
        0–1, ``urgent`` ≥ ``high``; what is below both is ``routine``.
    """

    urgent: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.high <= self.urgent <= 1:
            raise ValueError("operating points must satisfy 0 ≤ high ≤ urgent ≤ 1")

    def priority(self, score: float) -> Priority:
        """Band of a COVID-19 score."""
        if score >= self.urgent:
            return Priority.URGENT
        return Priority.HIGH if score >= self.high else Priority.ROUTINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A verified bundle; cheap to make, the network itself is loaded by `cxrbatch.infer`.

    Attributes
    ----------
    sha256 : str
        Hash of the whole bundle, 64 hexadecimal digits.
    aggregation : str
        Name of the rule that makes one score of several images (`cxrbatch.aggregate.RULES`).
    training, evaluation : mapping
        How the model came about and what was measured, as `cxrbatch train` wrote it.
    """

    path: Path
    name: str
    sha256: str
    preprocess: PreprocessSpec
    aggregation: str
    operating_points: OperatingPoints
    training: Mapping[str, Any]
    evaluation: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Name and start of the hash: what a person compares."""
        return f"{self.name}@{self.sha256[:12]}"

    @property
    def caveats(self) -> tuple[str, ...]:
        """What was found in the evaluation that every report must say."""
        return tuple(str(line) for line in self.evaluation.get("caveats", ()))

    @property
    def model_path(self) -> Path:
        """The Keras model."""
        return self.path / "model.keras"

    @property
    def gate_path(self) -> Path:
        """Parameters of the pixel check."""
        return self.path / "gate.npz"


def load_bundle(path: Path = DEFAULT_BUNDLE) -> Bundle:
    """Verify a bundle and read what is not the network.

    Raises
    ------
    BundleError
        A file is missing or differs from its hash, or ``bundle.json`` is not understood.
    """
    if not path.is_dir():
        raise BundleError(f"bundle {path}: no such folder")
    try:
        sums = (path / _SUMS).read_bytes()
        _verify(path, sums.decode("ascii"))
        return _from_json(
            path, hashlib.sha256(sums).hexdigest(), json.loads((path / "bundle.json").read_bytes())
        )
    except OSError as error:
        raise BundleError(f"bundle {path}: {error.strerror}: {Path(error.filename or '').name}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BundleError(f"bundle {path}: not understood: {error}") from error


def write_bundle(  # noqa: PLR0913 - keyword-only: a bundle has this many parts
    path: Path,
    *,
    name: str,
    model: Path,
    gate: Path,
    preprocess: PreprocessSpec,
    aggregation: str,
    operating_points: OperatingPoints,
    training: Mapping[str, Any],
    evaluation: Mapping[str, Any],
) -> Bundle:
    """Write a bundle, whole or not at all; an existing one at `path` is replaced.

    Parameters
    ----------
    model, gate : Path
        Files to copy in.
    """
    content = {
        "format": FORMAT,
        "name": name,
        "findings": list(FINDINGS),
        "preprocess": dataclasses.asdict(preprocess),
        "aggregation": aggregation,
        "operating_points": dataclasses.asdict(operating_points),
        "training": training,
        "evaluation": evaluation,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
        folder = Path(scratch) / "bundle"
        folder.mkdir()
        shutil.copyfile(model, folder / "model.keras")
        shutil.copyfile(gate, folder / "gate.npz")
        (folder / "bundle.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        lines = [f"{_sha256(folder / file)}  {file}\n" for file in _FILES]
        (folder / _SUMS).write_text("".join(lines), encoding="ascii")
        if path.exists():
            path.replace(Path(scratch) / "old")
        folder.replace(path)
    return load_bundle(path)


def _verify(path: Path, sums: str) -> None:
    expected = {name: digest for digest, name in (line.split(maxsplit=1) for line in sums.splitlines())}
    if sorted(expected) != sorted(_FILES):
        raise BundleError(f"bundle {path}: {_SUMS} must name exactly {', '.join(_FILES)}")
    for file, digest in expected.items():
        if _sha256(path / file) != digest:
            raise BundleError(f"bundle {path}: {file} differs from its hash; install the bundle again")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _from_json(path: Path, sha256: str, content: Mapping[str, Any]) -> Bundle:
    if content["format"] != FORMAT:
        raise BundleError(f"bundle {path}: format {content['format']}, this version reads format {FORMAT}")
    if tuple(content["findings"]) != FINDINGS:
        raise BundleError(f"bundle {path}: scores {content['findings']}, expected {list(FINDINGS)}")
    return Bundle(
        path=path,
        name=str(content["name"]),
        sha256=sha256,
        preprocess=PreprocessSpec(**content["preprocess"]),
        aggregation=str(content["aggregation"]),
        operating_points=OperatingPoints(**content["operating_points"]),
        training=content["training"],
        evaluation=content["evaluation"],
    )
