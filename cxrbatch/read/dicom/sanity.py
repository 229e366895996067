"""Whether a header can be worked with: no endless values, no endless sequences within sequences."""

from collections.abc import Iterable

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from cxrbatch.reasons import Reason, Refusal

LONGEST_READ_BYTES = 1 << 24
"""Longer values are not even read: more than any lookup tables need, and less than would be noticed."""
_LONGEST_BYTES = 1 << 16
_MAY_BE_LONG = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UC", "UN", "UR", "UT"))
"""Value representations with a length of 32 bits (PS3.5 table 7.1-1). The others have 16, unless the file is in
implicit VR."""
_PICTURE_GROUP = 0x0028
_GROUPS = frozenset((0x0008, 0x0010, 0x0018, 0x0020, _PICTURE_GROUP))
"""Those of which anything is read."""


def check_structure(dataset: Dataset, nesting: int) -> None:
    """Refuse a header that would take too long to understand.

    Parameters
    ----------
    dataset : Dataset
        As parsed; values that have not been converted yet are left so.
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
    """Say that sequences are nested too deep."""
    return Refusal(Reason.CORRUPT, f"sequences nested deeper than {nesting}")


def _require_short(element: RawDataElement) -> None:
    """Private elements may be as long as they like, and doses and documents too: nobody looks at them here."""
    tag = element.tag
    if tag.group not in _GROUPS or not dictionary_has_tag(tag):
        return
    may_be_long = bool(_MAY_BE_LONG.intersection(dictionary_VR(tag).split(" or ")))
    unread = tag.group == _PICTURE_GROUP and element.length > LONGEST_READ_BYTES
    if not may_be_long or unread:
        raise Refusal(
            Reason.CORRUPT, f"element ({tag.group:04X},{tag.element:04X}) is {element.length} bytes long"
        )


def _require_shallow(element: DataElement, left: int, nesting: int) -> None:
    """Look for sequences that have been parsed: those of undefined length, at once, with all they hold."""
    if not isinstance(element.value, Sequence):
        return
    if not left:
        raise too_deep(nesting)
    for item in element.value:
        for inner in _parsed(item):
            _require_shallow(inner, left - 1, nesting)


def _parsed(item: Dataset) -> Iterable[DataElement]:
    return (element for element in item.values() if not isinstance(element, RawDataElement))
