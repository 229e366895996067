"""Terms, the meaning: what a text says about body part and view.

Input: text as devices write it. Output: its meaning.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from cxrbatch.terms import words
from cxrbatch.terms.header_words import HeaderWords
from cxrbatch.terms.patterns import Terms
from cxrbatch.terms.spelling import normalise, without_accents


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    chest: Terms
    other_part: Terms
    frontal: Terms
    not_frontal: Terms
    nothing: frozenset[str]


@lru_cache(maxsize=1024)
def part_of(text: str, added: HeaderWords = HeaderWords()) -> Part:
    """Decide what a text says about the body part: words for another part win over those for the chest.

    Parameters
    ----------
    text : str
    added : HeaderWords
        Words of a hospital, beside the built-in ones.
    """
    spelt, table = normalise(text), _table(added)
    if table.other_part.found_in(spelt):
        return Part.OTHER
    if table.chest.found_in(spelt):
        return Part.CHEST
    return Part.UNKNOWN if _says_nothing(spelt, table) else Part.OTHER


@lru_cache(maxsize=1024)
def view_of(text: str, added: HeaderWords = HeaderWords()) -> View:
    """Decide what a text says about the view: words for lateral and oblique win over frontal ones.

    Parameters as in `part_of`.
    """
    found = views_in(text, added)
    if found:
        return View.OTHER if View.OTHER in found else View.FRONTAL
    return View.UNKNOWN if _says_nothing(normalise(text), _table(added)) else View.OTHER


@lru_cache(maxsize=1024)
def views_in(text: str, added: HeaderWords = HeaderWords()) -> frozenset[View]:
    """Find the views that a text names, frontal and other; none where it names none that is known.

    Parameters as in `part_of`.
    """
    spelt, table = _DECUBITUS.sub("", _SUPINE.removed_from(normalise(text))), _table(added)
    found = {View.FRONTAL: table.frontal, View.OTHER: table.not_frontal}
    return frozenset(view for view, terms in found.items() if terms.found_in(spelt))


def is_lateral(text: str) -> bool:
    """Check whether a text names a view from the side, and no oblique one.

    The image of an oblique, lordotic or decubitus view may lie in the plane of a frontal one.
    """
    spelt = normalise(text)
    return _LATERAL.found_in(spelt) and not _OBLIQUE.found_in(spelt)


@lru_cache(maxsize=4)
def _table(added: HeaderWords) -> _Table:
    nothing = (*words.all_of(words.NOTHING), *added.says_nothing)
    return _Table(
        chest=Terms((*words.all_of(words.CHEST), *added.chest)),
        other_part=Terms((*words.all_of(words.OTHER_PART), *added.other_part)),
        frontal=Terms((*words.all_of(words.FRONTAL), *added.frontal)),
        not_frontal=Terms((*words.all_of(words.NOT_FRONTAL), *added.not_frontal)),
        nothing=frozenset(word for term in nothing for word in without_accents(term).split()),
    )


def _says_nothing(spelt: str, table: _Table) -> bool:
    return all(word in table.nothing for word in spelt.split())


_SUPINE = Terms(words.SUPINE)
_DECUBITUS = re.compile(r"(?<![^ ])(?:AP|PA) (?=(?:LEFT|RIGHT|LT|RT|L|R) (?:LAT[A-Z]* )?DECUB)")
"""How the beam goes through a patient who lies on one side: ``AP left lateral decubitus`` is one view."""
_LATERAL = Terms(words.all_of(words.LATERAL))
_OBLIQUE = Terms(words.all_of(words.OBLIQUE))
