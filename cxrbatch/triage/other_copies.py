"""Find what other stored images say about an image: stored images in, times by instance and by file out.

Few images have another copy or version. Only of these anything is kept.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cxrbatch.records import ImageScore, PatientKey
from cxrbatch.state import StoredImage
from cxrbatch.triage.repeated import hashes_of, is_repeated

Instance = tuple[str, str]
"""SOPInstanceUID and pixels of an image."""
File = tuple[str, str]
"""Folder and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherCopies:
    """What is known of images that are stored more than once.

    Attributes
    ----------
    moments : mapping
        By instance: when the copy of the last of its patients came in, and when the first copy did that is no longer
        in the folder (None: all are there).
    versions : mapping
        By file: when each version came in, and its time of modification in nanoseconds since 1970 UTC.
    """

    moments: Mapping[Instance, tuple[dt.datetime, dt.datetime | None]]
    versions: Mapping[File, Sequence[tuple[dt.datetime, int]]]


def find_other_copies(stored_images: Sequence[StoredImage], found: AbstractSet[int]) -> OtherCopies:
    """Collect what is known of images that are stored more than once.

    Parameters
    ----------
    stored_images : sequence of StoredImage
        What is stored once is read and forgotten.
    found : set of int
        Numbers of the versions that are in the folder tonight.
    """
    copies: defaultdict[Instance, dict[PatientKey, _Copy]] = defaultdict(dict)
    versions: defaultdict[File, list[tuple[dt.datetime, int]]] = defaultdict(list)
    for item in _stored_twice(stored_images):
        versions[item.root, item.name].append((item.first_seen, item.mtime_ns))
        if (instance := instance_of(item)) and item.outcome.header:
            patient, copy = item.outcome.header.patient_key, _Copy(item.first_seen, item.id in found)
            copies[instance][patient] = copy.combined(copies[instance].get(patient, copy))
    moments = {instance: _moments(of_patients.values()) for instance, of_patients in copies.items()}
    return OtherCopies(moments=moments, versions=versions)


def instance_of(item: StoredImage) -> Instance | None:
    """Return what makes two images the same instance; None without a score or a UID."""
    image = item.outcome
    if not isinstance(image, ImageScore) or not image.header.sop_instance_uid:
        return None
    return image.header.sop_instance_uid, image.pixels_sha256


class _Copy(NamedTuple):
    """A patient's copy of an instance."""

    moment: dt.datetime
    found: bool

    def combined(self, other: "_Copy") -> "_Copy":
        return _Copy(min(self.moment, other.moment), self.found or other.found)


def _moments(copies: Collection[_Copy]) -> tuple[dt.datetime, dt.datetime | None]:
    gone = (copy.moment for copy in copies if not copy.found)
    return max(copy.moment for copy in copies), min(gone, default=None)


def _stored_twice(stored_images: Sequence[StoredImage]) -> Iterator[StoredImage]:
    """Select images of which the instance, or the name of the file, is stored more than once."""
    values = (
        value for item in stored_images for value in (instance_of(item) or item.id, (item.root, item.name))
    )
    instances, files = hashes_of(values).reshape(-1, 2).T
    for index in np.flatnonzero(is_repeated(instances) | is_repeated(files)):
        yield stored_images[int(index)]
