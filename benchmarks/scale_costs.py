"""Measure on this machine what `scale_model.py` needs: ``python benchmarks/scale_costs.py > costs.toml``.

In processor time, since machines are shared: reading of full-size phantoms in every format (3000 × 2500, as many of
each), the network, copies of a prepared image between processes, the outcome, and what is done for each file before
and after. The state's writer also waits for its disk, by the clock: the median of a row, less the processor time.
Ray's own share of the work is not in it: `scale_nodes.py` compares.
"""

import pickle
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, fields
from functools import partialmethod
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.network import per_image
from benchmarks.remembered import scored, write_old
from benchmarks.scale_model import Costs, Group
from benchmarks.speed_files import FORMATS, FULL_SIZE, draw, write_group
from cxrbatch import screen
from cxrbatch.bundle.bundle import load_bundle
from cxrbatch.discover import classify, walk
from cxrbatch.engines import EngineOptions, default_workers
from cxrbatch.engines.local import LocalEngine
from cxrbatch.engines.reader import retain_freed_memory
from cxrbatch.gate import StoredCheck
from cxrbatch.infer import start_network
from cxrbatch.prepare import PrepareOptions, prepare
from cxrbatch.records import ImageRef, ImageScore, ModelInput, Provenance
from cxrbatch.screening.large_images import THUMBNAIL_PX
from cxrbatch.state.records import RunContext
from cxrbatch.state.store import State

_N_OF_EACH = 6
_ROUNDS = 3
_N_SMALL = 4000
_N_NOISE = 128


def processor_s(work: Callable[[], object]) -> float:
    """Processor time of a piece of work: the smallest of a few rounds."""
    spent = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent)


def prepare_options() -> PrepareOptions:
    """Make the options with which a run reads."""
    bundle = load_bundle()
    return PrepareOptions(
        spec=bundle.preprocess,
        pixel_check=StoredCheck(bundle.gate_path),
        thumbnail_px=THUMBNAIL_PX,
        identify_files=True,
    )


def reading(files: Sequence[Path]) -> tuple[float, list[ModelInput]]:
    """Read files as a reader does; returns processor milliseconds for one, and what came out."""
    options = prepare_options()
    retain_freed_memory()  # as reader processes do
    prepared: list[ModelInput] = []

    def read_all() -> None:
        refs = [ref for path in files if isinstance(ref := classify(path, path.name), ImageRef)]
        prepared[:] = [item for ref in refs if isinstance(item := prepare(ref, options), ModelInput)]

    spent_s = processor_s(read_all)
    if len(prepared) != len(files):
        raise RuntimeError(f"{len(files)} files, {len(prepared)} were read")
    return spent_s / len(files) * 1e3, prepared


def network_ms() -> float:
    """Processor milliseconds of the network for an image."""
    bundle = load_bundle()
    network = start_network(bundle, n_processors=default_workers())
    shape = (_N_NOISE, bundle.preprocess.height, bundle.preprocess.width)
    _, processor = per_image(network.predictor, np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    return processor * 1e3


def copies(prepared: Sequence[ModelInput]) -> tuple[float, float]:
    """Processor milliseconds to pickle a prepared image and take it out again, and its size in 10⁶ bytes."""
    content = pickle.dumps(prepared, pickle.HIGHEST_PROTOCOL)

    def copy() -> None:
        pickle.loads(pickle.dumps(prepared, pickle.HIGHEST_PROTOCOL))  # noqa: S301 - made here

    return processor_s(copy) / len(prepared) * 1e3, len(content) / len(prepared) / 1e6


def of_groups(scratch: Path) -> tuple[dict[str, Group], list[ModelInput]]:
    """Measure the formats; each has the same share."""
    drawn = draw(FULL_SIZE)
    found: dict[str, Group] = {}
    prepared: list[ModelInput] = []
    for name in FORMATS:
        files = write_group(scratch / "files", name, drawn, _N_OF_EACH, 10**9)
        read_ms, prepared = reading(files)
        file_mb = sum(path.stat().st_size for path in files) / len(files) / 1e6
        found[name] = Group(share=1 / len(FORMATS), read_ms=read_ms, file_mb=file_mb)
        shutil.rmtree(scratch / "files")
    return found, prepared


class _ReadyEngine:
    """Engine whose outcomes are made up: what is left of a run is the work of the command's process."""

    def __init__(self, provenance: Provenance) -> None:
        self.provenance, self.network = provenance, None
        self.discover = walk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, refs: Iterable[ImageRef]) -> Iterator[tuple[ImageRef, ImageScore]]:
        chance = random.Random(0)  # noqa: S311 - made-up scores
        for number, ref in enumerate(refs):
            yield ref, scored(ref.name, number, 0, chance)


