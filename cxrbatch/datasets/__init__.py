"""Load labelled radiographs: published collections, own folders and tables; remove near-duplicates."""

from cxrbatch.datasets.collections import OF_CHILDREN
from cxrbatch.datasets.labelled import IMAGE_LABELS, UNSTATED, LabelledImage
from cxrbatch.datasets.licences import (
    IMAGENET,
    KNOWN_SOURCES,
    licences_of,
    unknown_licence,
    weights_licence,
)
from cxrbatch.datasets.loading import (
    Dataset,
    count,
    count_excluded,
    hold_out,
    load_dataset,
    read_again,
    without_patients,
)
from cxrbatch.datasets.lung_masks import MaskedLungs, load_masked_lungs, part_by_patient
from cxrbatch.datasets.spec import LungSpec, SourceSpec
from cxrbatch.datasets.tables import published_table

__all__ = [
    "IMAGENET",
    "IMAGE_LABELS",
    "KNOWN_SOURCES",
    "OF_CHILDREN",
    "UNSTATED",
    "Dataset",
    "LabelledImage",
    "LungSpec",
    "MaskedLungs",
    "SourceSpec",
    "count",
    "count_excluded",
    "hold_out",
    "licences_of",
    "load_dataset",
    "load_masked_lungs",
    "part_by_patient",
    "published_table",
    "read_again",
    "unknown_licence",
    "weights_licence",
    "without_patients",
]
