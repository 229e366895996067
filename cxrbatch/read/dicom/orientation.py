"""Lay an image as PatientOrientation states: with the head up, and the patient's left on the right.

Input: dataset and presentation values. Output: presentation values.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from cxrbatch.read.dicom import elements as el
from cxrbatch.read.greyscale import Presentation
from cxrbatch.reasons import Flag
from cxrbatch.resample import Box

_AXES = {"L": "x", "R": "x", "A": "y", "P": "y", "H": "z", "F": "z"}
_QUADRUPED = {"LE": "L", "RT": "R", "V": "A", "D": "P", "CR": "H", "CD": "F"}
_VIEWS = {"xz": "FRONTAL", "yz": "LATERAL", "xy": "AXIAL"}


@dataclass(frozen=True, slots=True)
class Orientation:
    """Where rows and columns of an image point in the patient (PS3.3 C.7.6.1.1.1).

    L and R are the left and right of the patient, in every view: a PA film that hangs as usual, as if one faced the
    patient, has the same orientation as an AP film.

    Attributes
    ----------
    row : str
        ``L``, ``R``, ``A``, ``P``, ``H`` or ``F``: where the last pixel of a row lies, from its first one. Of a
        direction between two axes it is the nearer one. Empty where it is not stated or not understood.
    column : str
        The same for the last pixel of a column.
    """

    row: str = ""
    column: str = ""

    @property
    def view(self) -> str:
        """``FRONTAL``, ``LATERAL`` or ``AXIAL``, by the plane of the image; empty where there is no plane.

        One direction to the front or the back is enough to rule out a frontal view.
        """
        axes = "".join(sorted(_AXES[end] for end in (self.row, self.column) if end))
        return "LATERAL" if axes == "y" else _VIEWS.get(axes, "")

    @property
    def is_complete(self) -> bool:
        """True if both directions are known."""
        return bool(self.row and self.column)

    @property
    def is_as_usual(self) -> bool:
        """True if the head is up and the patient's left is on the right."""
        return (self.row, self.column) == ("L", "F")

    def lay(self, image: Presentation) -> Presentation:
        """Turn and mirror a frontal image to the usual orientation, and flag it; other images are unchanged."""
        if self.view != "FRONTAL" or self.is_as_usual:
            return image
        pixels, extent = image.pixels, image.extent
        across, down = self.row, self.column
        if across in "HF":
            pixels, extent = pixels.T, _transposed(extent)
            across, down = down, across
        if across == "R":
            pixels, extent = pixels[:, ::-1], _mirrored(extent, pixels.shape[1])
        if down == "H":
            pixels, extent = pixels[::-1], _upside_down(extent, pixels.shape[0])
        return replace(image, pixels=_in_order(pixels), extent=extent, flags=image.flags | {Flag.REORIENTED})


def read_orientation(dataset: Dataset) -> Orientation:
    """Read PatientOrientation; directions that are not understood, or lie on one axis, are left out."""
    stated = el.texts(dataset, "PatientOrientation")
    if len(stated) > 2:
        return Orientation()
    is_animal = el.text(dataset, "AnatomicalOrientationType").upper() == "QUADRUPED"
    row, column = (_nearest_end(text.upper(), is_animal=is_animal) for text in (*stated, "", "")[:2])
    if row and column and _AXES[row] == _AXES[column]:
        return Orientation()
    return Orientation(row, column)


def is_unusable(dataset: Dataset) -> bool:
    """Check whether PatientOrientation has a value, but not two directions on two axes."""
    return any(el.texts(dataset, "PatientOrientation")) and not read_orientation(dataset).is_complete


def _nearest_end(text: str, *, is_animal: bool) -> str:
    """Return the first letter of a direction such as ``LFP``: letters are in order of dominance, each of an axis."""
    if is_animal:
        return _QUADRUPED.get(text, "")
    axes = [_AXES.get(letter, "") for letter in text]
    understood = 1 <= len(axes) == len(set(axes)) and all(axes)
    return text[0] if understood else ""


def _transposed(extent: Box | None) -> Box | None:
    return extent and (extent[1], extent[0], extent[3], extent[2])


def _mirrored(extent: Box | None, n_columns: int) -> Box | None:
    return extent and (n_columns - extent[2], extent[1], n_columns - extent[0], extent[3])


def _upside_down(extent: Box | None, n_rows: int) -> Box | None:
    return extent and (extent[0], n_rows - extent[3], extent[2], n_rows - extent[1])


def _in_order(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Copy to memory in the order of the pixels: sums over it are then those of an image stored so."""
    return np.ascontiguousarray(pixels)
