"""Terms, the words of a hospital: a TOML file in, terms beside the built-in ones out."""

import hashlib
import json
import re
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from cxrbatch._lib.toml import load_recipe
from cxrbatch.terms import words
from cxrbatch.terms.patterns import Terms
from cxrbatch.terms.spelling import normalise

_FORM = re.compile(r"(\*?)([^*]+)(\*?)")
_LONGEST = 64
_MEANING = {
    "chest": "the chest",
    "other_part": "another body part",
    "frontal": "a frontal view",
    "not_frontal": "a view that is not frontal",
    "says_nothing": "nothing",
}
_OPPOSITE = {
    "chest": "other_part",
    "other_part": "chest",
    "frontal": "not_frontal",
    "not_frontal": "frontal",
}
_WEAKER = ("chest", "frontal")
"""Lists whose words have no effect in a text that also has a word of the opposite list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderWords:
    """Words that a hospital adds to the built-in ones (`cxrbatch.terms.words`).

    A word is a ``WORD`` or several, a ``STEM*`` at the start of a word, or a ``*STEM*`` anywhere in one. Accents,
    case, digits and signs do not matter.

    Attributes
    ----------
    chest, other_part : tuple of str
        Words for the chest, and for other body parts, which win over those for the chest.
    frontal, not_frontal : tuple of str
        Words for frontal views, and for other views, which win over those for frontal ones.
    says_nothing : tuple of str
        Words that state neither body part nor view: a text of nothing else is a missing value.

    Raises
    ------
    ValueError
        A word has too few letters, is in two lists, or contradicts the built-in words.
    """

    chest: tuple[str, ...] = ()
    other_part: tuple[str, ...] = ()
    frontal: tuple[str, ...] = ()
    not_frontal: tuple[str, ...] = ()
    says_nothing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        listed: dict[str, str] = {}
        for key in (field.name for field in fields(self)):
            stated = getattr(self, key)
            object.__setattr__(self, key, tuple(_spelt(key, word) for word in stated))
            for word, spelt in zip(stated, getattr(self, key), strict=True):
                if listed.setdefault(spelt, key) != key:
                    raise ValueError(f"{key}: {word!r} is in the list {listed[spelt]}, too")
                if meaning := _contradicts(key, spelt):
                    raise ValueError(
                        f"{key}: {word!r} contradicts the built-in words: there it means {meaning}"
                    )

    @property
    def n_words(self) -> int:
        """Number of words in all lists."""
        return sum(map(len, astuple(self)))

    @property
    def digest(self) -> str:
        """SHA-256 of the words in any order, in hexadecimal; empty where there are none."""
        text = json.dumps([sorted(set(listed)) for listed in astuple(self)])
        return hashlib.sha256(text.encode()).hexdigest() if self.n_words else ""


def load_header_words(path: Path | None) -> HeaderWords:
    """Read the words of a hospital from a TOML file with the fields of `HeaderWords`, each a list of texts.

    Parameters
    ----------
    path : Path or None
        None: there are no further words.

    Raises
    ------
    RecipeError
        The file cannot be read, has an unknown key or a value of another type, or a word is not possible.
    """
    return HeaderWords() if path is None else load_recipe(path, HeaderWords)


def _spelt(key: str, word: str) -> str:
    """Convert a word to the form of the table: normalised, with its signs for stems."""
    form = _FORM.fullmatch(word.strip()) if len(word) <= _LONGEST and "?" not in word else None
    spelt = normalise(form[2]) if form else ""
    if form is None or (len(spelt) < 2 and spelt.isascii()):
        raise ValueError(
            f"{key}: {word!r} is no word: it needs two letters at least, {_LONGEST} signs at most, and a * only at "
            "its ends"
        )
    if key == "says_nothing" and (form[1] or form[3]):
        raise ValueError(f"{key}: {word!r}: stems with a * are not possible in this list")
    return f"{form[1]}{spelt}{form[3]}"


def _contradicts(key: str, word: str) -> str:
    """Return what a word means by the built-in words, if that is something else; else an empty text."""
    spelt = word.strip("*")
    if key == "says_nothing":
        return next((_MEANING[name] for name, terms in _BUILT_IN.items() if _names(terms, spelt)), "")
    if all(part in _NOTHING for part in spelt.split()):
        return _MEANING["says_nothing"]
    opposite = _BUILT_IN[_OPPOSITE[key]]
    taken = opposite.found_in(spelt) if key in _WEAKER else opposite.covers(spelt)
    return _MEANING[_OPPOSITE[key]] if taken or any(map(Terms((word,)).found_in, opposite.texts())) else ""


def _names(terms: Terms, spelt: str) -> bool:
    return any(map(terms.found_in, (spelt, *spelt.split())))


_BUILT_IN = {
    "chest": Terms(words.all_of(words.CHEST)),
    "other_part": Terms(words.all_of(words.OTHER_PART)),
    "frontal": Terms(words.all_of(words.FRONTAL)),
    "not_frontal": Terms(words.all_of(words.NOT_FRONTAL)),
}
_NOTHING = frozenset(part for term in words.all_of(words.NOTHING) for part in normalise(term).split())
