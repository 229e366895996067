"""A folder to screen, and the command that screens it as a user whom modes bind."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from phantom import radiograph
from PIL import Image

from cxrbatch._lib.text import neutralise, visible
from tests.factories.dicom_files import write_dicom

_WITHOUT_PRIVILEGE = """
import ctypes, os, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: root would read whatever the modes say
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
_DRAWN = [radiograph(180, 160, seed=seed) for seed in range(5)]


@dataclass(frozen=True)
class Place:
    """Where a run reads and writes.

    Attributes
    ----------
    folder : Path
        Holds the export and all that a run leaves.
    """

    folder: Path
    bundle: Path

    @property
    def export(self) -> Path:
        return self.folder / "export"

    @property
    def out(self) -> Path:
        return self.folder / "report.csv"

    def start(self, *options: object) -> "subprocess.Popen[bytes]":
        words = [self.export, "--out", self.out, "--bundle", self.bundle, "--device", "cpu", *options]
        return subprocess.Popen(
            [sys.executable, "-c", _WITHOUT_PRIVILEGE, "-m", "cxrbatch", "screen", *map(str, words)],
            env={**os.environ, "SOURCE_DATE_EPOCH": "1772400000"},
            stderr=subprocess.PIPE,
        )

    def run(self, *options: object) -> dict[str, Any]:
        return end(self.start("--log-format", "json", *options))

    def rows(self) -> list[dict[str, str]]:
        with self.out.with_suffix(".files.csv").open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))


def end(process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    """Wait for a run that writes JSON; what its last line says."""
    _, errors = process.communicate()
    assert process.returncode in (0, 3), errors.decode()
    done: dict[str, Any] = json.loads(errors.decode().splitlines()[-1])
    assert done["n_found"] == done["n_scored"] + done["n_not_scored"] + done["n_skipped"]
    return done


def cell(name: str) -> str:
    """How a table names a file."""
    return visible(neutralise(name.replace("\\", "\\\\")))


def write_png(path: Path, number: int) -> Path:
    """The n-th of many radiographs; no two are alike."""
    Image.fromarray(_pixels(number)).save(path, format="PNG", compress_level=1)
    return path


def write_dcm(path: Path, number: int) -> Path:
    """The same one of a patient of its own, as a file of the same size as all others."""
    return write_dicom(path, _pixels(number), PatientID=f"P{number:04}", SOPInstanceUID=f"1.2.1{number:04}")


def _pixels(number: int) -> np.ndarray:
    picture = _DRAWN[number % 5] ** np.float32(0.7 + 0.6 * number / 400)
    return np.rint(picture * 255).astype(np.uint8)
