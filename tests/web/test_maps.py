"""Maps are made after the scores, of the inputs that the scores were of, and cost no score."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxrbatch.explain import Explanation
from cxrbatch.records import FileKind, ImageRef, ModelInput
from cxrbatch.web import maps
from cxrbatch.web.maps import MapMaker, Maps
from tests.factories.records import image_score


def image(value: int) -> tuple[ImageRef, ModelInput]:
    name = f"{value}.png"
    pixels = np.full((4, 4), value, np.uint8)
    ref = ImageRef(path=Path(name), name=name, kind=FileKind.PNG)
    return ref, ModelInput(name=name, header=image_score(name, 0.5).header, pixels=pixels)


@pytest.fixture
def maker(monkeypatch: pytest.MonkeyPatch) -> MapMaker:
    """A maker whose explanations state the grey value of the input as the share outside the lungs."""

    def explainer(network: Any) -> Any:
        return lambda pixels: [Explanation(strengths={}, outside_lungs=float(one[0, 0])) for one in pixels]

    monkeypatch.setattr(maps, "has_maps", lambda network: True)
    monkeypatch.setattr(maps, "make_explainer", explainer)
    return MapMaker(lambda: None)


def test_each_image_gets_the_map_of_its_own_input(maker: MapMaker) -> None:
    images = [image(value) for value in range(6)]
    for ref, item in images:
        maker.keep(ref, item)
    for ref, item in reversed(images):
        assert maker.is_due(ref, item.name)
    assert not maker.is_due(*image(0)[:1], "again")
    made = []
    while maker.has_work:
        made += maker.make_some()
    assert made == [Maps(f"{value}.png", (), float(value)) for value in reversed(range(6))]


def test_maps_come_first_when_too_many_wait(maker: MapMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "_MOST_BYTES", 5 * 16)
    for value in range(6):
        ref, item = image(value)
        maker.keep(ref, item)
        maker.is_due(ref, item.name)
        assert maker.is_full == (value == 5)
    maker.make_some()
    assert not maker.is_full


def test_a_network_that_cannot_be_explained_costs_no_score() -> None:
    def broken() -> Any:
        raise RuntimeError

    maker = MapMaker(broken)
    ref, item = image(1)
    maker.keep(ref, item)
    maker.is_due(ref, "one")
    assert maker.make_some() == [Maps("one")]
