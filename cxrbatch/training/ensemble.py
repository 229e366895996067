"""Compute the logits of an ensemble: the mean over its members is what the bundle uses."""

from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from cxrbatch.evaluation import split_batches


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """Trained networks and their common input region.

    Attributes
    ----------
    crop : keras.Model or None
        Of `cxrbatch.training.lungs.lung_crop`; None where the networks get the whole image.
    members : tuple of keras.Model
        One for each seed: what they get, values 0–255 → logits (batch, 2).
    mirrored : bool
        Whether logits are means of those of an image and of its mirror image.
    """

    crop: keras.Model | None
    members: tuple[keras.Model, ...]
    mirrored: bool = False

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
        seen = _crop(self.crop, part)
        shown = [seen, seen[:, :, ::-1]] if self.mirrored else [seen]
        return np.mean([self._of_members(one) for one in shown], axis=0, dtype=np.float32)

    def _of_members(self, seen: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.stack([member.predict_on_batch(seen) for member in self.members])


def network_inputs(crop: keras.Model | None, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Crop images as the networks of an ensemble get them.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, height, width)

    Returns
    -------
    ndarray of uint8, shape (n, height, width, channels)
    """
    if crop is None:
        return images[..., None]
    return np.concatenate([np.rint(_crop(crop, part)).astype(np.uint8) for part in split_batches(images)])


def _crop(crop: keras.Model | None, part: NDArray[np.float32]) -> NDArray[np.float32]:
    return part if crop is None else crop(part, training=False)["box"].numpy()
