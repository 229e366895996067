"""Describe the distribution of the COVID-19 score when the bundle was made: patient scores in, deciles out.

The drift of a hospital is measured against it.
"""

from typing import Any

import numpy as np

from cxrbatch.evaluation.contrasts import COVID
from cxrbatch.evaluation.patients import PatientScores

_PARTS = 10
_DECIMALS = 6  # as scores are printed


def score_reference(scored: PatientScores, scored_by: str) -> dict[str, Any] | None:
    """Compute the deciles of the COVID-19 score, and the share of the patients between them.

    The mix of patients with and without the finding is that of collections: a hospital's own first weeks
    are a better reference.

    Parameters
    ----------
    scored : PatientScores
    scored_by : str
        Which networks made the scores, in words.

    Returns
    -------
    dict or None
        ``edges``, 9 rising scores; ``shares``, 10 numbers of sum 1, the i-th of the patients at or above the edge
        before it and below the one after it (as NumPy's ``searchsorted(side="right")`` counts); ``n``, the number
        of rows; ``measured_on``, in words. None where there is no patient.
    """
    scores = scored.scores[:, COVID]
    if not scores.size:
        return None
    edges = np.round(np.quantile(scores, np.arange(1, _PARTS) / _PARTS), _DECIMALS)
    part = np.searchsorted(edges, np.round(scores, _DECIMALS), side="right")
    sources = ", ".join(np.unique(scored.sources))
    return {
        "measured_on": f"{scores.size} patients of {sources}, scored by {scored_by}",
        "n": scores.size,
        "edges": edges.tolist(),
        "shares": (np.bincount(part, minlength=_PARTS) / scores.size).tolist(),
    }
