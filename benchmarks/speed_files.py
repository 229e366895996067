"""Full-size phantoms in every format, for `speed.py`: all different, and cheap to make.

Compressing takes longer than reading, so a few pictures are compressed once. A DICOM file is one of these frames
under a PatientID and SOPInstanceUID of its own: to the program another image of another patient. PNG and JPEG carry
no identifier, so each of them is another cut of a drawing.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

sys.path.insert(0, str(Path(__file__).parent.parent / "sample_data"))

from phantom import Picture, radiograph

Stored = NDArray[np.uint8] | NDArray[np.uint16]
Size = tuple[int, int]
"""rows, columns"""

FULL_SIZE: Size = (3000, 2500)
MIXED = "mixed"
_N_DRAWN = 4
_SHIFT_PX = 8
_N_SHIFTS = 4
N_CUTS = _N_DRAWN * _N_SHIFTS**2
_THREADS = len(os.sched_getaffinity(0))


def rle(stored: NDArray[np.uint16]) -> bytes:
    """Encode as DICOM RLE (PS3.5 annex G): byte planes, most significant first, each row packed by itself.

    Parameters
    ----------
    stored : ndarray of uint16, shape (rows, columns)
    """
    planes = ((stored >> 8).astype(np.uint8), (stored & 255).astype(np.uint8))
    segments = [_even(imagecodecs.packbits_encode(plane)) for plane in planes]
    header = np.zeros(16, "<u4")
    header[:3] = len(segments), header.nbytes, header.nbytes + len(segments[0])
    return header.tobytes() + b"".join(segments)


def _even(data: bytes | bytearray) -> bytes:
    return bytes(data) + b"\0" * (len(data) % 2)


def _jpeg2000(stored: Stored, bits: int, **quality: Any) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(stored, codecformat="j2k", bitspersample=bits, **quality))


def _raster(stored: Stored, name: str, **how: Any) -> bytes:
    stream = BytesIO()
    Image.fromarray(stored).save(stream, name, **how)
    return stream.getvalue()


@dataclass(frozen=True, slots=True)
class Format:
    """How stored values become bytes: of a frame where there is a transfer syntax, else of a file.

    Attributes
    ----------
    bits : int
        Stored bits; more than 8 are kept in 16.
    syntax : str
        TransferSyntaxUID; empty for PNG and JPEG.
    """

    bits: int
    suffix: str
    syntax: str
    encode: Callable[[Any], bytes | bytearray]

    def stored(self, picture: Picture) -> Stored:
        """Turn a picture of 0–1 into whole numbers that use all bits."""
        whole = np.rint(picture * np.float32((1 << self.bits) - 1))
        return whole.astype(np.uint8 if self.bits == 8 else np.uint16)


def _dicom(bits: int, syntax: str, encode: Callable[[Any], bytes | bytearray]) -> Format:
    return Format(bits, ".dcm", syntax, encode)


FORMATS: dict[str, Format] = {
    "uncompressed": _dicom(14, uid.ExplicitVRLittleEndian, lambda a: a.astype("<u2").tobytes()),
    "RLE": _dicom(12, uid.RLELossless, rle),
    "JPEG lossless": _dicom(
        14, uid.JPEGLosslessSV1, lambda a: imagecodecs.jpeg8_encode(a, lossless=True, bitspersample=14)
    ),
    "JPEG-LS": _dicom(12, uid.JPEGLSLossless, imagecodecs.jpegls_encode),
    "JPEG 2000 lossless": _dicom(
        12, uid.JPEG2000Lossless, lambda a: _jpeg2000(a, 12, level=0, reversible=True)
    ),
    "JPEG 2000 lossy": _dicom(12, uid.JPEG2000, lambda a: _jpeg2000(a, 12, level=60)),
    "JPEG": Format(8, ".jpg", "", lambda a: _raster(a, "JPEG", quality=95)),
    "PNG 8": Format(8, ".png", "", lambda a: _raster(a, "PNG", compress_level=1)),
    "PNG 16": Format(16, ".png", "", lambda a: _raster(a, "PNG", compress_level=1)),
}
GROUPS = (*FORMATS, MIXED)


def formats_of(group: str) -> tuple[Format, ...]:
    """Give the formats of a group; its files take turns."""
    return tuple(FORMATS.values()) if group == MIXED else (FORMATS[group],)


def draw(size: Size) -> list[Picture]:
    """Draw a few pictures, with a margin for `cut`."""
    margin = _SHIFT_PX * (_N_SHIFTS - 1)
    with ThreadPoolExecutor(_THREADS) as threads:
        return list(
            threads.map(
                lambda seed: radiograph(size[0] + margin, size[1] + margin, seed=seed), range(_N_DRAWN)
            )
        )


def cut(drawn: Sequence[Picture], number: int) -> Picture:
    """Cut out one of `N_CUTS` different pictures: the drawings take turns, then each is shifted."""
    margin = _SHIFT_PX * (_N_SHIFTS - 1)
    rows, columns = (side - margin for side in drawn[0].shape)
    turn, which = divmod(number, len(drawn))
    down, right = (_SHIFT_PX * step for step in divmod(turn, _N_SHIFTS))
    return drawn[which][down : down + rows, right : right + columns]


def write_group(
    folder: Path, group: str, drawn: Sequence[Picture], n_files: int, max_bytes: int
) -> list[Path]:
    """Write files that are all different to the program.

    Parameters
    ----------
    drawn : sequence of Picture
        From `draw`.
    n_files : int
        At most so many; fewer where `max_bytes` or the number of different pictures says so, but each format once.

    Returns
    -------
    list of Path
        In the order of their names.
    """
    folder.mkdir(parents=True)
    write = _Writer(folder, group, drawn)
    n_formats = len(formats_of(group))
    first = [write(number) for number in range(n_formats)]
    size = sum(path.stat().st_size for path in first)
    n_files = min(n_files, n_formats * max_bytes // size, write.n_different)
    with ThreadPoolExecutor(_THREADS) as threads:
        return first + list(threads.map(write, range(n_formats, n_files)))


class _Writer:
    """Writes the files of a group by their number."""

    def __init__(self, folder: Path, group: str, drawn: Sequence[Picture]) -> None:
        self._folder = folder
        self._drawn = drawn
        self._formats = formats_of(group)
        dicom = [format_ for format_ in self._formats if format_.syntax]
        todo = [(format_, picture) for format_ in dicom for picture in range(len(drawn))]
        with ThreadPoolExecutor(_THREADS) as threads:
            frames = threads.map(lambda item: item[0].encode(item[0].stored(cut(drawn, item[1]))), todo)
            self._frames = dict(
                zip(((format_.syntax, picture) for format_, picture in todo), frames, strict=True)
            )

    @property
    def n_different(self) -> int:
        """PNG and JPEG with equal pixels count as second copies."""
        return 10**9 if all(format_.syntax for format_ in self._formats) else N_CUTS * len(self._formats)

    def __call__(self, number: int) -> Path:
        picture, turn = divmod(number, len(self._formats))
        format_ = self._formats[turn]
        path = self._folder / f"{number:06}{format_.suffix}"
        if format_.syntax:
            which = picture % len(self._drawn)
            frame = self._frames[format_.syntax, which]
            write(path, format_, frame, cut(self._drawn, which).shape)
        else:
            picture_here = cut(self._drawn, picture)
            write(path, format_, format_.encode(format_.stored(picture_here)), picture_here.shape)
        return path


def write(path: Path, format_: Format, content: bytes | bytearray, shape: tuple[int, ...]) -> None:
    """Write what `Format.encode` made of a picture of this shape; a DICOM patient is named as the file."""
    if not format_.syntax:
        path.write_bytes(content)
        return
    dataset = _header(format_, shape, path.stem)
    compressed = uid.UID(format_.syntax).is_compressed
    dataset.add_new(
        "PixelData", "OB" if compressed else "OW", encapsulate([bytes(content)]) if compressed else content
    )
    dataset.save_as(path, enforce_file_format=True)


def _header(format_: Format, shape: tuple[int, ...], name: str) -> Dataset:
    """Make an adult's frontal chest radiograph of nobody."""
    dataset = Dataset()
    dataset.SOPClassUID = uid.DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = uid.generate_uid(entropy_srcs=["benchmark image", name])
    dataset.StudyInstanceUID = uid.generate_uid(entropy_srcs=["benchmark study", name])
    dataset.PatientID = f"PHANTOM-{name}"
    dataset.PatientAge, dataset.StudyDate = "045Y", "20200401"
    dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = "DX", "CHEST", "PA"
    dataset.Rows, dataset.Columns = shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, format_.bits, format_.bits - 1
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = 1 << (format_.bits - 1), 1 << format_.bits
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.UID(format_.syntax)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


@contextmanager
def linked(files: Sequence[Path], n_links: int) -> Iterator[Path]:
    """Give a folder beside that of the files with `n_links` hard links: each file once before any is repeated."""
    with TemporaryDirectory(dir=files[0].parent.parent, prefix="linked-") as folder:
        for number, file in enumerate(islice(cycle(files), n_links)):
            os.link(file, Path(folder) / f"{number:06}{file.suffix}")
        yield Path(folder)
