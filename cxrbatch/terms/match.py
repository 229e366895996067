"""Terms, the words: what a text says about body part and view. Input: text as devices write it. Output: its meaning.

Texts and table are compared without accents and in capitals, so that ``Thorax``, ``TÓRAX`` and ``TORAX.`` are
one word. A ``?`` stands for a letter that was lost when somebody exported the file.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from enum import StrEnum
from functools import cached_property, lru_cache

from cxrbatch.terms import words

_LONGEST = 256
_LETTERS = str.maketrans({"Ł": "L", "Đ": "D", "Ð": "D", "Ø": "O", "Æ": "AE", "Œ": "OE", "\ufffd": "?"})
_TOKEN = re.compile(r"(?:[^\W\d_]|\?)+")
_INITIALS = re.compile(r"(?<![^ ])[A-Z](?: [A-Z](?![^ ]))+(?![^ ])")
_LEGIBLE = 3
"""A word with a lost letter needs this many letters that are not, or it could be any."""


class Part(StrEnum):
    """What a text says about the body part; what is not known is another part."""

    CHEST = "chest"
    OTHER = "other"
    UNKNOWN = "unknown"


class View(StrEnum):
    """What a text says about the view; what is not known is not frontal."""

    FRONTAL = "frontal"
    OTHER = "other"
    UNKNOWN = "unknown"


@lru_cache(maxsize=1024)
def part_of(text: str) -> Part:
    """Decide what a text says about the body part: words for another part win over those for the chest."""
    spelt = _normalise(text)
    if _OTHER_PART.found_in(spelt):
        return Part.OTHER
    if _CHEST.found_in(spelt):
        return Part.CHEST
    return Part.UNKNOWN if _says_nothing(spelt) else Part.OTHER


@lru_cache(maxsize=1024)
def view_of(text: str) -> View:
    """Decide what a text says about the view: words for lateral and oblique win over frontal ones."""
    found = views_in(text)
    if found:
        return View.OTHER if View.OTHER in found else View.FRONTAL
    return View.UNKNOWN if _says_nothing(_normalise(text)) else View.OTHER


@lru_cache(maxsize=1024)
def views_in(text: str) -> frozenset[View]:
    """Find the views that a text names, frontal and other; none where it names none that is known."""
    spelt = _SUPINE.removed_from(_normalise(text))
    found = {View.FRONTAL: _FRONTAL, View.OTHER: _NOT_FRONTAL}
    return frozenset(view for view, terms in found.items() if terms.found_in(spelt))


def mend(text: str) -> str:
    """Restore UTF-8 that was read as Latin-1, which is how code strings with accents are read (PS3.5 6.1.2.2)."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _normalise(text: str) -> str:
    """Reduce a text to capitals without accents, digits and signs, with one blank between its words.

    Single letters in a row are one word: ``P.A.`` is ``PA``.
    """
    plain = _plain(text[:_LONGEST])
    legible = [token for token in _TOKEN.findall(plain) if _is_legible(token)]
    return _INITIALS.sub(lambda match: match[0].replace(" ", ""), " ".join(legible))


def _plain(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text.upper())
    return "".join(sign for sign in apart if unicodedata.category(sign)[0] != "M").upper().translate(_LETTERS)


def _is_legible(token: str) -> bool:
    lost = token.count("?")
    return not lost or len(token) - lost >= max(lost, _LEGIBLE)


def _says_nothing(spelt: str) -> bool:
    return all(word in _NOTHING for word in spelt.split())


class _Terms:
    """Terms of the table as patterns: ``WORD``, ``STEM*`` at the start of a word, ``*STEM*`` anywhere in one."""

    def __init__(self, terms: Iterable[str]) -> None:
        self._terms = tuple(terms)

    @cached_property
    def _pairs(self) -> list[tuple[str, str]]:
        return [(term, _plain(term.strip("*"))) for term in self._terms]

    # Compiled when the first text is compared: it takes tens of milliseconds, and a command may read no header.
    @cached_property
    def _exact(self) -> re.Pattern[str]:
        return _pattern(self._pairs, re.escape)

    @cached_property
    def _lost(self) -> re.Pattern[str]:
        return _pattern([pair for pair in self._pairs if _is_long(*pair)], _with_lost_letters)

    def found_in(self, spelt: str) -> bool:
        """Check whether one of the terms is in a normalised text."""
        if "?" not in spelt:
            return bool(self._exact.search(spelt))
        # Two bytes of UTF-8 make two signs of one letter.
        return any(self._lost.search(one) for one in (spelt, spelt.replace("??", "?")))

    def removed_from(self, spelt: str) -> str:
        """Remove the terms from a normalised text."""
        return " ".join(self._exact.sub(" ", spelt).split())


def _pattern(pairs: list[tuple[str, str]], spell: Callable[[str], str]) -> re.Pattern[str]:
    return re.compile("|".join(_bounded(term, spell(plain)) for term, plain in pairs))


def _bounded(term: str, pattern: str) -> str:
    start = "" if term.startswith("*") else r"(?<![^ ])"
    end = "" if term.endswith("*") else r"(?![^ ])"
    return f"{start}{pattern}{end}"


def _is_long(term: str, plain: str) -> bool:
    """Check whether a term may have lost letters: of a short one nothing might be left."""
    return len(plain) >= (5 if term.startswith("*") else 4)


def _with_lost_letters(plain: str) -> str:
    return "".join(f"[{re.escape(sign)}?]" if sign != " " else sign for sign in plain)


_CHEST = _Terms(words.all_of(words.CHEST))
_OTHER_PART = _Terms(words.all_of(words.OTHER_PART))
_FRONTAL = _Terms(words.all_of(words.FRONTAL))
_NOT_FRONTAL = _Terms(words.all_of(words.NOT_FRONTAL))
_SUPINE = _Terms(words.SUPINE)
_NOTHING = frozenset(word for term in words.all_of(words.NOTHING) for word in _plain(term).split())
