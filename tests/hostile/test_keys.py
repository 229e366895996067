"""Name, patient, picture and score of a row belong to one file, whatever lies around it."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxrbatch.bundle.bundle import load_bundle
from cxrbatch.discover import classify, walk
from cxrbatch.engines.options import EngineOptions
from cxrbatch.infer.predictor import KerasPredictor
from cxrbatch.infer.runtime import Device, start_runtime
from cxrbatch.prepare import PrepareOptions, prepare
from cxrbatch.records import ImageRef, ImageScore, ModelInput, TriageRun
from cxrbatch.screening import ScreenOptions, screen
from cxrbatch.screening.large_images import THUMBNAIL_PX
from cxrbatch.state.codec import as_stored
from tests.factories.report_pages import thumbnails
from tests.hostile.places import write_dcm, write_png

N_IMAGES = 300
REFUSED = ("text.png", "cut.png", "empty.dcm", "cut", "note")


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Radiographs in folders under shuffled names, and after every third one something that is refused."""
    folder = tmp_path_factory.mktemp("export")
    numbers = random.Random(4).sample(range(N_IMAGES), N_IMAGES)
    for place, number in enumerate(numbers):
        path = folder / f"{place % 7}" / f"{place:03}"
        path.parent.mkdir(exist_ok=True)
        (write_dcm if number % 2 else write_png)(path, number)
        if place % 3 == 0:
            refuse(path, REFUSED[place // 3 % len(REFUSED)])
    return folder


def refuse(beside: Path, kind: str) -> None:
    content = beside.read_bytes()[:2000] if "cut" in kind else b"text" * bool("empty" not in kind)
    beside.with_name(f"{beside.name} {kind}").write_bytes(content)


@pytest.fixture(scope="module")
def prepared(export: Path, tiny_bundle: Path) -> dict[str, ModelInput]:
    """Each file alone, in this process."""
    options = PrepareOptions(spec=load_bundle(tiny_bundle).preprocess, thumbnail_px=THUMBNAIL_PX)

    def one_by_one() -> Iterator[ModelInput]:
        for file in walk(export):
            ref = classify(file.path, file.name)
            if isinstance(ref, ImageRef):
                result = prepare(ref, options)
                if isinstance(result, ModelInput):
                    yield result

    return {image.name: image for image in one_by_one()}


@pytest.mark.parametrize(("n_workers", "batch_size"), [(1, 7), (3, 16)])
def test_every_image_has_what_it_has_alone(
    export: Path,
    prepared: dict[str, ModelInput],
    tiny_bundle: Path,
    tmp_path: Path,
    n_workers: int,
    batch_size: int,
) -> None:
    """To the last bit: each is scored in a batch of its own."""
    options = ScreenOptions(
        bundle=tiny_bundle,
        engine=EngineOptions(device=Device.CPU, n_workers=n_workers, batch_size=batch_size),
    )
    run = screen(export, tmp_path / "report.csv", options)
    predictor = KerasPredictor(load_bundle(tiny_bundle), start_runtime(Device.CPU), batch_size)
    assert len(run.failures) == N_IMAGES // 3
    assert [image.name for image in run.images] == sorted(prepared)
    assert len({image.scores for image in run.images}) == len(run.images) == N_IMAGES
    for image in run.images:
        assert image == as_stored(alone(prepared[image.name], predictor), 0)
    check_patients(run, thumbnails(tmp_path / "report.csv"), prepared)


def alone(image: ModelInput, predictor: KerasPredictor) -> ImageScore:
    covid, pneumonia, normal = predictor({"pixels": image.pixels[None]})["scores"][0].tolist()
    return ImageScore(
        name=image.name,
        header=image.header,
        scores=(covid, pneumonia, normal),
        pixels_sha256=hashlib.sha256(image.pixels.tobytes()).hexdigest(),
        flags=image.flags,
    )


def check_patients(run: TriageRun, small: dict[str, bytes], prepared: dict[str, ModelInput]) -> None:
    """Each radiograph is of another patient, so the list repeats the images."""
    of_images = {
        image.header.patient_id: (image.name, prepared[image.name].thumbnail) for image in run.images
    }
    listed = {patient.patient_id: patient for patient in run.patients if patient.is_ranked}
    assert listed.keys() == of_images.keys()
    for patient_id, patient in listed.items():
        assert (patient.top_image, small[patient.top_image]) == of_images[patient_id]
