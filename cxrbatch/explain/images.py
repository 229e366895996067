"""Explain images in batches: the network's inputs in, an `Explanation` for each out.

Networks with the output ``evidence`` state what each place adds to each logit. For others the gradient says which
places of the last convolution the COVID-19 score hangs on (Grad-CAM: Selvaraju et al. 2017, arXiv:1610.02391).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.explain.attention import attention, last_map
from cxrbatch.explain.colours import to_png
from cxrbatch.records import Evidence

Maps = NDArray[np.float32]

QUESTIONS = ("abnormal", "covid")
"""Questions of the output ``evidence``, in its order: any pneumonia, and COVID-19 against other pneumonia."""
_BATCH = 16
_LUNG_LAYER = "is_lung"
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
    """Check whether maps can be made of a network."""
    known = _functional(network)
    return _states_evidence(known) or last_map(known) is not None


def _functional(network: Any) -> Any:
    """Make a model with inputs and outputs of a Sequential, which has none that it states, from the same layers."""
    import keras  # noqa: PLC0415 - takes seconds

    return (
        keras.Model(network.inputs, network.outputs[0]) if isinstance(network, keras.Sequential) else network
    )


def explain(pixels: NDArray[np.uint8], network: Any) -> Iterator[Explanation]:
    """Find where a network looked in images.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n, height, width)
        Inputs of the network, from `cxrbatch.preprocess.preprocess`.
    network : keras.Model
        The bundle's network with all of its outputs.

    Yields
    ------
    Explanation
        One for each image; without maps where the network allows none.
    """
    network = _functional(network)
    for start in range(0, len(pixels), _BATCH):
        batch = pixels[start : start + _BATCH].astype(np.float32)[..., None]
        yield from _explain_batch(batch, network)


def _explain_batch(batch: NDArray[np.float32], network: Any) -> Iterator[Explanation]:
    if not _states_evidence(network):
        layer = last_map(network)
        maps = attention(batch, network, layer) if layer is not None else None
        for index in range(len(batch)):
            yield Explanation(strengths={} if maps is None else {"attention": _strength(maps[index])})
        return
    found = _outputs(batch, network)
    outside = _outside_lungs(batch, network, found)
    for cells, share in zip(found["evidence"], outside, strict=True):
        strengths = {name: _strength(cells[..., index]) for index, name in enumerate(QUESTIONS)}
        yield Explanation(strengths=strengths, outside_lungs=share)


def _states_evidence(network: Any) -> bool:
    return isinstance(network.output, dict) and "evidence" in network.output


def _strength(cells: Maps) -> Maps:
    positive = np.maximum(cells, 0)
    return np.asarray(positive / max(float(positive.max()), _CERTAIN), np.float32)


def _outputs(batch: NDArray[np.float32], network: Any) -> dict[str, Maps]:
    """Compute all outputs, and where the network finds the lungs if it looks for them, in one pass."""
    import keras  # noqa: PLC0415 - takes seconds

    wanted = dict(network.output)
    if _LUNG_LAYER in {layer.name for layer in network.layers}:
        wanted[_LUNG_LAYER] = network.get_layer(_LUNG_LAYER).output
    found = keras.Model(network.input, wanted)(batch, training=False)
    return {name: np.asarray(values, np.float32) for name, values in found.items()}


def _outside_lungs(batch: NDArray[np.float32], network: Any, found: Mapping[str, Maps]) -> list[float | None]:
    """Measure by occlusion what changes the score more: the lungs made even, or all but the lungs.

    What is occluded gets its own mean grey: a lung that is greyer than a lung would look ill.
    The share is that of the change without the surroundings in the sum of both changes, in logits of the score.
    """
    if _LUNG_LAYER not in found:
        return [None] * len(batch)
    lungs = _at_size_of(batch, found[_LUNG_LAYER][..., 0]) > _IS_LUNG
    as_is = _logit(found["scores"])
    without_surroundings, without_lungs = (
        _logit(network(seen, training=False)["scores"])
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


def _mean(batch: NDArray[np.float32], region: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Compute the mean grey of a region of each image, (n, 1, 1, 1)."""
    counts = np.maximum(region.sum(axis=(1, 2, 3), keepdims=True), 1)
    return np.asarray((batch * region).sum(axis=(1, 2, 3), keepdims=True) / counts, np.float32)


def _at_size_of(batch: NDArray[np.float32], coarse: Maps) -> Maps:
    """Enlarge maps, (n, rows, columns), to the size of the input, (n, height, width, 1)."""
    size = batch.shape[2], batch.shape[1]
    fine = [np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BILINEAR)) for one in coarse]
    return np.stack(fine)[..., None]


def _logit(scores: Any) -> NDArray[np.float64]:
    covid = np.clip(np.asarray(scores, np.float64)[:, 0], _CERTAIN, 1 - _CERTAIN)
    return np.asarray(np.log(covid / (1 - covid)))
