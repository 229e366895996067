"""Damaged bundles: listed as broken with the reason, never shown, and replaced only by ``--force``."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cxrbatch.bundle import load_bundle
from cxrbatch.bundle.bundle import AGGREGATIONS, check_replaceable
from cxrbatch.cli import cli
from cxrbatch.errors import BundleError
from cxrbatch.triage import RULES

FILES = ("bundle.json", "gate.npz", "model.keras")
SUMS = "SHA256SUMS"
Damage = Callable[[Path], object]


def sum_up(folder: Path) -> None:
    """Make the hashes right, as somebody who makes a wrong bundle would."""
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in FILES]
    (folder / SUMS).write_text("".join(lines))


def flip(name: str, place: int) -> Damage:
    def damage(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[place * (len(data) - 1) // 100] ^= 1
        (folder / name).write_bytes(data)

    return damage


def cut(name: str) -> Damage:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-1])


def longer(name: str) -> Damage:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + b"\n")


def as_folder(name: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return damage


def content(**changes: Any) -> Damage:
    """Change keys of bundle.json, or remove those that are None, under the right hashes."""

    def damage(folder: Path) -> None:
        stated = json.loads((folder / "bundle.json").read_text()) | changes
        left = {key: value for key, value in stated.items() if value is not ...}
        (folder / "bundle.json").write_text(json.dumps(left))
        sum_up(folder)

    return damage


def text(written: str | bytes) -> Damage:
    def damage(folder: Path) -> None:
        (folder / "bundle.json").write_bytes(written if isinstance(written, bytes) else written.encode())
        sum_up(folder)

    return damage


def sums(change: Callable[[str], str]) -> Damage:
    return lambda folder: (folder / SUMS).write_text(change((folder / SUMS).read_text()), newline="")


def exchange(folder: Path) -> None:
    lines = (folder / SUMS).read_text().split()
    (folder / SUMS).write_text(f"{lines[2]}  {lines[1]}\n{lines[0]}  {lines[3]}\n{lines[4]}  {lines[5]}\n")


DAMAGES: dict[str, Damage] = {
    **{f"{name}, {place} %": flip(name, place) for name in FILES for place in (0, 50, 100)},
    **{f"{name} cut": cut(name) for name in FILES},
    **{f"{name} longer": longer(name) for name in FILES},
    **{f"{name} empty": lambda folder, name=name: (folder / name).write_bytes(b"") for name in (*FILES, SUMS)},  # type: ignore[misc]
    **{f"no {name}": lambda folder, name=name: (folder / name).unlink() for name in (*FILES[1:], SUMS)},  # type: ignore[misc]
    **{f"{name} is a folder": as_folder(name) for name in (*FILES[1:], SUMS)},
    "hashes of two files exchanged": exchange,
    "a hash too short": sums(lambda s: s[1:]),
    "a file that is not in the list": sums(lambda s: s.replace("gate.npz", "gate.npy")),
    "two files in the list": sums(lambda s: "".join(s.splitlines(keepends=True)[:2])),
    "a list without names": sums(lambda s: "".join(line[:64] + "\n" for line in s.splitlines())),
    "no JSON": text("{"),
    "no UTF-8": text(b'{"name": "\xff"}'),
    "a list": text("[]"),
    "null": text("null"),
    "an empty object": text("{}"),
    "another format": content(format=2),
    "a format in words": content(format="1"),
    "no name": content(name=...),
    "a name that is a number": content(name=7),
    "no findings": content(findings=...),
    "findings in another order": content(findings=["normal", "pneumonia", "covid"]),
    "no preprocessing": content(preprocess=...),
    "a height of 0": content(preprocess={"height": 0, "width": 64}),
    "a height in words": content(preprocess={"height": "64", "width": 64}),
    "another aggregation": content(aggregation="median"),
    "bands upside down": content(operating_points={"urgent": 0.1, "high": 0.5, "measured_on": "x"}),
    "bands beyond 1": content(operating_points={"urgent": 1.5, "high": 0.5, "measured_on": "x"}),
    "a calibration that falls": content(calibration={"slope": -1.0, "intercept": 0.0, "measured_on": "x"}),
    "an evaluation that is a text": content(evaluation="good"),
    "training that is a list": content(training=[]),
}  # fmt: skip


def test_a_bundle_may_name_every_rule() -> None:
    assert set(AGGREGATIONS) == set(RULES)


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_bundle(
    case: str, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "mine é"
    shutil.copytree(tiny_bundle, folder)
    shutil.copytree(tiny_bundle, tmp_path / "whole")
    DAMAGES[case](folder)
    with pytest.raises(BundleError, match="mine é"):
        load_bundle(folder)
    if (folder / SUMS).is_file():  # else nothing says that it is one
        check_replaceable(folder)
    listed = CliRunner().invoke(cli, ["bundle", "list"], standalone_mode=False)
    assert listed.return_value == 3
    rows = [line.split("\t") for line in listed.stdout.splitlines()]
    assert [row[0] for row in rows] == ["default", "mine é", "whole"]
    assert rows[1][1] == "broken"
    assert rows[1][2].startswith("bundle mine é: ")
    assert rows[2][1] == load_bundle(tiny_bundle).id
    shown = CliRunner().invoke(cli, ["bundle", "show", "mine é"], standalone_mode=False)
    assert isinstance(shown.exception, BundleError)
    assert shown.stdout == ""
