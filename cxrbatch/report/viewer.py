"""Make links to the hospital's viewer: an address with placeholders and a patient in, a link out.

Values stand in path, query and fragment only, percent-encoded: none can change the scheme or the host.
"""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, quote, urlsplit

from cxrbatch.errors import UsageProblem
from cxrbatch.records import PatientTriage

HTTPS = "https"
PLACEHOLDERS = ("accession_number", "patient_id", "issuer_of_patient_id", "study_instance_uid")
"""Fields of `PatientTriage` that an address may hold, each in braces."""
_KNOWN = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
_NEVER = frozenset({"javascript", "data", "vbscript", "blob", "about", "filesystem", "view-source"})
"""Schemes that run or show what the address itself holds."""
_WITH_HOST = frozenset({HTTPS, "http"})
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_UNUSABLE = re.compile(r"[\x00-\x20\x7f-\xa0\\\"<>^`|]")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_BRACE = re.compile(r"[{}]")


@dataclass(frozen=True, slots=True)
class ViewerUrl:
    """The address of a viewer, checked.

    Attributes
    ----------
    template : str
        With one of `PLACEHOLDERS` or more.
    """

    template: str

    @classmethod
    def parse(cls, template: str, scheme: str = HTTPS) -> Self:
        """Check an address.

        Raises
        ------
        UsageProblem
            It is of another scheme, has no placeholder, an unknown one, or one before the path, names a user, or
            holds characters that stand in no address.
        """
        name = scheme.lower()
        if not _SCHEME.fullmatch(name) or name in _NEVER:
            raise UsageProblem(
                f"--viewer-scheme {scheme}: give the name of a scheme that viewers have, such as http"
            )
        if problem := _problem(template, name):
            raise UsageProblem(f"--viewer-url {template}: {problem}")
        return cls(template)

    def link(self, patient: PatientTriage) -> str:
        """Make the link of a patient; empty where a value is unknown, or would lead to another path."""
        values = {name: _value(patient, name) for name in _PLACEHOLDER.findall(self.template)}
        link = self.template.format_map({name: _encoded(value) for name, value in values.items()})
        climbs = {".", ".."} & set(
            urlsplit(link).path.split("/")
        )  # browsers resolve them (URL standard, 4.4)
        return link if all(values.values()) and not climbs else ""


def _problem(template: str, scheme: str) -> str:
    """Say what is wrong with an address; empty if nothing is."""
    if _UNUSABLE.search(template):
        return "no blanks, quotation marks, backslashes or control characters; write a blank as %20"
    try:
        parts = urlsplit(template)
    except ValueError as error:
        return f"is no address ({error})"
    return _problem_before_path(parts, scheme) or _problem_of_placeholders(template)


def _problem_before_path(parts: SplitResult, scheme: str) -> str:
    if parts.scheme != scheme:
        return f"has to begin with {scheme}: (for another scheme give --viewer-scheme NAME)"
    if _BRACE.search(parts.netloc) or "@" in parts.netloc:
        return "no placeholder and no user name before the path"
    return "names no host" if scheme in _WITH_HOST and not parts.hostname else ""


def _problem_of_placeholders(template: str) -> str:
    names = set(_PLACEHOLDER.findall(template))
    is_understood = names and names <= set(PLACEHOLDERS) and not _BRACE.search(_PLACEHOLDER.sub("", template))
    return "" if is_understood else f"write what it is to hold of the patient as {_KNOWN}"


def _value(patient: PatientTriage, name: str) -> str:
    """Return a value; no PatientID where the study or the file stands in for it."""
    if name == "patient_id" and patient.patient_key[:1] != ("dicom",):
        return ""
    return str(getattr(patient, name))


def _encoded(value: str) -> str:
    return quote(value.encode("utf-8", "surrogatepass"), safe="")
