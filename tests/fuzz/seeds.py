"""Well-formed files to damage: phantoms in every form that is read, and the test files that come with pydicom."""

import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import phantom
import pydicom
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.factories.dicom_files import ENCODERS, NATIVE, write_dicom
from tests.factories.pictures import jp2, tiff

Format = Literal["dicom", "png", "jpeg", "jpeg2000", "tiff", "webp", "bmp", "gzip"]
ROWS, COLUMNS = 160, 144
"""Small, so that thousands can be read, and above what is refused as too small."""
_LARGE_PX = 1152
"""Four times what the network sees: the least that is decoded in part."""
_LARGE = (uid.ExplicitVRLittleEndian, uid.RLELossless, uid.JPEGBaseline8Bit, uid.JPEG2000, uid.HTJ2KLossless)


_JPEG_FILES = {
    "jpeg-12": uid.JPEGExtended12Bit,
    "ljpeg": uid.JPEGLosslessSV1,
    "jpegls": uid.JPEGLSLossless,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A file as it should be."""

    name: str
    format: Format
    data: bytes


def small(folder: Path) -> list[Seed]:
    """Phantoms in every transfer syntax and picture format.

    Parameters
    ----------
    folder : Path
        For temporary files.
    """
    return [*_dicom(folder), *_png(), *_jpeg(), *pictures()]


def large(folder: Path) -> list[Seed]:
    """Phantoms large enough to be decoded in part."""
    picture = phantom.radiograph(_LARGE_PX, _LARGE_PX, seed=5)
    plain = np.asarray(picture * 15, np.uint8) * np.uint8(17)  # few greys, few bytes
    of = partial(_written, folder, plain)
    dicom = [_seed(f"large-{syntax.name}", of(syntax=syntax, bits_stored=8)) for syntax in _LARGE]
    image = Image.fromarray(plain)
    return [
        *dicom,
        Seed(name="large", format="png", data=_saved(image, "PNG")),
        Seed(name="large", format="jpeg", data=_saved(image, "JPEG", quality=30)),
    ]


def of_pydicom() -> list[Seed]:
    """Small files of pydicom's own tests, called radiographs, so that their pixels are looked at."""
    folder = Path(pydicom.__file__).parent / "data"
    files = sorted(
        path for path in folder.rglob("*") if path.suffix == ".dcm" and path.stat().st_size < 1 << 17
    )
    return [_seed(f"pydicom-{path.stem}", _as_radiograph(path.read_bytes())) for path in files]


def _as_radiograph(data: bytes) -> bytes:
    """Exchange the modality, where it has two letters and is in explicit VR."""
    at = data.find(b"\x08\0\x60\0CS\x02\0")
    return data if at < 0 else data[: at + 8] + b"DX" + data[at + 10 :]


def _seed(name: str, data: bytes) -> Seed:
    words = "".join(letter if letter.isalnum() else "-" for letter in name)
    return Seed(name=words, format="dicom", data=data)


def _dicom(folder: Path) -> Iterator[Seed]:
    picture = phantom.radiograph(ROWS, COLUMNS, seed=5)
    eight, twelve = _grey(picture, 8), _grey(picture, 12)
    of_8, of_12 = partial(_written, folder, eight), partial(_written, folder, twelve, bits_stored=12)
    for syntax in (*NATIVE, *ENCODERS):
        of = of_8 if syntax in (uid.JPEGBaseline8Bit, uid.JPEG2000) else of_12
        yield _seed(syntax.name, of(syntax=syntax))
    yield _seed(
        "signed", _written(folder, (twelve.astype("<i2") - 2048), bits_stored=12, PixelPaddingValue=-2048)
    )
    yield _seed("inverted", of_12(photometric="MONOCHROME1", PresentationLUTShape="INVERSE"))
    yield _seed("window", of_12(WindowCenter=["2000", "1000"], WindowWidth=["3800", "900"], RescaleSlope="2"))
    yield _seed("luts", of_12(VOILUTSequence=_lut(4096), ModalityLUTSequence=_lut(4096)))
    rgb = np.stack([eight] * 3, axis=-1)
    for syntax in (uid.ExplicitVRLittleEndian, uid.RLELossless, uid.JPEGBaseline8Bit, uid.JPEG2000Lossless):
        if syntax != uid.RLELossless:
            yield _seed(f"rgb-{syntax.name}", _written(folder, rgb, syntax=syntax, photometric="RGB"))
    yield _seed("ybr", _written(folder, rgb, photometric="YBR_FULL"))
    yield _seed("palette", of_8(photometric="PALETTE COLOR", **_palette()))
    for syntax in (uid.ExplicitVRLittleEndian, uid.JPEG2000Lossless):
        data = gzip.compress(of_12(syntax=syntax), mtime=0)
        yield Seed(name=f"gzip-{syntax.name}".replace(" ", "-"), format="gzip", data=data)


def _png() -> Iterator[Seed]:
    picture = phantom.radiograph(ROWS, COLUMNS, seed=5)
    grey = Image.fromarray(_grey(picture, 8))
    deep = Image.fromarray(_grey(picture, 16))
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "a phantom")
    info.add_text("Description", "nobody " * 50, zip=True)
    forms: dict[str, Image.Image] = {
        "grey": grey,
        "deep": deep,
        "rgb": grey.convert("RGB"),
        "alpha": grey.convert("LA"),
        "rgba": grey.convert("RGBA"),
        "palette": grey.convert("P"),
        "bits": grey.convert("1"),
    }
    for name, image in forms.items():
        yield Seed(name=name, format="png", data=_saved(image, "PNG", pnginfo=info))
    frames = [grey, grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    yield Seed(name="animated", format="png", data=_saved(grey, "PNG", save_all=True, append_images=frames))


def _jpeg() -> Iterator[Seed]:
    grey = Image.fromarray(_grey(phantom.radiograph(ROWS, COLUMNS, seed=5), 8))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a phantom"
    yield Seed(name="grey", format="jpeg", data=_saved(grey, "JPEG", exif=exif))
    yield Seed(name="progressive", format="jpeg", data=_saved(grey, "JPEG", progressive=True))
    yield Seed(name="rgb", format="jpeg", data=_saved(grey.convert("RGB"), "JPEG", icc_profile=b"\0" * 200))
    yield Seed(name="cmyk", format="jpeg", data=_saved(grey.convert("CMYK"), "JPEG"))


def pictures() -> Iterator[Seed]:
    """Phantoms in the formats of pictures that are read besides PNG and plain JPEG."""
    picture = phantom.radiograph(ROWS, COLUMNS, seed=5)
    eight, twelve, sixteen = (_grey(picture, bits) for bits in (8, 12, 16))
    image = Image.fromarray(eight)
    for name, syntax in _JPEG_FILES.items():
        yield Seed(name=name, format="jpeg", data=bytes(ENCODERS[syntax](twelve, 12)))
    for name, syntax in {"j2k": uid.JPEG2000Lossless, "htj2k": uid.HTJ2KLossless}.items():
        codestream = bytes(ENCODERS[syntax](twelve, 12))
        yield Seed(name=name, format="jpeg2000", data=codestream)
        yield Seed(name=f"{name}-in-jp2", format="jpeg2000", data=jp2(codestream))
    yield Seed(name="deep", format="tiff", data=tiff(sixteen))
    yield Seed(name="big-endian", format="tiff", data=tiff(sixteen, order=">"))
    yield Seed(name="white-is-0", format="tiff", data=tiff(sixteen, white_is_zero=True))
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"):
        yield Seed(name=compression, format="tiff", data=_saved(image, "TIFF", compression=compression))
    yield Seed(name="big", format="tiff", data=_saved(image, "TIFF", big_tiff=True))
    yield Seed(name="lossless", format="webp", data=_saved(image, "WEBP", lossless=True))
    yield Seed(name="lossy", format="webp", data=_saved(image, "WEBP", icc_profile=b"\0" * 100))
    yield Seed(name="grey", format="bmp", data=_saved(image, "BMP"))
    yield Seed(name="rgb", format="bmp", data=_saved(image.convert("RGB"), "BMP"))


def _grey(picture: NDArray[Any], bits: int) -> NDArray[Any]:
    return np.rint(picture * (2**bits - 1)).astype("u1" if bits == 8 else "<u2")


def _lut(entries: int) -> Sequence:
    item = Dataset()
    item.add_new(0x00283002, "US", [entries, 0, 16])
    item.add_new(0x00283006, "OW", np.linspace(0, 65535, entries).astype("<u2").tobytes())
    return Sequence([item])


def _palette() -> dict[str, Any]:
    table = np.arange(256, dtype="<u2").tobytes()
    hues = ("Red", "Green", "Blue")
    return {f"{hue}PaletteColorLookupTableDescriptor": [256, 0, 16] for hue in hues} | {
        f"{hue}PaletteColorLookupTableData": table for hue in hues
    }


def _written(folder: Path, stored: NDArray[Any], **elements: Any) -> bytes:
    return write_dicom(folder / "seed", stored, **elements).read_bytes()


def _saved(image: Image.Image, of: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, of, **options)
    return stream.getvalue()
