"""Files that are wrong on purpose: mutations that know the format they damage."""

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from tests.fuzz import mutate_bytes, mutate_dicom, mutate_jpeg, mutate_picture, mutate_png
from tests.fuzz.draw import Mutation
from tests.fuzz.seeds import Format, Seed

_OF_FORMAT: dict[str, dict[str, Mutation]] = {
    "dicom": mutate_dicom.MUTATIONS,
    "png": mutate_png.MUTATIONS,
    "jpeg": mutate_jpeg.MUTATIONS,
    "jpeg2000": mutate_picture.JPEG_2000,
    "tiff": mutate_picture.TIFF,
    "webp": mutate_picture.WEBP,
    "bmp": mutate_picture.BMP,
    "gzip": mutate_picture.GZIP,
}
_PLAIN_SHARE = 0.15
_AGAIN_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutated:
    """A damaged file.

    Attributes
    ----------
    kind : str
        Format and first mutation, as ``dicom.length``.
    """

    name: str
    kind: str
    data: bytes


def mutated(seeds: list[Seed], seed: int, number: int) -> Mutated:
    """Draw one damaged file, always the same for the same two numbers."""
    random = np.random.default_rng((seed, number))
    of = seeds[int(random.integers(len(seeds)))]
    kind, data = _once(of.format, of.data, random)
    while random.random() < _AGAIN_SHARE:
        _, data = _once(of.format, data, random)
    return Mutated(name=f"{number:05}-{of.name}-{kind}", kind=f"{of.format}.{kind}", data=data)


def damaged(of: Format, data: bytes, random: np.random.Generator) -> bytes:
    """Damage a file once."""
    return _once(of, data, random)[1]


def kinds() -> list[str]:
    """Names of all mutations."""
    return [f"{of}.{kind}" for of, known in _OF_FORMAT.items() for kind in (*known, *mutate_bytes.MUTATIONS)]


def _once(of: str, data: bytes, random: np.random.Generator) -> tuple[str, bytes]:
    known = mutate_bytes.MUTATIONS if random.random() < _PLAIN_SHARE else _OF_FORMAT[of]
    kind = list(known)[int(random.integers(len(known)))]
    try:
        return kind, known[kind](data, random)
    except (LookupError, ValueError, struct.error, zlib.error, StopIteration):
        # of another form, or damaged beyond what a second mutation can take apart
        return "flip", mutate_bytes.flip(data, random)
