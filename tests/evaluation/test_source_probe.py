import json

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.multiclass import OneVsRestClassifier

from cxrbatch.evaluation.source_probe import _RIDGE, _folds, probe_source

Probed = tuple[NDArray[np.float32], NDArray[np.str_], NDArray[np.str_]]


def patients_of(sources: NDArray[np.str_], images_each: int = 1) -> NDArray[np.str_]:
    return np.array([f"{source}/{index // images_each}" for index, source in enumerate(sources)])


def hospitals(n: int, distance: float, n_features: int = 6, seed: int = 0) -> Probed:
    """Three hospitals of `n` patients, whose features differ by some standard deviations."""
    random = np.random.default_rng(seed)
    sources = np.repeat(np.array(["east", "north", "west"]), n)
    features = random.normal(size=(3 * n, n_features))
    features += distance * np.repeat(np.eye(3, n_features), n, axis=0)
    return features.astype(np.float32), sources, patients_of(sources)


def test_perfect_on_separable_features() -> None:
    assert probe_source(*hospitals(40, distance=12)) == {
        "accuracy": 1.0,
        "chance": 1 / 3,
        "n": 120,
        "sources": ["east", "north", "west"],
    }


@pytest.mark.parametrize("n_features", [3, 20, 200])
def test_chance_on_noise(n_features: int) -> None:
    found = probe_source(*hospitals(100, distance=0, n_features=n_features))
    assert found is not None
    # Standard error of a share of 1/3 among 300: 0.027
    assert found["accuracy"] == pytest.approx(1 / 3, abs=0.08)


def test_not_fooled_by_repeated_patients() -> None:
    """Every patient's features are their own: a split by image would recognise the patient, and so the source."""
    random = np.random.default_rng(1)
    sources = np.repeat(np.array(["north", "south"]), 300)
    patients = patients_of(sources, images_each=10)
    own = {patient: random.normal(size=40) for patient in np.unique(patients).tolist()}
    features = np.array([own[patient] for patient in patients.tolist()], np.float32)
    found = probe_source(features, sources, patients)
    by_image = probe_source(features, sources, patients_of(sources))
    assert found is not None
    assert by_image is not None
    assert by_image["accuracy"] == 1.0
    assert 0.3 < found["accuracy"] < 0.7


def test_a_patient_with_many_images_weighs_as_one() -> None:
    features, sources, patients = hospitals(20, distance=1.5)
    repeated = np.concatenate([np.arange(60), np.full(30, 0), np.full(10, 59)])
    plain = probe_source(features, sources, patients)
    again = probe_source(features[repeated], sources[repeated], patients[repeated])
    assert plain is not None
    assert again is not None
    assert again["accuracy"] == pytest.approx(plain["accuracy"], abs=1e-9)
    assert (plain["n"], again["n"]) == (60, 100)


def test_a_large_source_does_not_decide() -> None:
    """Whoever always says the largest source is right by chance only."""
    features, sources, patients = hospitals(300, distance=0)
    kept = np.r_[0:300, 300:315, 600:615]
    found = probe_source(features[kept], sources[kept], patients[kept])
    assert found is not None
    assert found["accuracy"] < 0.5


def test_agrees_with_scikit_learn() -> None:
    features, sources, patients = hospitals(60, distance=1.5)
    found = probe_source(features, sources, patients)
    names, source = np.unique(sources, return_inverse=True)
    fold = _folds(source, np.unique(patients, return_inverse=True)[1], seed=0)
    told = np.empty_like(sources)
    for held_out in range(5):
        train = fold != held_out
        centre, spread = features[train].mean(axis=0), features[train].std(axis=0)
        x = (features - centre) / spread
        x = x @ np.linalg.svd(x[train], full_matrices=False)[2].T
        x /= x[train].std(axis=0)
        # The ridge, in scikit-learn's units: weights that add up to the number of images.
        model = LogisticRegression(C=1 / (_RIDGE * train.sum()), class_weight="balanced", tol=1e-10)
        told[~train] = OneVsRestClassifier(model).fit(x[train], sources[train]).predict(x[~train])
    assert found is not None
    assert found["accuracy"] == pytest.approx(balanced_accuracy_score(sources, told), abs=1 / 60)
    assert names.tolist() == found["sources"]


def test_more_features_than_images() -> None:
    features, sources, patients = hospitals(30, distance=3, n_features=400)
    found = probe_source(features, sources, patients)
    assert found is not None
    assert found["accuracy"] > 0.5


def test_features_that_never_change_do_no_harm() -> None:
    features, sources, patients = hospitals(40, distance=12)
    wider = np.hstack([np.zeros((120, 3), np.float32), features, np.full((120, 2), 7, np.float32)])
    assert probe_source(wider, sources, patients) == probe_source(features, sources, patients)
    constant = probe_source(np.zeros((120, 3), np.float32), sources, patients)
    assert constant is not None
    assert constant["accuracy"] == pytest.approx(1 / 3)


def test_repeats_whatever_the_names_and_does_not_touch_its_input() -> None:
    features, sources, patients = hospitals(30, distance=1)
    before = features.copy()
    first = probe_source(features, sources, patients)
    assert first == probe_source(features, sources, patients)
    assert (features == before).all()
    json.dumps(first)


def test_folds_part_patients_evenly_within_each_source() -> None:
    sources = np.repeat(np.array([0, 1, 2]), [50, 20, 10])
    patient = np.arange(80) // 2
    fold = _folds(sources, patient, seed=0)
    assert all(np.unique(fold[patient == one]).size == 1 for one in range(40))
    for source, each in ((0, 10), (1, 4), (2, 2)):
        assert np.bincount(fold[sources == source]).tolist() == [each] * 5


@pytest.mark.parametrize("n_patients", [4, 0])
def test_sources_of_few_patients_are_left_out(n_patients: int) -> None:
    features, sources, patients = hospitals(20, distance=12)
    kept = np.r_[0 : 20 + n_patients, 40:60]
    found = probe_source(features[kept], sources[kept], patients[kept])
    assert found is not None
    assert (found["sources"], found["chance"], found["n"]) == (["east", "west"], 0.5, 40)


def test_one_source_says_nothing() -> None:
    features, sources, patients = hospitals(20, distance=1)
    assert probe_source(features[:20], sources[:20], patients[:20]) is None
