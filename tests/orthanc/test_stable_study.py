"""Debian's Orthanc with pipelines/orthanc/stable_study.lua: what it stores comes to the folder and onto the list."""

import csv
import datetime as dt
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phantom import radiograph
from pydicom.uid import generate_uid

from cxrbatch.screening import screen
from tests.conftest import REPOSITORY
from tests.factories.dicom_files import write_dicom

pytestmark = pytest.mark.orthanc
SCRIPT = REPOSITORY / "pipelines" / "orthanc" / "stable_study.lua"


class Orthanc:
    """One on this machine, and the folder that it exports to."""

    def __init__(self, folder: Path, export: Path) -> None:
        self._folder, self._export = folder, export
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self._port = taken.getsockname()[1]

    @contextmanager
    def running(self) -> Iterator[None]:
        program = shutil.which("Orthanc", path="/usr/sbin:/usr/bin:/usr/local/bin")
        if not program:
            pytest.skip("Orthanc is not here")
        config: dict[str, Any] = {
            **{"StorageDirectory": str(self._folder), "IndexDirectory": str(self._folder), "StableAge": 1},
            **{"HttpPort": self._port, "RemoteAccessAllowed": False, "AuthenticationEnabled": False},
            **{"DicomServerEnabled": False, "LuaScripts": [str(SCRIPT)]},
        }
        (self._folder / "orthanc.json").write_text(json.dumps(config))
        with (
            (self._folder / "log").open("ab") as log,
            subprocess.Popen(
                [program, self._folder / "orthanc.json"],
                env={"CXRBATCH_EXPORT": str(self._export), "PATH": "/usr/bin:/bin"},
                stdout=log,
                stderr=log,
            ) as process,
        ):
            try:
                wait(self._answers, "Orthanc does not answer")
                yield
            finally:
                process.terminate()

    def _answers(self) -> bool:
        with suppress(OSError):
            return bool(self._ask("/system"))
        return False

    def _ask(self, path: str, content: bytes | None = None) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", content)
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - of this test
            return json.load(answer)

    def store(self, path: Path) -> Path:
        """Store a file; return where it has to come out."""
        return self._export / f"{self._ask('/instances', path.read_bytes())['ID']}.dcm"

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")


def wait(is_so: Callable[[], bool], message: str) -> None:
    for _ in range(600):
        if is_so():
            return
        time.sleep(0.1)
    raise AssertionError(message)


@pytest.fixture
def orthanc(tmp_path: Path) -> Orthanc:
    for name in ("db", "export é"):
        (tmp_path / name).mkdir()
    return Orthanc(tmp_path / "db", tmp_path / "export é")


def dicom(folder: Path, patient: str, **elements: Any) -> Path:
    path = folder / f"{patient}-{elements.get('Modality', 'DX')}.dcm"
    stored = np.rint(radiograph(300, 280, seed=len(patient)) * 4095).astype(np.uint16)
    usual = {
        "PatientID": patient,
        "StudyDate": dt.date.today().strftime("%Y%m%d"),
        "StudyInstanceUID": generate_uid(entropy_srcs=[patient]),
        "SeriesInstanceUID": generate_uid(),
        "SOPInstanceUID": generate_uid(),
        "Modality": "DX",
    }
    write_dicom(path, stored, **usual | elements)
    return path


def test_a_stored_study_is_on_the_list(orthanc: Orthanc, tmp_path: Path, tiny_bundle: Path) -> None:
    files = [dicom(tmp_path, "PID-4711"), dicom(tmp_path, "PID-08"), dicom(tmp_path, "PID-08", Modality="CR")]
    with orthanc.running():
        places = [orthanc.store(path) for path in files]
        other = orthanc.store(dicom(tmp_path, "PID-4711", Modality="CT"))
        wait(lambda: all(place.exists() for place in places), "the studies did not come out")
    assert [place.read_bytes() for place in places] == [path.read_bytes() for path in files]
    assert not other.exists()
    assert {path.suffix for path in other.parent.iterdir()} == {".dcm"}
    assert "PID-" not in orthanc.log
    out = tmp_path / "r.csv"
    screen(other.parent, out, bundle=tiny_bundle, device="cpu", n_workers=1, n_explained=0)
    with out.open(encoding="utf-8", newline="") as stream:
        listed = {(row["patient_id"], row["n_images"], row["status"]) for row in csv.DictReader(stream)}
    assert listed == {("PID-4711", "1", "ranked"), ("PID-08", "2", "ranked")}


def test_what_could_not_be_written_comes_with_the_next_study_and_after_a_start(
    orthanc: Orthanc, tmp_path: Path
) -> None:
    export, away = tmp_path / "export é", tmp_path / "away"
    with orthanc.running():
        export.rename(away)
        first = orthanc.store(dicom(tmp_path, "PID-1"))
        wait(lambda: "was not written to" in orthanc.log, "nothing was said of a missing folder")
        away.rename(export)
        second = orthanc.store(dicom(tmp_path, "PID-22"))
        wait(lambda: first.exists() and second.exists(), "the studies did not come out")
        second.unlink()
        kept = first.stat()
    with orthanc.running():
        wait(second.exists, "the study did not come out after a start")
    assert first.stat().st_mtime_ns == kept.st_mtime_ns
    assert "PID-" not in orthanc.log
