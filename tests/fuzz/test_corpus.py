"""Files that were read wrongly once, or might be: `corpus/MANIFEST.csv` says what was wrong, and what is expected."""

import csv
import time
from pathlib import Path

import pytest

from cxrbatch.discover import classify
from cxrbatch.prepare import PrepareOptions, prepare
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.read import PatientRule, open_image
from cxrbatch.records import Failure, ImageRef

CORPUS = Path(__file__).parent / "corpus"
LARGEST_BYTES = 20_000
LONGEST_S = 2.0
with (CORPUS / "MANIFEST.csv").open(newline="") as _stream:
    EXPECTED = {row["file"]: row["expected"] for row in csv.DictReader(_stream)}


@pytest.mark.parametrize("full_size", [False, True])
@pytest.mark.parametrize("name", EXPECTED)
def test_outcome(name: str, full_size: bool, capfd: pytest.CaptureFixture[str]) -> None:
    found = classify(CORPUS / name, name)
    assert isinstance(found, ImageRef)
    started = time.process_time()
    result = prepare(found, PrepareOptions(spec=PreprocessSpec(height=32, width=32), full_size=full_size))
    assert (result.reason if isinstance(result, Failure) else "scored") == EXPECTED[name]
    assert not isinstance(result, Failure) or not result.detail.endswith("while reading")
    assert time.process_time() - started < LONGEST_S
    assert capfd.readouterr() == ("", "")


def test_manifest_lists_the_files() -> None:
    files = {path.name: path.stat().st_size for path in CORPUS.iterdir() if path.name != "MANIFEST.csv"}
    assert files.keys() == EXPECTED.keys()
    assert max(files.values()) < LARGEST_BYTES
    assert set(EXPECTED.values()) >= {"scored", "corrupt", "truncated", "too_large"}


def test_a_sequence_is_no_patient_id() -> None:
    """Printed, it would give the name away that is in it."""
    name = "patient-id-is-a-sequence.dcm"
    found = classify(CORPUS / name, name)
    assert isinstance(found, ImageRef)
    assert open_image(found, PatientRule()).header.patient_key[0] == "study"
    assert b"Nobody^Real" in found.path.read_bytes()
    assert "Nobody" not in repr(open_image(found, PatientRule()).header)
