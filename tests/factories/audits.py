"""Short ways to make a state with lists and results, and a bundle to judge it by."""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cxrbatch._lib.safe_open import FileVersion
from cxrbatch.audit.figures import Audit, audit
from cxrbatch.bundle.bundle import Bundle, OperatingPoints
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import FoundFile, PatientKey, PatientTriage, Provenance, TriageRun
from cxrbatch.state.connection import open_state
from cxrbatch.state.records import PcrResult, RunContext
from tests.factories.records import failure, image_score
from tests.factories.stored import BUNDLE

MONDAY = dt.date(2026, 11, 2)


def day(number: int) -> dt.date:
    return MONDAY + dt.timedelta(days=number)


def key(patient: str) -> PatientKey:
    return ("dicom", "", patient)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a list; without a score not scored."""

    patient: str
    score: float | None
    nights_waiting: int = 0
    max_wait: bool = False


@dataclass(slots=True)
class Night:
    """What came in, on which list it resulted, and which results followed.

    Attributes
    ----------
    new : mapping
        Score or reason of one image of each new patient, those of one run; the next run an hour later.
    """

    number: int
    runs: list[Mapping[str, float | Reason]]
    lines: list[Line] = field(default_factory=list)
    bundle: str = BUNDLE


def make_state(path: Path, nights: Iterable[Night], results: Iterable[tuple[str, int, bool]] = ()) -> Path:
    """A state; results are (patient, number of the day of the swab, positive)."""
    with open_state(path) as state:
        for night in nights:
            for hour, new in enumerate(night.runs):
                moment = dt.datetime.combine(day(night.number), dt.time(20 + hour), dt.UTC)
                context = RunContext(
                    root="/export",
                    settings="settings",
                    bundle_sha256=night.bundle,
                    night=day(night.number),
                    moment=moment,
                )
                run_id = state.begin(context)
                for patient, outcome in new.items():
                    name = f"{patient}-{night.number}.dcm"
                    file = FoundFile(path=Path(name), name=name, version=FileVersion(size_bytes=1))
                    state.put(
                        file,
                        failure(name, outcome, patient)
                        if isinstance(outcome, Reason)
                        else image_score(name, outcome, patient),
                        context,
                    )
                state.finish(run_id, _run(night.lines, moment), moment)
        state.pcr.add(
            [
                PcrResult(patient_key=key(patient), date=day(number), positive=positive)
                for patient, number, positive in results
            ],
            dt.datetime(2027, 1, 1, tzinfo=dt.UTC),
        )
    return path


def _run(lines: Iterable[Line], moment: dt.datetime) -> TriageRun:
    return TriageRun(
        folder="/export",
        n_found=0,
        started=moment,
        duration_s=1.0,
        patients=tuple(_patient(rank, line) for rank, line in enumerate(lines, start=1)),
        images=(),
        failures=(),
        provenance=Provenance(
            bundle_id="b",
            bundle_sha256=BUNDLE,
            cxrbatch_version="1",
            runtime="TensorFlow 1",
            device="cpu",
            precision="float32",
            batch_size=1,
        ),
    )


def _patient(rank: int, line: Line) -> PatientTriage:
    return PatientTriage(
        rank=None if line.score is None else rank,
        priority=None,
        patient_id=line.patient,
        accession_number="",
        study_date="",
        score=line.score,
        scores=None,
        n_images=1,
        top_image="",
        nights_waiting=line.nights_waiting,
        flags=(Flag.MAX_WAIT,) if line.max_wait else (),
        reason=Reason.CORRUPT if line.score is None else None,
        patient_key=key(line.patient),
    )


def one_night(number: int, scores: Mapping[str, float], bundle: str = BUNDLE) -> Night:
    """Everybody is new, in one run, and listed by falling score."""
    ranked = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
    return Night(number, [scores], [Line(patient=patient, score=score) for patient, score in ranked], bundle)


def a_bundle(**changes: Any) -> Bundle:
    content: dict[str, Any] = {
        "path": Path(),
        "name": "made-up",
        "sha256": BUNDLE,
        "preprocess": PreprocessSpec(),
        "aggregation": "mean",
        "operating_points": OperatingPoints(urgent=0.65, high=0.5),
        "training": {},
        "evaluation": {},
    }
    return Bundle(**content | changes)


def audited(path: Path, *nights: Night, results: Iterable[tuple[str, int, bool]] = (), **asked: Any) -> Audit:
    """The audit of a state that is made."""
    bundle = asked.pop("bundle", a_bundle())
    return audit(make_state(path / "state.sqlite", nights, results), bundle, **asked)


def tiny_state(path: Path) -> Path:
    """Eight patients, whose every figure can be worked out by hand.

    A–E came in on Monday with a score, F without; G on Tuesday, H on the Monday after. A, C, G and F were
    PCR-positive, B and D PCR-negative; E and H have no result and still wait.
    """
    scores = {"A": 0.9, "B": 0.8, "C": 0.7, "D": 0.6, "E": 0.5}
    unscored = Line(patient="F", score=None)
    nights = (
        Night(
            0,
            [{**scores, "F": Reason.CORRUPT}],
            [*(Line(patient=patient, score=score) for patient, score in scores.items()), unscored],
        ),
        Night(
            1,
            [{"G": 0.95}],
            [
                Line(patient="G", score=0.95),
                *(
                    Line(patient=p, score=s, nights_waiting=1)
                    for p, s in (("C", 0.7), ("D", 0.6), ("E", 0.5))
                ),
                Line(patient="F", score=None, nights_waiting=1),
            ],
        ),
        Night(
            7,
            [{"H": 0.4}],
            [
                Line(patient="E", score=0.5, nights_waiting=7, max_wait=True),
                Line(patient="H", score=0.4),
            ],
        ),
    )
    results = [
        ("A", 1, True),
        ("B", 1, False),
        ("C", 2, True),
        ("D", 2, False),
        ("G", 2, True),
        ("F", 3, True),
    ]
    return make_state(path / "state.sqlite", nights, results)
