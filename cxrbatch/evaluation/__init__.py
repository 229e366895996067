"""Evaluate scores: figures within sites, confounders, summary, page, model card."""

from typing import TYPE_CHECKING

from cxrbatch._lib.lazy import lazy_names
from cxrbatch.evaluation.bands import broken_at, operating_points, thresholds
from cxrbatch.evaluation.evaluate import evaluate_sites
from cxrbatch.evaluation.patients import to_patient_scores
from cxrbatch.evaluation.perturbations import perturb
from cxrbatch.evaluation.score_sections import confound_floor
from cxrbatch.evaluation.site_scores import Exposure, SiteScores, one_row_per_patient
from cxrbatch.evaluation.source_probe import probe_source

if TYPE_CHECKING:
    from cxrbatch.evaluation.network_outputs import compute_features, compute_outputs, split_batches
    from cxrbatch.evaluation.weight_randomisation import randomise_weights
    from cxrbatch.evaluation.write import write_evaluation

__all__ = [
    "Exposure",
    "SiteScores",
    "broken_at",
    "compute_features",
    "compute_outputs",
    "confound_floor",
    "evaluate_sites",
    "one_row_per_patient",
    "operating_points",
    "perturb",
    "probe_source",
    "randomise_weights",
    "split_batches",
    "thresholds",
    "to_patient_scores",
    "write_evaluation",
]

__getattr__ = lazy_names(
    __name__,
    network_outputs=("compute_features", "split_batches", "compute_outputs"),
    weight_randomisation=("randomise_weights",),
    write=("write_evaluation",),  # so that `python -m` finds its model card not imported yet
)
