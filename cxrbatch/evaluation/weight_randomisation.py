"""Randomise the weights of networks (Adebayo et al. 2018, arXiv:1810.03292): networks and images in, figures out.

They show what the scores owe to training. With new random weights the order of the patients must be different and
unrelated to the disease. Otherwise the scores follow something that the architecture alone detects, such as
brightness.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cxrbatch.evaluation.network_outputs import compute_outputs
from cxrbatch.stats import auroc

Outputs = NDArray[np.floating[Any]]

_MOVING = ("moving_mean", "moving_variance")
_ONES = ("gamma", "moving_variance")


def randomised(model: keras.Model, seed: int, *, top_only: bool = False) -> keras.Model:
    """Copy a network and give the copy the weights of an untrained network.

    Kernels are drawn anew (Glorot & Bengio 2010, uniform), offsets become 0, scales 1, and the running statistics of
    batch normalisation 0 and 1. Weights that training does not change, such as those of fixed preprocessing layers,
    are kept.

    Parameters
    ----------
    model : keras.Model
        Not modified.
    seed : int
    top_only : bool
        Change only the last layer that has trainable weights.
    """
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    layers = [layer for layer in _leaves(copy) if layer.trainable_weights]
    weights = [weight for layer in (layers[-1:] if top_only else layers) for weight in layer.weights]
    for index, weight in enumerate(weights):
        if weight.trainable or weight.name in _MOVING:
            weight.assign(_untrained(weight, seed * len(weights) + index))
    return copy


def _leaves(layer: keras.layers.Layer) -> Iterator[keras.layers.Layer]:
    if not hasattr(layer, "layers"):
        yield layer
        return
    for inner in layer.layers:
        yield from _leaves(inner)


def _untrained(weight: keras.Variable, seed: int) -> Any:
    if len(weight.shape) > 1:
        return keras.initializers.GlorotUniform(seed)(weight.shape)
    return np.full(weight.shape, 1.0 if weight.name in _ONES else 0.0, np.float32)


def randomise_weights(
    models: Sequence[keras.Model],
    images: NDArray[np.uint8],
    y_true: NDArray[np.bool_],
    y_score: Callable[[Outputs], Outputs],
    seed: int = 0,
) -> dict[str, Any]:
    """Compare the scores of networks before and after randomisation.

    Parameters
    ----------
    models : sequence of keras.Model
        Trained networks; each is randomised with a seed of its own.
    images : ndarray of uint8, shape (n, height, width)
        Preprocessed.
    y_true : ndarray of bool, shape (n,)
        Both classes occur.
    y_score : callable
        Outputs of a network, shape (n, outputs) → score that ranks the images, shape (n,).
    seed : int

    Returns
    -------
    dict
        ``auroc``: of each network with all weights new, which scatters around 0.5; ``rank_correlation``: mean over
        the networks of the absolute Spearman correlation of the scores with those before. ``top_layer`` holds the
        same two for networks of which only the last layer is new. It is present if each network ends with weights;
        a network that was exported to calibrated scores does not.
    """
    before = [y_score(compute_outputs(model, images)) for model in models]

    def compare(top_only: bool) -> dict[str, Any]:
        changed = [randomised(model, seed + index, top_only=top_only) for index, model in enumerate(models)]
        after = [y_score(compute_outputs(model, images)) for model in changed]
        moved = [abs(rank_correlation(one, other)) for one, other in zip(before, after, strict=True)]
        return {
            "auroc": [auroc(y_true, scores) for scores in after],
            "rank_correlation": float(np.mean(moved)),
        }

    found = compare(top_only=False)
    return {**found, "top_layer": compare(top_only=True)} if all(map(_ends_with_weights, models)) else found


def _ends_with_weights(model: keras.Model) -> bool:
    return bool(list(_leaves(model))[-1].trainable_weights)


def rank_correlation(one: Outputs, other: Outputs) -> float:
    """Compute Spearman's correlation; ties share their mean rank.

    Parameters
    ----------
    one, other : ndarray of float, shape (n,)

    Returns
    -------
    float
        −1…1; 0 where all scores of either are the same.
    """
    ranks = np.stack([_mean_ranks(one), _mean_ranks(other)])
    ranks -= ranks.mean(axis=1, keepdims=True)
    norm = float(np.linalg.norm(ranks[0]) * np.linalg.norm(ranks[1]))
    return float(ranks[0] @ ranks[1]) / norm if norm > 0 else 0.0


def _mean_ranks(scores: Outputs) -> NDArray[np.float64]:
    _, group, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[group]
