"""Records of the loaders: a labelled radiograph, or a row or file that takes no part, with the reason."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledImage:
    """One labelled frontal radiograph.

    Attributes
    ----------
    path : Path
    label : str
        One of `cxrbatch.records.FINDINGS`.
    patient : str
        Starts with the source, so that two sources never share a patient by accident of numbering.
    source : str
        Hospital or collection.
    publisher : str
        Part of a source that was collected from many places (host of the web page); else empty.
    view : str
        ``PA`` or ``AP``; empty where unknown.
    age_years : float or None
    sex : str
        ``M`` or ``F``; empty where unknown.
    year : int or None
        Of the study.
    rows, columns : int
        Size in pixels of the image as published; 0 until it is decoded.
    """

    path: Path
    label: str
    patient: str
    source: str
    publisher: str = ""
    view: str = ""
    age_years: float | None = None
    sex: str = ""
    year: int | None = None
    rows: int = 0
    columns: int = 0

    @property
    def domain(self) -> str:
        """Origin of the image, as finely as is known. Its prevalence must not be learnt."""
        return f"{self.source}/{self.publisher}" if self.publisher else self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """A row or file of a source that takes no part."""

    source: str
    name: str
    reason: str


Loader = Callable[[Path], Iterator[LabelledImage | Excluded]]
