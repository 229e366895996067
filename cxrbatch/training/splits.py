"""Split a data set by patient: training set, held-out patients, and everything outside the training set."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cxrbatch.datasets import UNSTATED, Dataset, LabelledImage
from cxrbatch.training.matched_pairs import NEGATIVE, POSITIVE
from cxrbatch.training.recipe import TrainRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """A data set, split by patient.

    Attributes
    ----------
    training_set : Dataset
        Images that the network of the bundle is trained on.
    held_out : Dataset
        The own split: candidates for the training set whose patients were held out at random.
    unseen : Dataset
        All images of patients outside the training set; includes `held_out`.
    """

    training_set: Dataset
    held_out: Dataset
    unseen: Dataset

    @property
    def trained_on_sources(self) -> frozenset[str]:
        """Sources of at least one image of the training set."""
        return frozenset(case.source for case in self.training_set.cases)


def split_dataset(dataset: Dataset, recipe: TrainRecipe) -> Splits:
    """Split a data set as a recipe states: ``teaches`` of its sources, ``test_share``, ``fit.method``."""
    candidates = _candidates(dataset, recipe)
    held_out = {case.patient for case in candidates.cases if is_within(case.patient, recipe.test_share)}
    training_set = candidates.select(lambda case: case.patient not in held_out)
    trained_on = {case.patient for case in training_set.cases}
    return Splits(
        training_set=training_set,
        held_out=candidates.select(lambda case: case.patient in held_out),
        unseen=dataset.select(lambda case: case.patient not in trained_on),
    )


def part_of(patient: str, n_parts: int) -> int:
    """Return the part of a patient, 0 to `n_parts` − 1: at random by the name, independent of all other patients."""
    return _drawn(patient) * n_parts >> 64


def is_within(patient: str, share: float) -> bool:
    """Check whether a patient is among a share of all, 0–1: at random by the name, independent of all others."""
    return _drawn(patient) < share * 2**64


def _drawn(patient: str) -> int:
    return int.from_bytes(hashlib.sha256(patient.encode()).digest()[:8])


def sources_without_pairs(cases: Sequence[LabelledImage]) -> frozenset[str]:
    """Find the sources that have both answers to no question in any domain: they have no matched pairs."""
    labels: dict[tuple[str, str], set[str]] = {}
    for case in cases:
        labels.setdefault((case.source, case.domain), set()).add(case.label)
    paired = {source for (source, _), found in labels.items() if _has_a_pair(found)}
    return frozenset(source for source, _ in labels if source not in paired)


def _has_a_pair(labels: set[str]) -> bool:
    return any(labels & yes and labels & no for yes, no in zip(POSITIVE, NEGATIVE, strict=True))


def _candidates(dataset: Dataset, recipe: TrainRecipe) -> Dataset:
    """Select the images that may be in the training set."""
    allowed = dataset.select(lambda case: case.path not in dataset.test_only)
    if recipe.fit.method != "pairs":
        return allowed.select(lambda case: case.label != UNSTATED)  # it is no class of its own
    mute = sources_without_pairs(allowed.cases)
    return allowed.select(lambda case: case.source not in mute)
