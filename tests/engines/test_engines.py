"""Every engine gives the same outcomes, each with its reference."""

import hashlib
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from phantom import radiograph
from PIL import Image

from cxrbatch.bundle.bundle import load_bundle
from cxrbatch.discover import walk
from cxrbatch.engines.engine import Engine, Result
from cxrbatch.engines.options import EngineOptions
from cxrbatch.engines.registry import ENGINES, open_engine, open_resident_engine
from cxrbatch.errors import UsageProblem
from cxrbatch.infer import runtime
from cxrbatch.infer.predictor import KerasPredictor
from cxrbatch.infer.runtime import Device
from cxrbatch.prepare import prepare
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, FileKind, ImageRef, ImageScore, ModelInput, Outcome

each_engine = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.ray] if name == "ray" else []) for name in sorted(ENGINES)]
)


@pytest.fixture(autouse=True)
def _ray_runs(request: pytest.FixtureRequest) -> None:
    """Start Ray once for all tests that need it."""
    if request.node.get_closest_marker("ray"):
        request.getfixturevalue("running_ray")


@pytest.fixture(scope="module")
def refs(tmp_path_factory: pytest.TempPathFactory) -> list[ImageRef]:
    """40 phantoms of different exposure; one of them cut off, one blank, one gone."""
    folder = tmp_path_factory.mktemp("export")
    phantom, made = radiograph(320, 280, seed=7), []
    for number in range(40):
        path = folder / f"{number:02}.png"
        pixels = np.rint(255 * phantom ** (0.7 + 0.01 * number)) * (number != 11)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        made.append(ImageRef(path=path, name=f"name of {number}", kind=FileKind.PNG))
    made[7].path.write_bytes(made[7].path.read_bytes()[:500])
    made[20].path.unlink()
    return made


def options(name: str) -> EngineOptions:
    return EngineOptions(name=name, device=Device.CPU, n_workers=2, batch_size=8)


def make(name: str, bundle: Path) -> Engine:
    return open_engine(load_bundle(bundle), options(name))


def one_by_one(refs: list[ImageRef], bundle: Path) -> dict[str, Outcome]:
    """What reading and scoring each file by itself gives."""
    loaded = load_bundle(bundle)
    engine = open_engine(loaded, options("local"))
    predictor = KerasPredictor(loaded, runtime.start_runtime(Device.CPU), 8)
    outcomes: dict[str, Outcome] = {}
    for ref in refs:
        item = prepare(ref, engine._prepare)  # type: ignore[attr-defined]
        if isinstance(item, ModelInput):
            covid, pneumonia, normal = map(float, predictor({"pixels": item.pixels[None]})["scores"][0])
            outcomes[ref.name] = _scored(item, (covid, pneumonia, normal))
        else:
            outcomes[ref.name] = item
    return outcomes


def _scored(item: ModelInput, scores: tuple[float, float, float]) -> ImageScore:
    sha256 = hashlib.sha256(item.pixels.tobytes()).hexdigest()
    return ImageScore(
        name=item.name, header=item.header, scores=scores, pixels_sha256=sha256, flags=item.flags
    )


@each_engine
def test_outcomes_are_those_of_each_file_by_itself(
    name: str, refs: list[ImageRef], tiny_bundle: Path
) -> None:
    """To the last bit of the scores, each beside the reference that it belongs to."""
    with make(name, tiny_bundle) as engine:
        results = list(engine.run(refs))
    assert sorted(ref.name for ref, _ in results) == sorted(ref.name for ref in refs)
    assert all(ref.name == outcome.name for ref, outcome in results)
    expected = one_by_one(refs, tiny_bundle)
    assert {ref.name: outcome for ref, outcome in results} == expected
    reasons = {outcome.reason for outcome in expected.values() if isinstance(outcome, Failure)}
    assert reasons == {Reason.TRUNCATED, Reason.UNREADABLE, Reason.NOT_A_CHEST_RADIOGRAPH}


def test_an_engine_that_stays_gives_the_same_in_every_run(refs: list[ImageRef], tiny_bundle: Path) -> None:
    expected = one_by_one(refs, tiny_bundle)
    with open_resident_engine(load_bundle(tiny_bundle), options("local")) as engine:
        for part in (refs, refs[:1], [], refs[5:30]):
            results = list(engine.run(iter(part)))
            assert [(ref, expected[ref.name]) for ref in part] == results


@each_engine
def test_references_may_be_endless(name: str, refs: list[ImageRef], tiny_bundle: Path) -> None:
    """They are taken a bounded number ahead, and leaving the engine ends everything that it started."""
    taken = 0

    def endless() -> Iterator[ImageRef]:
        nonlocal taken
        for ref in itertools.cycle(refs):
            taken += 1
            yield ref

    before = threading.active_count()
    with make(name, tiny_bundle) as engine:
        first = list(itertools.islice(engine.run(endless()), 100))
    assert len(first) == 100
    assert 100 <= taken < 2000
    assert threading.active_count() <= before + 1  # TensorFlow keeps one of its own


@each_engine
def test_failures_may_be_endless(name: str, refs: list[ImageRef], tiny_bundle: Path) -> None:
    """They do not wait for an image to be scored."""
    with make(name, tiny_bundle) as engine:
        results = list(itertools.islice(engine.run(itertools.repeat(refs[20])), 300))
    assert {outcome.reason for _, outcome in results if isinstance(outcome, Failure)} == {Reason.UNREADABLE}
    assert len(results) == 300


@each_engine
def test_an_engine_may_run_again(name: str, refs: list[ImageRef], tiny_bundle: Path) -> None:
    with make(name, tiny_bundle) as engine:
        again = [dict(_by_name(engine.run(refs[:10]))) for _ in range(2)]
        assert list(engine.run([])) == []
    assert again[0] == again[1]
    assert len(again[0]) == 10


def _by_name(results: Iterator[Result]) -> Iterator[tuple[str, Outcome]]:
    return ((ref.name, outcome) for ref, outcome in results)


@each_engine
def test_discovery_is_that_of_the_walk(name: str, refs: list[ImageRef], tiny_bundle: Path) -> None:
    folder = refs[0].path.parent
    with make(name, tiny_bundle) as engine:
        found = sorted(engine.discover(folder), key=lambda file: file.name)
    assert found == sorted(walk(folder), key=lambda file: file.name)
    assert len(found) == 39


@each_engine
def test_it_knows_its_provenance_without_an_image(name: str, tiny_bundle: Path) -> None:
    with make(name, tiny_bundle) as engine:
        provenance = engine.provenance
    assert provenance.bundle_id == load_bundle(tiny_bundle).id
    assert (provenance.engine, provenance.device, provenance.precision) == (name, "CPU", "float32")
    assert (provenance.batch_size, provenance.decode) == (8, "reduced")


@each_engine
def test_a_gpu_where_there_is_none_ends_the_run(
    name: str, monkeypatch: pytest.MonkeyPatch, refs: list[ImageRef], tiny_bundle: Path
) -> None:
    monkeypatch.setattr(runtime.start_runtime().tensorflow.config, "list_physical_devices", lambda _: [])
    engine = open_engine(load_bundle(tiny_bundle), EngineOptions(name=name, device=Device.GPU, n_workers=1))
    with engine, pytest.raises(UsageProblem, match="TensorFlow sees no GPU"):
        list(engine.run(refs))