class _TimedWriter:
    """Takes the time of `State.put_all`."""

    def __init__(self) -> None:
        self.processor_s, self.walls_s = 0.0, [0.0]

    def __call__(self, state: State, rows: Sequence[Any], context: RunContext) -> Any:
        began, used = time.perf_counter(), time.process_time()
        try:
            return _put_all(state, rows, context)
        finally:
            self.processor_s += time.process_time() - used
            if rows:
                self.walls_s.append((time.perf_counter() - began) / len(rows))


_put_all = State.put_all


def of_command(scratch: Path, provenance: Provenance) -> dict[str, float]:
    """Measure the command's process: a run over small files of which none is known, then one that knows all."""
    write_old(scratch / "export", _N_SMALL)
    new_s, writer = _run_of_command(scratch, provenance)
    known_s, _ = _run_of_command(scratch, provenance)
    return {
        "outcome_ms": (new_s - known_s) / _N_SMALL * 1e3,
        "disk_ms": max(statistics.median(writer.walls_s) - writer.processor_s / _N_SMALL, 0) * 1e3,
        "listing_ms": known_s / _N_SMALL * 1e3,
    }


def stated_provenance() -> Provenance:
    """Return what a local run would state; starts the network."""
    with LocalEngine(load_bundle(), prepare_options(), EngineOptions()) as engine:
        return engine.provenance


def _run_of_command(scratch: Path, provenance: Provenance) -> tuple[float, _TimedWriter]:
    writer = _TimedWriter()
    with (
        patch("cxrbatch.screening.run.open_engine", lambda *_args, **_options: _ReadyEngine(provenance)),
        patch.object(State, "put_all", partialmethod(writer)),
    ):
        began = time.process_time()
        screen(scratch / "export", scratch / "report.csv", state=scratch / "state", n_explained=0, settle_s=0)
        return time.process_time() - began, writer


def measure(scratch: Path) -> Costs:
    """Measure everything; the start is that of one small file."""
    groups, prepared = of_groups(scratch)
    copy_ms, prepared_mb = copies(prepared)
    return Costs(
        groups=groups,
        network_ms=network_ms(),
        copy_ms=copy_ms,
        n_copies=3,
        prepared_mb=prepared_mb,
        start_s=0,
        **of_command(scratch, stated_provenance()),
    )


def table(costs: Costs) -> Iterator[str]:
    """Write costs as TOML."""
    yield "# Written by benchmarks/scale_costs.py; processor milliseconds and 10^6 bytes, for one image."
    for field in fields(costs):
        if field.name != "groups":
            yield f"{field.name} = {getattr(costs, field.name):.4g}"
    for name, group in costs.groups.items():
        yield f'\n[groups."{name}"]'
        yield from (f"{key} = {value:.4g}" for key, value in asdict(group).items())


def main() -> None:
    """Measure in a temporary folder, and print."""
    with tempfile.TemporaryDirectory() as scratch:
        print("\n".join(table(measure(Path(scratch)))))


if __name__ == "__main__":
    main()
