"""What the largest legitimate radiographs ask of a reader process: memory and seconds.

``python benchmarks/worst.py [--side 12000] [--forms RLE ...]`` writes one picture of 12,000 × 12,000 pixels in every
format, in its cheapest and its dearest form (padding in use, colour, turned by EXIF, all pixels decoded), reads each
in a process of its own, and prints a Markdown table:

* **address space** is what `cxrbatch.limits.WORK_BYTES` caps: how much more of it than before the file was opened was
  in use at most (VmPeak, /proc/PID/status); **memory** is how much was really filled (VmHWM).
* **outcome**: the drawing is no radiograph, so ``not_a_chest_radiograph`` says that it was read.
* **seconds** from opening the file to the network's input, on a machine that does nothing else.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import dcmread, uid

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.speed_files import FORMATS, Stored, write
from cxrbatch.bundle.bundle import load_bundle
from cxrbatch.discover import classify
from cxrbatch.engines.reader import retain_freed_memory
from cxrbatch.gate.pixel_check import StoredCheck
from cxrbatch.prepare import PrepareOptions, prepare
from cxrbatch.records import Failure, ImageRef

Writer = Callable[[Path, int], None]


def film(side: int, bits: int) -> Stored:
    """Draw a bright oval with noise, as hard to compress as a film is.

    Returns
    -------
    ndarray of uint8 or uint16, shape (side, side)
    """
    place = np.linspace(-1, 1, side, dtype=np.float32)
    noise = np.random.default_rng(0)
    rows = (
        np.clip(0.8 - y * y - place * place, 0.05, 0.95) + noise.normal(0, 0.01, side).astype(np.float32)
        for y in place
    )
    whole = np.empty((side, side), np.uint8 if bits == 8 else np.uint16)
    for target, row in zip(whole, rows, strict=True):
        target[:] = np.clip(row, 0, 1) * ((1 << bits) - 1)
    return whole


def _plain(name: str) -> Writer:
    def written(path: Path, side: int) -> None:
        stored = film(side, FORMATS[name].bits)
        write(path, FORMATS[name], FORMATS[name].encode(stored), stored.shape)

    return written


def _padded(name: str) -> Writer:
    """With padding in one corner, so that all pixels must be decoded and masked."""

    def written(path: Path, side: int) -> None:
        stored = film(side, FORMATS[name].bits)
        stored[:100, :100] = 0
        write(path, FORMATS[name], FORMATS[name].encode(stored), stored.shape)
        dataset = dcmread(path)
        dataset.add_new("PixelPaddingValue", "US", 0)
        dataset.save_as(path)

    return written


def _colour(path: Path, side: int) -> None:
    """RGB, uncompressed."""
    _plain("uncompressed")(path, side)
    dataset = dcmread(path)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset["PixelData"].VR = "OB"
    dataset.PixelData = np.repeat(film(side, 8), 3).tobytes()
    dataset.save_as(path)


def _deflated(path: Path, side: int) -> None:
    _plain("uncompressed")(path, side)
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(path)


def _turned(path: Path, side: int) -> None:
    """JPEG in colour, turned by its EXIF data."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = BytesIO()
    Image.fromarray(film(side, 8)).convert("RGB").save(stream, "JPEG", quality=95, exif=exif)
    path.write_bytes(stream.getvalue())


def _progressive(path: Path, side: int) -> None:
    stream = BytesIO()
    Image.fromarray(film(side, 8)).convert("RGB").save(stream, "JPEG", quality=95, progressive=True)
    path.write_bytes(stream.getvalue())


def _transparent(path: Path, side: int) -> None:
    """PNG with colours and transparency."""
    Image.fromarray(film(side, 8)).convert("RGBA").save(path, "PNG", compress_level=1)


FORMS: dict[str, tuple[str, Writer]] = {
    **{name: (format_.suffix, _plain(name)) for name, format_ in FORMATS.items()},
    **{
        f"{name}, padded": (format_.suffix, _padded(name))
        for name, format_ in FORMATS.items()
        if format_.syntax and "lossy" not in name
    },
    "deflated": (".dcm", _deflated),
    "RGB": (".dcm", _colour),
    "JPEG, RGB, turned": (".jpg", _turned),
    "JPEG, RGB, progressive": (".jpg", _progressive),
    "PNG, RGBA": (".png", _transparent),
}


def read(
    path: Path, full_size: bool, answer: "multiprocessing.SimpleQueue[tuple[str, float, int, int]]"
) -> None:
    """Read a file as a reader process does, and tell the outcome, seconds, address space and memory in bytes."""
    bundle = load_bundle()
    check = StoredCheck(bundle.gate_path)
    check.rejection(np.zeros((256, 256), np.float32))
    retain_freed_memory()
    options = PrepareOptions(spec=bundle.preprocess, pixel_check=check, full_size=full_size)
    ref = classify(path, path.name)
    if not isinstance(ref, ImageRef):
        raise TypeError(f"{path}: {ref.reason}")
    before, started = (_status("VmSize"), _status("VmRSS")), time.perf_counter()
    result = prepare(ref, options)
    seconds = time.perf_counter() - started
    outcome = str(result.reason) if isinstance(result, Failure) else "read"
    answer.put((outcome, seconds, _status("VmPeak") - before[0], _status("VmHWM") - before[1]))


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) << 10


def measured(names: list[str], side: int) -> Iterator[str]:
    """Rows of the table."""
    context = multiprocessing.get_context("spawn")
    for name in names:
        suffix, writer = FORMS[name]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"film{suffix}"
            writer(path, side)
            for full_size in (False, True):
                answer = context.SimpleQueue()
                process = context.Process(target=read, args=(path, full_size, answer))
                process.start()
                process.join()
                outcome, seconds, space, memory = (
                    answer.get() if not answer.empty() else (f"exit {process.exitcode}", 0.0, 0, 0)
                )
                yield (
                    f"| {name} | {'full' if full_size else 'reduced'} | {path.stat().st_size >> 20} "
                    f"| {space >> 20} | {memory >> 20} | {seconds:.1f} | {outcome} |"
                )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=12_000)
    parser.add_argument("--forms", nargs="+", default=list(FORMS), choices=list(FORMS), metavar="FORM")
    asked = parser.parse_args()
    print("| format | decode | file, MiB | address space, MiB | memory, MiB | seconds | outcome |")
    print("|---|---|---|---|---|---|---|")
    for row in measured(asked.forms, asked.side):
        print(row, flush=True)


if __name__ == "__main__":
    main()
