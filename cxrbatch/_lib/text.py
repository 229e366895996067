"""Make text from files safe to show."""

import re

# Control characters, line separators, bidirectional overrides (they reorder the displayed text) and the lone
# surrogates that stand for file names that are not UTF-8.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# Texts that spreadsheets take for the start of a formula (OWASP, "CSV Injection"; CWE-1236), including full-width
# variants and blanks before it. A ";" counts as a start: where the list separator is a semicolon (German,
# French, … settings) a spreadsheet splits there and does not honour the quotes in the middle of a line.
# Where there is a "'" already another one is added, so that two different texts stay different.
_FORMULA = re.compile(r"^(?='*[\t\r\n])|(?:^|(?<=;))(?=[\s\ufeff']*[=+\-@＝＋－＠])")  # noqa: RUF001


_CODE_STRING = re.compile(r"[A-Z0-9 _]{0,16}")


def visible(text: str) -> str:
    r"""Escape characters that break or reorder a line or cannot be encoded (``\n``, ``\u202e``, ``\udcff``)."""
    return _HIDDEN.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def neutralise(text: str) -> str:
    """Put a ``'`` before each text that a spreadsheet would take for a formula."""
    return _FORMULA.sub("'", text)


def as_code(value: str) -> str:
    """Return a DICOM code string (PS3.5 6.2) unchanged; ``(not a code)`` for other text: it could be a name."""
    return value if _CODE_STRING.fullmatch(value) else "(not a code)"
