"""Load radiographs with outlined lungs, for the segmentation network: folders in, images and masks out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cxrbatch.datasets.spec import LungSpec
from cxrbatch.errors import RecipeError
from cxrbatch.prepare import decode_image
from cxrbatch.preprocess import PreprocessSpec, area_resize, content_box, preprocess
from cxrbatch.reasons import Refusal

_SUFFIX = "_mask"


@dataclass(frozen=True, slots=True)
class MaskedLungs:
    """Radiographs with their outlined lungs.

    Attributes
    ----------
    names : tuple of str
        File names of the radiographs.
    images : ndarray of uint8, shape (n, height, width)
        Preprocessed.
    masks : ndarray of uint8, shape (n, height, width)
        Share of each pixel that is lung, 0–255.
    """

    names: tuple[str, ...]
    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]

    def at(self, indices: Sequence[int]) -> "MaskedLungs":
        """Select the radiographs at some indices."""
        return MaskedLungs(
            tuple(self.names[index] for index in indices),
            self.images[list(indices)],
            self.masks[list(indices)],
        )


def load_masked_lungs(spec: LungSpec, data: Path, preprocess_spec: PreprocessSpec) -> MaskedLungs:
    """Read each ``<stem>_mask.png`` with its radiograph ``<stem>.*``; a mask without its radiograph is left out.

    Raises
    ------
    RecipeError
        There is no pair.
    """
    radiographs = {path.stem: path for path in sorted((data / spec.images).glob("*"))}
    pairs = [
        (radiographs[stem], mask)
        for mask in sorted((data / spec.masks).glob(f"*{_SUFFIX}.png"))
        if (stem := mask.stem.removesuffix(_SUFFIX)) in radiographs
    ]
    read = [(path.name, *both) for path, mask in pairs if (both := _read(path, mask, preprocess_spec))]
    if not read:
        raise RecipeError(
            f"lungs: no mask in {data / spec.masks} with its radiograph in {data / spec.images}"
        )
    names, images, masks = zip(*read, strict=True)
    return MaskedLungs(names, np.stack(images), np.stack(masks))


def _read(path: Path, mask: Path, spec: PreprocessSpec) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
    radiograph, outline = _pixels(path), _pixels(mask)
    if radiograph is None or outline is None:
        return None
    same_size = area_resize(outline, *radiograph.shape)
    box = content_box(radiograph, spec.trim_tolerance)
    lungs = area_resize(same_size, spec.height, spec.width, box)
    return preprocess(radiograph, spec), np.rint(255 * np.clip(lungs, 0, 1)).astype(np.uint8)


def _pixels(path: Path) -> NDArray[np.float32] | None:
    try:
        return decode_image(path).pixels
    except (Refusal, OSError):
        return None


def part_by_patient(
    examples: MaskedLungs, patients: Mapping[str, str], every: int
) -> tuple[MaskedLungs, MaskedLungs]:
    """Hold out the radiographs of every n-th patient.

    Parameters
    ----------
    patients : mapping of str to str
        Patient of a file name; a file that is not in it is its own patient.

    Returns
    -------
    training, held_out : MaskedLungs
    """
    owners = [patients.get(name, name) for name in examples.names]
    held_out = set(sorted(set(owners))[::every])
    parts = (
        [index for index, owner in enumerate(owners) if (owner in held_out) is kept] for kept in (False, True)
    )
    training, rest = (examples.at(indices) for indices in parts)
    return training, rest
