"""Coded values of DICOM headers, as they may be shown and stored."""

import re

_CODE_STRING = re.compile(r"[A-Z0-9 _]{0,16}")


def as_code(value: str) -> str:
    """Give back a DICOM code string (PS3.5 6.2), and of anything else only that it is none: it could be a name."""
    return value if _CODE_STRING.fullmatch(value) else "(not a code)"
