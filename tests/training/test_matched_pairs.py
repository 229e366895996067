import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from cxrbatch.datasets import LabelledImage
from cxrbatch.training.fit import matched_loss
from cxrbatch.training.matched_pairs import NEGATIVE, POSITIVE, Batch, PairCounts, batches
from tests.factories.collections import case, collection

CASES = collection(4).cases


def counts(abnormal: int, covid: int, person: int = 0) -> PairCounts:
    return PairCounts(abnormal=abnormal, covid=covid, person=person)


def some_batches(n: int = 20, seed: int = 0) -> list[Batch]:
    return list(itertools.islice(batches(CASES, counts(6, 4), seed), n))


def test_pairs_never_cross_domains_and_point_from_yes_to_no() -> None:
    for batch in some_batches():
        for question, i, j in np.argwhere(batch.weights):
            yes, no = CASES[batch.indices[i]], CASES[batch.indices[j]]
            assert yes.domain == no.domain
            assert yes.label in POSITIVE[question]
            assert no.label in NEGATIVE[question]


def test_a_source_with_one_label_is_never_drawn() -> None:
    drawn = {CASES[index].source for batch in some_batches(50) for index in batch.indices}
    assert drawn == {"north", "south"}


def test_abnormal_of_no_stated_kind_takes_part_in_the_first_question_only() -> None:
    unstated, ill, kind = (
        case(f"a/{label}", label, "a") for label in ("indeterminate", "covid", "pneumonia")
    )
    cases = [unstated, case("a/well", "normal", "a")]
    assert next(batches(cases, counts(1, 1), 0)).indices.tolist() == [0, 1]
    drawn = next(batches([unstated, ill, kind], counts(0, 40), 0))
    assert set(drawn.indices.tolist()) == {1, 2}


def test_pairs_are_of_one_view_and_one_scanner_format() -> None:
    cases = [
        dataclasses.replace(case(f"a/{view}{scanner}{label}", label, "a"), view=view, scanner=scanner)
        for view, scanner in (("PA", "x"), ("PA", "y"), ("AP", ""))
        for label in ("covid", "normal")
    ]
    for batch in itertools.islice(batches(cases, counts(6, 0), 0), 20):
        for _, i, j in np.argwhere(batch.weights):
            yes, no = cases[batch.indices[i]], cases[batch.indices[j]]
            assert (yes.view, yes.scanner) == (no.view, no.scanner)


def test_same_seed_same_batches() -> None:
    first, again, other = some_batches(3), some_batches(3), some_batches(3, seed=1)
    assert all((a.indices == b.indices).all() for a, b in zip(first, again, strict=True))
    assert any((a.indices != b.indices).any() for a, b in zip(first, other, strict=True))


def test_a_patient_with_many_images_is_drawn_as_often_as_another() -> None:
    cases = [case("a/many", "pneumonia", "a")] * 9 + [
        case("a/one", "pneumonia", "a"),
        case("a/well", "normal", "a"),
    ]
    drawn = [
        cases[batch.indices[0]].patient for batch in itertools.islice(batches(cases, counts(1, 0), 0), 2000)
    ]
    assert 0.46 < drawn.count("a/many") / 2000 < 0.54


def test_labels_explained_by_the_source_alone_teach_nothing() -> None:
    cases = [case(f"a/{i}", "covid", "a") for i in range(5)] + [
        case(f"b/{i}", "normal", "b") for i in range(5)
    ]
    assert next(batches(cases, counts(8, 4), 0)).indices.size == 0
    both = [*cases, case("b/ill", "pneumonia", "b")]
    batch = next(batches(both, counts(8, 4), 0))
    logits = tf.Variable(np.random.default_rng(0).normal(size=(16, 2)).astype(np.float32))
    with tf.GradientTape() as tape:
        loss = matched_loss(logits, batch.weights)
    by_source = np.array([both[index].source == "b" for index in batch.indices], np.float32)
    # The gradient of a coefficient of the source in the logit: exactly what a source-only score would learn.
    assert abs(float(by_source @ tape.gradient(loss, logits)[:, 0].numpy())) < 1e-6


@given(st.floats(-50, 50), st.floats(-50, 50))
def test_an_offset_per_domain_leaves_the_loss_alone(north: float, south: float) -> None:
    batch = some_batches(1)[0]
    offsets = {"north": north, "south": south}
    logits = np.random.default_rng(0).normal(size=(len(batch.indices), 2))
    moved = logits + np.array([[offsets[CASES[index].domain]] * 2 for index in batch.indices])
    before = matched_loss(tf.constant(logits, tf.float32), batch.weights)
    after = matched_loss(tf.constant(moved, tf.float32), batch.weights)
    assert np.isclose(before, after, atol=1e-4)


def test_loss_of_one_pair_is_the_logistic_of_the_difference() -> None:
    weights = np.zeros((2, 2, 2), np.float32)
    weights[0, 0, 1] = 1
    loss = matched_loss(tf.constant([[3.0, 9.0], [1.0, -9.0]]), weights)
    assert np.isclose(float(loss), np.log1p(np.exp(-2.0)))


def visits(patient: str, *labels: str, view: str = "") -> list[LabelledImage]:
    return [dataclasses.replace(case(patient, label, "a"), view=view) for label in labels]


def test_pairs_within_a_patient_have_their_share_of_the_weight() -> None:
    both = [*visits("a/1", "covid", "normal"), *visits("a/2", "indeterminate", "normal", "normal")]
    cases = [*both, *visits("a/3", "normal"), *visits("a/4", "covid")]
    for batch in itertools.islice(batches(cases, counts(6, 0, person=2), 0), 20):
        assert batch.indices.size == 16
        owner = [cases[index].patient for index in batch.indices[12:]]
        assert owner[0] == owner[1]
        assert owner[2] == owner[3]
        assert batch.weights.sum(axis=(1, 2)).tolist() == pytest.approx([1, 0])
        within = [[cases[i].patient == cases[j].patient for j in batch.indices] for i in batch.indices]
        # All pairs within the domain share three quarters; those within a patient share the rest besides.
        assert batch.weights[0][np.array(within)].sum() >= 0.25


def test_pairs_within_a_patient_cross_views() -> None:
    cases = [*visits("a/1", "covid", view="AP"), *visits("a/1", "normal", view="PA")]
    batch = next(batches(cases, counts(3, 0, person=1), 0))
    assert batch.indices.tolist() == [0, 1]
    assert batch.weights[0, 0, 1] == 0.25  # no domain has a pair, so that its share is not used


def test_without_patients_with_both_answers_domains_have_all_the_weight() -> None:
    batch = next(batches(CASES, counts(6, 4, person=5), 0))
    assert batch.weights.sum(axis=(1, 2)).tolist() == pytest.approx([1, 1])


def test_a_large_domain_is_drawn_more_often_by_the_square_root_of_its_patients() -> None:
    cases = [
        dataclasses.replace(case(f"a/{view}{index}{label}", label, "a"), view=view)
        for view, n in (("PA", 16), ("AP", 1))
        for index in range(n)
        for label in ("covid", "normal")
    ]
    drawn = [
        cases[batch.indices[0]].view for batch in itertools.islice(batches(cases, counts(1, 0), 0), 2000)
    ]
    assert 0.77 < drawn.count("PA") / 2000 < 0.83
