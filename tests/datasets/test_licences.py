import pytest

from cxrbatch.bundle import DataLicence
from cxrbatch.datasets.collections import LOADERS
from cxrbatch.datasets.licences import (
    IMAGENET,
    KNOWN_SOURCES,
    licences_of,
    unknown_licence,
    weights_licence,
)


@pytest.mark.parametrize(
    ("sources", "pretraining", "is_bound"),
    [
        ({"siim"}, (), True),
        ({"ieee8023"}, (), True),
        ({"bimcv"}, (), True),
        ({"nih", "kaggle"}, (), False),
        ({"nih"}, (IMAGENET,), True),
        ({"st. elsewhere"}, (), False),
        ({"st. elsewhere", "siim"}, (), True),
        ({"nih"}, (unknown_licence("pretrained weights own.pth"),), False),
    ],
)
def test_weights_are_as_bound_as_the_images(
    sources: set[str], pretraining: tuple[DataLicence, ...], is_bound: bool
) -> None:
    terms = weights_licence(sources, *pretraining).terms
    assert terms.startswith("Not under the MIT licence of the program: ")
    assert ("not for commercial use" in terms) is is_bound


def test_every_source_is_named_once_and_an_unknown_one_by_its_own_name() -> None:
    found = weights_licence({"rsna", "bimcv", "siim", "st. elsewhere"}, IMAGENET).data
    assert [each.name.split(" ")[0] for each in found] == ["SIIM-FISABIO-RSNA", "COVID-19", "st.", "ImageNet"]
    assert found[2] == DataLicence(name="st. elsewhere", licence="Not known here: ask whoever holds it.")


def test_each_public_collection_has_terms_and_a_citation() -> None:
    assert set(LOADERS) - {"folder", "table", "radiography_database"} <= KNOWN_SOURCES
    assert {"bimcv", "rsna"} <= KNOWN_SOURCES  # what the Radiography Database is made of
    for data in (*licences_of(KNOWN_SOURCES), IMAGENET):
        assert data.licence.endswith(".")
        assert data.cite
