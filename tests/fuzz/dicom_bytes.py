"""DICOM as bytes: elements taken apart and put together again, right or wrong."""

import struct
from dataclasses import dataclass, replace

LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
UNDEFINED = 0xFFFFFFFF
_PREAMBLE_BYTES = 132
ITEM, ITEM_END, SEQUENCE_END = (b"\xfe\xff" + number for number in (b"\x00\xe0", b"\x0d\xe0", b"\xdd\xe0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One element of a data set.

    Attributes
    ----------
    length : int or None
        What its length field says; None for the truth.
    """

    tag: int
    vr: bytes
    value: bytes
    length: int | None = None

    def encoded(self, *, implicit_vr: bool = False, order: str = "<") -> bytes:
        """Bytes in the file."""
        length = len(self.value) if self.length is None else self.length
        tag = struct.pack(f"{order}HH", self.tag >> 16, self.tag & 0xFFFF)
        if implicit_vr:
            return tag + struct.pack(f"{order}L", length & UNDEFINED) + self.value
        if self.vr in LONG:
            return tag + self.vr + b"\0\0" + struct.pack(f"{order}L", length & UNDEFINED) + self.value
        return tag + self.vr + struct.pack(f"{order}H", length & 0xFFFF) + self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A DICOM file in explicit VR, little-endian, taken apart."""

    preamble: bytes
    elements: tuple[Element, ...]

    @classmethod
    def of(cls, data: bytes) -> "File":
        """Take a well-formed file apart.

        Raises
        ------
        struct.error, ValueError
            It is not one.
        """
        start = _PREAMBLE_BYTES if data[128:132] == b"DICM" else 0
        place, elements = start, []
        while place < len(data):
            element, place = _element_at(data, place)
            elements.append(element)
        return cls(preamble=data[:start], elements=tuple(elements))

    def __bytes__(self) -> bytes:
        return self.preamble + b"".join(element.encoded() for element in self.elements)

    def __getitem__(self, tag: int) -> Element | None:
        return next((element for element in self.elements if element.tag == tag), None)

    def with_element(self, tag: int, vr: bytes, value: bytes, length: int | None = None) -> "File":
        """Set an element, in its place."""
        new = Element(tag=tag, vr=vr, value=value, length=length)
        others = [element for element in self.elements if element.tag != tag]
        return replace(self, elements=tuple(sorted([*others, new], key=lambda element: element.tag)))

    def changed(self, number: int, new: Element) -> "File":
        """Exchange one element for another."""
        return replace(self, elements=(*self.elements[:number], new, *self.elements[number + 1 :]))


def item(content: bytes, *, length: int | None = None, closed: bool = False) -> bytes:
    """An item of a sequence, or a fragment of pixel data."""
    head = ITEM + struct.pack("<L", len(content) if length is None else length & UNDEFINED)
    return head + content + (ITEM_END + b"\0\0\0\0" if closed else b"")


def _element_at(data: bytes, place: int) -> tuple[Element, int]:
    group, number, vr, length = struct.unpack_from("<HH2sH", data, place)
    place += 8
    if not vr.isalpha():
        raise ValueError("implicit VR")
    if vr in LONG:
        (length,) = struct.unpack_from("<L", data, place)
        place += 4
    end = _end_of_items(data, place) if length == UNDEFINED else place + length
    if end > len(data):
        raise ValueError("cut off")
    stated = UNDEFINED if length == UNDEFINED else None
    return Element(tag=group << 16 | number, vr=vr, value=data[place:end], length=stated), end


def _end_of_items(data: bytes, place: int) -> int:
    """Behind the delimiter of encapsulated pixel data."""
    while data[place : place + 4] == ITEM:
        (length,) = struct.unpack_from("<L", data, place + 4)
        place += 8 + length
    if data[place : place + 4] != SEQUENCE_END:
        raise ValueError("no delimiter")
    return place + 8
