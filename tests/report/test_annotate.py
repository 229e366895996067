"""The picture with its result written on it."""

import numpy as np

from cxrbatch.explain.colours import to_png
from cxrbatch.reasons import Reason
from cxrbatch.records import CxrImage, Evidence, Failure, FileKind, ImageRef
from cxrbatch.report.annotate import Overlay, annotated
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


def test_maps_are_drawn_beside_the_picture_where_the_network_looked() -> None:
    """One strong cell of 4 × 4, in the box right of the middle: there alone is colour, and only on the copies."""
    strength = np.zeros((4, 4))
    strength[1, 2] = 1
    evidence = (Evidence(question=name, png=to_png(strength)) for name in ("abnormal", "covid"))
    overlays = [Overlay(evidence=one, box=(200, 0, 600, 400)) for one in evidence]
    canvas = np.asarray(annotated(image(400, 600), image_score("a", 0.75), overlays, "default@1, 2026-03-01"))
    assert canvas.shape[1] == 3 * 600
    assert (canvas[:400, :600] == 128).all()
    for left in (600, 1200):
        drawn = canvas[:400, left : left + 600].astype(int)
        coloured = np.ptp(drawn, axis=2) > 30
        rows, columns = np.nonzero(coloured)
        assert (abs(rows.mean() - 150), abs(columns.mean() - 450)) < (3, 3)
        assert (drawn[:, :200] == 128).all()
    assert canvas.shape[0] > np.asarray(annotated(image(400, 600), image_score("a", 0.75))).shape[0]


def test_the_words_below_narrow_images_are_wrapped_and_not_cut_off() -> None:
    overlay = Overlay(evidence=Evidence(question="covid", png=to_png(np.ones((4, 4)))), box=(0, 0, 9, 9))
    narrow, wide = (annotated(image(300, side), image_score("a", 0.75), [overlay]) for side in (300, 900))
    assert narrow.height == wide.height + 26  # what the map is takes a second line
    assert np.asarray(narrow)[300:, -8:].max() == 0
