"""What a long memory costs: `cxrbatch screen --state` over a folder of which nearly all is known.

``python benchmarks/remembered.py [--state-images 200000 --old 20000 --new 100]`` fills a state with images of many
nights, puts the latest of them into a folder as files, adds new ones (PNG phantoms, 512 × 448) and screens the folder
as a user would, then a folder with the new files alone and a state that knows nothing. A third run, over the first
folder and state again, is watched from inside. Prints wall time, processor time and peak memory of all processes
together (proportional set size, Linux only), and where the time of the watched run went.
"""

import argparse
import datetime as dt
import hashlib
import json
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent / "sample_data"))
sys.path.insert(0, str(Path(__file__).parent.parent))

from phantom import radiograph

from benchmarks.growth import screen, write_folder
from cxrbatch._lib.clock import EXPIRE_NIGHTS
from cxrbatch._lib.safe_open import FileVersion
from cxrbatch.discover import walk
from cxrbatch.records import FoundFile, ImageHeader, ImageScore, PatientKey
from cxrbatch.state.connection import open_state
from cxrbatch.state.pcr_results import PcrResults
from cxrbatch.state.records import PcrResult, RunContext
from cxrbatch.state.store import State

_N_DRAWN = 12
_THUMBNAIL_BYTES = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What the state remembers.

    Attributes
    ----------
    n_images : int
        One for each patient.
    n_nights : int
        Over which they came in, as many each night.
    tested : float
        Share of them with a PCR result, of the day after.
    """

    n_images: int
    n_nights: int
    tested: float

    def nights_ago(self, number: int) -> int:
        """How long ago an image came in; the last one yesterday."""
        return self.n_nights - number * self.n_nights // self.n_images


def write_old(folder: Path, n_files: int) -> None:
    """Write small radiographs, 500 to a folder; nobody opens them again."""
    drawn = [folder.parent / f"{seed}.png" for seed in range(_N_DRAWN)]
    for seed, path in enumerate(drawn):
        Image.fromarray(np.rint(radiograph(128, 112, seed=seed) * 255).astype(np.uint8)).save(path)
    contents = [path.read_bytes() for path in drawn]
    for number in range(n_files):
        path = folder / "old" / f"{number // 500:04}" / f"{number:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[number % _N_DRAWN] + number.to_bytes(4))


def learn(export: Path, state: Path, out: Path) -> RunContext:
    """Screen the folder while nothing old is in it: as what later runs will look for its files."""
    screen(export, out, 1, "--state", str(state))
    connection = sqlite3.connect(state)
    root, settings, bundle, night, moment = connection.execute(
        "SELECT root, settings, bundle_sha256, first_night, first_seen FROM image"
    ).fetchone()
    connection.close()
    return RunContext(
        root=json.loads(root),
        settings=settings,
        bundle_sha256=bundle,
        night=dt.date.fromisoformat(night),
        moment=dt.datetime.fromisoformat(moment),
    )


def fill(state: State, past: Past, in_folder: list[FoundFile], tonight: RunContext) -> None:
    """Remember all images; the latest are those that lie in the folder."""
    chance = random.Random(0)  # noqa: S311 - made-up scores
    n_gone = past.n_images - len(in_folder)
    for number in range(past.n_images):
        file = in_folder[number - n_gone] if number >= n_gone else gone(number)
        ago = past.nights_ago(number)
        state.put(file, scored(file.name, number, ago, chance), before(tonight, ago))
    state.pcr.add(_results(past, tonight, chance), tonight.moment)


def gone(number: int) -> FoundFile:
    """Make a file that is not in the folder any more."""
    name = f"gone/{number:06}.dcm"
    version = FileVersion(size_bytes=8_000_000 + number, mtime_ns=number, ctime_ns=number)
    return FoundFile(path=Path(name), name=name, version=version)


def before(tonight: RunContext, nights: int) -> RunContext:
    """Make a run of so many nights before."""
    ago = dt.timedelta(days=nights)
    return RunContext(
        root=tonight.root,
        settings=tonight.settings,
        bundle_sha256=tonight.bundle_sha256,
        night=tonight.night - ago,
        moment=tonight.moment - ago,
    )


def patient(number: int) -> PatientKey:
    """Key of the patient with a number."""
    return ("dicom", "HOSPITAL", f"{number:08}")


def scored(name: str, number: int, nights_ago: int, chance: random.Random) -> ImageScore:
    """Make the image of a patient, both by their number, as the network scores it."""
    covid = chance.random()
    return ImageScore(
        name=name,
        header=ImageHeader(
            patient_key=patient(number),
            patient_id=f"{number:08}",
            issuer_of_patient_id="HOSPITAL",
            accession_number=f"A{number:09}",
            study_instance_uid=f"1.2.826.0.1.3680043.8.498.{number + 10**30}",
            sop_instance_uid=f"1.2.826.0.1.3680043.8.498.{number + 2 * 10**30}",
            modality="DX",
            body_part="CHEST",
            view_position="PA",
            age_years=57.0,
            rows=2544,
            columns=3056,
            identity_digest=hashlib.sha256(str(number).encode()).hexdigest(),
        ),
        scores=(covid, (1 - covid) / 2, (1 - covid) / 2),
        pixels_sha256=hashlib.sha256(f"picture {number}".encode()).hexdigest(),
        thumbnail=chance.randbytes(_THUMBNAIL_BYTES) if nights_ago <= EXPIRE_NIGHTS else b"",
    )


def _results(past: Past, tonight: RunContext, chance: random.Random) -> Iterator[PcrResult]:
    for number in range(past.n_images):
        if chance.random() < past.tested:
            day = tonight.night - dt.timedelta(days=past.nights_ago(number) - 1)
            yield PcrResult(patient_key=patient(number), date=day, positive=chance.random() < 0.2)


# --- a run watched from inside


def watch(folder: Path, out: Path, state: Path) -> None:
    """Screen here, and print as JSON the seconds spent in each part."""
    started = time.perf_counter()
    spent: defaultdict[str, float] = defaultdict(float)

    from cxrbatch.engines import local  # noqa: PLC0415
    from cxrbatch.engines.pool import WorkerPool  # noqa: PLC0415
    from cxrbatch.screening import ScreenOptions  # noqa: PLC0415
    from cxrbatch.screening import run as stages  # noqa: PLC0415 - the time of the import counts

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            begun = time.perf_counter()
            spent[f"until {name}"] = spent.get(f"until {name}") or begun - started
            try:
                return function(*args, **kwargs)
            finally:
                spent[name] += time.perf_counter() - begun

        return wrapped

    def patch(owner: Any, name: str, function: Callable[..., Any] | None = None) -> None:
        setattr(owner, name, timed(name, function or getattr(owner, name)))

    patch(local, "walk", lambda root: list(walk(root)))
    for owner, name in (
        (WorkerPool, "prepare"),
        *((State, name) for name in ("get", "mark_duplicates", "stored_images")),
        (PcrResults, "days"),
        *((State, name) for name in ("forget_thumbnails", "finish")),
        *((stages, name) for name in ("refuse_duplicates", "list_patients", "write_report")),
    ):
        patch(owner, name)
    run = stages.screen(folder, out, ScreenOptions(state=state))
    spent["total"] = time.perf_counter() - started
    print(json.dumps({**spent, "n_found": run.n_found, "n_patients": len(run.patients)}))


def watched(folder: Path, out: Path, state: Path) -> dict[str, float]:
    """`watch` in a process of its own."""
    command = [sys.executable, __file__, "--watch", *map(str, (folder, out, state))]
    lines = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return dict(json.loads(lines.splitlines()[-1]))


def where(spent: dict[str, float]) -> Iterator[str]:
    """Where the time of a watched run went, in lines."""
    n_found, scan = spent["n_found"], spent["walk"] + spent["get"]
    yield f"walk {spent['walk']:.2f} s, get {spent['get']:.2f} s: {n_found / scan:.0f} files/s"
    yield f"first new file handed to a reader after {spent['until prepare']:.2f} s, all judged after " + (
        f"{spent['until refuse_duplicates']:.2f} s"
    )
    for name in (
        "mark_duplicates",
        "stored_images",
        "days",
        "forget_thumbnails",
        "list_patients",
    ):
        yield f"{name} {spent[name]:.2f} s"
    yield f"write_report {spent['write_report']:.2f} s, finish {spent['finish']:.2f} s"
    yield f"{spent['n_patients']} patients on the list; {spent['total']:.2f} s in all"


# --- the comparison


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add what every benchmark with a filled state asks for."""
    parser.add_argument("--tested", type=float, default=0.95, help="share of the patients with a PCR result")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--scratch", type=Path, help="where to make it all; the system's place by default")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--state-images", type=int, default=4000, help="images in the state")
    parser.add_argument("--old", type=int, default=1000, help="of them, those whose files are in the folder")
    parser.add_argument("--new", type=int, default=100, help="new files")
    parser.add_argument("--nights", type=int, default=40, help="over which the images came in")
    add_common_options(parser)
    parser.add_argument("--watch", type=Path, nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def compare(scratch: Path, options: argparse.Namespace) -> None:
    """Make everything below a folder, run and print."""
    export, alone, out, state = (scratch / name for name in ("export", "alone", "report.csv", "state.sqlite"))
    alone.mkdir()
    write_folder(alone, options.new)
    (export / "new").mkdir(parents=True)
    write_folder(export / "new", 1)
    tonight = learn(export, state, out)
    shutil.rmtree(export)
    shutil.copytree(alone, export / "new")
    write_old(export, options.old)
    in_folder = [file for file in walk(export) if file.name.startswith("old/")]
    begun = time.monotonic()
    past = Past(n_images=options.state_images, n_nights=options.nights, tested=options.tested)
    with open_state(state, durable=False) as memory:
        fill(memory, past, in_folder, tonight)
    print(f"state: {past.n_images} images, {state.stat().st_size / 2**20:.0f} MiB", end=", ")
    print(f"filled in {time.monotonic() - begun:.0f} s", flush=True)
    again = scratch / "again.sqlite"
    shutil.copy(state, again)
    for name, folder, path in (("alone", alone, scratch / "empty.sqlite"), ("known", export, state)):
        used = processor_s()
        seconds, mib, summary = screen(folder, out, options.workers, "--state", str(path))
        spent = f"{seconds:.1f} s, {processor_s() - used:.1f} s of processors, peak {mib:.0f} MiB"
        print(f"{name}: {spent}   {summary.split(';')[0]}", flush=True)
    print("\n".join(where(watched(export, out, again))))


def processor_s() -> float:
    """Of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Compare, or be the watched run."""
    options = _options()
    if options.watch:
        watch(*options.watch)
        return
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        compare(Path(scratch), options)


if __name__ == "__main__":
    main()
