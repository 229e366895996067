"""A folder of 100,000 files, nearly all of them worthless: what `cxrbatch screen` takes for it, in time and memory.

``python benchmarks/many.py [--files 100000] [--images 300] [--state]`` writes one folder of notes, empty and cut-off
files, names of 255 bytes, links and hard links to one radiograph, and phantoms among them; screens it as a user
would, and prints wall time, processor time of all processes, and peak memory (proportional set size, Linux only).
"""

import argparse
import os
import resource
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "sample_data"))
sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.growth import screen, write_folder

_KINDS = ("note", "empty", "cut.dcm", "cut.png", "document", "text.png", "folder", "dangling")
_CONTENT = {
    "note": b"To whom it may concern",
    "cut.dcm": b"\0" * 128 + b"DICM" + b"\2\0\0\0UL\4\0\x80\0\0\0",
    "cut.png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0",
    "document": b"%PDF-1.4",
    "text.png": b"no picture",
}


def write(folder: Path, n_files: int, n_images: int) -> None:
    """Write the images first, then everything else in turn."""
    write_folder(folder, n_images)
    for number in range(n_files - n_images):
        kind = _KINDS[number % len(_KINDS)]
        name = f"{number:06}".ljust(255 - len(kind), "-") + kind
        if kind == "dangling":
            (folder / name).symlink_to("nowhere")
        elif kind == "folder":
            (folder / name).mkdir()
            (folder / name / "note").write_bytes(_CONTENT["note"])
        else:
            (folder / name).write_bytes(_CONTENT.get(kind, b""))


def processor_s() -> float:
    """Of all processes that have been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--state", action="store_true", help="twice with a state: the second run remembers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, out = Path(scratch) / "export", Path(scratch) / "report.csv"
        folder.mkdir()
        write(folder, options.files, options.images)
        more = ["--state", str(Path(scratch) / "state")] if options.state else []
        print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}\n")
        print("| seconds | processor s | peak MiB | |\n|---:|---:|---:|---|")
        for _ in range(2 if options.state else 1):
            before = processor_s()
            seconds, mib, summary = screen(folder, out, None, *more)
            print(f"| {seconds:.1f} | {processor_s() - before:.1f} | {mib:.0f} | {summary} |", flush=True)


if __name__ == "__main__":
    main()
