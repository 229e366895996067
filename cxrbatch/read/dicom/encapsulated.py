"""The compressed frame of a DICOM file, without reading the file twice."""

import os
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.encaps import get_frame

from cxrbatch.read.dicom import elements as el
from cxrbatch.reasons import Reason, Refusal

_HEADS = (b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff", b"\xe0\x7f\x10\x00OW\0\0\xff\xff\xff\xff")
"""PixelData of undefined length, explicit VR, little-endian: all that is encapsulated (PS3.5 A.4)."""
_ITEM_TAG = b"\xfe\xff\x00\xe0"
_ITEM_BYTES = 8
"""Tag and length: of the offset table, of the fragment, of the delimiter behind it. A file cut off lacks the last."""


def frame_of_file(path: Path, begin: int) -> bytes | None:
    """Read the one frame straight from the file.

    Parameters
    ----------
    begin : int
        Where the element behind the header begins.

    Returns
    -------
    bytes or None
        None where that is not a frame with everything in its place: parse the file, and say what is wrong.
    """
    with path.open("rb") as stream:
        stream.seek(begin)
        if stream.read(len(_HEADS[0])) not in _HEADS:
            return None
        try:
            frame = get_frame(stream, 0, number_of_frames=1)
        except MemoryError:
            raise
        except Exception:
            return None
        needed = begin + len(_HEADS[0]) + 3 * _ITEM_BYTES + len(frame)
        return frame if needed <= os.fstat(stream.fileno()).st_size else None


def frame_of_dataset(dataset: Dataset) -> bytes:
    """Take the one frame out of PixelData.

    Raises
    ------
    Refusal
        ``truncated``, or ``corrupt``: it is not encapsulated.
    """
    data = el.value_of(dataset, "PixelData")
    if not isinstance(data, bytes) or not data.startswith(_ITEM_TAG):
        raise Refusal(
            Reason.CORRUPT, "the transfer syntax is a compressed one, but PixelData is not encapsulated"
        )
    try:
        return get_frame(data, 0, number_of_frames=1)
    except MemoryError:
        raise
    except Exception as error:
        raise Refusal(Reason.TRUNCATED, "the encapsulated pixel data is incomplete") from error
