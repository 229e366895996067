"""Statistics on arrays: ranking, calibration, logistic regression."""

from cxrbatch.stats.arrays import Bools, Floats
from cxrbatch.stats.calibration import (
    balanced_weights,
    brier,
    calibration_line,
    expected_calibration_error,
    reliability,
)
from cxrbatch.stats.logistic import LEAST, fit_logistic, logit, sigmoid
from cxrbatch.stats.matched import auroc_within_strata, right_within_patients
from cxrbatch.stats.ranking import (
    SHARES_TESTED,
    Estimate,
    Measure,
    Ranking,
    auroc,
    estimates,
    gain_points,
    histogram_points,
    precision_recall_points,
    prevalence_score,
    rank,
    roc_points,
    threshold_at_sensitivity,
    top_of_list,
)
from cxrbatch.stats.shares import share_interval

__all__ = [
    "LEAST",
    "SHARES_TESTED",
    "Bools",
    "Estimate",
    "Floats",
    "Measure",
    "Ranking",
    "auroc",
    "auroc_within_strata",
    "balanced_weights",
    "brier",
    "calibration_line",
    "estimates",
    "expected_calibration_error",
    "fit_logistic",
    "gain_points",
    "histogram_points",
    "logit",
    "precision_recall_points",
    "prevalence_score",
    "rank",
    "reliability",
    "right_within_patients",
    "roc_points",
    "share_interval",
    "sigmoid",
    "threshold_at_sensitivity",
    "top_of_list",
]
