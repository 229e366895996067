"""Find the view of a DICOM radiograph: dataset in, its word and whether the header contradicts itself out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset

from cxrbatch.read.dicom import elements as el
from cxrbatch.read.dicom.orientation import read_orientation
from cxrbatch.terms import HeaderWords, View, is_lateral, mend, view_of, view_of_code, views_in

_DESCRIPTIONS = ("SeriesDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription")
_ORIENTATION = "PatientOrientation"


@dataclass(frozen=True, slots=True)
class _Statement:
    """What one element says of the view: its word for the report, and whether that is frontal."""

    keyword: str
    word: str
    view: View

    def contradicts(self, other: "_Statement") -> bool:
        """Check whether this statement of a frontal view contradicts one of another view.

        An oblique view may have the orientation of a frontal one.
        """
        return self.keyword != _ORIENTATION or is_lateral(other.word)


def read_view(dataset: Dataset, added: HeaderWords) -> tuple[str, str]:
    """Read the view: ViewPosition, else the view's code, else the orientation, else a description that names one.

    Parameters
    ----------
    dataset : Dataset
    added : HeaderWords
        Words of the hospital.

    Returns
    -------
    view_position : str
        As in `cxrbatch.records.ImageHeader`.
    conflict : str
        Which elements contradict each other; empty where none do. It repeats no value.
    """
    stated = list(_statements(dataset, added))
    return (stated[0].word if stated else ""), _conflict(stated)


def _conflict(stated: Iterable[_Statement]) -> str:
    listed = list(stated)
    if len(listed) < 2:
        return ""
    frontal = [statement for statement in listed if statement.view is View.FRONTAL]
    others = [statement for statement in listed if statement.view is View.OTHER]
    pairs = ((one, other) for one in frontal for other in others if one.contradicts(other))
    return next((f"{one.keyword} says frontal, {other.keyword} does not" for one, other in pairs), "")


def _statements(dataset: Dataset, added: HeaderWords) -> Iterator[_Statement]:
    """Yield what each element says, in order of precedence."""
    yield from _view_position(dataset, added)
    for item in el.items(dataset, "ViewCodeSequence"):
        if word := view_of_code(*el.code(item)):
            yield _Statement("ViewCodeSequence", word, view_of(word))
        else:
            yield from _named("ViewCodeSequence", el.text(item, "CodeMeaning"), added)
    if plane := read_orientation(dataset).view:
        yield _Statement(_ORIENTATION, plane, view_of(plane))
    for keyword in _DESCRIPTIONS:
        if text := el.text(dataset, keyword):
            yield from _named(keyword, text, added)


def _view_position(dataset: Dataset, added: HeaderWords) -> Iterator[_Statement]:
    """Yield ViewPosition as it is stated; a word that is not known, or names both, contradicts nothing."""
    position = mend(el.text(dataset, "ViewPosition")).upper()
    if view_of(position, added) is not View.UNKNOWN:
        found = views_in(position, added)
        yield _Statement("ViewPosition", position, next(iter(found)) if len(found) == 1 else View.UNKNOWN)


def _named(keyword: str, text: str, added: HeaderWords) -> Iterator[_Statement]:
    """Yield the view that a text names; nothing where it names both, such as ``PA and lateral`` for a whole study."""
    found = views_in(text, added)
    if found == {View.FRONTAL}:
        yield _Statement(keyword, "FRONTAL", View.FRONTAL)
    elif found == {View.OTHER}:
        yield _Statement(keyword, "LATERAL" if is_lateral(text) else "OBLIQUE", View.OTHER)
