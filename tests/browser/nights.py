"""Nights of invented patients, as the page shows them."""

import dataclasses
import io

import numpy as np
from PIL import Image

from cxrbatch.explain.colours import to_png
from cxrbatch.reasons import Flag, Reason
from cxrbatch.records import Evidence, PatientImage, PatientTriage, Priority, TriageRun
from cxrbatch.report.extras import PageExtras
from cxrbatch.triage.capacity import capacity_yield
from tests.factories.triage_runs import made_run


def jpeg(side_px: int, seed: int) -> bytes:
    """Make a JPEG of noise."""
    grey = np.random.default_rng(seed).integers(0, 256, (16, 16), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(grey).resize((side_px, side_px)).save(stream, "JPEG", quality=60)
    return stream.getvalue()


_SMALL = jpeg(88, 0)
WITH_THUMBNAILS = PageExtras(thumbnail=lambda _: _SMALL)


def made_patient(rank: int, large: bytes = b"", patient_id: str = "") -> PatientTriage:
    """Make a ranked patient; `rank` decides everything but the images."""
    score = round(0.9 / rank**0.3, 6)
    name = f"2026-11-21/{rank:05}.dcm"
    png = to_png(np.random.default_rng(rank).random((16, 16)))
    evidence = tuple(Evidence(question=question, png=png) for question in ("abnormal", "covid"))
    return PatientTriage(
        rank=rank,
        priority=(Priority.URGENT, Priority.HIGH, Priority.ROUTINE)[min(rank // 6, 2)],
        patient_id=patient_id or f"P{rank:06}",
        accession_number=f"ACC{rank:05}",
        study_date=f"2026-11-{20 + rank % 2}",
        score=score,
        scores=(score, round((1 - score) / 2, 6), round((1 - score) / 2, 6)),
        n_images=1 + rank % 2,
        top_image=name,
        nights_waiting=rank % 3,
        flags=(Flag.LOSSY,) if rank % 4 else (),
        large_image=large,
        evidence=evidence if large else (),
        outside_lungs=0.6 if large else None,
        images=(
            PatientImage(name=name, scores=(score, 0.0, 0.0)),
            PatientImage(name="b.dcm", reason=Reason.CORRUPT),
        ),
    )


def made_night(n: int, names: tuple[str, ...] = ()) -> TriageRun:
    """Make a night of `n` ranked patients, 30 swabs and one patient for a human."""
    large = jpeg(512, 1)
    ranked = [
        made_patient(rank, large if rank <= 50 else b"", names[rank - 1] if rank <= len(names) else "")
        for rank in range(1, n + 1)
    ]
    human = dataclasses.replace(
        ranked[0], rank=None, priority=None, score=None, scores=None, patient_id="HUMAN", reason=Reason.LATERAL_VIEW,
        evidence=(), outside_lungs=None,
    )  # fmt: skip
    run = made_run(patients=(*ranked, human))
    thresholds = {Priority.URGENT: 0.525679, Priority.HIGH: 0.427075}  # ranks 6 and 12 are the first below
    return dataclasses.replace(
        run, thresholds=thresholds, capacity=capacity_yield(30, run.patients, {}, None)
    )
