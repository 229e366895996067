"""Outputs become the three findings: summed where they are of one finding, dropped where they are of none."""

import itertools
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from cxrbatch.bundle.import_model import ImportSpec, import_bundle, wrap
from cxrbatch.bundle.outputs import OutputActivation
from cxrbatch.errors import BundleError, UsageProblem
from cxrbatch.records import FINDINGS

VALUES = [0.1, 0.4, 0.2, 0.3]
LABELS = ("covid", "pneumonia", "normal", "ignore")


def network(values: list[float], activation: str) -> keras.Model:
    """A network that gives the same values before its activation, whatever it sees."""
    model = keras.Sequential(
        [layers.Input((16, 16, 3)), layers.GlobalAveragePooling2D(), layers.Dense(len(values), activation)]
    )
    model.layers[-1].set_weights([np.zeros((3, len(values))), np.array(values)])
    return model


def given(values: list[float], activation: str, labels: tuple[str, ...], asked: str = "auto") -> list[float]:
    spec = ImportSpec(labels=labels, activation=OutputActivation(asked))
    scores = wrap(network(values, activation), spec, "model.h5")(np.zeros((1, 16, 16, 1)), training=False)
    return np.asarray(scores)[0].tolist()


def expected(shares: list[float], labels: tuple[str, ...]) -> list[float]:
    sums = [
        sum(share for share, label in zip(shares, labels, strict=True) if label == finding)
        for finding in FINDINGS
    ]
    return [value / sum(sums) for value in sums]


ALL = [
    labels
    for labels in itertools.product(LABELS, repeat=4)
    if "covid" in labels and len(set(labels) - {"ignore"}) >= 2
]


@pytest.mark.parametrize("labels", ALL[::4])
def test_any_labels_of_four_classes(labels: tuple[str, ...]) -> None:
    logits = np.log(VALUES).tolist()
    assert given(logits, "softmax", labels) == pytest.approx(expected(VALUES, labels), abs=1e-6)


RADIOGRAPHY_DATABASE = ("covid", "ignore", "normal", "pneumonia")
ODDS = [float(np.log(value / (1 - value))) for value in VALUES]


@pytest.mark.parametrize(
    ("values", "last", "asked"),
    [
        (np.log(VALUES).tolist(), "softmax", "auto"),
        (np.log(VALUES).tolist(), "softmax", "softmax"),
        (np.log(VALUES).tolist(), "linear", "auto"),
        (np.log(VALUES).tolist(), "linear", "softmax"),
        (ODDS, "sigmoid", "auto"),
        (ODDS, "sigmoid", "sigmoid"),
        (ODDS, "linear", "sigmoid"),
        (VALUES, "linear", "none"),
        (VALUES, "relu", "none"),
        (np.log(VALUES).tolist(), "softmax", "none"),
    ],
)
def test_four_classes_in_every_form(values: list[float], last: str, asked: str) -> None:
    """COVID, Lung_Opacity, Normal, Viral Pneumonia: those of the COVID-19 Radiography Database."""
    found = given(values, last, RADIOGRAPHY_DATABASE, asked)
    assert found == pytest.approx(expected(VALUES, RADIOGRAPHY_DATABASE), abs=1e-6)


@pytest.mark.parametrize("ignored", [50.0, 200.0, 1000.0])
def test_an_ignored_output_may_be_as_good_as_certain(ignored: float) -> None:
    """The share of the others is that of their logits, however small they are."""
    found = given([0.0, ignored, float(np.log(3)), -1000.0], "softmax", RADIOGRAPHY_DATABASE)
    assert found == pytest.approx([0.25, 0, 0.75], abs=1e-6)


def test_values_that_are_all_zero_but_the_ignored_one_say_nothing() -> None:
    found = given([0.0, 1.0, 0.0, 0.0], "linear", RADIOGRAPHY_DATABASE, "none")
    assert found == pytest.approx([1 / 3] * 3, abs=1e-6)


@pytest.mark.parametrize(
    "labels", [("covid", "ignore"), ("ignore", "covid"), ("covid",), ("covid", "covid", "ignore")]
)
def test_labels_that_tell_covid_from_nothing(labels: tuple[str, ...]) -> None:
    with pytest.raises(UsageProblem, match="name covid and what it is told from"):
        ImportSpec(labels=labels)


def test_a_single_output_has_two_findings() -> None:
    with pytest.raises(BundleError, match="has 1 outputs for 3 labels"):
        given([0.0], "sigmoid", ("covid", "normal", "ignore"))


def test_the_same_import_gives_the_same_bytes(tmp_path: Path) -> None:
    network(np.log(VALUES).tolist(), "softmax").save(tmp_path / "four.h5")
    spec = ImportSpec(labels=RADIOGRAPHY_DATABASE, activation=OutputActivation.NONE)
    first = import_bundle(tmp_path / "four.h5", tmp_path / "a", spec)
    second = import_bundle(tmp_path / "four.h5", tmp_path / "b", spec)
    assert first.sha256 == second.sha256
    assert first.model_path.read_bytes() == second.model_path.read_bytes()


def test_a_bundle_is_replaced_only_when_that_is_asked_for(tmp_path: Path) -> None:
    network([0.0, 0.0], "softmax").save(tmp_path / "two.h5")
    spec = ImportSpec(labels=("covid", "normal"))
    first = import_bundle(tmp_path / "two.h5", tmp_path / "a", spec, replace=False)
    with pytest.raises(UsageProblem, match="a: is there already; --force replaces a bundle"):
        import_bundle(tmp_path / "two.h5", tmp_path / "a", spec, "other", replace=False)
    assert import_bundle(tmp_path / "two.h5", tmp_path / "a", spec, "other").id != first.id
