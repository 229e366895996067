"""Text that comes from files, made safe to show."""

import re

# Control characters, line separators, bidirectional overrides (they reorder what a reader sees) and the lone
# surrogates that stand for file names that are not UTF-8.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# What spreadsheets take for the start of a formula (OWASP, "CSV Injection"; CWE-1236), its full-width variants
# and blanks before it included. A ";" counts as a start: where the list separator is a semicolon (German,
# French, … settings) a spreadsheet splits there and does not honour the quotes in the middle of a line.
# Where "'" stands already another one is put, so that no two texts become one.
_FORMULA = re.compile(r"^(?='*[\t\r\n])|(?:^|(?<=;))(?=[\s\ufeff']*[=+\-@＝＋－＠])")  # noqa: RUF001


_CODE_STRING = re.compile(r"[A-Z0-9 _]{0,16}")


def visible(text: str) -> str:
    r"""Show what would break a line, reorder it or not encode, as an escape (``\n``, ``\u202e``, ``\udcff``)."""
    return _HIDDEN.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def neutralise(text: str) -> str:
    """Put a ``'`` before whatever a spreadsheet would take for a formula."""
    return _FORMULA.sub("'", text)


def as_code(value: str) -> str:
    """Give back a DICOM code string (PS3.5 6.2), and of anything else only that it is none: it could be a name."""
    return value if _CODE_STRING.fullmatch(value) else "(not a code)"
