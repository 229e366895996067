r"""Read identifiers without loss: element in, text out. Different values never give the same text.

The bytes are decoded by the declared character set (PS3.3 C.12.1.1.2), and encoded again: only a text that gives the
same bytes is used. Otherwise each byte that is not ASCII becomes a lone surrogate, as in Python's names of files
(PEP 383); tables and pages show it as ``\xE9``. A backslash separates no values here: PatientID, AccessionNumber and
the UIDs of study and instance have one value (PS3.6), and those that stand before it may be of several patients.
"""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from pydicom import charset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as Items

from cxrbatch.read.dicom import elements as el

_NUMBERS = frozenset(("AT", "FD", "FL", "OD", "OF", "OL", "OV", "OW", "SL", "SS", "SV", "UL", "US", "UV"))
"""Value representations whose last byte is part of a number, even if it looks like padding."""
_LEADING_BLANKS_COUNT = frozenset(("LT", "ST", "UT"))
_PADDING = b" \0"
_ESCAPE = b"\x1b"
_LOST = "\ufffd"
_CODECS = frozenset(charset.python_encoding.values())


def identifier(dataset: Dataset, keyword: str, parent: Dataset | None = None) -> str:
    """Read the value of an identifier as text; empty where it is missing or a sequence.

    Leading blanks, and trailing blanks and NULs, do not count (PS3.5 6.2); at the start of UT, ST and LT, blanks do.

    Parameters
    ----------
    dataset : Dataset
    keyword : str
        Of an element with one value.
    parent : Dataset, optional
        Dataset whose character set applies if `dataset`, an item of a sequence, declares none (PS3.5 7.5.3).

    Returns
    -------
    str
        Bytes that do not decode are lone surrogates, U+DC80 to U+DCFF.
    """
    element = dataset.get_item(el.tag_of(keyword), keep_deferred=True)
    if element is None or element.VR == "SQ":
        return ""
    value = _plain(element)
    if isinstance(value, str):
        plain = _without_blanks(value.encode("utf-8", "surrogatepass"), keyword)
        return plain.decode("utf-8", "surrogatepass")
    plain = value if element.VR in _NUMBERS else _without_blanks(value, keyword)
    if plain.isascii() and _ESCAPE not in plain:
        return plain.decode("ascii")
    return _decode(plain, _declared(dataset) or _declared(parent))


def raw_bytes(dataset: Dataset, keyword: str) -> bytes:
    """Return the bytes of an element that was not parsed; empty where it is missing or was parsed."""
    element = dataset.get_item(el.tag_of(keyword), keep_deferred=True)
    return (element.value or b"") if isinstance(element, RawDataElement) else b""


def _plain(element: DataElement | RawDataElement) -> bytes | str:
    """Return the bytes of an element as in the file, or the text of one that was made or parsed in memory."""
    value: Any = element.value
    if value is None or isinstance(value, Items | Dataset):
        return b""
    if isinstance(value, bytes):
        return value
    return "\\".join(map(str, value)) if isinstance(value, MultiValue | list) else str(value)


def _without_blanks(value: bytes, keyword: str) -> bytes:
    value = value.rstrip(_PADDING)
    return value if dictionary_VR(el.tag_of(keyword)) in _LEADING_BLANKS_COUNT else value.lstrip(b" ")


def _declared(dataset: Dataset | None) -> list[str]:
    return [] if dataset is None else el.texts(dataset, "SpecificCharacterSet")


def _decode(value: bytes, declared: Sequence[str]) -> str:
    """Decode bytes so that different bytes in one character set give different texts."""
    with warnings.catch_warnings(), suppress(LookupError, ValueError):
        warnings.simplefilter("ignore")
        if text := _by_character_set(value, declared):
            return text
    return value.decode("ascii", "surrogateescape")


def _by_character_set(value: bytes, declared: Sequence[str]) -> str:
    """Decode by the declared character set; empty where the text would not give the same bytes again."""
    codecs = charset.convert_encodings(list(declared))
    # pydicom reads Latin-1 where nothing is declared, or nothing known. The standard has ASCII (PS3.5 6.1.2.1).
    strict = ["ascii" if codec == charset.default_encoding else codec for codec in codecs]
    if not _CODECS.issuperset(codecs):
        return ""
    text = charset.decode_bytes(value, strict, set())
    if text.isascii() or _LOST in text or not _is_unicode(text):
        return ""
    return text if charset.encode_string(text, codecs) == value else ""


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in text)
