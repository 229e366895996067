"""Words of laboratories for the result of a PCR: text in, its meaning out."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from cxrbatch.errors import UsageProblem


class Answer(StrEnum):
    """Meaning of a result."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    INCONCLUSIVE = "inconclusive"
    SWABBED = "swabbed"


WORD_OPTIONS: Mapping[Answer, str] = {
    **{answer: f"--{answer}" for answer in (Answer.POSITIVE, Answer.NEGATIVE, Answer.INCONCLUSIVE)},
    Answer.SWABBED: "--pending",
}
"""Options that take further words for an answer."""


WORDS: Mapping[Answer, tuple[str, ...]] = {
    Answer.POSITIVE: ("positive", "pos", "positiv", "detected"),
    Answer.NEGATIVE: ("negative", "neg", "negativ", "not detected", "undetected"),
    Answer.INCONCLUSIVE: ("inconclusive", "indeterminate", "equivocal", "invalid", "presumptive positive"),
    Answer.SWABBED: ("swabbed", "pending"),
}
"""Words that are known by default. No single letters or digits: their meaning differs between laboratories."""


def meanings(own: Mapping[Answer, Sequence[str]] | None = None) -> dict[str, Answer]:
    """Make the dictionary from words to answers: `WORDS`, and the user's own words, which have precedence.

    Raises
    ------
    UsageProblem
        The user gives one word for two answers.
    """
    known = {plain(word): answer for answer, words in WORDS.items() for word in words}
    named: dict[str, Answer] = {}
    for answer, words in (own or {}).items():
        for word in words:
            if (other := named.setdefault(plain(word), answer)) is not answer:
                raise UsageProblem(
                    f"{WORD_OPTIONS[other]} and {WORD_OPTIONS[answer]}: {word!r} cannot mean both"
                )
    return known | named


def plain(words: str) -> str:
    """Normalise words: case, ``_`` and the number of blanks do not matter."""
    return " ".join(words.replace("_", " ").split()).casefold()
