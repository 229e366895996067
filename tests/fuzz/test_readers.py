"""Damaged files, in this process: a model input or a failure with its reason, never an exception."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cxrbatch.discover import classify
from cxrbatch.prepare import PrepareOptions, prepare
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, ImageRef, ModelInput
from tests.fuzz import seeds
from tests.fuzz.lenient_dicom_header import modalities
from tests.fuzz.mutations import kinds, mutated

SPEC = PreprocessSpec(height=32, width=32)
"""So small that pictures of the seeds' size are decoded in part."""
N_FILES = 400


@pytest.fixture(scope="module")
def well_formed(tmp_path_factory: pytest.TempPathFactory) -> list[seeds.Seed]:
    return [*seeds.small(tmp_path_factory.mktemp("seeds")), *seeds.of_pydicom()]


def outcome(path: Path, data: bytes, *, full_size: bool = False) -> ModelInput | Failure:
    path.write_bytes(data)
    found = classify(path, path.name)
    options = PrepareOptions(spec=SPEC, full_size=full_size)
    return prepare(found, options) if isinstance(found, ImageRef) else found


def test_seeds_are_well_formed(tmp_path: Path) -> None:
    """Else the mutations would damage what is refused anyway."""
    refused = [
        seed.name
        for seed in seeds.small(tmp_path)
        if not isinstance(outcome(tmp_path / "a", seed.data), ModelInput)
    ]
    assert refused == ["animated"]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("full_size", [False, True])
def test_a_damaged_file_is_read_or_refused_with_a_reason(
    tmp_path: Path, well_formed: list[seeds.Seed], seed: int, full_size: bool
) -> None:
    outcomes: Counter[str] = Counter()
    for number in range(N_FILES):
        file = mutated(well_formed, seed, number)
        result = outcome(tmp_path / "a", file.data, full_size=full_size)
        if isinstance(result, ModelInput):
            outcomes["read"] += 1
            assert result.pixels.shape == (32, 32)
            assert result.pixels.dtype == np.uint8
            assert modalities(file.data) <= {"CR", "DX", "RG"}, file.name
        else:
            outcomes[result.reason] += 1
            assert result.detail, file.name
            assert not result.detail.endswith("while reading"), file.name
    # All of the outcomes that damage can have, else the mutations miss what they are for.
    assert outcomes.keys() >= {"read", Reason.CORRUPT, Reason.TRUNCATED, Reason.WRONG_MODALITY}
    assert outcomes["read"] > N_FILES / 20


def test_mutations_are_the_same_on_every_run(well_formed: list[seeds.Seed]) -> None:
    assert all(mutated(well_formed, 3, n) == mutated(well_formed, 3, n) for n in range(40))


def test_every_mutation_is_drawn(well_formed: list[seeds.Seed]) -> None:
    drawn = {mutated(well_formed, 4, number).kind for number in range(3000)}
    assert len(drawn & set(kinds())) > 0.9 * len(kinds())
