"""Inflate files of the deflated transfer syntax (PS3.5 A.5), up to the limits on size."""

import io
import zlib

from pydicom import uid
from pydicom.filereader import read_dataset, read_preamble
from pydicom.tag import BaseTag

from cxrbatch.limits import Limits
from cxrbatch.read.dicom import elements as el
from cxrbatch.reasons import Reason, Refusal

_DEFLATED = uid.DeflatedExplicitVRLittleEndian.encode()
_INFLATED = uid.ExplicitVRLittleEndian.encode().ljust(len(_DEFLATED), b"\0")
_META_GROUP = 2


def inflate_dataset(stream: io.BufferedReader, limits: Limits) -> io.BytesIO | None:
    """Convert a deflated file to a plain one.

    Parameters
    ----------
    stream : file
        At its beginning; it is left there if there is nothing to inflate.

    Returns
    -------
    file or None
        Explicit VR, little-endian, with meta information that states it; None for all other transfer syntaxes.

    Raises
    ------
    Refusal
        ``corrupt``, ``truncated`` or ``too_large``.
    """
    # Few files are deflated. The bytes that are buffered anyway show which may be.
    if _DEFLATED not in stream.peek():
        return None
    begin = _data_set_begins(stream)
    stream.seek(0)
    if begin is None:
        return None
    meta = stream.read(begin)
    return io.BytesIO(meta.replace(_DEFLATED, _INFLATED) + _inflate(stream.read(), limits))


def _data_set_begins(stream: io.BufferedReader) -> int | None:
    """Find the offset of the deflated part; None where the meta information names another transfer syntax."""
    read_preamble(stream, force=True)
    meta = read_dataset(stream, is_implicit_VR=False, is_little_endian=True, stop_when=_is_data_set)
    return stream.tell() if el.text(meta, "TransferSyntaxUID").encode() == _DEFLATED else None


def _is_data_set(tag: BaseTag, vr: str | None, length: int) -> bool:  # noqa: ARG001
    return tag >> 16 != _META_GROUP


def _inflate(data: bytes, limits: Limits) -> bytes:
    most = min(limits.ratio * len(data), limits.file_bytes)
    inflator = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflator.decompress(data, most + 1)
    except zlib.error as error:
        raise Refusal(Reason.CORRUPT, "the deflated data set is damaged") from error
    if len(plain) > most:
        raise Refusal(
            Reason.TOO_LARGE,
            f"{len(data)} bytes inflate to more than {most}, limit {limits.ratio} times as many",
        )
    if not inflator.eof:
        raise Refusal(Reason.TRUNCATED, "the deflated data set is cut off")
    return plain
