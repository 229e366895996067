"""How a run executes. What decides a score stands in the bundle."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cxrbatch._lib.clock import Clock, system_clock
from cxrbatch.bundle.bundle import DEFAULT_BUNDLE
from cxrbatch.infer.runtime import Device, Precision
from cxrbatch.limits import Limits
from cxrbatch.read.patient_rule import PatientRule

EXPIRE_NIGHTS = 14


class Decode(StrEnum):
    """How much of a large radiograph is decoded; scores move by up to a hundredth between the two."""

    REDUCED = "reduced"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenOptions:
    """Options of ``cxrbatch screen``; but for precision and decoding, none changes a score by more than 1e-5.

    Attributes
    ----------
    bundle : Path
        Folder of the bundle.
    batch_size, n_workers : int or None
        None: what suits the machine.
    decode : Decode
        Only as many pixels as the network needs, where the file allows it, or all.
    patients : PatientRule
        Who the patient of a PNG or JPEG is.
    operating_points : Path or None
        File with other operating points than the bundle's own.
    prevalence : float or None
        Share of the patients with COVID-19, above 0 and below 1, for which probabilities are given.
    pseudonym_key : Path or None
        File with the key that replaces identifiers in the report.
    state : Path or None
        File in which nights are remembered; None: each run stands for itself.
    rescore : bool
        Judge again what is remembered.
    settle_s : float
        Seconds for which a file must have been left alone.
    expire_nights : int
        Nights after which a patient leaves the list without a result.
    max_nights : int or None
        Nights after which a patient comes first.
    capacity : int or None
        Number of swabs there are.
    limits : Limits
        What one file may ask of the machine.
    max_memory_bytes : int or None
        What the run may take in all; see `cxrbatch.limits.share_memory`.
    show_progress : bool
        A progress bar on stderr.
    clock : callable
        Gives the present.
    """

    bundle: Path = DEFAULT_BUNDLE
    batch_size: int | None = None
    n_workers: int | None = None
    device: Device = Device.AUTO
    precision: Precision = Precision.AUTO
    decode: Decode = Decode.REDUCED
    patients: PatientRule = PatientRule()
    operating_points: Path | None = None
    prevalence: float | None = None
    pseudonym_key: Path | None = None
    state: Path | None = None
    rescore: bool = False
    settle_s: float = 0.0
    expire_nights: int = EXPIRE_NIGHTS
    max_nights: int | None = None
    capacity: int | None = None
    limits: Limits = Limits()
    max_memory_bytes: int | None = None
    show_progress: bool = False
    clock: Clock = system_clock
