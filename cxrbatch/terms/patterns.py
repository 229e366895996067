"""Terms, the patterns: terms of a table in, the texts that name one of them found."""

import re
from collections.abc import Callable, Iterable
from functools import cached_property

from cxrbatch.terms.spelling import without_accents


class Terms:
    """Terms of a table as patterns: ``WORD``, ``STEM*`` at the start of a word, ``*STEM*`` anywhere in one.

    All texts are normalised (`cxrbatch.terms.spelling.normalise`).
    """

    def __init__(self, terms: Iterable[str]) -> None:
        self._terms = tuple(terms)

    @cached_property
    def _pairs(self) -> list[tuple[str, str]]:
        return [(term, without_accents(term.strip("*"))) for term in self._terms]

    # Compiled when the first text is compared: it takes tens of milliseconds, and a command may read no header.
    @cached_property
    def _exact(self) -> re.Pattern[str]:
        return _pattern(self._pairs, re.escape)

    @cached_property
    def _lost(self) -> re.Pattern[str]:
        return _pattern([pair for pair in self._pairs if _is_long(*pair)], _with_lost_letters)

    @cached_property
    def _whole(self) -> re.Pattern[str]:
        return re.compile("|".join(_whole_words(term, re.escape(plain)) for term, plain in self._pairs))

    def found_in(self, spelt: str) -> bool:
        """Check whether one of the terms is in a text."""
        if "?" not in spelt:
            return bool(self._exact.search(spelt))
        # Two bytes of UTF-8 make two signs of one letter.
        return any(self._lost.search(one) for one in (spelt, spelt.replace("??", "?")))

    def removed_from(self, spelt: str) -> str:
        """Remove the terms from a text."""
        return " ".join(self._exact.sub(" ", spelt).split())

    def covers(self, spelt: str) -> bool:
        """Check whether every word of a text belongs to one of the terms."""
        return not self._whole.sub(" ", spelt).strip()

    def texts(self) -> Iterable[str]:
        """Return the terms as texts, without their signs for stems."""
        return (plain for _, plain in self._pairs)


def _pattern(pairs: list[tuple[str, str]], spell: Callable[[str], str]) -> re.Pattern[str]:
    return re.compile("|".join(_bounded(term, spell(plain)) for term, plain in pairs))


def _bounded(term: str, pattern: str) -> str:
    start = "" if term.startswith("*") else r"(?<![^ ])"
    end = "" if term.endswith("*") else r"(?![^ ])"
    return f"{start}{pattern}{end}"


def _whole_words(term: str, pattern: str) -> str:
    start = "[^ ]*" if term.startswith("*") else ""
    end = "[^ ]*" if term.endswith("*") else ""
    return rf"(?<![^ ]){start}{pattern}{end}(?![^ ])"


def _is_long(term: str, plain: str) -> bool:
    """Check whether a term may have lost letters: of a short one nothing might be left."""
    return len(plain) >= (5 if term.startswith("*") else 4)


def _with_lost_letters(plain: str) -> str:
    return "".join(f"[{re.escape(sign)}?]" if sign != " " else sign for sign in plain)
