"""Terms, the placeholders: what stands in PatientID for many patients at once. Input: a text. Output: yes or no.

Systems write them where an identifier is required and there is none: modalities for emergencies and tests,
anonymisers for everybody. ``docs/patients.md`` has the list for users.
"""

import re
import unicodedata

PLACEHOLDERS = (
    (
        "anonymous",
        ("ANON", "ANONYM", "ANONYMOUS", "ANONYMIZE", "ANONYMISE", "ANONYMIZED", "ANONYMISED", "ANONYME"),
    ),
    (
        "anonymous",
        ("ANONYMISÉ", "ANONYMISIERT", "ANÓNIMO", "ANONIMIZADO", "ANONIMO", "ANONIEM", "АНОНИМ", "匿名"),
    ),
    (
        "removed",
        ("DEIDENTIFIED", "REMOVED", "REDACTED", "MASKED", "HIDDEN", "DELETED", "CONFIDENTIAL", "CLEARED"),
    ),
    ("unknown", ("UNKNOWN", "UNK", "UNKN", "UNKOWN", "UNIDENTIFIED", "NOTKNOWN", "UNDEFINED", "UNSPECIFIED")),
    (
        "unknown",
        ("NOTSPECIFIED", "UNASSIGNED", "NOTASSIGNED", "UNAVAILABLE", "NOTAVAILABLE", "NOTAPPLICABLE"),
    ),
    (
        "unknown",
        ("UNBEKANNT", "INCONNU", "INCONNUE", "DESCONOCIDO", "DESCONOCIDA", "DESCONHECIDO", "SCONOSCIUTO"),
    ),
    (
        "unknown",
        ("ONBEKEND", "OKÄND", "UKENDT", "UKJENT", "NIEZNANY", "NEZNÁMÝ", "НЕИЗВЕСТНО", "不明", "未知"),
    ),
    (
        "nothing",
        ("NONE", "NULL", "NIL", "NA", "NAN", "NOID", "NOPID", "NOMRN", "NOPATIENTID", "NONUMBER", "NOTSET"),
    ),
    ("nothing", ("MISSING", "EMPTY", "BLANK", "VOID", "TBA", "TBD", "KEINE", "AUCUN")),
    (
        "test",
        (
            "TEST",
            "TESTING",
            "TESTID",
            "TESTPATIENT",
            "DUMMY",
            "DEMO",
            "SAMPLE",
            "EXAMPLE",
            "DEFAULT",
            "PHANTOM",
        ),
    ),
    ("the field itself", ("PATIENT", "PATIENTID", "PATID", "PID", "ID", "MRN", "NAME", "NUMBER")),
    ("emergency", ("EMERGENCY", "NOTFALL", "URGENCE", "JOHNDOE", "JANEDOE")),
)
"""Rows are (meaning, words). A text is a placeholder if it is one of them, or nothing but several of them."""

_SIGNS = re.compile(r"0*|X+|(?P<sign>[A-Z0-9])(?P=sign){5,}|123456(?:7(?:8(?:90?)?)?)?")
"""Nothing but punctuation; zeros; X; one letter or digit six times or more; digits as they are counted."""


def is_placeholder(text: str) -> bool:
    """Check whether a text identifies nobody; case, accents, blanks and punctuation make no difference.

    Parameters
    ----------
    text : str
        An identifier, as `cxrbatch.read` reads it. An empty one identifies nobody.
    """
    found = _words(text)
    joined = "".join(found)
    return bool(_SIGNS.fullmatch(joined)) or joined in _WORDS or _WORDS.issuperset(found)


def _words(text: str) -> list[str]:
    """Split into runs of letters and digits, in capitals; a byte that did not decode counts as a letter."""
    apart = unicodedata.normalize("NFKD", text.upper())
    plain = "".join(sign for sign in apart if unicodedata.category(sign)[0] != "M").upper()
    return re.findall(r"(?:[^\W_]|[\udc80-\udcff])+", plain)


_WORDS = frozenset(word for _, row in PLACEHOLDERS for text in row for word in _words(text))
