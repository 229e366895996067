"""Check the structure of a header before it is read: no overlong values, no deeply nested sequences."""

from collections.abc import Iterable

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from cxrbatch.reasons import Reason, Refusal

LONGEST_READ_BYTES = 1 << 24
"""Longer values are not read. This is more than any lookup table needs, and little memory."""
_LONGEST_BYTES = 1 << 16
_MAY_BE_LONG = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UC", "UN", "UR", "UT"))
"""Value representations with a length of 32 bits (PS3.5 table 7.1-1). The others have 16, unless the file is in
implicit VR."""
_IMAGE_GROUP = 0x0028
_OVERLAY_BIT_POSITION, _OVERLAY_MASK = 0x60000102, 0xFF00FFFF
"""An element of all overlay groups (PS3.5 7.6)."""
_GROUPS = frozenset((0x0008, 0x0010, 0x0018, 0x0020, _IMAGE_GROUP))
"""Groups from which any element is read."""


def check_structure(dataset: Dataset, nesting: int) -> None:
    """Refuse a header that would take too long to parse.

    Parameters
    ----------
    dataset : Dataset
        As parsed; values that are not converted yet stay unconverted.
    nesting : int
        See `cxrbatch.limits.Limits`.

    Raises
    ------
    Refusal
        ``corrupt``.
    """
    for element in dataset.values():
        if isinstance(element, RawDataElement):
            if element.length > _LONGEST_BYTES:
                _require_short(element)
        else:
            _require_shallow(element, nesting, nesting)


def too_deep(nesting: int) -> Refusal:
    """Make the refusal of sequences that are nested too deep."""
    return Refusal(Reason.CORRUPT, f"sequences nested deeper than {nesting}")


def _require_short(element: RawDataElement) -> None:
    """Refuse an overlong element, except those that are not read: private elements, doses, documents."""
    tag = element.tag
    is_read = tag.group in _GROUPS and dictionary_has_tag(tag)
    if not is_read and tag & _OVERLAY_MASK != _OVERLAY_BIT_POSITION:
        return
    may_be_long = bool(_MAY_BE_LONG.intersection(dictionary_VR(tag).split(" or ")))
    unread = tag.group == _IMAGE_GROUP and element.length > LONGEST_READ_BYTES
    if not may_be_long or unread:
        raise Refusal(
            Reason.CORRUPT, f"element ({tag.group:04X},{tag.element:04X}) is {element.length} bytes long"
        )


def _require_shallow(element: DataElement, left: int, nesting: int) -> None:
    """Refuse sequences nested too deep, among those parsed already: those of undefined length, with their items."""
    if not isinstance(element.value, Sequence):
        return
    if not left:
        raise too_deep(nesting)
    for item in element.value:
        for inner in _parsed(item):
            _require_shallow(inner, left - 1, nesting)


def _parsed(item: Dataset) -> Iterable[DataElement]:
    return (element for element in item.values() if not isinstance(element, RawDataElement))
