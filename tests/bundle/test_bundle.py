"""A bundle is loaded only when its hash matches."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cxrbatch.bundle.bundle import DEFAULT_BUNDLE, Bundle, OperatingPoints, load_bundle, write_bundle
from cxrbatch.bundle.calibration import ScoreCalibration
from cxrbatch.bundle.licence import DataLicence, WeightsLicence
from cxrbatch.bundle.operating_points import choose_bundle, with_operating_points, write_operating_points
from cxrbatch.errors import BundleError, OutputError, UsageProblem
from cxrbatch.preprocess import PreprocessSpec
from cxrbatch.records import Priority


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


def test_hash_is_that_of_the_sums(tiny_bundle: Path) -> None:
    bundle = load_bundle(tiny_bundle)
    assert bundle.sha256 == hashlib.sha256((tiny_bundle / "SHA256SUMS").read_bytes()).hexdigest()
    assert bundle.id == f"tiny@{bundle.sha256[:12]}"


def test_sums_are_understood_by_the_usual_tool(tiny_bundle: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tiny_bundle, check=True)


@pytest.mark.parametrize("file", ["model.keras", "gate.npz", "bundle.json"])
def test_one_changed_byte_is_noticed(copy: Path, file: str) -> None:
    data = bytearray((copy / file).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / file).write_bytes(data)
    with pytest.raises(BundleError, match=file):
        load_bundle(copy)


@pytest.mark.parametrize("file", ["model.keras", "gate.npz", "bundle.json", "SHA256SUMS"])
def test_missing_file(copy: Path, file: str) -> None:
    (copy / file).unlink()
    with pytest.raises(BundleError, match=file):
        load_bundle(copy)


@pytest.mark.parametrize("file", ["model.keras", "gate.npz", "bundle.json", "SHA256SUMS"])
def test_links_and_pipes_are_no_files_of_a_bundle(copy: Path, tmp_path: Path, file: str) -> None:
    """Whatever a link leads to now, even the very file."""
    outside = (copy / file).rename(tmp_path / file)
    (copy / file).symlink_to(outside)
    with pytest.raises(BundleError, match=f"{file} is a link or no file"):
        load_bundle(copy)
    (copy / file).unlink()
    os.mkfifo(copy / file)
    with pytest.raises(BundleError, match=f"{file} is a link or no file"):
        load_bundle(copy)


def test_a_bundle_may_itself_be_a_link(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(copy)
    assert load_bundle(tmp_path / "current").sha256 == load_bundle(copy).sha256


@pytest.mark.parametrize("name", ["../model.keras", "/etc/passwd", "model.keras/../../x", "gate.npz\n"])
def test_hashes_of_other_files(copy: Path, name: str) -> None:
    sums = (copy / "SHA256SUMS").read_text()
    (copy / "SHA256SUMS").write_text(sums.replace("gate.npz", name))
    with pytest.raises(BundleError, match=r"must name exactly|not understood"):
        load_bundle(copy)
    (copy / "SHA256SUMS").write_text(sums + f"{'0' * 64}  {name}\n")
    with pytest.raises(BundleError, match=r"must name exactly|not understood|differs"):
        load_bundle(copy)


def test_a_description_without_end(copy: Path) -> None:
    (copy / "bundle.json").write_text("[" * 100_000)
    lines = (copy / "SHA256SUMS").read_text().splitlines()
    digest = hashlib.sha256((copy / "bundle.json").read_bytes()).hexdigest()
    (copy / "SHA256SUMS").write_text("\n".join([f"{digest}  bundle.json", *lines[1:]]) + "\n")
    with pytest.raises(BundleError, match="not understood"):
        load_bundle(copy)


def rewrite(folder: Path, **changes: object) -> None:
    """Change bundle.json and its hash with it, as somebody who makes a wrong bundle would."""
    content = json.loads((folder / "bundle.json").read_text()) | changes
    (folder / "bundle.json").write_text(json.dumps(content))
    lines = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in sorted(path.name for path in folder.iterdir() if path.name != "SHA256SUMS")
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"findings": ["covid", "normal"]},
        {"preprocess": {"height": 64, "zoom": 2}},
        {"preprocess": None},
        {"operating_points": {"urgent": 0.1, "high": 0.5}},
        {"calibration": {"slope": -1.0, "intercept": 0.0}},
        {"calibration": {"slope": 1.0}},
        {"preprocess": {"normalise": "somehow"}},
        {"preprocess": {"resize": "somehow"}},
    ],
)
def test_content_that_is_not_understood(copy: Path, changes: dict[str, object]) -> None:
    rewrite(copy, **changes)
    with pytest.raises(BundleError, match=str(copy)):
        load_bundle(copy)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such folder"):
        load_bundle(tmp_path / "nothing")


def test_the_shipped_bundle_is_whole_and_small() -> None:
    bundle = load_bundle(DEFAULT_BUNDLE)
    size = sum(file.stat().st_size for file in bundle.path.iterdir())
    assert size <= 40_000_000
    assert bundle.training
    assert bundle.evaluation


# What newer bundles say and older ones do not

LICENCE = WeightsLicence(
    terms="For research only.", data=(DataLicence(name="ours", licence="Ask.", cite=("A. B., 2020",)),)
)


def written(path: Path, tiny: Path, **parts: object) -> Bundle:
    bundle = load_bundle(tiny)
    content = {
        "name": "made",
        "model": bundle.model_path,
        "gate": bundle.gate_path,
        "preprocess": bundle.preprocess,
        "aggregation": "mean",
        "operating_points": bundle.operating_points,
        "training": {},
        "evaluation": {"caveats": ["mind the gap"]},
    }
    return write_bundle(path, **(content | parts))  # type: ignore[arg-type]


def test_an_older_bundle_means_what_it_meant(copy: Path) -> None:
    """Without the keys that came later: percentiles, area averaging, no calibration."""
    old = {"height": 64, "width": 64, "low_percentile": 1.0, "high_percentile": 99.0, "trim_tolerance": 0.03}
    rewrite(copy, preprocess=old, operating_points={"urgent": 0.6, "high": 0.3})
    content = json.loads((copy / "bundle.json").read_text())
    del content["calibration"], content["licence"]
    (copy / "bundle.json").write_text(json.dumps(content))
    rewrite(copy)
    bundle = load_bundle(copy)
    assert bundle.preprocess == PreprocessSpec(
        height=64,
        width=64,
        low_percentile=1.0,
        high_percentile=99.0,
        trim_tolerance=0.03,
        normalise="percentile",
        resize="area",
    )
    assert bundle.operating_points == OperatingPoints(urgent=0.6, high=0.3, measured_on="")
    assert (bundle.calibration, bundle.licence) == (None, None)


def test_everything_written_is_read_again(tiny_bundle: Path, tmp_path: Path) -> None:
    spec = PreprocessSpec(height=64, width=64, normalise="none", trim_tolerance=0.0, resize="nearest")
    points = OperatingPoints(urgent=0.7, high=0.2, measured_on="90 patients")
    calibration = ScoreCalibration(slope=0.5, intercept=-1.25, measured_on="90 patients")
    bundle = written(
        tmp_path / "b",
        tiny_bundle,
        preprocess=spec,
        operating_points=points,
        calibration=calibration,
        licence=LICENCE,
        training={"seed": 3},
    )
    assert (bundle.preprocess, bundle.operating_points, bundle.calibration) == (spec, points, calibration)
    assert bundle.licence == LICENCE
    assert bundle.training == {"seed": 3}
    assert bundle == load_bundle(tmp_path / "b")


@pytest.mark.parametrize(
    "parts",
    [
        {"licence": "MIT"},
        {"licence": {}},
        {"licence": {"terms": 5, "data": []}},
        {"licence": {"terms": "a", "data": ["b"]}},
        {"licence": {"terms": "a", "data": [{"name": "b", "licence": "c", "cite": [None]}]}},
        {"evaluation": []},
        {"evaluation": {"within_site": [{"question": "a"}]}},
        {"evaluation": {"within_site": 5}},
    ],
)
def test_malformed_parts_are_found_before_the_night(copy: Path, parts: dict[str, object]) -> None:
    content = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps(content | parts))
    rewrite(copy)
    with pytest.raises(BundleError, match="not understood"):
        load_bundle(copy)


def test_a_bundle_without_operating_points_says_so(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = written(tmp_path / "b", tiny_bundle, operating_points=None)
    assert bundle.operating_points is None
    assert bundle.notes == (
        "What the scores are worth within a hospital was not measured.",
        "mind the gap",
        "This bundle has no operating points: the list has an order, no bands.",
    )


def test_a_bundle_without_evaluation_says_so(tiny_bundle: Path) -> None:
    (caveat,) = load_bundle(tiny_bundle).caveats
    assert caveat.startswith("Nothing was measured of this bundle")


def test_probability_needs_a_calibration(tiny_bundle: Path, tmp_path: Path) -> None:
    calibrated = written(tmp_path / "b", tiny_bundle, calibration=ScoreCalibration(slope=1.0, intercept=0.0))
    assert calibrated.probability(0.8, 0.05) == pytest.approx(4 / 23)
    assert choose_bundle(tmp_path / "b", None, 0.05) == calibrated
    with pytest.raises(UsageProblem, match=r"--prevalence: bundle tiny@\w+ has no calibration"):
        load_bundle(tiny_bundle).probability(0.8, 0.05)
    with pytest.raises(UsageProblem, match="has no calibration"):
        choose_bundle(tiny_bundle, None, 0.05)
    assert choose_bundle(tiny_bundle, None, None) == load_bundle(tiny_bundle)


def test_nothing_but_a_bundle_is_replaced(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    written(tmp_path / "data", tiny_bundle)  # an empty folder is nobody's
    assert written(tmp_path / "data", tiny_bundle, name="again").name == "again"
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageProblem, match="no bundle"):
        written(tmp_path / "file", tiny_bundle)
    with pytest.raises(UsageProblem, match="no bundle"):
        written(tmp_path, tiny_bundle)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_place_that_takes_no_bundle(tiny_bundle: Path) -> None:
    with pytest.raises(OutputError, match="/proc/bundle"):
        written(Path("/proc/bundle"), tiny_bundle)


# Operating points measured elsewhere

MEASURED = OperatingPoints(urgent=0.7, high=0.2, measured_on="90 patients of our hospital, March")


def test_operating_points_of_a_file_replace_those_of_the_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = load_bundle(tiny_bundle)
    write_operating_points(tmp_path / "points.json", bundle, MEASURED)
    assert json.loads((tmp_path / "points.json").read_text()) == {
        "bundle_sha256": bundle.sha256,
        "urgent": 0.7,
        "high": 0.2,
        "measured_on": "90 patients of our hospital, March",
    }
    changed = with_operating_points(bundle, tmp_path / "points.json")
    assert changed.operating_points == MEASURED
    assert changed.operating_points.priority(0.65) is Priority.HIGH
    assert changed.sha256 == bundle.sha256
    assert (
        changed.notes[-1]
        == "The operating points of the bands were measured on 90 patients of our hospital, March."
    )
    assert choose_bundle(tiny_bundle, tmp_path / "points.json", None) == changed


def test_operating_points_of_another_bundle_are_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    other = written(tmp_path / "other", tiny_bundle)
    write_operating_points(tmp_path / "points.json", other, MEASURED)
    with pytest.raises(UsageProblem, match=rf"{other.sha256[:12]}….*this is tiny@"):
        with_operating_points(load_bundle(tiny_bundle), tmp_path / "points.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not understood"),
        ("[]", "not understood"),
        ('{"urgent": 0.5, "high": 0.2}', "bundle_sha256"),
        ('{"bundle_sha256": "SHA", "urgent": 0.5}', "high"),
        ('{"bundle_sha256": "SHA", "urgent": 0.1, "high": 0.5}', "high ≤ urgent"),
        ('{"bundle_sha256": "SHA", "urgent": "a", "high": 0.5}', "not understood"),
        ('{"bundle_sha256": "SHA", "urgent": 0.5, "high": 0.2, "low": 0.1}', "low"),
    ],
)
def test_files_that_hold_no_operating_points(
    content: str, message: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    bundle = load_bundle(tiny_bundle)
    (tmp_path / "points.json").write_text(content.replace("SHA", bundle.sha256))
    with pytest.raises(UsageProblem, match=message):
        with_operating_points(bundle, tmp_path / "points.json")


def test_operating_points_that_are_not_there(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = load_bundle(tiny_bundle)
    with pytest.raises(UsageProblem, match="No such file"):
        with_operating_points(bundle, tmp_path / "nothing.json")
    with pytest.raises(OutputError, match="No such file"):
        write_operating_points(tmp_path / "no folder" / "points.json", bundle, MEASURED)
