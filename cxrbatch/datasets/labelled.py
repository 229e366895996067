"""Records of the loaders: a labelled radiograph, or a row or file that takes no part, with the reason."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cxrbatch.datasets.measures import TrivialMeasures
from cxrbatch.records import FINDINGS

UNSTATED = "indeterminate"
"""Label of an abnormal radiograph whose kind is not stated: ill, but neither COVID-19 nor another pneumonia."""

IMAGE_LABELS = (*FINDINGS, UNSTATED)
"""Labels that an image can have."""

BY_SIZE = "size"
"""Stands for the scanner format of an image that is told by its size; `load_dataset` replaces it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledImage:
    """One labelled frontal radiograph.

    Attributes
    ----------
    path : Path
    label : str
        One of `IMAGE_LABELS`.
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
    scanner : str
        Format of the scanner's images: pixel spacing (``0.143 mm``) or original size (``2836x2336``, ``other`` for a
        rare one); empty where unknown.
    rows, columns : int
        Size in pixels of the image as published, before it was scaled down for a collection where that is known;
        else of the file, and 0 until it is decoded.
    measures : TrivialMeasures or None
        What ought to tell nothing of disease; None until the image is decoded.
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
    scanner: str = ""
    rows: int = 0
    columns: int = 0
    measures: TrivialMeasures | None = field(default=None, compare=False)

    @property
    def site(self) -> str:
        """Hospital of the image, or its stand-in: what a fold leaves out, and what an evaluation reports."""
        return f"{self.source}/{self.publisher}" if self.publisher else self.source

    @property
    def domain(self) -> str:
        """Source, view and scanner format, as far as they are known: ``nih PA 0.143 mm``.

        Only images of one domain may be compared. Across domains the view or the machine tells the labels apart, so
        the prevalence of a domain must not be learnt. The publisher is no part of it: publishers of web cases are
        many and small, and collect from many machines.
        """
        return " ".join(part for part in (self.source, self.view, self.scanner) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """A row or file of a source that takes no part."""

    source: str
    name: str
    reason: str


Loader = Callable[[Path], Iterator[LabelledImage | Excluded]]
