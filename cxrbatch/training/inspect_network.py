"""Inspect the network of a bundle: test if its features reveal the source, and its scores come from its weights.

Input: ``model.keras`` and a data set. Output: figures for the evaluation.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cxrbatch.bundle import load_network, scores_only
from cxrbatch.datasets import Dataset
from cxrbatch.evaluation import compute_features, probe_source, randomise_weights
from cxrbatch.records import FINDINGS
from cxrbatch.training.score_sites import by_source

_MOST_IMAGES = 500  # per source: more would take long and change little
_RANDOMISATIONS = 3
_NORMAL = FINDINGS.index("normal")


def internals(model: Path, dataset: Dataset) -> dict[str, Any]:
    """Probe the features for the source, and compare the scores with those after the weights are randomised.

    Parameters
    ----------
    model : Path
        ``model.keras`` of a bundle.
    dataset : Dataset
        Of any sources, in the training set or not.

    Returns
    -------
    dict
        ``source_probe`` and ``weight_randomisation``, either None where the data or the network do not allow it.
    """
    network = scores_only(load_network(model))
    parts = {source: _some(part) for source, part in by_source(dataset)}
    return {
        "source_probe": _probe(network, parts),
        "weight_randomisation": _randomise(network, parts),
    }


def _some(dataset: Dataset) -> Dataset:
    """Select at most `_MOST_IMAGES` images, evenly spaced."""
    n = len(dataset.cases)
    return dataset.at(np.unique(np.linspace(0, n - 1, min(n, _MOST_IMAGES)).astype(int)).tolist())


def _probe(network: keras.Model, parts: dict[str, Dataset]) -> dict[str, Any] | None:
    cases = [case for part in parts.values() for case in part.cases]
    found = compute_features(network, np.concatenate([part.images for part in parts.values()]))
    if found is None:
        return None
    sources, patients = (np.array([getattr(case, key) for case in cases]) for key in ("source", "patient"))
    return probe_source(found, sources, patients)


def _randomise(network: keras.Model, parts: dict[str, Dataset]) -> dict[str, Any] | None:
    """Randomise the weights, on the source with the most images of its rarer kind, normal or abnormal."""
    site = max(parts, key=lambda source: _of_the_rarer(parts[source]))
    part = parts[site]
    if not _of_the_rarer(part):
        return None
    found = randomise_weights(
        [network] * _RANDOMISATIONS, part.images, _is_abnormal(part), lambda scores: 1 - scores[:, _NORMAL]
    )
    return {"site": site, **found}


def _of_the_rarer(dataset: Dataset) -> int:
    counts = Counter(_is_abnormal(dataset).tolist())
    return min(counts[True], counts[False])


def _is_abnormal(dataset: Dataset) -> NDArray[np.bool_]:
    return np.array([case.label != FINDINGS[_NORMAL] for case in dataset.cases])
