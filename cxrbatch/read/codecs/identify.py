"""Tell by a codestream which compression it is: bytes in, a transfer syntax out.

Transfer syntaxes name it too, and some files name a wrong one; files outside DICOM name none.
"""

import numpy as np
from pydicom import uid

from cxrbatch.read.codecs import jpeg2000
from cxrbatch.read.codecs.frame_header import jpeg_frame_header

_SOI, _SOC = b"\xff\xd8", b"\xff\x4f\xff\x51"
_SOF_LOSSLESS, _SOF_JPEG_LS = 0xC3, 0xF7
_SOF_BASELINE = 0xC0
_RLE_HEADER_BYTES = 64
_MOST_SEGMENTS = 15
_FAMILIES = (
    frozenset((uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)),
    frozenset((uid.JPEGLossless, uid.JPEGLosslessSV1)),
    frozenset((uid.JPEGLSLossless, uid.JPEGLSNearLossless)),
    frozenset((uid.JPEG2000Lossless, uid.JPEG2000)),
    frozenset((uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)),
)
"""Transfer syntaxes of one decoder each, which a codestream may have in common."""
OF_JPEG = frozenset().union(*_FAMILIES[:3])
"""Transfer syntaxes of JPEG and JPEG-LS, whose values have no sign."""


def syntax_of(codestream: bytes, stated: str = "") -> str:
    """Find the transfer syntax of a codestream.

    Parameters
    ----------
    codestream : bytes
        Out of its JP2 file, if it was one.
    stated : str
        The transfer syntax that its file states. It stands where the codestream may be of it.

    Returns
    -------
    str
        Empty where the bytes begin like no compression that is read.
    """
    found = _found(codestream)
    same_family = any({found, stated} <= family for family in _FAMILIES)
    return stated if same_family else found


def _found(codestream: bytes) -> str:
    if codestream.startswith(_SOI):
        return _of_jpeg(codestream)
    if codestream.startswith(_SOC):
        return _of_jpeg2000(codestream)
    return uid.RLELossless if _is_rle(codestream) else ""


def _of_jpeg(codestream: bytes) -> str:
    """Recognise the process of JPEG by the frame header (ISO/IEC 10918-1 B.1.1.3, 14495-1 C.1)."""
    try:
        marker, place = jpeg_frame_header(codestream)
    except LookupError:
        return ""
    if marker == _SOF_JPEG_LS:
        return uid.JPEGLSNearLossless if _near(codestream, place) else uid.JPEGLSLossless
    if marker == _SOF_LOSSLESS:
        return uid.JPEGLosslessSV1
    is_baseline = marker == _SOF_BASELINE and codestream[place + 3] == 8
    return uid.JPEGBaseline8Bit if is_baseline else uid.JPEGExtended12Bit


def _near(codestream: bytes, place: int) -> int:
    """Read the largest error of the first scan, NEAR (ISO/IEC 14495-1 C.2.3); 0 where there is none."""
    scan = codestream.find(b"\xff\xda", place)
    n_components = codestream[scan + 4 : scan + 5]
    near = scan + 5 + 2 * int.from_bytes(n_components)
    return int.from_bytes(codestream[near : near + 1]) if scan >= 0 else 0


def _of_jpeg2000(codestream: bytes) -> str:
    """Recognise the compression by the segments CAP and COD (ISO/IEC 15444-1 A.6.1, 15444-15 A.3)."""
    try:
        reversible, htj2k = jpeg2000.is_reversible(codestream), jpeg2000.is_htj2k(codestream)
    except jpeg2000.NoMainHeader:
        return ""
    if htj2k:
        return uid.HTJ2KLossless if reversible else uid.HTJ2K
    return uid.JPEG2000Lossless if reversible else uid.JPEG2000


def _is_rle(frame: bytes) -> bool:
    """Check for a header of RLE: segments that begin behind it, one after the other, and zeros (PS3.5 G.5)."""
    if len(frame) < _RLE_HEADER_BYTES:
        return False
    n_segments, *starts = np.frombuffer(frame, "<u4", _RLE_HEADER_BYTES // 4).tolist()
    used = starts[:n_segments]
    in_order = used == sorted(set(used)) and used[:1] == [_RLE_HEADER_BYTES]
    return 1 <= n_segments <= _MOST_SEGMENTS and in_order and not any(starts[n_segments:])
