"""Explain images in batches: the network's inputs in, an `Explanation` for each out.

Networks with the output ``evidence`` state what each place adds to each logit. For others the gradient says which
places of the last convolution the COVID-19 score hangs on (Grad-CAM: Selvaraju et al. 2017, arXiv:1610.02391).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.explain.attention import attention, last_map
from cxrbatch.explain.colours import to_png
from cxrbatch.infer import LitePredictor
from cxrbatch.records import Evidence

Maps = NDArray[np.float32]
Outputs = Callable[[Maps], Mapping[str, NDArray[Any]]]
"""Batch, 0–255, shape (n, height, width, 1) → outputs by name, see `cxrbatch.bundle.explainable`."""

QUESTIONS = ("abnormal", "covid")
"""Questions of the output ``evidence``, in its order: any pneumonia, and COVID-19 against other pneumonia."""
_BATCH = 8
_IS_LUNG = 0.5
_CERTAIN = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Where a network looked in one image.

    Attributes
    ----------
    strengths : mapping of str to ndarray of float32, shape (cells, cells)
        Positive contributions by question, 0 to 1; the strongest of the image is 1 if there is any.
    outside_lungs : float or None
        Share of the score's evidence that lies outside the lungs, 0 to 1; None where the network finds no lungs.
    """

    strengths: Mapping[str, Maps]
    outside_lungs: float | None = None

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The maps as images."""
        return tuple(
            Evidence(question=question, png=to_png(strength)) for question, strength in self.strengths.items()
        )


def has_maps(network: Any) -> bool:
    """Check whether maps can be made of a network, as `explain` takes it."""
    if isinstance(network, LitePredictor):
        return True
    known = _functional(network)
    return _states_evidence(known) or last_map(known) is not None


def _functional(network: Any) -> Any:
    """Make a model with inputs and outputs of a Sequential, which has none that it states, from the same layers."""
    import keras  # noqa: PLC0415 - takes seconds

    return (
        keras.Model(network.inputs, network.outputs[0]) if isinstance(network, keras.Sequential) else network
    )


def explain(pixels: Iterable[NDArray[np.uint8]], network: Any) -> Iterator[Explanation]:
    """Find where a network looked in images.

    Parameters
    ----------
    pixels : iterable of ndarray of uint8, shape (height, width)
        Inputs of the network, from `cxrbatch.preprocess.preprocess`; a few are taken at a time.
    network : keras.Model or LitePredictor
        The bundle's network with all of its outputs; on LiteRT, one that states evidence.

    Yields
    ------
    Explanation
        One for each image; without maps where the network allows none.
    """
    remaining = iter(pixels)
    explain_batch = None  # made for the first image: it takes seconds
    while batch := list(islice(remaining, _BATCH)):
        explain_batch = explain_batch or make_explainer(network)
        yield from explain_batch(batch)


def make_explainer(network: Any) -> Callable[[Sequence[NDArray[np.uint8]]], Iterator[Explanation]]:
    """Make a function that explains a batch of images, for a service: what takes seconds is done once.

    Parameters
    ----------
    network
        As of `explain`.

    Returns
    -------
    callable
        Inputs of the network, each (height, width) → an explanation for each.
    """
    explain_batch = _explainer(network)
    return lambda pixels: explain_batch(np.stack(pixels).astype(np.float32)[..., None])


def _explainer(network: Any) -> Callable[[Maps], Iterator[Explanation]]:
    if isinstance(network, LitePredictor):
        return partial(_by_evidence, network.outputs)
    from cxrbatch.bundle import explainable  # noqa: PLC0415 - it imports Keras

    model = explainable(network)
    if model is None:
        return partial(_by_attention, _functional(network))
    return partial(_by_evidence, _compiled(model))


def _compiled(model: Any) -> Outputs:
    """Make a function of a network with named outputs, compiled: layer by layer it takes more than twice as long."""
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    signature = [tf.TensorSpec(model.input.shape, tf.float32)]
    # No AutoGraph, as in `cxrbatch.infer.KerasPredictor`.
    run = tf.function(lambda batch: model(batch, training=False), signature, autograph=False)
    return lambda batch: {name: found.numpy() for name, found in run(tf.constant(batch)).items()}


def _by_attention(network: Any, batch: Maps) -> Iterator[Explanation]:
    layer = last_map(network)
    maps = attention(batch, network, layer) if layer is not None else None
    for index in range(len(batch)):
        yield Explanation(strengths={} if maps is None else {"attention": _strength(maps[index])})


def _by_evidence(outputs: Outputs, batch: Maps) -> Iterator[Explanation]:
    found = outputs(batch)
    outside = _outside_lungs(batch, found, outputs)
    for cells, share in zip(found["evidence"], outside, strict=True):
        strengths = {name: _strength(cells[..., index]) for index, name in enumerate(QUESTIONS)}
        yield Explanation(strengths=strengths, outside_lungs=share)


def _states_evidence(network: Any) -> bool:
    return isinstance(network.output, dict) and "evidence" in network.output


def _strength(cells: Maps) -> Maps:
    positive = np.maximum(cells, 0)
    return np.asarray(positive / max(float(positive.max()), _CERTAIN), np.float32)


def _outside_lungs(batch: Maps, found: Mapping[str, Maps], outputs: Outputs) -> list[float | None]:
    """Measure by occlusion what changes the score more: the lungs made even, or all but the lungs.

    What is occluded gets its own mean grey: a lung that is greyer than a lung would look ill.
    The share is that of the change without the surroundings in the sum of both changes, in logits of the score.
    """
    if "lungs" not in found:
        return [None] * len(batch)
    lungs = _at_size_of(batch, found["lungs"][..., 0]) > _IS_LUNG
    as_is = _logit(found["scores"])
    without_surroundings, without_lungs = (
        _logit(outputs(seen)["scores"])
        for seen in (
            np.where(lungs, batch, _mean(batch, ~lungs)),
            np.where(lungs, _mean(batch, lungs), batch),
        )
    )
    outside, inside = abs(as_is - without_surroundings), abs(as_is - without_lungs)
    has_lungs = np.asarray(lungs.any(axis=(1, 2, 3)))
    return [
        float(out / (out + within)) if found and out + within > 0 else None
        for out, within, found in zip(outside, inside, has_lungs.tolist(), strict=True)
    ]


def _mean(batch: Maps, region: NDArray[np.bool_]) -> Maps:
    """Compute the mean grey of a region of each image, (n, 1, 1, 1)."""
    counts = np.maximum(region.sum(axis=(1, 2, 3), keepdims=True), 1)
    return np.asarray((batch * region).sum(axis=(1, 2, 3), keepdims=True) / counts, np.float32)


def _at_size_of(batch: Maps, coarse: Maps) -> Maps:
    """Enlarge maps, (n, rows, columns), to the size of the input, (n, height, width, 1)."""
    size = batch.shape[2], batch.shape[1]
    fine = [np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BILINEAR)) for one in coarse]
    return np.stack(fine)[..., None]


def _logit(scores: Any) -> NDArray[np.float64]:
    covid = np.clip(np.asarray(scores, np.float64)[:, 0], _CERTAIN, 1 - _CERTAIN)
    return np.asarray(np.log(covid / (1 - covid)))
