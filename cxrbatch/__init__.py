"""Nightly COVID-19 triage of chest radiographs.

The stages of the package, from a folder of files to a list of patients::

    discover → read → gate → preprocess → infer → triage → report
               └────── prepare ───────┘
    └──────────────── engines ────────────────┘
    └──────────────────────── screening ────────────────────────┘

``screening`` screens a folder, ``prediction`` scores single images, ``embedding`` computes features. ``engines``
run the slow part, in worker processes and on the GPU. ``state`` stores outcomes from night to night, ``results``
reads PCR results, ``audit`` compares past lists with them, ``web`` serves lists and uploads to browsers. ``datasets``
and ``training`` make a ``bundle``, ``evaluation`` measures it.

Each entry imports only from the layers below it:

==========  =========================================
outermost   cli
            training, web
            audit
            evaluation, doctor
            screening, prediction, embedding, datasets
            report
            engines, explain
            infer, prepare, triage, results
            bundle, discover, gate, read, state
            objects
            records, limits, preprocess, pages, terms
            _lib
ground      errors, reasons, resample, stats
==========  =========================================

The names below are imported at their first use: ``import cxrbatch`` loads neither NumPy nor TensorFlow.
"""

from typing import TYPE_CHECKING

from cxrbatch._lib.lazy import lazy_names
from cxrbatch._lib.version import __version__

if TYPE_CHECKING:
    from cxrbatch.bundle import Bundle, load_bundle
    from cxrbatch.embedding import embed
    from cxrbatch.engines import EngineOptions
    from cxrbatch.errors import CxrbatchError
    from cxrbatch.limits import Limits
    from cxrbatch.prediction import predict
    from cxrbatch.read import PatientRule
    from cxrbatch.records import Failure, ImageScore, PatientTriage, TriageRun
    from cxrbatch.screening import ScreenOptions, screen

__all__ = [
    "Bundle",
    "CxrbatchError",
    "EngineOptions",
    "Failure",
    "ImageScore",
    "Limits",
    "PatientRule",
    "PatientTriage",
    "ScreenOptions",
    "TriageRun",
    "__version__",
    "embed",
    "load_bundle",
    "predict",
    "screen",
]


def __dir__() -> list[str]:
    return __all__


__getattr__ = lazy_names(
    __name__,
    bundle=("Bundle", "load_bundle"),
    embedding=("embed",),
    engines=("EngineOptions",),
    errors=("CxrbatchError",),
    limits=("Limits",),
    read=("PatientRule",),
    prediction=("predict",),
    records=("Failure", "ImageScore", "PatientTriage", "TriageRun"),
    screening=("ScreenOptions", "screen"),
)
