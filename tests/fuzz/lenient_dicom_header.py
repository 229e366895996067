"""What the header of a DICOM file says, read without pydicom and without giving up early."""

import struct

_MODALITY = 0x00080060
_BEHIND = 0x00100000
_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
_UNDEFINED = 0xFFFFFFFF


def modalities(data: bytes) -> set[str]:
    """Values of Modality at the top level; empty where there is none, or the file cannot be followed as far.

    Parameters
    ----------
    data : bytes
        Of a file; not deflated, and little-endian.
    """
    found: set[str] = set()
    place = 132 if data[128:132] == b"DICM" else 0
    while place + 8 <= len(data):
        group, number, vr, length = struct.unpack_from("<HH2sH", data, place)
        tag, place = group << 16 | number, place + 8
        if not (vr.isalpha() and vr.isupper()):
            (length,) = struct.unpack_from("<L", data, place - 4)
        elif vr in _LONG and place + 4 <= len(data):
            (length,) = struct.unpack_from("<L", data, place)
            place += 4
        if tag >= _BEHIND or length == _UNDEFINED:
            break
        if tag == _MODALITY:
            # of an element that is there twice, the last counts
            found = {data[place : place + length].decode("latin-1").split("\\")[0].strip(" \0").upper()}
        place += length
    return found
