"""One file, whatever is wrong with it, becomes a model input or a failure."""

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image

from cxrbatch.discover import classify
from cxrbatch.prepare import PrepareOptions, prepare, thumbnail
from cxrbatch.preprocess import GreyImage, PreprocessSpec, preprocess
from cxrbatch.read import PatientRule, open_image
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, ImageRef, ModelInput
from tests.factories.dicom_files import write_dicom

OPTIONS = PrepareOptions(spec=PreprocessSpec(height=32, width=32))


def prepared(path: Path, options: PrepareOptions = OPTIONS) -> ModelInput | Failure:
    found = classify(path, path.name)
    return prepare(found, options) if isinstance(found, ImageRef) else found


def noise(rows: int = 200, columns: int = 160) -> NDArray[np.uint16]:
    return np.random.default_rng(2).integers(0, 4096, (rows, columns)).astype("<u2")


def failure(path: Path, options: PrepareOptions = OPTIONS) -> Failure:
    result = prepared(path, options)
    assert isinstance(result, Failure)
    return result


def test_the_network_sees_what_preprocess_makes_of_the_pixels(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a", noise(), bits_stored=12)
    result, ref = prepared(path), classify(path, "a")
    assert isinstance(result, ModelInput)
    assert isinstance(ref, ImageRef)
    pixels = open_image(ref, PatientRule()).decode().pixels
    assert np.array_equal(result.pixels, preprocess(pixels, OPTIONS.spec))
    assert result.thumbnail == b""


def test_a_cut_off_file_keeps_its_patient(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a", noise(), bits_stored=12, PatientID="77")
    path.write_bytes(path.read_bytes()[:-1000])
    result = failure(path)
    assert result.reason is Reason.TRUNCATED
    assert result.header is not None
    assert result.header.patient_id == "77"


def test_a_file_cut_off_in_its_header_is_no_skipped_report(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a", noise(), bits_stored=12)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"CHEST")])
    result = failure(path)
    assert (result.reason, result.skipped) == (Reason.TRUNCATED, False)


def test_a_vanished_file_is_unreadable(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a", noise())
    ref = classify(path, "a")
    assert isinstance(ref, ImageRef)
    path.unlink()
    result = prepare(ref, OPTIONS)
    assert isinstance(result, Failure)
    assert (result.reason, result.detail) == (Reason.UNREADABLE, "No such file or directory")


def test_the_gate_comes_before_the_pixels(tmp_path: Path) -> None:
    """A huge file of the wrong kind must cost nothing."""
    path = write_dicom(tmp_path / "a", noise(), Modality="CT", PixelData=b"\0\0")
    assert failure(path).reason is Reason.WRONG_MODALITY


class Doubtful:
    def rejection(self, image: GreyImage, colourfulness: float = 0.0) -> str:
        return "a hand"


def test_a_refused_picture_can_be_seen_in_the_report(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a", noise())
    plain, shown = (
        PrepareOptions(spec=OPTIONS.spec, pixel_check=Doubtful(), thumbnail_px=n) for n in (0, 16)
    )
    assert failure(path, plain).thumbnail == b""
    with Image.open(io.BytesIO(failure(path, shown).thumbnail)) as image:
        assert image.size == (16, 16)


class Unexpected:
    def rejection(self, image: GreyImage, colourfulness: float = 0.0) -> str:
        raise KeyError("Doe^Jane")


class Greedy:
    def rejection(self, image: GreyImage, colourfulness: float = 0.0) -> str:
        raise MemoryError


def test_whatever_goes_wrong_costs_one_file_and_repeats_no_value(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a", noise())
    result = failure(path, PrepareOptions(spec=OPTIONS.spec, pixel_check=Unexpected()))
    assert (result.reason, result.detail) == (Reason.CORRUPT, "KeyError while reading")
    result = failure(path, PrepareOptions(spec=OPTIONS.spec, pixel_check=Greedy()))
    assert result.reason is Reason.TOO_LARGE


PYDICOM_FILES = sorted((Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm"))


@pytest.mark.parametrize("path", PYDICOM_FILES, ids=lambda path: path.name)
def test_files_of_other_modalities_are_refused_with_a_reason(path: Path) -> None:
    result = failure(path)
    assert result.reason in {
        Reason.WRONG_MODALITY,
        Reason.WRONG_BODY_PART,
        Reason.NOT_AN_IMAGE,
        Reason.TRUNCATED,
        Reason.CORRUPT,
        Reason.TOO_SMALL,
    }
    assert result.reason in (Reason.NOT_AN_IMAGE, Reason.CORRUPT) or result.detail


def test_thumbnail_is_the_picture_made_small() -> None:
    pixels = np.repeat(np.linspace(0, 255, 160).astype(np.uint8)[np.newaxis], 160, axis=0)
    with Image.open(io.BytesIO(thumbnail(pixels, 80))) as image:
        assert (image.size, image.mode, image.format) == ((80, 80), "L", "JPEG")
        np.testing.assert_allclose(np.asarray(image)[40], pixels[40].reshape(80, 2).mean(axis=1), atol=4)
