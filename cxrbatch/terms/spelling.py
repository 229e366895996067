"""Terms, the spelling: texts as devices and people write them in, the form in which they are compared out.

Texts and table are compared without accents and in capitals, so that ``Thorax``, ``TÓRAX`` and ``TORAX.`` are
one word. A ``?`` stands for a letter that was lost when somebody exported the file.
"""

import re
import unicodedata

_LONGEST = 256
_LETTERS = str.maketrans({"Ł": "L", "Đ": "D", "Ð": "D", "Ø": "O", "Æ": "AE", "Œ": "OE", "\ufffd": "?"})
_TOKEN = re.compile(r"(?:[^\W\d_]|\?)+")
_INITIALS = re.compile(r"(?<![^ ])[A-Z](?: [A-Z](?![^ ]))+(?![^ ])")
_LEGIBLE = 3
"""A word with a lost letter needs this many letters that are not, or it could be any."""


def normalise(text: str) -> str:
    """Reduce a text to capitals without accents, digits and signs, with one blank between its words.

    Single letters in a row are one word: ``P.A.`` is ``PA``.
    """
    plain = without_accents(text[:_LONGEST])
    legible = [token for token in _TOKEN.findall(plain) if _is_legible(token)]
    return _INITIALS.sub(lambda match: match[0].replace(" ", ""), " ".join(legible))


def without_accents(text: str) -> str:
    """Reduce a text to capitals without accents; its digits, signs and blanks stay."""
    apart = unicodedata.normalize("NFKD", text.upper())
    return "".join(sign for sign in apart if unicodedata.category(sign)[0] != "M").upper().translate(_LETTERS)


def mend(text: str) -> str:
    """Restore UTF-8 that was read as Latin-1, which is how code strings with accents are read (PS3.5 6.1.2.2)."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _is_legible(token: str) -> bool:
    lost = token.count("?")
    return not lost or len(token) - lost >= max(lost, _LEGIBLE)
