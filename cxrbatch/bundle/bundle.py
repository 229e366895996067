"""Load and write bundles: a model with everything that its scores depend on, in one folder.

A bundle is loaded only if its hashes match. Its files::

    bundle.json    name, findings, preprocessing, aggregation, operating points, calibration, training, evaluation,
                   licence of the weights
    model.keras    the network: uint8 (batch, height, width, 1) → scores (batch, 3)
    model.tflite   the same network for LiteRT, for one image at a time; only in format 2
    gate.npz       parameters of the pixel check (see `cxrbatch.gate.pixel_check`)
    SHA256SUMS     hashes of the files above, for ``sha256sum -c``; the bundle's hash is the hash of this file

Format 1 has no ``model.tflite``: its network runs on TensorFlow only. It is still written where a network cannot be
converted.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from cxrbatch.bundle.calibration import ScoreCalibration
from cxrbatch.bundle.converted import Agreement, ConvertedNetwork
from cxrbatch.bundle.files import LITE, SUMS, check_files, write_whole
from cxrbatch.bundle.licence import WeightsLicence, read_licence
from cxrbatch.bundle.worth import state_worth, state_worth_in_brief, state_worth_in_pairs
from cxrbatch.errors import BundleError, OutputError, UsageProblem
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.records import FINDINGS, Priority

T = TypeVar("T")
AGGREGATIONS = ("mean", "max")
"""Names of the rules in `cxrbatch.triage.RULES`."""
DEFAULT_BUNDLE = Path(__file__).parent / "default"
_NOT_EVALUATED = (
    "Nothing was measured of this bundle: what its scores are worth is unknown. cxrbatch evaluate finds out."
)
_NO_BANDS = "This bundle has no operating points: the list has an order, no bands."


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoints:
    """Least COVID-19 score of each band; measured on patients whose source is not in the training set.

    Attributes
    ----------
    urgent, high : float
        0–1, ``urgent`` ≥ ``high``; a score below both is ``routine``.
    measured_on : str
        Patients on whom they were measured, in words; empty where the bundle's evaluation states it.
    """

    urgent: float
    high: float
    measured_on: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.high <= self.urgent <= 1:
            raise ValueError("operating points must satisfy 0 ≤ high ≤ urgent ≤ 1")

    @property
    def thresholds(self) -> dict[Priority, float]:
        """Least score of each band but the last."""
        return {Priority.URGENT: self.urgent, Priority.HIGH: self.high}

    def priority(self, score: float) -> Priority:
        """Return the band of a COVID-19 score, 0–1."""
        if score >= self.urgent:
            return Priority.URGENT
        return Priority.HIGH if score >= self.high else Priority.ROUTINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A verified bundle. It is cheap to make: the network is loaded by `cxrbatch.infer.KerasPredictor`.

    Attributes
    ----------
    sha256 : str
        Hash of the whole bundle, 64 hexadecimal digits.
    aggregation : str
        Name of the rule that makes one score of several images (`cxrbatch.triage.RULES`).
    operating_points : OperatingPoints or None
        None where none were measured, or where they did not hold at every site: the list then has an order and no
        bands.
    calibration : ScoreCalibration or None
        Likelihood ratio of a score, for `probability`; None where it was not measured.
    training, evaluation : mapping
        How the model came about and what was measured, as `cxrbatch train` or `cxrbatch bundle import` wrote it.
    licence : WeightsLicence or None
        What the weights may be used for; None where the bundle does not state it.
    agreement : Agreement or None
        How far LiteRT's scores are from TensorFlow's; None where the bundle has no network for LiteRT.
    """

    path: Path
    name: str
    sha256: str
    preprocess: PreprocessSpec
    aggregation: str
    operating_points: OperatingPoints | None
    training: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    calibration: ScoreCalibration | None = None
    licence: WeightsLicence | None = None
    agreement: Agreement | None = None

    @property
    def id(self) -> str:
        """Name and start of the hash, for people to compare."""
        return f"{self.name}@{self.sha256[:12]}"

    @property
    def caveats(self) -> tuple[str, ...]:
        """Findings of the evaluation that every report must state, or the note that there is no evaluation."""
        if not self.evaluation:
            return (_NOT_EVALUATED,)
        return tuple(str(line) for line in self.evaluation.get("caveats", ()))

    @property
    def worth(self) -> str:
        """What the scores are worth by the evaluation, in one sentence; empty where there is no evaluation."""
        return state_worth(self.evaluation) if self.evaluation else ""

    @property
    def worth_in_brief(self) -> str:
        """The same in one line for whoever reads the list, the warning first."""
        return state_worth_in_brief(self.evaluation) if self.evaluation else ""

    @property
    def worth_in_pairs(self) -> str:
        """The same for whoever reads the list: of 100 pairs, how many come in the right order."""
        return state_worth_in_pairs(self.evaluation) if self.evaluation else ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the scores are worth, caveats, and the origin of the bands if it is not the evaluation."""
        stated = tuple(line for line in (self.worth, *self.caveats) if line)
        if self.operating_points is None:
            return (*stated, _NO_BANDS)
        if measured_on := self.operating_points.measured_on:
            return (*stated, f"The operating points of the bands were measured on {measured_on}.")
        return stated

    @property
    def model_path(self) -> Path:
        """Path of the Keras model."""
        return self.path / "model.keras"

    @property
    def lite_path(self) -> Path | None:
        """Path of the network for LiteRT; None where the bundle has none."""
        return self.path / LITE if self.agreement else None

    @property
    def gate_path(self) -> Path:
        """Path of the parameters of the pixel check."""
        return self.path / "gate.npz"

    def probability(self, score: float, prevalence: float) -> float:
        """Compute the probability of COVID-19 at a stated prevalence; see `ScoreCalibration.probability`.

        Raises
        ------
        UsageProblem
            The bundle has no calibration.
        """
        return self.require_calibration().probability(score, prevalence)

    def require_calibration(self) -> ScoreCalibration:
        """Return the calibration, or raise where there is none.

        Raises
        ------
        UsageProblem
            The bundle has none.
        """
        if self.calibration is None:
            raise UsageProblem(
                f"--prevalence: bundle {self.id} has no calibration, so that no probability can be given; "
                "leave the option away, or use a bundle that was calibrated"
            )
        return self.calibration


def load_bundle(path: str | PathLike[str] = DEFAULT_BUNDLE) -> Bundle:
    """Verify a bundle and read everything but the network.

    Parameters
    ----------
    path : path
        Folder; by default that of the bundle shipped with cxrbatch.

    Raises
    ------
    BundleError
        A file is missing, is a link, or differs from its hash, or ``bundle.json`` is not understood.
    """
    path = Path(path)
    if not path.is_dir():
        raise BundleError(f"bundle {path}: no such folder")
    try:
        sums, number = check_files(path)
        return _from_json(
            path, hashlib.sha256(sums).hexdigest(), number, json.loads((path / "bundle.json").read_bytes())
        )
    except OSError as error:
        raise BundleError(f"bundle {path}: {error.strerror}: {Path(error.filename or '').name}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BundleError(f"bundle {path}: not understood: {error}") from error


def write_bundle(  # noqa: PLR0913 - keyword-only: a bundle has this many parts
    path: Path,
    *,
    name: str,
    model: Path,
    gate: Path,
    preprocess: PreprocessSpec,
    aggregation: str,
    operating_points: OperatingPoints | None,
    training: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    calibration: ScoreCalibration | None = None,
    licence: WeightsLicence | None = None,
    converted: ConvertedNetwork | None = None,
) -> Bundle:
    """Write a bundle completely or not at all; an existing bundle at `path` is replaced.

    Parameters
    ----------
    model, gate : Path
        Files to copy into the bundle.
    converted : ConvertedNetwork, optional
        The network for LiteRT, of the same `model`; with it the bundle has format 2, else format 1.

    Raises
    ------
    UsageProblem
        See `check_replaceable`.
    OutputError
        The bundle cannot be written.
    """
    check_replaceable(path)
    content = {
        "format": 2 if converted else 1,
        "name": name,
        "findings": list(FINDINGS),
        "preprocess": dataclasses.asdict(preprocess),
        "aggregation": aggregation,
        "operating_points": operating_points and dataclasses.asdict(operating_points),
        "calibration": calibration and dataclasses.asdict(calibration),
        "licence": licence and dataclasses.asdict(licence),
        "training": training,
        "evaluation": evaluation,
        **({"litert": dataclasses.asdict(converted.agreement)} if converted else {}),
    }
    files: dict[str, Path | bytes] = {"model.keras": model, "gate.npz": gate}
    if converted:
        files[LITE] = converted.content
    try:
        write_whole(path, content, files)
    except OSError as error:
        raise OutputError(f"bundle {path}: {error.strerror}") from error
    return load_bundle(path)


def check_replaceable(path: Path, *, replace: bool = True) -> None:
    """Check before hours of work that nothing but a bundle would be replaced.

    Parameters
    ----------
    replace : bool
        Allow that a bundle is replaced.

    Raises
    ------
    UsageProblem
        There is something else at `path`, or a bundle that must not be replaced.
    """
    if not replace and path.exists():
        raise UsageProblem(f"--out {path}: is there already; --force replaces a bundle")
    if path.is_dir() and ((path / SUMS).is_file() or not any(path.iterdir())):
        return
    if path.exists():
        raise UsageProblem(f"--out {path}: is there already and no bundle; choose another name")


def _from_json(path: Path, sha256: str, number: int, content: Mapping[str, Any]) -> Bundle:
    if content["format"] not in (1, 2):
        raise BundleError(f"bundle {path}: format {content['format']}, this version reads formats 1 and 2")
    if content["format"] != number:
        raise BundleError(f"bundle {path}: format {content['format']} with the files of format {number}")
    if tuple(content["findings"]) != FINDINGS:
        raise BundleError(f"bundle {path}: scores {content['findings']}, expected {list(FINDINGS)}")
    # What is malformed shows now, not after a night of scoring.
    _check_kinds(content)
    state_worth(content["evaluation"])
    return Bundle(
        path=path,
        name=content["name"],
        sha256=sha256,
        preprocess=PreprocessSpec(**content["preprocess"]),
        aggregation=content["aggregation"],
        operating_points=_optional(OperatingPoints, content["operating_points"]),
        training=content["training"],
        evaluation=content["evaluation"],
        calibration=_optional(ScoreCalibration, content.get("calibration")),
        licence=None if content.get("licence") is None else read_licence(content["licence"]),
        agreement=_optional(Agreement, content["litert"] if number > 1 else None),
    )


def _check_kinds(content: Mapping[str, Any]) -> None:
    expected = {"name": str, "training": Mapping, "evaluation": Mapping}
    if wrong := [key for key, kind in expected.items() if not isinstance(content[key], kind)]:
        raise ValueError(f"{wrong[0]} is {content[wrong[0]]!r:.40}")
    if content["aggregation"] not in AGGREGATIONS:
        raise ValueError(
            f"aggregation {content['aggregation']!r:.40}, expected one of {', '.join(AGGREGATIONS)}"
        )


def _optional(kind: Callable[..., T], content: Mapping[str, Any] | None) -> T | None:
    return None if content is None else kind(**content)
