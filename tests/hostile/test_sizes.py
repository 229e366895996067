"""Very many files: time and memory grow with their number, and with nothing worse.

``CXRBATCH_MANY_FILES=100000`` screens so many; by default 10,000. `benchmarks/many.py` measures it.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cxrbatch.reasons import Reason
from cxrbatch.records import Failure, ImageHeader, ImageScore, Outcome
from cxrbatch.state.connection import in_memory
from tests.factories.stored import context, found
from tests.hostile.places import Place, write_dcm, write_png

N_FILES = int(os.environ.get("CXRBATCH_MANY_FILES", "10000"))
N_IMAGES = 100
KINDS = {
    "note": ("skipped", "not_an_image", b"To whom it may concern"),
    "empty": ("skipped", "not_an_image", b""),
    "text.png": ("not_scored", "not_an_image", b"no picture"),
    "empty.dcm": ("not_scored", "truncated", b""),
    "part": ("not_scored", "still_changing", b"any"),
}


@pytest.mark.slow
def test_a_folder_of_very_many_files(tmp_path: Path, tiny_bundle: Path) -> None:
    place = Place(tmp_path, tiny_bundle)
    place.export.mkdir()
    for number in range(N_IMAGES):
        (write_dcm if number % 2 else write_png)(place.export / f"{number:04}", number)
    kinds = [list(KINDS)[number % len(KINDS)] for number in range(N_FILES - N_IMAGES)]
    for number, kind in enumerate(kinds):
        name = f"{number:06}".ljust(254 - len(kind), "n")
        (place.export / f"{name}.{kind}").write_bytes(KINDS[kind][2])
    done = place.run()
    expected = Counter(KINDS[kind][:2] for kind in kinds) | Counter({("scored", ""): N_IMAGES})
    assert Counter((row["status"], row["reason"]) for row in place.rows()) == expected
    assert (done["n_found"], done["n_scored"]) == (N_FILES, N_IMAGES)


def images(kind: str, n: int) -> Iterator[Outcome]:
    for number in range(n):
        uid = f"1.2.{number}" if kind == "of one patient" else "1.2.3" if kind == "with one uid" else ""
        patient = "P" if "patient" in kind else f"P{number}"
        header = ImageHeader(patient_key=("dicom", "", patient), patient_id=patient, sop_instance_uid=uid)
        if "not scored" in kind:
            yield Failure(name=str(number), reason=Reason.CORRUPT, header=header)
        else:
            yield ImageScore(name=str(number), header=header, scores=(0.5, 0.25, 0.25), pixels_sha256="x")


def n_steps(kind: str, n: int) -> int:
    """What SQLite does to store `n` images, in its own instructions."""
    n_hundreds = 0

    def count() -> int:
        nonlocal n_hundreds
        n_hundreds += 1
        return 0

    with in_memory() as state:
        state._connection.set_progress_handler(count, 100)
        for outcome in images(kind, n):
            state.put(found(outcome.name), outcome, context())
    return 100 * n_hundreds


@pytest.mark.parametrize(
    "kind", ["of one patient", "of one patient and not scored", "with one uid", "of many"]
)
def test_storing_an_image_takes_no_longer_where_there_are_many(kind: str) -> None:
    """Four times as many take four times the steps, not sixteen times."""
    assert n_steps(kind, 1200) < 4.5 * n_steps(kind, 300)
