"""Describe bundles for people: bundle in, lines out."""

from collections.abc import Iterator
from pathlib import Path

from cxrbatch.bundle.bundle import Bundle, OperatingPoints, load_bundle
from cxrbatch.errors import BundleError, UsageProblem
from cxrbatch.records import FINDINGS


def find_bundles(folder: Path) -> list[Path]:
    """Find the bundles directly in a folder, whole or broken, by name; a bundle itself is the only one.

    Raises
    ------
    UsageProblem
        The folder cannot be listed.
    """
    try:
        if (folder / "bundle.json").is_file():
            return [folder]
        return sorted(path for path in folder.iterdir() if (path / "bundle.json").is_file())
    except OSError as error:
        raise UsageProblem(f"{folder}: {error.strerror}") from error


def table_row(path: Path) -> tuple[list[str], bool]:
    """Describe a bundle in a row of a table: identity, input, bands; or why it cannot be loaded.

    Returns
    -------
    list of str
        Columns.
    bool
        False where it cannot be loaded.
    """
    try:
        bundle = load_bundle(path)
    except BundleError as error:
        return ["broken", str(error)], False
    size = f"{bundle.preprocess.height}×{bundle.preprocess.width}"
    return [bundle.id, size, _bands(bundle.operating_points)], True


def describe(bundle: Bundle) -> Iterator[tuple[str, str]]:
    """Yield what a bundle is and what is known of it, as keys and values."""
    spec = bundle.preprocess
    yield "bundle", bundle.id
    yield "folder", str(bundle.path)
    yield "sha256", bundle.sha256
    yield "findings", ", ".join(FINDINGS)
    yield "input", f"{spec.height}×{spec.width} pixels, resize {spec.resize}, normalise {spec.normalise}"
    yield "runtimes", _runtimes(bundle)
    yield "aggregation", bundle.aggregation
    yield "bands", _bands(bundle.operating_points)
    yield "calibration", str(bundle.calibration.measured_on or "measured") if bundle.calibration else "none"
    yield "origin", str(bundle.training.get("origin", "trained by a recipe of cxrbatch"))
    for note in bundle.notes:
        yield "note", note


def _bands(points: OperatingPoints | None) -> str:
    return f"urgent from {points.urgent:g}, high from {points.high:g}" if points else "no bands"


def _runtimes(bundle: Bundle) -> str:
    agreement = bundle.agreement
    if agreement is None:
        return "TensorFlow"
    return (
        f"TensorFlow, LiteRT (scores of {agreement.n_images} test images differ by at most "
        f"{agreement.largest_difference:g})"
    )
