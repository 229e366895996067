"""The picture with its result written on it."""

import numpy as np

from cxrbatch.reasons import Reason
from cxrbatch.records import CxrImage, Failure, FileKind, ImageRef
from cxrbatch.report.annotate import annotated
from tests.factories.records import header, image_score


def image(rows: int, columns: int) -> CxrImage:
    ref = ImageRef(path=None, name="a", kind=FileKind.PNG)  # type: ignore[arg-type]
    return CxrImage(ref=ref, header=header(), pixels=np.full((rows, columns), 0.5, np.float32))


def test_the_picture_is_kept_and_a_panel_added_below() -> None:
    canvas = annotated(image(600, 700), image_score("a", 0.75))
    assert canvas.mode == "RGB"
    assert canvas.width == 700
    assert canvas.height > 600
    assert (np.asarray(canvas)[:600] == 128).all()


def test_large_pictures_are_made_smaller() -> None:
    canvas = annotated(image(3072, 2304), image_score("a", 0.75))
    assert canvas.width == 768
    assert (np.asarray(canvas)[:1024] == 128).all()


def test_the_bar_of_a_finding_is_as_long_as_its_score() -> None:
    def filled(score: float) -> int:
        panel = np.asarray(annotated(image(600, 700), image_score("a", score)))[600:]
        return int((panel[24] == (120, 170, 220)).all(axis=1).sum())

    assert filled(1.0) == 261
    assert filled(0.5) == 131 + 1  # and the far end of the frame


def test_without_a_picture_the_reason_stands_alone() -> None:
    failure = Failure(name="a", reason=Reason.TRUNCATED, detail="cut off " * 30)
    canvas = annotated(None, failure)
    assert 0 < canvas.height < 400
    assert np.asarray(canvas).max() == 255
