"""Make text from files safe to show."""

import re

# Control characters, line separators, characters that cannot be seen or look like a blank (two texts that differ in
# one of them look alike), bidirectional overrides (they reorder the displayed text), and the lone surrogates that
# stand for file names that are not UTF-8.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f"
    "\u205f-\u206f\u2800\u3000\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    "\U000e0000-\U000e0fff]"
)

# Texts that spreadsheets take for the start of a formula (OWASP, "CSV Injection"; CWE-1236), including full-width
# variants and blanks before it. A ";" counts as a start: where the list separator is a semicolon (German,
# French, … settings) a spreadsheet splits there and does not honour the quotes in the middle of a line.
# Where there is a "'" already another one is added, so that two different texts stay different.
_FORMULA = re.compile(r"^(?='*[\t\r\n])|(?:^|(?<=;))(?=[\s\ufeff']*[=+\-@＝＋－＠])")  # noqa: RUF001


_FORMULA_SHOWN = re.compile(r"^'(?='*[\t\r\n])|(?:^|(?<=;))'(?=[\s\ufeff']*[=+\-@＝＋－＠])")  # noqa: RUF001
_ESCAPED = re.compile(r"\\(?:[\\nrt]|x[0-9A-Fa-f]{2}|u[0-9a-f]{4}|U000[0-9a-f]{5})")

CSV_ENCODINGS = ("utf-8", "utf-8-sig")
"""Encodings of tables; the second one begins with a byte order mark, by which Excel knows UTF-8."""

TABLE_FORMATS = ("csv", "json", "parquet")
"""Formats of tables; the CSV is always written."""

_CODE_STRING = re.compile(r"[A-Z0-9 _]{0,16}")


def visible(text: str) -> str:
    r"""Escape characters that break a line or cannot be seen: ``\n``, ``\u200b``, ``\u202e``, ``\xFF`` for a byte.

    Different texts without a backslash stay different.
    """
    return _HIDDEN.sub(lambda match: _escape(match[0]), text)


def _escape(sign: str) -> str:
    if "\udc80" <= sign <= "\udcff":  # a byte that did not decode (PEP 383)
        return f"\\x{ord(sign) - 0xDC00:02X}"
    is_latin_1 = "\x80" <= sign <= "\xff"  # as \\x85 it would look like a byte
    return f"\\u{ord(sign):04x}" if is_latin_1 else sign.encode("unicode_escape").decode("ascii")


def plural(n: int, what: str) -> str:
    """Count something whose plural ends in ``s``: ``1 file``, ``2 files``."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def shown(text: str) -> str:
    """Write a text as the cells of tables show it: neutralised and escaped; different texts stay different."""
    # A backslash is doubled: a name that contains a literal escape must differ from an escaped name.
    return visible(neutralise(text.replace("\\", "\\\\")))


def meant(cell: str) -> str:
    """Return the text that `shown` wrote; a cell that it cannot have written is unchanged."""
    text = _FORMULA_SHOWN.sub("", _ESCAPED.sub(lambda match: _unescape(match[0][1:]), cell))
    return text if shown(text) == cell else cell


def _unescape(code: str) -> str:
    if len(code) == 1:
        return {"n": "\n", "r": "\r", "t": "\t"}.get(code, code)
    number = int(code[1:], 16)
    return chr(number + 0xDC00 if code[0] == "x" and number >= 0x80 else number)


def neutralise(text: str) -> str:
    """Put a ``'`` before each text that a spreadsheet would take for a formula."""
    return _FORMULA.sub("'", text)


def as_code(value: str) -> str:
    """Return a DICOM code string (PS3.5 6.2) unchanged; ``(not a code)`` for other text: it could be a name."""
    return value if _CODE_STRING.fullmatch(value) else "(not a code)"
