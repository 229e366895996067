"""Coverage-guided fuzzing of the readers, header and pixels.

    pip install --group fuzz
    python tests/fuzz/atheris_readers.py dicom FOLDER -max_total_time=300 -timeout=20

or ``png`` or ``jpeg``. FOLDER keeps the inputs that reach something new; what breaks the readers is written to the
working directory, as ``crash-…`` or ``timeout-…``. Options are those of libFuzzer.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

try:
    import atheris
except ImportError:
    sys.exit("atheris is not installed: pip install --group fuzz")

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "sample_data")]

with atheris.instrument_imports(include=["cxrbatch.read", "pydicom", "PIL"]):
    # Pillow would import these later, when nothing is instrumented any more.
    from PIL import JpegImagePlugin, MpoImagePlugin, PngImagePlugin, TiffImagePlugin  # noqa: F401

    from cxrbatch.gate.header import check_size
    from cxrbatch.read import PatientRule, open_image

from cxrbatch.limits import Limits
from cxrbatch.reasons import Refusal
from cxrbatch.records import FileKind, ImageRef
from tests.fuzz import seeds
from tests.fuzz.mutations import damaged

_LEAST_PX = 36
_LIMITS = Limits(pixels=1 << 22, file_bytes=1 << 26)
_MEMORY = Path("/dev/shm")  # noqa: S108 - only where there is one
_PLAIN_SHARE = 0.5


def main() -> None:
    """Fuzz until told otherwise."""
    kind, corpus = FileKind(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        write_seeds(Path(folder), kind, corpus)
        read_one = partial(read, Path(folder) / "a", kind)
        atheris.Setup([sys.argv[0], *sys.argv[2:]], read_one, custom_mutator=partial(mutate, kind))
        atheris.Fuzz()


def write_seeds(folder: Path, kind: FileKind, corpus: Path) -> None:
    """Put well-formed files where the fuzzer takes its inputs from."""
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in (*seeds.small(folder), *seeds.of_pydicom()):
        if seed.format == kind:
            (corpus / seed.name).write_bytes(seed.data)


def mutate(kind: FileKind, data: bytes, max_size: int, seed: int) -> bytes:
    """Damage a file with the format in mind, or without."""
    random = np.random.default_rng(seed)
    if random.random() < _PLAIN_SHARE:
        return bytes(atheris.Mutate(data, max_size))
    return damaged(kind.value, data, random)[:max_size]


def read(file: Path, kind: FileKind, data: bytes) -> None:
    """Read one file as `cxrbatch.prepare` does; anything but a refusal is a finding."""
    file.write_bytes(data)
    try:
        opened = open_image(ImageRef(path=file, name="a", kind=kind), PatientRule(), _LIMITS)
        check_size(opened.header, _LIMITS)
        image = opened.decode(_LEAST_PX if len(data) % 2 else None)
    except (Refusal, MemoryError):
        return
    if not 0 <= image.pixels.min() <= image.pixels.max() <= 1:
        raise ValueError("values out of range")


if __name__ == "__main__":
    main()
