"""Recognise pictures, videos, archives and documents of common formats by how they begin: bytes in, a name out."""

import re
from dataclasses import dataclass
from enum import Enum, auto

HEAD_BYTES = 512
"""How much of a file is looked at: NIfTI has its magic at byte 344, tar at 257."""


class Content(Enum):
    """What kind of thing a file holds."""

    PICTURE = auto()
    VIDEO = auto()
    PACKED = auto()
    DOCUMENT = auto()


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A format of files.

    Attributes
    ----------
    name : str
        With its article: "a TIFF image".
    content : Content
    """

    name: str
    content: Content


def _picture(name: str) -> FileFormat:
    return FileFormat(name, Content.PICTURE)


def _packed(name: str) -> FileFormat:
    return FileFormat(name, Content.PACKED)


def _video(name: str) -> FileFormat:
    return FileFormat(name, Content.VIDEO)


TIFF, BMP, WEBP = _picture("a TIFF image"), _picture("a BMP image"), _picture("a WebP image")
JPEG_2000, JPEG_2000_CODESTREAM = (
    _picture("a JPEG 2000 image"),
    _picture("a bare JPEG 2000 codestream"),
)
_JPEG_XL = _picture("a JPEG XL image")
_HEIF, _AVIF, _NIFTI = (
    _picture("a HEIF (HEIC) image"),
    _picture("an AVIF image"),
    _picture("a NIfTI volume"),
)
_GIF, _JPEG_XR = _picture("a GIF image"), _picture("a JPEG XR image")
APPLE_DOUBLE = FileFormat("what macOS keeps beside a file", Content.DOCUMENT)
_MP4, _ZIP = _video("an MP4 or QuickTime video"), _packed("a ZIP archive")

# First bytes that no text has.
_BEGINNINGS = {
    b"II*\0": TIFF,
    b"MM\0*": TIFF,
    b"II+\0": TIFF,  # BigTIFF
    b"MM\0+": TIFF,
    b"II\xbc\0": _JPEG_XR,
    b"II\xbc\1": _JPEG_XR,
    b"\xff\x4f\xff\x51": JPEG_2000_CODESTREAM,
    b"\0\0\0\x0cjP": JPEG_2000,
    b"\xff\x0a": _JPEG_XL,
    b"\0\0\0\x0cJXL ": _JPEG_XL,
    b"\x1a\x45\xdf\xa3": _video("a Matroska or WebM video"),
    b"\0\5\x16\7": APPLE_DOUBLE,
    b"%PDF": FileFormat("a PDF document", Content.DOCUMENT),
    b"PK\3\4": _ZIP,
    b"PK\5\6": _ZIP,  # empty
    b"PK\7\x08": _ZIP,  # in several parts
    b"7z\xbc\xaf\x27\x1c": _packed("a 7z archive"),
    b"Rar!\x1a\7": _packed("a RAR archive"),  # 4 and 5
    b"\x1f\x8b": _packed("a gzip file"),
    b"\xfd7zXZ\0": _packed("an xz file"),
    b"\x28\xb5\x2f\xfd": _packed("a zstd file"),
}
# Beginnings that a text may have too, are not the first bytes, or not always the same.
_PATTERNS = (
    (rb"GIF8[79]a", _GIF),
    (rb"RIFF.{4}WEBP", WEBP),
    (rb"RIFF.{4}AVI ", _video("an AVI video")),
    # The size of the second header tells a BMP from other things that begin with BM.
    (rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0", BMP),
    (rb"BM.{4}\0{4}.{0,7}\Z", BMP),
    (rb".{257}ustar[\0 ]", _packed("a tar archive")),
    (rb".{344}(?:n\+1|ni1)\0", _NIFTI),
    (rb".{4}(?:n\+2|ni2)\0\r\n\x1a\n", _NIFTI),
    # Boxes (ISO/IEC 14496-12): a length of 4 bytes, a type, and for ftyp the brand.
    (rb"[\0-\7].{3}ftyp(?:hei[cmsx]|hev[cmsx])", _HEIF),
    (rb"[\0-\7].{3}ftypavi[fs]", _AVIF),
    (rb"[\0-\7].{3}ftyp(?:mif[12]|msf1).{4}(?:.{4}){0,8}avi[fs]", _AVIF),
    (rb"[\0-\7].{3}ftyp(?:mif[12]|msf1)", _HEIF),
    (rb"[\0-\7].{3}ftypjxl ", _JPEG_XL),
    (rb"[\0-\7].{3}ftyp(?!M4[ABP] |aax)", _MP4),  # all brands but sound
    (rb"[\0-\7].{3}(?:moov|mdat|wide)", _MP4),  # QuickTime before ftyp
)
# Headers that are or may be text themselves, and long enough to tell; a GIF of which no more is there.
_TEXT_PATTERNS = (
    (rb"GIF8[79]a\Z", _GIF),
    (rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", _packed("a bzip2 file")),
    (rb"NRRD000\d\r?\n", _picture("an NRRD volume")),
    (rb"ObjectType *= *Image\r?\n", _picture("a MetaImage volume")),
)
_COMPILED = tuple((re.compile(pattern, re.DOTALL), found) for pattern, found in _PATTERNS)
_COMPILED_TEXT = tuple((re.compile(pattern), found) for pattern, found in _TEXT_PATTERNS)
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_OFFICE_SUFFIXES = frozenset(
    """
    .docx .docm .dotx .xlsx .xlsm .xlsb .xltx .pptx .pptm .ppsx .potx .vsdx .odt .ods .odp .odg .odf .ott .ots .otp
    .epub .jar .war .apk .xpi .whl
    """.split()  # noqa: SIM905 - a list would be longer
)


def recognise(head: bytes, suffix: str = "") -> FileFormat | None:
    """Recognise the format of a file by its first bytes; None where it is none of these, such as text.

    Parameters
    ----------
    head : bytes
        The first `HEAD_BYTES` of the file, or all of it where it is shorter.
    suffix : str
        Of its name, in lower case, with the dot: tells a ZIP archive from documents and programs that are one inside.
    """
    found = next((found for magic, found in _BEGINNINGS.items() if head.startswith(magic)), None)
    found = found or _first(_COMPILED_TEXT, head)
    if found is None and not _is_text(head):
        found = _first(_COMPILED, head)
    if found is _ZIP and suffix in _OFFICE_SUFFIXES:
        return FileFormat("an office document or a program", Content.DOCUMENT)
    return found


def _first(patterns: tuple[tuple[re.Pattern[bytes], FileFormat], ...], head: bytes) -> FileFormat | None:
    return next((found for pattern, found in patterns if pattern.match(head)), None)


def _is_text(head: bytes) -> bool:
    """Check whether these bytes may be text in ASCII, Latin-1 or UTF-8: no control characters but white space."""
    return not _CONTROL.search(head)
