"""Networks that decide together: each question is asked of the networks of its look, whose logits are averaged."""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from cxrbatch.evaluation.scoring import in_parts, score

Crops = Mapping[str, keras.Model]
"""By look, see `cxrbatch.training.recipe.LOOKS`: values 0–255 → the same shape; ``whole`` needs none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Committee:
    """Trained networks, and what they are shown.

    Attributes
    ----------
    crops : mapping of str to keras.Model
    looks : tuple of str
        One for each of `cxrbatch.training.network.QUESTIONS`.
    members : tuple of mapping of str to keras.Model
        For each seed, by look: values 0–255 → logits (batch, 2), of which only the questions of the look count.
    """

    crops: Crops
    looks: tuple[str, ...]
    members: tuple[Mapping[str, keras.Model], ...]

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Of each member by itself.

        Parameters
        ----------
        images : ndarray of uint8, shape (n, height, width)
            Preprocessed.

        Returns
        -------
        ndarray of float32, shape (members, n, 2)
        """
        return np.concatenate([self._logits(part) for part in in_parts(images)], axis=1)

    def _logits(self, part: NDArray[np.float32]) -> NDArray[np.float32]:
        seen = {look: _crop(self.crops, look, part) for look in set(self.looks)}
        return np.stack([self._asked(member, seen) for member in self.members])

    def _asked(
        self, member: Mapping[str, keras.Model], seen: Mapping[str, NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        answers = {look: network(seen[look], training=False).numpy() for look, network in member.items()}
        return np.stack([answers[look][:, question] for question, look in enumerate(self.looks)], axis=1)


def shown(crops: Crops, look: str, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images (n, height, width) as a network of this look sees them, of the same shape."""
    if look not in crops:
        return images
    return np.rint(score(crops[look], images)[..., 0]).astype(np.uint8)


def _crop(crops: Crops, look: str, part: NDArray[np.float32]) -> NDArray[np.float32]:
    return crops[look](part, training=False).numpy() if look in crops else part
