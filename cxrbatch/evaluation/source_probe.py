"""Predict the source from the features of a network by a linear probe (Alain & Bengio 2016): accuracy out.

Features are the input of the last layer. A score can recognise the hospital only if the features do. The best result
of a network is an accuracy at chance.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxrbatch.stats import Floats, fit_logistic

Groups = NDArray[np.int64]

N_FOLDS = 5
_MOST_COMPONENTS = 64
_RIDGE = 1e-3  # the weights of a fit add up to 1
_CONSTANT = 1e-6


def probe_source(
    features: NDArray[np.float32], sources: NDArray[np.str_], patients: NDArray[np.str_], seed: int = 0
) -> dict[str, Any] | None:
    """Predict the source from features, with a logistic regression that is tested on other patients.

    One-against-the-rest ridge regressions on the 64 strongest principal components, in five folds of patients. Every
    source weighs the same, in the fit and in the accuracy, and so does every patient of a source. Sources with fewer
    than five patients are left out.

    Parameters
    ----------
    features : ndarray of float32, shape (n, f)
    sources, patients : ndarray of str, shape (n,)
    seed : int
        Seed of the folds.

    Returns
    -------
    dict or None
        ``accuracy``: mean over the sources of the share of their images that is predicted right, 0–1; ``chance``:
        the accuracy of guessing; ``n``: images; ``sources``. None with fewer than two sources.
    """
    kept = np.isin(sources, _probed(sources, patients))
    names, source = np.unique(sources[kept], return_inverse=True)
    if names.size < 2:
        return None
    patient = np.unique(patients[kept], return_inverse=True)[1]
    weight = _balanced_weights(source, patient)
    is_right = (
        _predicted(np.asarray(features[kept], np.float64), source, _folds(source, patient, seed), weight)
        == source
    )
    return {
        "accuracy": float(np.average(is_right, weights=weight)),
        "chance": 1 / names.size,
        "n": int(kept.sum()),
        "sources": names.tolist(),
    }


def _probed(sources: NDArray[np.str_], patients: NDArray[np.str_]) -> list[str]:
    return [
        name for name in np.unique(sources).tolist() if np.unique(patients[sources == name]).size >= N_FOLDS
    ]


def _balanced_weights(source: Groups, patient: Groups) -> Floats:
    """Compute weights that add up to 1, the same for every source, and within it for every patient."""
    _, one = np.unique(np.stack([source, patient]), axis=1, return_inverse=True)
    one = one.ravel()
    share = 1 / np.bincount(one)[one]
    return share / np.bincount(source, share)[source] / np.unique(source).size


def _folds(source: Groups, patient: Groups, seed: int) -> Groups:
    """Assign a fold to each image: the patients of each source are dealt in turn, in random order."""
    _, first = np.unique(patient, return_index=True)
    order = np.random.default_rng(seed).permutation(first.size)
    order = order[np.argsort(source[first][order], kind="stable")]
    fold = np.empty(first.size, np.int64)
    fold[order] = np.arange(first.size) % N_FOLDS
    return fold[patient]


def _predicted(features: Floats, source: Groups, fold: Groups, weight: Floats) -> Groups:
    """Predict the source of each image by a regression that never saw its patient."""
    predicted = np.empty_like(source)
    for held_out in range(N_FOLDS):
        test = fold == held_out
        predicted[test] = _predict_sources(features[~test], source[~test], weight[~test], features[test])
    return predicted


def _predict_sources(features: Floats, source: Groups, weight: Floats, unseen: Floats) -> Groups:
    known, new = _components(features, unseen)
    linear = [new @ _one_against_the_rest(known, source == one, weight) for one in range(source.max() + 1)]
    return np.argmax(linear, axis=0)


def _components(features: Floats, unseen: Floats) -> tuple[Floats, Floats]:
    """Compute the strongest principal components of standardised features, of others by the same rule, and ones."""
    mean, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.where(spread > _CONSTANT, spread, np.inf)
    known, new = (features - mean) / scale, (unseen - mean) / scale
    axes = _principal_axes(known)
    deviation = np.maximum((known @ axes).std(axis=0), _CONSTANT)
    known, new = known @ axes / deviation, new @ axes / deviation
    return np.column_stack([known, np.ones(len(known))]), np.column_stack([new, np.ones(len(new))])


def _principal_axes(standardised: Floats) -> Floats:
    """Compute orthonormal columns, the strongest first, from the smaller of the two Gram matrices."""
    n, f = standardised.shape
    if f <= n:
        return np.linalg.eigh(standardised.T @ standardised)[1][:, ::-1][:, :_MOST_COMPONENTS]
    values, vectors = np.linalg.eigh(standardised @ standardised.T)
    strong = values > values.max() * 1e-9
    return (standardised.T @ vectors[:, strong] / np.sqrt(values[strong]))[:, ::-1][:, :_MOST_COMPONENTS]


def _one_against_the_rest(design: Floats, is_one: NDArray[np.bool_], weight: Floats) -> Floats:
    balanced = np.where(is_one, weight / weight[is_one].sum(), weight / weight[~is_one].sum()) / 2
    return fit_logistic(design, is_one, balanced, ridge=_RIDGE)
