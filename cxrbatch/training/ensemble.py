"""Compute the logits of an ensemble: each question is answered by the networks of its input region."""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from cxrbatch.evaluation import compute_outputs, split_batches

Crops = Mapping[str, keras.Model]
"""Crop of each of `cxrbatch.training.recipe.INPUT_REGIONS`: values 0–255 → the same shape; ``whole`` needs none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """Trained networks and their input regions.

    Attributes
    ----------
    crops : mapping of str to keras.Model
    input_regions : tuple of str
        One for each of `cxrbatch.training.network.QUESTIONS`.
    members : tuple of mapping of str to keras.Model
        For each seed, by input region: values 0–255 → logits (batch, 2). Only the questions of that region count.
    """

    crops: Crops
    input_regions: tuple[str, ...]
    members: tuple[Mapping[str, keras.Model], ...]

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute the logits of each member by itself.

        Parameters
        ----------
        images : ndarray of uint8, shape (n, height, width)
            Preprocessed.

        Returns
        -------
        ndarray of float32, shape (members, n, 2)
        """
        return np.concatenate([self._logits(part) for part in split_batches(images)], axis=1)

    def _logits(self, part: NDArray[np.float32]) -> NDArray[np.float32]:
        seen = {region: _crop(self.crops, region, part) for region in set(self.input_regions)}
        return np.stack([self._member_logits(member, seen) for member in self.members])

    def _member_logits(
        self, member: Mapping[str, keras.Model], seen: Mapping[str, NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        logits = {region: network(seen[region], training=False).numpy() for region, network in member.items()}
        return np.stack(
            [logits[region][:, question] for question, region in enumerate(self.input_regions)], axis=1
        )


def shown(crops: Crops, region: str, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Crop images to an input region.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width)

    Returns
    -------
    ndarray of uint8, shape (n, height, width)
        What the networks of that region get.
    """
    if region not in crops:
        return images
    return np.rint(compute_outputs(crops[region], images)[..., 0]).astype(np.uint8)


def _crop(crops: Crops, region: str, part: NDArray[np.float32]) -> NDArray[np.float32]:
    return crops[region](part, training=False).numpy() if region in crops else part
