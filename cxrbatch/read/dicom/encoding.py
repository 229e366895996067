"""Find out how the elements of a DICOM file are encoded, whatever its meta information states: bytes in, facts out.

Some devices and gateways change one and not the other (pydicom issue 1943). The first elements of a data set tell:
read in a wrong way, they have unknown value representations, impossible lengths, or tags that do not ascend.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from pydicom import uid
from pydicom.valuerep import VR

_VRS = frozenset(vr.value.encode() for vr in VR if len(vr.value) == 2)
_LONG_VRS = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
"""Value representations whose length has 32 bits (PS3.5 table 7.1-1)."""
_UNDEFINED_LENGTH = 0xFFFFFFFF
_PREAMBLE_BYTES = 132
_PREFIX = b"DICM"
_META_GROUP, _GROUP_LENGTH, _SYNTAX = 0x0002, 0x00020000, 0x00020010
_FIRST_GROUPS = range(0x0004, 0x0029)
"""Groups with which a data set may begin: those up to the description of the pixels."""
_LONGEST_FIRST_BYTES = 1024
_N_ELEMENTS = 3
"""How many elements are looked at."""


class Encoding(NamedTuple):
    """Encoding of a data set (PS3.5 7.1, 7.3)."""

    implicit_vr: bool
    order: Literal["little", "big"]


IMPLICIT, EXPLICIT, BIG_ENDIAN = Encoding(True, "little"), Encoding(False, "little"), Encoding(False, "big")
SYNTAX_OF: dict[Encoding, uid.UID] = {
    IMPLICIT: uid.ImplicitVRLittleEndian,
    EXPLICIT: uid.ExplicitVRLittleEndian,
    BIG_ENDIAN: uid.ExplicitVRBigEndian,
}


class _Element(NamedTuple):
    tag: int
    length: int
    begin: int
    """Offset of the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMeta:
    """What stands before the data set.

    Attributes
    ----------
    syntax : str
        TransferSyntaxUID; empty where it is missing.
    others : bytes
        The other elements of the meta information, without the length of the group.
    end : int
        Offset of the data set.
    """

    syntax: str
    others: bytes
    end: int

    def with_syntax(self, syntax: uid.UID) -> bytes:
        """Make preamble and meta information that state another transfer syntax (PS3.10 7.1)."""
        value = syntax.encode() + b"\0" * (len(syntax) % 2)
        element = struct.pack("<HH2sH", 0x0002, 0x0010, b"UI", len(value)) + value
        return bytes(128) + _PREFIX + element + self.others


def file_meta(head: bytes) -> FileMeta | None:
    """Read the meta information, which is always in explicit VR and little-endian (PS3.10 7.1).

    Parameters
    ----------
    head : bytes
        Beginning of a file.

    Returns
    -------
    FileMeta or None
        None where the meta information does not end within `head`, or is damaged.
    """
    place = _PREAMBLE_BYTES if head[128:132] == _PREFIX else 0
    syntax, others = "", []
    while head[place : place + 2] == b"\x02\0":
        element = _element(head, place, EXPLICIT)
        if element is None or element.begin + element.length > len(head):
            return None
        end = element.begin + element.length
        if element.tag == _SYNTAX:
            syntax = head[element.begin : end].decode("ascii", "replace").strip(" \0")
        elif element.tag != _GROUP_LENGTH:
            others.append(head[place:end])
        place = end
    return FileMeta(syntax=syntax, others=b"".join(others), end=place) if place < len(head) else None


@lru_cache(maxsize=64)
def stated_encoding(syntax: str) -> Encoding | None:
    """Return the encoding that a transfer syntax states (PS3.5 annex A); None where it is none that is known."""
    known = uid.UID(syntax)
    if not syntax or not known.is_valid or known.is_private or not known.is_transfer_syntax:
        return None
    return Encoding(known.is_implicit_VR, "little" if known.is_little_endian else "big")


def found_encoding(data: bytes) -> Encoding | None:
    """Find out how a data set is encoded.

    Parameters
    ----------
    data : bytes
        Its beginning.

    Returns
    -------
    Encoding or None
        None where its first elements fit no encoding: it is deflated, or no data set.
    """
    fitting = [encoding for encoding in SYNTAX_OF if fits(data, encoding)]
    return fitting[0] if len(fitting) == 1 else None


def fits(data: bytes, encoding: Encoding) -> bool:
    """Check whether the first elements are plausible, and their tags ascend."""
    place = before = 0
    for _ in range(_N_ELEMENTS):
        element = _element(data, place, encoding)
        if element is None or not before < element.tag or element.tag >> 16 not in _FIRST_GROUPS:
            return False
        if element.length == _UNDEFINED_LENGTH:
            return True
        before, place = element.tag, element.begin + element.length
        if encoding.implicit_vr and element.length > _LONGEST_FIRST_BYTES:
            return False
        if place + 8 > len(data):
            return True
    return True


def _element(data: bytes, place: int, encoding: Encoding) -> _Element | None:
    """Read tag and length of an element; None where there is no such element in this encoding."""
    implicit_vr, order = encoding
    if place + 12 > len(data):
        return None
    group = int.from_bytes(data[place : place + 2], order)
    tag = group << 16 | int.from_bytes(data[place + 2 : place + 4], order)
    vr = data[place + 4 : place + 6]
    if implicit_vr:
        begin, end = place + 4, place + 8
    elif vr in _LONG_VRS:
        begin, end = place + 8, place + 12
    elif vr in _VRS:
        begin, end = place + 6, place + 8
    else:
        return None
    return _Element(tag, int.from_bytes(data[begin:end], order), end)
