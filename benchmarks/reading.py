"""What the program itself does to read a file: the header, and as many presentation values as the network needs."""

from pathlib import Path

from cxrbatch.bundle.bundle import load_bundle
from cxrbatch.discover import classify
from cxrbatch.engines.reader import retain_freed_memory
from cxrbatch.read import PatientRule, open_image
from cxrbatch.records import ImageRef

_LEAST_PX = load_bundle().preprocess.least_px
retain_freed_memory()  # as reader processes do


def reading(path: Path) -> object:
    """Read one file.

    Raises
    ------
    TypeError
        It is no image.
    """
    ref = classify(path, path.name)
    if not isinstance(ref, ImageRef):
        raise TypeError(f"{path}: {ref.reason}")
    return open_image(ref, PatientRule()).decode(_LEAST_PX)
