"""A run as a report gets it, with made-up provenance."""

import datetime as dt
from typing import Any

from cxrbatch.records import Provenance, TriageRun


def made_run(**fields: Any) -> TriageRun:
    usual: dict[str, Any] = {
        "folder": "/export/night",
        "n_found": 0,
        "started": dt.datetime(2026, 11, 22, 1, 30, tzinfo=dt.UTC),
        "duration_s": 1.0,
        "images": (),
        "failures": (),
        "worth": "Of 100 pairs of films of one person the model puts the ill one first in 61 (55–66).",
        "provenance": Provenance(
            bundle_id="default@0123456789ab",
            bundle_sha256="0123456789ab" + 52 * "0",
            cxrbatch_version="0.1.0",
            runtime="TensorFlow 2.21.0",
            device="CPU",
            precision="float32",
            batch_size=16,
        ),
    }
    return TriageRun(**usual | fields)
